"""``lookalike remove``."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import collection_option, json_option, opened, where_option
from lookalike.cli.output import leftover_text, print_json, print_notes
from lookalike.core.near_ids import item_not_found
from lookalike.core.plurals import count_noun
from lookalike.indexing.missing_rows import TABLE as MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.core.records import Leftover, Note
    from lookalike.errors import ItemNotFoundError

__all__ = ["remove_command"]


@click.command("remove")
@click.argument("ids", nargs=-1, metavar="[ID...]")
@collection_option
@where_option
@click.option(
    "--root",
    metavar="NAME",
    help="Remove every item of an indexed folder, and the folder itself ('' is the first one).",
)
@click.option("--all", "everything", is_flag=True, help="Remove the whole collection.")
@click.option(
    "-y", "--yes", is_flag=True, help="Do not ask for confirmation (--where, --root, --all)."
)
@json_option
@click.pass_context
def remove_command(
    ctx: click.Context,
    ids: tuple[str, ...],
    *,
    collection: str | None,
    where: str | None,
    root: str | None,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove items from a collection for good. Image files are never touched.

    Missing items (`lookalike list --missing`) can be removed by id too, together with their stored
    labels and metadata.

    A file that is still in an indexed folder is added again by the next `lookalike index`; to
    exclude it for good, list it in a .lookalikeignore file. --all removes the files that lookalike
    wrote, and the collection's folder if it contains nothing else.

    \b
      lookalike remove 2024/cat.jpg
      lookalike remove --where 'label=mug and price<20'
      lookalike list -0 | grep -z '^old/' | xargs -0 lookalike remove
      lookalike remove --all -c shop
    """
    if sum((bool(ids), where is not None, root is not None, everything)) != 1:
        raise click.UsageError("give ids, or one of --where, --root and --all")
    left: Leftover | None = None
    notes: Sequence[Note] = ()
    not_found: ItemNotFoundError | None = None
    with opened(collection) as shop:
        if ids:
            known = shop.store.table(MISSING).get(ids)
            missing = [one for one in ids if one not in shop and one not in known]
            removed = shop.remove(ids)
            not_found = item_not_found(shop.store, missing[0]) if missing else None
        elif where is not None:
            missing = []
            found = [item.id for item in shop.items(where)]
            if found and not yes:
                _confirm(f"{count_noun(len(found), 'item')} from {shop.info().address}")
            removed = shop.remove(found)
            notes = () if found else shop.notes(where)
        else:
            missing = []
            count, address = len(shop), shop.info().address
            what = f"the whole collection in {address}" if everything else f"the folder {root!r}"
            if not yes:
                _confirm(what)
            removed = count if root is None else shop.remove_root(root)
            if everything:
                left = shop.store.drop()
    if as_json:
        leftover = asdict(left) if left is not None else None
        print_json({"removed": removed, "missing": missing, "left": leftover})
    else:
        click.echo(f"{removed:,} removed")
    if left is not None:
        click.echo(leftover_text(left), err=True)
    print_notes(notes, as_json=as_json)
    if not_found is not None:
        click.echo(f"error: {not_found}", err=True)
        ctx.exit(1)


def _confirm(what: str) -> None:
    """Ask whether to remove ``what``. Raise ``UsageError`` if there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise click.UsageError("not an interactive terminal; pass --yes to confirm")
    click.confirm(f"Remove {what}?", abort=True, err=True)
