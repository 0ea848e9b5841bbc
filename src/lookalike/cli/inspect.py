"""``lookalike info``, ``list``, ``facets`` and ``label``."""

from dataclasses import asdict
from itertools import islice

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import (
    item_json,
    lines,
    plain,
    print_json,
    print_table,
    reasons_text,
    size_text,
    when,
)
from lookalike.config import collections, settings

__all__ = ["facets_command", "info_command", "label_command", "list_command"]


@click.command("info")
@collection_option
@json_option
def info_command(*, collection: str | None, as_json: bool) -> None:
    """Tell what a collection holds: items, encoder, folders, size, and what was left out.

    \b
      lookalike info
      lookalike info -c shop --json
    """
    with opened(collection) as shop:
        info = shop.info()
    if as_json:
        document = asdict(info)
        document["roots"] = [{"name": one.name, "path": str(one.path)} for one in info.roots]
        document["updated_at"] = when(info.updated_at)
        print_json(document)
        return
    rows = [
        ("items", f"{info.items:,}"),
        ("encoder", f"{info.encoder} ({info.dim} values)" if info.encoder else "none yet"),
        ("fingerprint", info.fingerprint or ""),
        ("kept in", f"{plain(info.address)} ({info.store}, {size_text(info.bytes)})"),
        ("search", f"graph over {info.graph_rows:,}" if info.graph_rows else "exact"),
        ("changed", when(info.updated_at) or "never"),
    ]
    rows += [
        ("folder", plain(f"{root.name}: {root.path}" if root.name else str(root.path)))
        for root in info.roots
    ]
    if info.skipped:
        rows.append(("skipped", reasons_text(info.skipped)))
    print_table(("", ""), rows)


@click.command("list")
@collection_option
@click.option("--collections", "of_collections", is_flag=True, help="List collections instead.")
@click.option("--where", metavar="FILTER", help="Only items that meet a filter.")
@click.option("-n", "--limit", type=click.IntRange(1), help="At most so many.")
@click.option("-0", "--null", is_flag=True, help="End each id by a NUL byte (xargs -0).")
@json_option
def list_command(
    *,
    collection: str | None,
    of_collections: bool,
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
      lookalike list --collections
    """
    if of_collections:
        names = collections(settings())[:limit]
        print_json(names) if as_json else lines(names, null=null)
        return
    with opened(collection) as shop:
        items = islice(shop.items(where), limit)
        if as_json:
            print_json([item_json(shop, item) for item in items])
        else:
            lines((item.id if null else plain(item.id) for item in items), null=null)


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
    if as_json:
        print_json([{"value": value, "count": count} for value, count in found])
    else:
        print_table(("items", field), [(count, plain(str(value))) for value, count in found])


@click.command("label")
@click.argument("label")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@collection_option
def label_command(label: str, ids: tuple[str, ...], *, collection: str | None) -> None:
    """Give items a LABEL ('' takes it away). Nothing is encoded again.

    \b
      lookalike label mug shelf/12.jpg shelf/13.jpg
    """
    with opened(collection) as shop:
        shop.label(ids, label or None)
    click.echo(f"{len(set(ids)):,} labelled")
