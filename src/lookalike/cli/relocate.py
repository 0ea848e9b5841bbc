"""``lookalike relocate``."""

from pathlib import Path

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import plain, print_json
from lookalike.core.plurals import count_noun

__all__ = ["relocate_command"]


@click.command("relocate")
@click.argument("old", type=click.Path(path_type=Path), metavar="OLD")
@click.argument("new", type=click.Path(path_type=Path), metavar="NEW")
@collection_option
@click.option("--dry-run", is_flag=True, help="Only check whether the files are there.")
@json_option
def relocate_command(
    old: Path, new: Path, *, collection: str | None, dry_run: bool, as_json: bool
) -> None:
    """Update a collection after an indexed folder was moved from OLD to NEW.

    OLD is the folder as it was indexed (`lookalike info` lists them), or a folder that contains
    several of them; it need not exist any more. A sample of the items is looked for in NEW, by
    path, size, time and content. Nothing is changed unless at least 8 of 10 are found. Ids, labels
    and embeddings stay as they are; nothing is encoded again.

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
    verb = "would now be read from" if dry_run else "are now read from"
    click.echo(
        f"{count_noun(found.items, 'item')} {verb} {places} "
        f"(checked {found.looked_at:,}, found {found.same:,})"
    )
