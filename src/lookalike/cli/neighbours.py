"""``lookalike neighbours build``, ``info`` and ``drop``."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import Renamed, collection_option, json_option, opened
from lookalike.cli.output import print_json, print_table, size_text
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.core.plurals import count_noun

if TYPE_CHECKING:
    from lookalike.analysis.neighbours import BuildReport

__all__ = ["neighbours_command"]


@click.group("neighbours")
def neighbours_command() -> None:
    """Precompute each item's nearest neighbours, so that `lookalike similar` only looks them up.

    \b
      lookalike neighbours build -c shop
      lookalike neighbours info -c shop
    """


@neighbours_command.command("build")
@click.option(
    "-k",
    "-K",
    "k",
    cls=Renamed,
    old=["-K"],
    type=click.IntRange(1),
    help="Neighbours to store for each item.  [default: as before, or 50]",
)
@click.option("--rebuild", is_flag=True, help="Compute every list again.")
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
    """Build the neighbour table, or update it: only what has changed is computed.

    Ctrl-C stops after the current block. Finished blocks are kept, and the next build continues
    from there. Once a table exists, `lookalike index` updates it at the end.

    \b
      lookalike neighbours build -c shop
      lookalike neighbours build -k 100 -c shop
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
        click.echo("interrupted; the next build continues from here", err=True)
        ctx.exit(130)


def summary(report: "BuildReport") -> str:
    """Return the result of a build as one line."""
    parts = [
        f"{count_noun(report.built, 'list')} built",
        f"{report.merged:,} updated",
        f"{report.kept:,} unchanged",
    ]
    if report.waiting:
        parts.append(f"{report.waiting:,} still to build")
    return f"{', '.join(parts)} in {report.seconds:.1f} s"


@neighbours_command.command("info")
@collection_option
@json_option
def info_command(*, collection: str | None, as_json: bool) -> None:
    """Show the size of the neighbour table and whether it is up to date.

    \b
      lookalike neighbours info -c shop
    """
    from lookalike.analysis import neighbours

    with opened(collection) as shop:
        state = shop.store.neighbours.state()
        kept = neighbours.read_k(shop)
    if as_json:
        print_json({**asdict(state), "k": kept})
    elif kept is None:
        click.echo("no neighbour table; create one with `lookalike neighbours build`")
    else:
        behind = state.items - state.current
        print_table(
            ("", ""),
            [
                ("neighbours", f"{kept} for each of {state.rows:,} of {state.items:,} items"),
                ("exact", f"{count_noun(state.exact, 'list')}; the others come from the ANN index"),
                (
                    "up to date",
                    f"no: {count_noun(behind, 'item')} to update, searched until then"
                    if behind
                    else "yes",
                ),
                ("size", size_text(state.bytes)),
            ],
        )


@neighbours_command.command("drop")
@collection_option
@json_option
def drop_command(*, collection: str | None, as_json: bool) -> None:
    """Drop the neighbour table; `lookalike similar` searches again instead.

    \b
      lookalike neighbours drop -c shop
    """
    from lookalike.analysis import neighbours

    with opened(collection) as shop:
        existed = neighbours.read_k(shop) is not None
        neighbours.drop(shop)
    if as_json:
        print_json({"dropped": existed})
    else:
        click.echo("dropped" if existed else "no neighbour table to drop")
