"""``lookalike migrate``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.index import update_neighbours
from lookalike.cli.options import (
    collection_option,
    dim_option,
    encoder_options,
    json_option,
    opened,
)
from lookalike.cli.output import leftover_text, plain, print_json
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.config import encoder_of, named_encoder
from lookalike.core.plurals import count_noun

if TYPE_CHECKING:
    from lookalike.indexing.fitting import ProjectionDim
    from lookalike.moving.migrating import DropReport, MigrateReport

__all__ = ["migrate_command"]

_LOST = 10  # lost items to show
# Commands that compute what depends on the embeddings, by the setting that holds it.
_OUTDATED = {
    "calibration": "`lookalike calibrate`",
    "categories": "`lookalike categories train`",
    "run": "`lookalike run`",
}


@click.command("migrate")
@collection_option
@encoder_options
@dim_option("Without --encoder, with the collection's own:")
@click.option(
    "--drop-old",
    is_flag=True,
    help="Remove the old collection after this migration, or (without --encoder) after an earlier "
    "one. Other files in its folder stay.",
)
@click.option(
    "-y", "--yes", is_flag=True, help="Proceed even if more than half of the images are missing."
)
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
    dim: "ProjectionDim",
    drop_old: bool,
    yes: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Move a collection to another encoder or projection, while it is in use.

    The images are encoded into a second collection, which replaces the first one at the end in one
    step. Items whose image is missing are listed and not moved. The old collection is kept under
    the name that is printed, until --drop-old. Run the same command again to continue an
    interrupted migration. --dim N without --encoder projects stored embeddings, without reading
    images, or fits the projection again.

    \b
      lookalike migrate -c shop --encoder efficientnet-lite2
      lookalike migrate -c shop --dim 128
      lookalike migrate -c shop --drop-old
    """
    from lookalike.moving import migrating

    if encoder is None and dim == "auto" and not drop_old:
        raise click.UsageError("give the encoder to move to with --encoder, or --dim")
    report = None
    if encoder is not None or dim != "auto":
        with (
            opened(collection) as shop,
            stop_on_signal() as stop,
            Meter("encode", quiet=quiet) as meter,
            Meter("ANN index", quiet=quiet) as optimizing,
        ):
            chosen = encoder_of(shop.store) if encoder is None else encoder
            target = named_encoder(chosen, device=device, threads=threads)
            card = str(Path(chosen).resolve()) if Path(chosen).suffix == ".toml" else None
            report = migrating.migrate(
                shop,
                target,
                card=card,
                dim=dim,
                most=yes,
                progress=meter,
                optimizing=optimizing,
                stop=stop,
            )
    gone = migrating.DropReport()
    if report is None or not report.interrupted:
        with opened(collection) as shop, stop_on_signal() as stop:
            if report is not None:
                update_neighbours(shop, stop, quiet=quiet)
            if drop_old:
                gone = migrating.drop_old(shop)
    _print(report, gone if drop_old else None, as_json=as_json)
    if report is not None and report.interrupted:
        click.echo("interrupted; run the same command again to continue", err=True)
        ctx.exit(130)


def _print(report: "MigrateReport | None", gone: "DropReport | None", *, as_json: bool) -> None:
    """Print the result; ``gone`` is given if the old collection was to be dropped."""
    dropped = list(gone.dropped) if gone is not None else []
    left = gone.left if gone is not None else ()
    if as_json:
        lost = [asdict(one) for one in report.lost] if report is not None else []
        document = asdict(report) if report is not None else {}
        leftovers = [asdict(one) for one in left]
        print_json({**document, "lost": lost, "dropped": dropped, "left": leftovers})
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
        parts.append(f"{report.reused:,} reused without encoding")
    if report.updated:
        parts.append(f"{report.updated:,} updated")
    if report.removed:
        parts.append(f"{report.removed:,} removed")
    if report.lost:
        parts.append(f"{len(report.lost):,} lost")
    if report.kept:
        parts.append(
            f"{count_noun(report.items, 'item')} in use, old collection kept as {report.kept}"
        )
    click.echo(f"{', '.join(parts)} in {report.seconds:.1f} s")
    if report.outdated:
        outdated = ", ".join(_OUTDATED[one] for one in report.outdated)
        click.echo(f"computed from the old embeddings, so run again: {outdated}", err=True)
