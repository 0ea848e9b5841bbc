"""``lookalike map``."""

from pathlib import Path
from typing import cast

import click

from lookalike.analysis.mapping import LAYOUTS, SAMPLE, CollectionMap, Layout
from lookalike.analysis.mapping.clusters import MOST_CLUSTERS
from lookalike.cli.options import collection_option, json_option, opened, where_option
from lookalike.cli.output import plain, print_json, print_table
from lookalike.cli.progress import Meter

__all__ = ["map_command"]


@click.command("map")
@collection_option
@where_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the map as one HTML file, with its images inside.",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    default=SAMPLE,
    show_default=True,
    help="How many items to show, at most; of more, a random sample.",
)
@click.option(
    "--clusters",
    type=click.IntRange(1, MOST_CLUSTERS),
    help="Number of clusters.  [default: by the number of items]",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default="neighbours",
    show_default=True,
    help="Keep neighbours together, or show the two principal components.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of sample and layout.")
@click.option("--force", is_flag=True, help="Overwrite an existing FILE.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def map_command(
    ctx: click.Context,
    *,
    collection: str | None,
    where: str | None,
    output: Path | None,
    sample: int,
    clusters: int | None,
    layout: str,
    seed: int,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show a collection as a map: similar items lie together, in named clusters.

    Without a file, its clusters, outliers and near-identical items are listed; --json has all
    positions.

    \b
      lookalike map -c shop -o map.html
      lookalike map -c shop --where 'label=mug' --clusters 5
    """
    from lookalike.analysis.mapping import map_collection
    from lookalike.cli.exit_codes import NOTHING_FOUND
    from lookalike.output.map_file import describe_map, map_json, write_map

    with opened(collection) as shop, Meter("map", quiet=quiet) as meter:
        found = map_collection(
            shop,
            where=where,
            sample=sample,
            clusters=clusters,
            layout=cast("Layout", layout),
            seed=seed,
            progress=meter,
        )
        if output is not None and found.points:
            target = output.expanduser()
            write_map(shop, found, target, force=force, progress=meter)
    if as_json:
        print_json(map_json(found))
    elif found.points:
        click.echo(describe_map(found))
        _print_lists(found)
    if not found.points:
        reasons = "; ".join(note.message for note in found.notes)
        click.echo(plain(f"nothing to show: {reasons}" if reasons else "nothing to show"), err=True)
        ctx.exit(NOTHING_FOUND)
    if output is not None:
        click.echo(f"wrote {plain(str(output))}", err=True)


def _print_lists(found: CollectionMap) -> None:
    outliers = sorted((one for one in found.points if one.outlier), key=lambda p: -p.uniqueness)
    print_table(
        ["cluster", "items", "outliers", "near-identical"],
        [
            [
                plain(cluster.name),
                f"{cluster.items:,}",
                sum(point.outlier for point in found.points if point.cluster == number),
                sum(point.alike for point in found.points if point.cluster == number),
            ]
            for number, cluster in enumerate(found.clusters)
        ],
    )
    if outliers:
        names = ", ".join(plain(one.id) for one in outliers[:5])
        more = "" if len(outliers) <= 5 else f" and {len(outliers) - 5:,} more"  # noqa: PLR2004 - as above
        click.echo(f"most unlike the others: {names}{more}")
