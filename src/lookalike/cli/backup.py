"""``lookalike backup`` and ``lookalike restore``."""

from dataclasses import asdict
from pathlib import Path

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import plain, print_json, size_text
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.config import collection_folder, settings
from lookalike.core.plurals import count_noun
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.errors import CollectionError

__all__ = ["backup_command", "restore_command"]

_SHOWN = 10


def _show_megabytes(meter: Meter) -> ProgressCallback:
    def show(progress: Progress) -> None:
        total = progress.total
        scaled = None if total is None else total // 1_000_000
        meter.show(progress.done // 1_000_000, scaled, "MB")

    return show


@click.command("backup")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@collection_option
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def backup_command(
    ctx: click.Context, folder: Path, *, collection: str | None, quiet: bool, as_json: bool
) -> None:
    """Back up a collection to a new FOLDER, while it is in use.

    The backup holds the collection as it was at one moment, with the images uploaded to a service.
    Indexed images stay where they are. FOLDER must be empty or not exist yet. A backup can be
    opened as a collection; `lookalike restore` checks every byte of it. For a collection on a
    server, copy it to a folder first (`lookalike copy`), or use the server's own snapshots.

    \b
      lookalike backup /backups/shop-monday -c shop
      lookalike restore /backups/shop-monday -c shop
    """
    from lookalike.moving import backups

    with (
        opened(collection) as shop,
        stop_on_signal() as stop,
        Meter("backup", quiet=quiet) as meter,
    ):
        report = backups.backup(
            shop, folder.expanduser(), progress=_show_megabytes(meter), stop=stop
        )
    if as_json:
        print_json(asdict(report))
    elif not report.interrupted:
        kept = f", {count_noun(report.uploads, 'upload')}" if report.uploads else ""
        click.echo(
            f"{count_noun(report.items, 'item')}{kept} ({size_text(report.bytes)}) backed up to "
            f"{plain(report.folder)} in {report.seconds:.1f} s"
        )
    for path in report.missing[:_SHOWN]:
        click.echo(f"not backed up, as its file is missing: upload {plain(path)}", err=True)
    if len(report.missing) > _SHOWN:
        click.echo(f"and {len(report.missing) - _SHOWN:,} more (--json lists them)", err=True)
    if report.interrupted:
        click.echo("interrupted; nothing was backed up", err=True)
        ctx.exit(130)


@click.command("restore")
@click.argument("backup", metavar="BACKUP", type=click.Path(path_type=Path))
@collection_option
@click.option("--check", is_flag=True, help="Only check that the backup is complete and undamaged.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def restore_command(
    ctx: click.Context,
    backup: Path,
    *,
    collection: str | None,
    check: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Restore a collection from a BACKUP that `lookalike backup` made.

    Every byte is checked, and a damaged backup is refused. The collection must not exist yet:
    nothing is ever overwritten. The backup itself is not changed.

    \b
      lookalike restore /backups/shop-monday -c shop
      lookalike restore /backups/shop-monday --check
    """
    from lookalike.moving import backups

    backup = backup.expanduser()
    if check:
        with Meter("check", quiet=quiet) as meter:
            found = backups.verify(backup, progress=_show_megabytes(meter))
        if as_json:
            print_json(asdict(found))
        else:
            click.echo(
                f"undamaged: {count_noun(found.items, 'item')} ({size_text(found.bytes)}) "
                f"of {plain(found.of)}, backed up {found.made_at}"
            )
        return
    known = settings()
    address = collection or known.collection
    if "://" in address:
        raise CollectionError(
            f"a backup cannot be restored to {address}, only to a folder; restore it, then copy it "
            "(`lookalike copy FOLDER ADDRESS`)"
        )
    with stop_on_signal() as stop, Meter("restore", quiet=quiet) as meter:
        report = backups.restore(
            backup,
            collection_folder(address, known),
            progress=_show_megabytes(meter),
            stop=stop,
        )
    if as_json:
        print_json(asdict(report))
    elif not report.interrupted:
        click.echo(
            f"{count_noun(report.items, 'item')} ({size_text(report.bytes)}) restored to "
            f"{plain(report.folder)} in {report.seconds:.1f} s"
        )
    if report.interrupted:
        click.echo("interrupted; nothing was restored", err=True)
        ctx.exit(130)
