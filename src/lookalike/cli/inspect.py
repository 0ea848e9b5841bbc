"""``lookalike info``, ``list``, ``facets`` and ``label``."""

from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import collection_option, json_option, opened, where_option
from lookalike.cli.output import (
    encoder_text,
    lines,
    plain,
    print_json,
    print_notes,
    print_table,
    size_text,
)
from lookalike.config import collections, settings
from lookalike.core import settings_keys
from lookalike.core.plurals import count_noun, reasons_text
from lookalike.errors import EncoderMismatchError, StoreDamagedError
from lookalike.output.json_documents import item_json, missing_json, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.analysis.calibration import Level
    from lookalike.collection import Collection
    from lookalike.collection_info import CollectionInfo, Description
    from lookalike.core.records import Field, Json

__all__ = ["facets_command", "info_command", "label_command", "list_command"]


@click.command("info")
@collection_option
@click.option(
    "--fields",
    is_flag=True,
    help="Also list the metadata fields, their types and the share of items that have them.",
)
@click.option(
    "--skipped", is_flag=True, help="List the files that were skipped instead, with the reason."
)
@json_option
def info_command(*, collection: str | None, fields: bool, skipped: bool, as_json: bool) -> None:
    """Describe a collection: items, labels, encoder, source folders, skipped files.

    \b
      lookalike info
      lookalike info --fields -c shop
      lookalike info --skipped
      lookalike info -c shop --json
    """
    from lookalike.cli.calibrate import levels_of

    with opened(collection) as shop:
        if skipped:
            _show_skipped(shop, as_json=as_json)
            return
        info = shop.info()
        content = shop.describe(fields=fields)
        levels = levels_of(shop)
        categories = _describe_categories(shop)
    if as_json:
        document = asdict(info)
        document["roots"] = [{"name": one.name, "path": str(one.path)} for one in info.roots]
        document["updated_at"] = when(info.updated_at)
        document |= asdict(content)
        if content.fields is None:
            del document["fields"]
        document["matches"] = {one.match: one.least for one in levels} or None
        document["categories"] = None if categories is None else categories.document
        print_json(document)
        return
    print_table(("", ""), _make_rows(info, content, levels, categories))
    if content.fields:
        rows = [_field_row(one, content) for one in content.fields]
        print_table(("field", "type", "filled"), rows)
    elif content.fields is not None:
        click.echo("no metadata", err=True)


def _make_rows(
    info: "CollectionInfo",
    content: "Description",
    levels: "Sequence[Level]",
    categories: "_Categories | None",
) -> list[tuple[str, str]]:
    from lookalike.cli.calibrate import levels_text

    size = "" if info.bytes is None else f", {size_text(info.bytes)}"
    rows = [
        ("items", f"{info.items:,}"),
        ("encoder", encoder_text(info)),
        ("fingerprint", info.fingerprint or ""),
        (
            "words",
            "by meaning, labels and keywords"
            if info.words
            else "by labels and keywords (the encoder has no text encoder)",
        ),
        ("stored in", f"{plain(info.address)} ({info.store}{size})"),
        ("search", f"ANN index over {info.ann_index_rows:,}" if info.ann_index_rows else "exact"),
        ("changed", when(info.updated_at) or "never"),
    ]
    if info.missing:
        rows.append(("missing", f"{info.missing:,} (`lookalike list --missing` shows them)"))
    if info.thumbnails or info.thumbnail_side:
        size = f"{info.thumbnail_side} pixels" if info.thumbnail_side else "none for new items"
        kept = f"{info.thumbnails:,} ({size_text(info.thumbnail_bytes)})"
        rows.append(("thumbnails", f"{kept}, {size}"))
    rows += [
        ("folder", plain(f"{root.name}: {root.path}" if root.name else str(root.path)))
        for root in info.roots
    ]
    if content.distinct_labels:
        rows.append(("labels", _describe_labels(content)))
    if content.groups:
        rows.append(("groups", f"{content.groups:,}"))
    if levels:
        rows.append(("thresholds", levels_text(levels)))
    if categories is not None:
        rows.append(("categories", categories.text))
    if info.skipped:
        rows.append(("skipped", reasons_text(info.skipped)))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Categories:
    """The trained categories of a collection, as a line of text and as a JSON document."""

    text: str
    document: "dict[str, Json]"


def _describe_categories(shop: "Collection") -> _Categories | None:
    if shop.store.settings.get(settings_keys.CATEGORIES) is None:
        return None
    from lookalike.analysis import categories
    from lookalike.cli.categories import standing_text

    try:
        model, since = categories.get_classifier_info(shop), categories.get_classifier_status(shop)
    except (EncoderMismatchError, StoreDamagedError) as error:
        return _Categories(text=str(error), document={"error": str(error)})
    if model is None:
        return None
    now = "unknown (trained with a filter object)" if since is None else standing_text(since)
    trained = count_noun(len(model.labels), "value")
    return _Categories(
        text=f"trained on {trained} of {plain(model.by)}; now {now}",
        document={
            "by": model.by,
            "labels": len(model.labels),
            "trained_at": when(model.trained_at),
            "standing": None
            if since is None
            else {
                **asdict(since),
                "added": list(since.added),
                "gone": list(since.gone),
                "current": since.current,
            },
        },
    )


