"""``lookalike relocate``."""

from pathlib import Path

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import plain, print_json

__all__ = ["relocate_command"]


@click.command("relocate")
@click.argument("old", type=click.Path(path_type=Path), metavar="OLD")
@click.argument("new", type=click.Path(path_type=Path), metavar="NEW")
@collection_option
@click.option("--dry-run", is_flag=True, help="Only look whether the files are there.")
@json_option
def relocate_command(
    old: Path, new: Path, *, collection: str | None, dry_run: bool, as_json: bool
) -> None:
    """Tell a collection that a folder it indexes was moved from OLD to NEW.

    OLD is the folder as it was indexed (`lookalike info` lists them), or one that several of them
    lie in; it need not exist any more. Some items are looked for at NEW, by path, size, time and
    content: unless 8 of 10 are there, nothing is changed. Ids, labels and vectors stay as they
    are, and nothing is encoded again.

    \b
      lookalike relocate /media/old-disk/photos /media/new-disk/photos
      lookalike relocate ~/Pictures /mnt/nas/Pictures --dry-run
    """
    with opened(collection) as shop:
        found = shop.relocate(old, new, dry_run=dry_run)
    if as_json:
        print_json(
            {
                "roots": [{"name": one.name, "path": str(one.path)} for one in found.roots],
                "items": found.items,
                "looked_at": found.looked_at,
                "same": found.same,
                "other": found.other,
                "dry_run": dry_run,
            }
        )
        return
    places = ", ".join(plain(str(one.path)) for one in found.roots)
    verb = "would now be looked for in" if dry_run else "now lie in"
    click.echo(
        f"{found.items:,} items {verb} {places} "
        f"({found.same:,} of {found.looked_at:,} that were looked for are there)"
    )
