"""``lookalike migrate``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.index import update_neighbours
from lookalike.cli.options import collection_option, encoder_options, json_option, opened
from lookalike.cli.output import leftover_text, plain, print_json
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.config import named_encoder

if TYPE_CHECKING:
    from lookalike.moving.migrating import DropReport, MigrateReport

__all__ = ["migrate_command"]

_LOST = 10  # shown


@click.command("migrate")
@collection_option
@encoder_options
@click.option(
    "--drop-old",
    is_flag=True,
    help="Remove what was replaced, now or (without --encoder) by an earlier migration. Other "
    "files in its folder stay.",
)
@click.option("-y", "--yes", is_flag=True, help="Also when more than half of the pictures is lost.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def migrate_command(
    ctx: click.Context,
    *,
    collection: str | None,
    encoder: str | None,
    device: str,
    threads: int | None,
    drop_old: bool,
    yes: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Move a collection to another encoder, while it is searched and added to.

    Its pictures are encoded anew into a collection beside it, which takes its place at the end in
    one step. Items whose picture has gone are listed, and stay behind. The old collection is kept
    under the name that is printed, until --drop-old. A migration that was interrupted goes on when
    it is done again.

    \b
      lookalike migrate -c shop --encoder efficientnet-lite2
      lookalike migrate -c shop --drop-old
    """
    from lookalike.moving import migrating

    if encoder is None and not drop_old:
        raise click.UsageError("name the encoder to move to: --encoder")
    report = None
    if encoder is not None:
        made = named_encoder(encoder, device=device, threads=threads)
        card = str(Path(encoder).resolve()) if Path(encoder).suffix == ".toml" else None
        with (
            opened(collection) as shop,
            stop_on_signal() as stop,
            Meter("encode", quiet=quiet) as meter,
            Meter("search graph", quiet=quiet) as graph,
        ):
            report = migrating.migrate(
                shop,
                made,
                card=card,
                most=yes,
                progress=meter,
                optimizing=graph,
                stop=stop,
            )
    gone = migrating.DropReport()
    if report is None or not report.interrupted:
        with opened(collection) as shop, stop_on_signal() as stop:
            if report is not None:
                update_neighbours(shop, stop, quiet=quiet)
            if drop_old:
                gone = migrating.drop_old(shop)
    _tell(report, gone if drop_old else None, as_json=as_json)
    if report is not None and report.interrupted:
        click.echo("interrupted; the same migration goes on from here", err=True)
        ctx.exit(130)


def _tell(report: "MigrateReport | None", gone: "DropReport | None", *, as_json: bool) -> None:
    """What was done: ``gone`` where the old collection was to be dropped."""
    dropped = list(gone.dropped) if gone is not None else []
    left = gone.left if gone is not None else ()
    if as_json:
        lost = [asdict(one) for one in report.lost] if report is not None else []
        told = asdict(report) if report is not None else {}
        stays = [asdict(one) for one in left]
        print_json({**told, "lost": lost, "dropped": dropped, "left": stays})
    else:
        if report is not None:
            _show(report)
        if gone is not None:
            click.echo(f"dropped {', '.join(dropped)}" if dropped else "nothing to drop")
    for one in left:
        click.echo(leftover_text(one), err=True)


def _show(report: "MigrateReport") -> None:
    for lost in report.lost[:_LOST]:
        click.echo(f"lost {plain(lost.path)}: {lost.reason}", err=True)
    if len(report.lost) > _LOST:
        click.echo(f"lost {len(report.lost) - _LOST:,} more (--json lists them)", err=True)
    parts = [f"{report.encoded:,} encoded"]
    if report.reused:
        parts.append(f"{report.reused:,} copies reused")
    if report.told:
        parts.append(f"{report.told:,} updated")
    if report.removed:
        parts.append(f"{report.removed:,} removed")
    if report.lost:
        parts.append(f"{len(report.lost):,} lost")
    if report.kept:
        parts.append(f"{report.items:,} items live, the old ones kept as {report.kept}")
    click.echo(f"{', '.join(parts)} in {report.seconds:.1f} s")
    if report.left:
        click.echo(
            f"made from the old encoder's vectors, so make anew: {', '.join(report.left)}", err=True
        )