def _describe_labels(content: "Description") -> str:
    parts = [f"{plain(label)} {count:,}" for label, count in content.labels.items()]
    text = ", ".join(parts)
    if rest := content.distinct_labels - len(content.labels):
        text += f", and {rest:,} more"
    return f"{text}; {content.unlabelled:,} without a label" if content.unlabelled else text


def _field_row(field: "Field", content: "Description") -> tuple[str, str, str]:
    types = ", ".join(name for name in field.types if name != "null") or "null"
    share = field.filled / max(content.items, 1)
    # never round 99.96 % up to all, nor 0.04 % down to none
    percent = 100.0 * share if share in (0.0, 1.0) else min(max(100 * share, 0.1), 99.9)
    return plain(field.name), types, f"{percent:.3g}%"


def _show_skipped(shop: "Collection", *, as_json: bool) -> None:
    found = shop.skipped()
    if as_json:
        print_json([{"path": one.path, "reason": one.reason} for one in found])
    else:
        print_table(("file", "reason"), [(plain(one.path), one.reason) for one in found])


@click.command("list")
@collection_option
@click.option("--collections", "of_collections", is_flag=True, help="List collections instead.")
@click.option(
    "--missing",
    "of_missing",
    is_flag=True,
    help="List the items whose files are missing instead; their labels and metadata are kept.",
)
@where_option
@click.option("-n", "--limit", type=click.IntRange(1), help="The maximum number to list.")
@click.option("-0", "--null", is_flag=True, help="End each id with a NUL byte (xargs -0).")
@json_option
def list_command(
    *,
    collection: str | None,
    of_collections: bool,
    of_missing: bool,
    where: str | None,
    limit: int | None,
    null: bool,
    as_json: bool,
) -> None:
    """List the ids of a collection's items, one per line.

    \b
      lookalike list | head
      lookalike list --json -n 3
      lookalike list --where 'label=mug and price<20'
      lookalike list --missing --json
      lookalike list --collections
    """
    if of_missing and (of_collections or where):
        raise click.UsageError("--missing cannot be combined with --where or --collections")
    if of_collections:
        names = collections(settings())[:limit]
        print_json(names) if as_json else lines(names, null=null)
        return
    with opened(collection) as shop:
        if of_missing:
            absent = islice(shop.missing(), limit)
            if as_json:
                print_json([missing_json(one) for one in absent])
            else:
                lines((one.item.id if null else plain(one.item.id) for one in absent), null=null)
            return
        items = iter(islice(shop.items(where), limit))
        first = next(items, None)
        found = items if first is None else chain([first], items)
        if as_json:
            print_json([item_json(shop, item) for item in found])
        else:
            lines((item.id if null else plain(item.id) for item in found), null=null)
        if first is None:
            print_notes(shop.notes(where), as_json=as_json)


@click.command("facets")
@click.argument("field")
@collection_option
@where_option
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="The maximum number of values.",
)
@json_option
def facets_command(
    field: str, *, collection: str | None, where: str | None, limit: int, as_json: bool
) -> None:
    """Count items by the values of a FIELD: label, group, or metadata such as price or spec.size.

    \b
      lookalike facets label
      lookalike facets baseColour --where 'gender=Men'
    """
    with opened(collection) as shop:
        found = shop.facets(field, where, limit=limit)
        if not found:
            print_notes(shop.notes(where, field=field), as_json=as_json)
    if as_json:
        print_json([{"value": value, "count": count} for value, count in found])
    else:
        print_table(("items", field), [(count, plain(str(value))) for value, count in found])


@click.command("label")
@click.argument("label")
@click.argument("ids", nargs=-1, metavar="[ID...]")
@collection_option
@where_option
@json_option
def label_command(
    label: str,
    ids: tuple[str, ...],
    *,
    collection: str | None,
    where: str | None,
    as_json: bool,
) -> None:
    """Set the LABEL of items ('' removes it). Nothing is encoded again.

    `lookalike index` keeps labels set this way, unless --overwrite-by-hand is given.

    \b
      lookalike label mug shelf/12.jpg shelf/13.jpg
      lookalike label mug --where 'name^=Mug'
    """
    if bool(ids) == (where is not None):
        raise click.UsageError("give ids or --where")
    with opened(collection) as shop:
        chosen = {*ids} if where is None else {item.id for item in shop.items(where)}
        shop.label(sorted(chosen), label or None)
        notes = () if chosen else shop.notes(where)
    if as_json:
        print_json({"labelled": len(chosen)})
    else:
        click.echo(f"{count_noun(len(chosen), 'item')} labelled")
    print_notes(notes, as_json=as_json)
