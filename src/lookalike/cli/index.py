"""``lookalike index``."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import INTERRUPTED
from lookalike.cli.index_results import exit_code, show_report
from lookalike.cli.options import (
    Renamed,
    TableOptions,
    allow_removals_option,
    collection_option,
    dim_option,
    encoder_options,
    format_option,
    json_option,
    opened,
    regions_option,
    root_option,
    table_options,
)
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.cli.sources import Source
from lookalike.cli.watch import check_options, watch_sources
from lookalike.core import settings_keys
from lookalike.core.records import IndexReport, together
from lookalike.core.shards import Shard
from lookalike.images.limits import Limits
from lookalike.images.thumbnails import check_side
from lookalike.indexing.unfinished import abandon
from lookalike.sources.catalogues import IMAGES_ALONE
from lookalike.sources.scan import ScanOptions

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.indexing.fitting import ProjectionDim

__all__ = ["index_command", "update_neighbours"]


def side_of(ctx: click.Context, option: click.Parameter, side: int | None) -> int | None:
    """Return the side of thumbnails in pixels, 0 for none. Raise ``BadParameter``."""
    try:
        return None if side is None else check_side(side)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, option) from error


def parse_shard(ctx: click.Context, option: click.Parameter, text: str | None) -> Shard | None:
    """Return the shard that ``3/8`` names. Raise ``BadParameter``."""
    try:
        return None if text is None else Shard.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, option) from error


@click.command("index")
@click.argument("folders", nargs=-1, required=True, metavar="SOURCE...")
@collection_option
@encoder_options
@format_option
@root_option
@table_options
@click.option(
    "--include",
    multiple=True,
    metavar="PATTERN",
    help="Index only files that match, whatever their suffix (syntax of .gitignore).",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Skip files and folders that match (syntax of .gitignore).",
)
@click.option(
    "--hidden", is_flag=True, help="Include files and folders whose name begins with a dot."
)
@click.option("--follow-links", is_flag=True, help="Follow symbolic links.")
@click.option("--keep-missing", is_flag=True, help="Keep items whose file is missing.")
@allow_removals_option()
@click.option(
    "--retry-skipped",
    is_flag=True,
    help="Try unusable files again, even if they have not changed.",
)
@click.option(
    "--reread",
    is_flag=True,
    help="Read every file, also if its size and modification time have not changed.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Change nothing: read every file, compare its digest with its item, and list what "
    "differs. Exit with 3 if anything does.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Leave files that changed less than so many seconds ago for the next run.  [default: 0; "
    "2 with --watch]",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Afterwards, wait for changes and index them, until Ctrl-C or SIGTERM.",
)
@click.option(
    "--poll",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="With --watch: look every so many seconds, for file systems that do not report changes.",
)
@click.option(
    "--shard",
    "--part",
    "shard",
    cls=Renamed,
    old=["--part"],
    metavar="N/OF",
    callback=parse_shard,
    help="Index one shard of each source, chosen by a hash of the ids, and remove nothing, so that "
    "several machines can fill one collection. Then `lookalike prune` removes missing items.",
)
@click.option(
    "--overwrite-by-hand",
    is_flag=True,
    help="Let a catalogue overwrite labels, groups and metadata that were set by hand.",
)
@click.option(
    "--as-new",
    is_flag=True,
    help="Index a folder separately, even if it looks like an indexed folder that was moved.",
)
@regions_option
@click.option(
    "--thumbnails",
    type=int,
    metavar="SIDE",
    callback=side_of,
    help="Store a JPEG thumbnail with each item, SIDE pixels (32 to 1024) on the longer side, for "
    "machines without access to the files. Later runs use the same setting. 0 stores none and "
    "drops existing ones.",
)
@dim_option("For a new collection:")
@click.option(
    "--max-megapixels",
    type=click.FloatRange(min=0, min_open=True),
    default=100.0,
    show_default=True,
    help="Skip larger images.",
)
@click.option(
    "--max-megabytes",
    type=click.FloatRange(min=0, min_open=True),
    default=100.0,
    show_default=True,
    help="Skip larger files.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 if an image was skipped.")
@click.option(
    "--show-skipped",
    is_flag=True,
    help="List every skipped file with the reason, on stderr.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def index_command(
    ctx: click.Context,
    folders: tuple[str, ...],
    *,
    collection: str | None,
    encoder: str | None,
    device: str,
    threads: int | None,
    format_: str,
    root: str | None,
    table: TableOptions,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    hidden: bool,
    follow_links: bool,
    keep_missing: bool,
    allow_removals: bool,
    retry_skipped: bool,
    reread: bool,
    verify: bool,
    settle: float | None,
    watch: bool,
    poll: float | None,
    shard: Shard | None,
    overwrite_by_hand: bool,
    as_new: bool,
    thumbnails: int | None,
    regions: int | None,
    dim: "ProjectionDim",
    max_megapixels: float,
    max_megabytes: float,
    strict: bool,
    show_skipped: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Index folders and catalogues of images, or sync a collection with them.

    A SOURCE is a folder, an image or a pattern of images in quotes, an archive (zip, tar), a table
    (CSV, TSV, JSON, Parquet), a folder of downloads, a dataset in a known format, or an address in
    object storage (s3://, gs://, or https:// of a page that lists files).

    Unchanged images are skipped, and moved or copied ones are not encoded again. Items whose file
    is gone are removed after the whole folder has been read; their labels and metadata are kept
    and come back with the file. Nothing is removed if all items would go, if more than three and
    more than one in ten would go, or if the catalogue is malformed: the disk may not be mounted,
    or the file may be cut off. The exit code is then 4; --allow-removals confirms the removal.
    Files that are still being written are left for the next run. With --watch, the command goes on
    and indexes what changes; --json then prints a line for each change.
    Ctrl-C stops after the current batch, and the next run continues from there. A .lookalikeignore
    file in any folder excludes files, with the syntax of .gitignore.

    \b
      lookalike index photos/
      lookalike index photos/ scans/ --exclude 'thumbs/' --collection family
      lookalike index products.csv --root photos/ --label-column category -c shop
      lookalike index shop/ --encoder encoders/mobilenetv2.toml -c shop
      lookalike index s3://bucket/photos/ -c shop
      lookalike index a.jpg b.jpg 'scans/**/*.tif'
      lookalike index photos/ --watch
      lookalike index photos/ --verify
      lookalike index photos/ --shard 3/8 -c elasticsearch://search:9200/shop
      lookalike index photos/ --thumbnails 256 -c elasticsearch://search:9200/shop
    """
    settle = check_options(settle, verify=verify, watch=watch, poll=poll, shard=shard)
    name_source = partial(
        Source.named,
        kind=format_,
        files=Path(root).expanduser() if root else None,
        table=table,
    )
    # Before any work, so that a typo in the last argument costs nothing.
    sources = Source.gathered(name_source(folder) for folder in folders)
    options = ScanOptions(
        include=include, exclude=exclude, hidden=hidden, follow_links=follow_links
    )
    with (
        opened(
            collection, encoder=encoder, device=device, threads=threads, create=not verify
        ) as shop,
        stop_on_signal() as stop,
    ):
        shop.limits = Limits(
            max_pixels=int(max_megapixels * 1e6), max_bytes=int(max_megabytes * 1e6)
        )

        if verify:
            from lookalike.cli.verify import verify_sources

            ctx.exit(verify_sources(shop, sources, options, stop, quiet=quiet, as_json=as_json))

        def index(source: Source, *, optimize: bool = False) -> IndexReport:
            if source.kind not in IMAGES_ALONE and not quiet and not watch:
                source.announce()
            with Meter(source.name, quiet=quiet) as meter:
                return shop.index(
                    source.source,
                    format=source.kind,
                    options=options,
                    keep_missing=keep_missing,
                    allow_removals=allow_removals,
                    retry=retry_skipped,
                    reread=reread,
                    settle=settle,
                    shard=shard,
                    overwrite_by_hand=overwrite_by_hand,
                    as_new=as_new,
                    thumbnails=thumbnails,
                    regions=regions,
                    dim=dim,
                    progress=meter,
                    stop=stop,
                    optimize=optimize,  # otherwise once, at the end, with its own progress
                )

        if watch:
            ctx.exit(
                watch_sources(
                    shop,
                    folders,
                    name_source,
                    lambda source: index(source, optimize=True),
                    stop,
                    settle=settle,
                    poll=poll,
                    strict=strict,
                    as_json=as_json,
                )
            )
        reports = [index(source) for source in sources if not stop()]
        if not stop() and shard is None:  # with shards, `prune` does it after the last one
            with Meter("ANN index", quiet=quiet) as meter:
                shop.optimize(progress=meter)
            update_neighbours(shop, stop, quiet=quiet)
        count = len(shop)
        unused = stop() or all(one.nothing_usable for one in reports)
        if unused and shard is None and not count:  # other machines may be indexing other shards
            abandon(shop.store)
    report = together(reports)
    show_report(
        report,
        count,
        sources=[one.as_json() for one in sources],
        as_json=as_json,
        show_skipped=show_skipped,
    )
    if stop():
        said = "continues from here" if count else "starts again: nothing was stored yet"
        click.echo(f"interrupted; the next run {said}", err=True)
        ctx.exit(INTERRUPTED)
    for source, one in zip(sources, reports, strict=True):
        if one.nothing_usable:
            why = f": {one.skipped[0].reason}" if len(one.skipped) == 1 else ""
            click.echo(f"error: {source.name} contains no usable images{why}", err=True)
    ctx.exit(exit_code(reports, strict=strict))


def update_neighbours(shop: "Collection", stop: Callable[[], bool], *, quiet: bool) -> None:
    """Update the neighbour table, if the collection has one."""
    if shop.store.settings.get(settings_keys.NEIGHBOURS) is None:
        return
    from lookalike.analysis import neighbours

    with Meter("neighbours", quiet=quiet) as meter:
        neighbours.build(shop, progress=meter, stop=stop)
