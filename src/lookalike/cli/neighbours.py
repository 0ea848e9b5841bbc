"""``lookalike neighbours build``, ``info`` and ``drop``."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import print_json, print_table, size_text
from lookalike.cli.progress import Meter, stop_on_signal

if TYPE_CHECKING:
    from lookalike.analysis.neighbours import BuildReport

__all__ = ["neighbours_command"]


@click.group("neighbours")
def neighbours_command() -> None:
    """Keep each item's nearest worked out, so that `lookalike similar` only looks them up.

    \b
      lookalike neighbours build -c shop
      lookalike neighbours info -c shop
    """


@neighbours_command.command("build")
@click.option(
    "-K",
    "k",
    type=click.IntRange(1),
    help="Neighbours kept for each item.  [default: as before, or 50]",
)
@click.option("--rebuild", is_flag=True, help="Make every list anew.")
@collection_option
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def build_command(
    ctx: click.Context,
    *,
    k: int | None,
    rebuild: bool,
    collection: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make the neighbour table, or bring it up to date: only what has changed is worked out.

    Ctrl-C stops after the block in hand; what is done stays, and the next build goes on from
    there. Once there is a table, `lookalike index` brings it up to date at its end.

    \b
      lookalike neighbours build -c shop
      lookalike neighbours build -K 100 -c shop
    """
    from lookalike.analysis import neighbours

    with (
        opened(collection) as shop,
        stop_on_signal() as stop,
        Meter("neighbours", quiet=quiet) as meter,
    ):
        report = neighbours.build(shop, k=k, rebuild=rebuild, progress=meter, stop=stop)
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(summary(report))
    if report.interrupted:
        click.echo("interrupted; the next build goes on from here", err=True)
        ctx.exit(130)


def summary(report: "BuildReport") -> str:
    """One line that says what was done."""
    parts = [f"{report.made:,} lists made", f"{report.merged:,} changed", f"{report.kept:,} kept"]
    if report.waiting:
        parts.append(f"{report.waiting:,} to do")
    return f"{', '.join(parts)} in {report.seconds:.1f} s"


@neighbours_command.command("info")
@collection_option
@json_option
def info_command(*, collection: str | None, as_json: bool) -> None:
    """Tell how large the neighbour table is, and whether it is up to date.

    \b
      lookalike neighbours info -c shop
    """
    from lookalike.analysis import neighbours

    with opened(collection) as shop:
        state = shop.store.neighbour_state()
        kept = neighbours.read_k(shop)
    if as_json:
        print_json({**asdict(state), "k": kept})
    elif kept is None:
        click.echo("no neighbour table; `lookalike neighbours build` makes one")
    else:
        behind = state.items - state.current
        print_table(
            ("", ""),
            [
                ("neighbours", f"{kept} for each of {state.rows:,} of {state.items:,} items"),
                ("exact", f"{state.exact:,} lists; the others are as good as the search graph"),
                ("up to date", f"all but {behind:,}, which are searched" if behind else "yes"),
                ("size", size_text(state.bytes)),
            ],
        )


@neighbours_command.command("drop")
@collection_option
def drop_command(*, collection: str | None) -> None:
    """Drop the neighbour table; `lookalike similar` then searches.

    \b
      lookalike neighbours drop -c shop
    """
    from lookalike.analysis import neighbours

    with opened(collection) as shop:
        neighbours.drop(shop)
    click.echo("dropped")
