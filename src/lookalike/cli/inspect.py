"""``lookalike info``, ``list``, ``facets`` and ``label``."""

from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import (
    lines,
    plain,
    print_json,
    print_notes,
    print_table,
    reasons_text,
    size_text,
)
from lookalike.config import collections, settings
from lookalike.core import settings_keys
from lookalike.errors import EncoderMismatchError, StoreDamagedError
from lookalike.output.json_documents import item_json, missing_json, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.analysis.calibration import Level
    from lookalike.collection import Collection, CollectionInfo, Description
    from lookalike.core.records import Field, Json

__all__ = ["facets_command", "info_command", "label_command", "list_command"]


@click.command("info")
@collection_option
@click.option(
    "--fields", is_flag=True, help="Also the metadata fields: their types, and how many have them."
)
@click.option(
    "--skipped", is_flag=True, help="List the files that were left out instead, with the reason."
)
@json_option
def info_command(*, collection: str | None, fields: bool, skipped: bool, as_json: bool) -> None:
    """Tell what a collection holds: items, labels, encoder, folders, and what was left out.

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
        said = shop.describe(fields=fields)
        levels = levels_of(shop)
        learned = _learned(shop)
    if as_json:
        document = asdict(info)
        document["roots"] = [{"name": one.name, "path": str(one.path)} for one in info.roots]
        document["updated_at"] = when(info.updated_at)
        document |= asdict(said)
        if said.fields is None:
            del document["fields"]
        document["matches"] = {one.match: one.least for one in levels} or None
        document["categories"] = learned if learned is None else learned.document
        print_json(document)
        return
    print_table(("", ""), _rows(info, said, levels, learned))
    if said.fields:
        print_table(("field", "type", "filled"), [_field_row(one, said) for one in said.fields])
    elif said.fields is not None:
        click.echo("no metadata", err=True)


def _rows(
    info: "CollectionInfo",
    said: "Description",
    levels: "Sequence[Level]",
    learned: "_Learned | None",
) -> list[tuple[str, str]]:
    from lookalike.cli.calibrate import levels_text

    size = "" if info.bytes is None else f", {size_text(info.bytes)}"
    rows = [
        ("items", f"{info.items:,}"),
        ("encoder", f"{info.encoder} ({info.dim} values)" if info.encoder else "none yet"),
        ("fingerprint", info.fingerprint or ""),
        ("kept in", f"{plain(info.address)} ({info.store}{size})"),
        ("search", f"graph over {info.ann_index_rows:,}" if info.ann_index_rows else "exact"),
        ("changed", when(info.updated_at) or "never"),
    ]
    if info.missing:
        rows.append(("missing", f"{info.missing:,} (list --missing shows them)"))
    if info.thumbnails or info.thumbnail_side:
        size = f"{info.thumbnail_side} pixels" if info.thumbnail_side else "no new ones"
        kept = f"{info.thumbnails:,} ({size_text(info.thumbnail_bytes)})"
        rows.append(("thumbnails", f"{kept}, {size}"))
    rows += [
        ("folder", plain(f"{root.name}: {root.path}" if root.name else str(root.path)))
        for root in info.roots
    ]
    if said.distinct_labels:
        rows.append(("labels", _labels_text(said)))
    if said.groups:
        rows.append(("groups", f"{said.groups:,}"))
    if levels:
        rows.append(("matches", levels_text(levels)))
    if learned is not None:
        rows.append(("categories", learned.text))
    if info.skipped:
        rows.append(("skipped", reasons_text(info.skipped)))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learned:
    """What the collection has learned of its labels, told in a line and as a document."""

    text: str
    document: "dict[str, Json]"


def _learned(shop: "Collection") -> _Learned | None:
    if shop.store.setting(settings_keys.CATEGORIES) is None:
        return None
    from lookalike.analysis import categories
    from lookalike.cli.categories import standing_text

    try:
        model, since = categories.get_classifier_info(shop), categories.get_classifier_status(shop)
    except (EncoderMismatchError, StoreDamagedError) as error:
        return _Learned(text=str(error), document={"error": str(error)})
    if model is None:
        return None
    now = "learned with a filter made in Python" if since is None else standing_text(since)
    return _Learned(
        text=f"{len(model.labels):,} labels of {plain(model.by)} learned; now {now}",
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


def _labels_text(said: "Description") -> str:
    parts = [f"{plain(label)} {count:,}" for label, count in said.labels.items()]
    text = ", ".join(parts)
    if rest := said.distinct_labels - len(said.labels):
        text += f", and {rest:,} more"
    return f"{text}; {said.unlabelled:,} without" if said.unlabelled else text


def _field_row(field: "Field", said: "Description") -> tuple[str, str, str]:
    types = ", ".join(name for name in field.types if name != "null") or "null"
    share = field.filled / max(said.items, 1)
    # 99.96 % is not all of them, and 0.04 % is not none
    percent = 100.0 * share if share in (0.0, 1.0) else min(max(100 * share, 0.1), 99.9)
    return plain(field.name), types, f"{percent:.3g} %"


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
    help="List the items whose files have gone instead, of which labels and the like are kept.",
)
@click.option("--where", metavar="FILTER", help="Only items that meet a filter.")
@click.option("-n", "--limit", type=click.IntRange(1), help="At most so many.")
@click.option("-0", "--null", is_flag=True, help="End each id by a NUL byte (xargs -0).")
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
    """List the ids of a collection's items, one a line.

    \b
      lookalike list | head
      lookalike list --json -n 3
      lookalike list --where 'label=mug and price<20'
      lookalike list --missing --json
      lookalike list --collections
    """
    if of_missing and (of_collections or where):
        raise click.UsageError("--missing takes no --where and no --collections")
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
@click.option("--where", metavar="FILTER", help="Only items that meet a filter.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="At most so many values.",
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
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@collection_option
@json_option
def label_command(
    label: str, ids: tuple[str, ...], *, collection: str | None, as_json: bool
) -> None:
    """Give items a LABEL ('' takes it away). Nothing is encoded again.

    `lookalike index` does not change what was set so, unless --overwrite-by-hand tells it to.

    \b
      lookalike label mug shelf/12.jpg shelf/13.jpg
    """
    with opened(collection) as shop:
        shop.label(ids, label or None)
    if as_json:
        print_json({"labelled": len(set(ids))})
    else:
        click.echo(f"{len(set(ids)):,} labelled")
