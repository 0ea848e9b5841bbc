"""``lookalike remove``."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import leftover_text, print_json
from lookalike.errors import ItemNotFoundError
from lookalike.indexing.missing import TABLE as MISSING

if TYPE_CHECKING:
    from lookalike.core.records import Leftover

__all__ = ["remove_command"]


@click.command("remove")
@click.argument("ids", nargs=-1, metavar="[ID...]")
@collection_option
@click.option(
    "--root",
    metavar="NAME",
    help="Every item of an indexed folder, and the folder ('' is the first).",
)
@click.option("--all", "everything", is_flag=True, help="The whole collection.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before --root and --all.")
@json_option
@click.pass_context
def remove_command(
    ctx: click.Context,
    ids: tuple[str, ...],
    *,
    collection: str | None,
    root: str | None,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove items from a collection for good. Picture files are never touched.

    Missing items (`lookalike list --missing`) are removed by their id too: then nothing that was
    said of them is kept.

    A file that still lies in an indexed folder comes back with the next `lookalike index`; to
    leave it out for good, name it in a .lookalikeignore file. --all removes the files that
    lookalike wrote, and the collection's folder if nothing else is in it.

    \b
      lookalike remove 2024/cat.jpg
      lookalike list -0 | grep -z '^old/' | xargs -0 lookalike remove
      lookalike remove --all -c shop
    """
    if sum((bool(ids), root is not None, everything)) != 1:
        raise click.UsageError("give ids, or --root, or --all")
    left: Leftover | None = None
    with opened(collection) as shop:
        if ids:
            known = shop.store.beside(MISSING).get(ids)
            missing = [one for one in ids if one not in shop and one not in known]
            removed = shop.remove(ids)
        else:
            missing = []
            count, address = len(shop), shop.info().address
            what = f"the whole collection in {address}" if everything else f"the folder {root!r}"
            if not yes:
                if not sys.stdin.isatty():
                    raise click.UsageError("nobody can be asked here; add --yes to be sure")
                click.confirm(f"Remove {what}?", abort=True, err=True)
            removed = count if root is None else shop.remove_root(root)
            if everything:
                left = shop.store.drop()
    if as_json:
        stays = asdict(left) if left is not None else None
        print_json({"removed": removed, "missing": missing, "left": stays})
    else:
        click.echo(f"{removed:,} removed")
    if left is not None:
        click.echo(leftover_text(left), err=True)
    if missing:
        click.echo(f"error: {ItemNotFoundError(f'there is no item {missing[0]!r}')}", err=True)
        ctx.exit(1)
