"""``lookalike index``."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from lookalike.cli.exit_codes import DONE, FAILED, HELD_BACK, INTERRUPTED, LEFT_OUT
from lookalike.cli.options import (
    allow_removals_option,
    collection_option,
    encoder_options,
    format_option,
    json_option,
    opened,
    root_option,
    table_options,
)
from lookalike.cli.output import plain, print_json, reasons_text
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.core import settings_keys
from lookalike.core.records import IndexReport, together
from lookalike.core.shards import Shard
from lookalike.errors import SourceError
from lookalike.images.decoding import Limits
from lookalike.images.thumbnails import check_side
from lookalike.indexing.unfinished import abandon
from lookalike.sources.catalogues import open_catalogue, recognise
from lookalike.sources.scan import ScanOptions

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.core.protocols import Catalogue

__all__ = ["Source", "index_command", "update_neighbours"]

_NOTES = 10  # shown


def side_of(ctx: click.Context, option: click.Parameter, side: int | None) -> int | None:
    """The side of thumbnails, or 0."""
    try:
        return None if side is None else check_side(side)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, option) from error


def parse_shard(ctx: click.Context, option: click.Parameter, text: str | None) -> Shard | None:
    """Return the shard that ``3/8`` names."""
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
    help="Take only files that match, whatever their suffix (as in .gitignore).",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files and folders that match (as in .gitignore).",
)
@click.option(
    "--hidden", is_flag=True, help="Look into files and folders whose name begins with a dot."
)
@click.option("--follow-links", is_flag=True, help="Follow symbolic links.")
@click.option("--keep-missing", is_flag=True, help="Keep items whose file has gone.")
@allow_removals_option()
@click.option(
    "--retry-skipped",
    is_flag=True,
    help="Try files again that could not be used and have not changed.",
)
@click.option(
    "--shard",
    metavar="N/OF",
    callback=parse_shard,
    help="Index one shard of each source, chosen by a hash of the ids, and remove nothing. So "
    "several machines fill one collection; `lookalike prune` then removes what has vanished.",
)
@click.option(
    "--overwrite-by-hand",
    is_flag=True,
    help="Let a catalogue change labels, groups and metadata that were set by hand.",
)
@click.option(
    "--as-new",
    is_flag=True,
    help="Index a folder on its own even if it holds the files of another that was moved.",
)
@click.option(
    "--thumbnails",
    type=int,
    metavar="SIDE",
    callback=side_of,
    help="Keep a small JPEG of each picture with the items, of SIDE pixels (32 to 1024) on the "
    "longer side, for those who cannot reach the files. The collection remembers it: later runs "
    "follow. 0 keeps none, and drops those there are.",
)
@click.option(
    "--max-megapixels",
    type=click.FloatRange(min=0, min_open=True),
    default=100.0,
    show_default=True,
    help="Leave out larger pictures.",
)
@click.option(
    "--max-megabytes",
    type=click.FloatRange(min=0, min_open=True),
    default=100.0,
    show_default=True,
    help="Leave out larger files.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 when a picture was left out.")
@click.option(
    "--show-skipped",
    is_flag=True,
    help="List every file that was left out, with its reason, on stderr.",
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
    columns: dict[str, str],
    encoding: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    hidden: bool,
    follow_links: bool,
    keep_missing: bool,
    allow_removals: bool,
    retry_skipped: bool,
    shard: Shard | None,
    overwrite_by_hand: bool,
    as_new: bool,
    thumbnails: int | None,
    max_megapixels: float,
    max_megabytes: float,
    strict: bool,
    show_skipped: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Learn folders and catalogues of pictures, or bring a collection in line with them.

    A SOURCE is a folder, a table (CSV, TSV, JSON lines, Parquet) with a line a picture, a folder
    of downloads, or a data set in a known format.

    Unchanged pictures cost nothing, moved and copied ones next to nothing, and items whose file
    has gone are removed once the whole folder has been seen; what was said of them is kept, and
    is back with the file. When all of them would go, or more than three that are more than one in
    ten, or the catalogue is malformed, nothing is removed: the disk may not be mounted, or the
    file cut off. The exit code is 4 then, and --allow-removals says that they are really gone.
    Ctrl-C stops after the batch in hand; the next run goes on from there. A file named
    .lookalikeignore in any folder leaves
    files out as .gitignore does.

    \b
      lookalike index photos/
      lookalike index photos/ scans/ --exclude 'thumbs/' --collection family
      lookalike index products.csv --root photos/ --label-column category -c shop
      lookalike index shop/ --encoder networks/mobilenetv2.toml -c shop
      lookalike index photos/ --shard 3/8 -c elasticsearch://search:9200/shop
      lookalike index photos/ --thumbnails 256 -c elasticsearch://search:9200/shop
    """
    pictures = Path(root).expanduser() if root else None
    sources = [  # before any work: a slip in the last word should cost nothing
        Source.named(folder, format_, pictures=pictures, columns=columns or None, encoding=encoding)
        for folder in folders
    ]
    options = ScanOptions(
        include=include, exclude=exclude, hidden=hidden, follow_links=follow_links
    )
    with (
        opened(collection, encoder=encoder, device=device, threads=threads, create=True) as shop,
        stop_on_signal() as stop,
    ):
        shop.limits = Limits(
            max_pixels=int(max_megapixels * 1e6), max_bytes=int(max_megabytes * 1e6)
        )

        def index(source: Source) -> IndexReport:
            if source.kind != "folder" and not quiet:
                click.echo(f"{source.name}: read as {source.kind}", err=True)
            with Meter(source.name, quiet=quiet) as meter:
                return shop.index(
                    source.source,
                    format=source.kind,
                    options=options,
                    keep_missing=keep_missing,
                    allow_removals=allow_removals,
                    retry=retry_skipped,
                    shard=shard,
                    overwrite_by_hand=overwrite_by_hand,
                    as_new=as_new,
                    thumbnails=thumbnails,
                    progress=meter,
                    stop=stop,
                    optimize=False,  # once, at the end, with its own progress
                )

        reports = [index(source) for source in sources if not stop()]
        if not stop() and shard is None:  # once, when all shards are there: `prune`
            with Meter("search graph", quiet=quiet) as meter:
                shop.optimize(progress=meter)
            update_neighbours(shop, stop, quiet=quiet)
        count = len(shop)
        unused = stop() or all(one.nothing_usable for one in reports)
        if unused and shard is None and not count:  # other machines may be at work on other shards
            abandon(shop.store)
    report = together(reports)
    _show(report, count, as_json=as_json, show_skipped=show_skipped)
    if stop():
        click.echo("interrupted; the next run goes on from here", err=True)
        ctx.exit(INTERRUPTED)
    for source, one in zip(sources, reports, strict=True):
        if one.nothing_usable:
            click.echo(f"error: nothing in {source.name} could be used", err=True)
    ctx.exit(_exit_code(reports, strict=strict))


def _exit_code(reports: Sequence[IndexReport], *, strict: bool) -> int:
    """The exit code of a run that was not interrupted, from the report of each source."""
    if any(one.held_back or one.problems for one in reports):
        return HELD_BACK
    unusable = [one.nothing_usable for one in reports]
    if all(unusable):
        return FAILED
    skipped = strict and any(one.skipped for one in reports)
    return LEFT_OUT if any(unusable) or skipped else DONE


class Source(NamedTuple):
    """What a SOURCE of the command line means."""

    name: str
    kind: str
    source: "Path | Catalogue"

    @classmethod
    def named(
        cls,
        word: str,
        kind: str,
        *,
        pictures: Path | None,
        columns: dict[str, str] | None,
        encoding: str | None,
    ) -> "Source":
        path = Path(word).expanduser()
        if kind == "auto":
            kind = recognise(path)
        if kind == "folder":
            if pictures or columns or encoding:
                raise SourceError(
                    f"--root, --encoding and the columns are for catalogues; {path} is read as a "
                    "folder of pictures (--format says otherwise)"
                )
            return cls(plain(word), kind, path)
        catalogue = open_catalogue(
            path, kind, pictures=pictures, columns=columns, encoding=encoding
        )
        return cls(plain(word), kind, catalogue)


def update_neighbours(shop: "Collection", stop: Callable[[], bool], *, quiet: bool) -> None:
    """A neighbour table that is there follows the items."""
    if shop.store.setting(settings_keys.NEIGHBOURS) is None:
        return
    from lookalike.analysis import neighbours

    with Meter("neighbours", quiet=quiet) as meter:
        neighbours.build(shop, progress=meter, stop=stop)


def _show(report: IndexReport, count: int, *, as_json: bool, show_skipped: bool) -> None:
    for note in report.notes[:_NOTES]:
        click.echo(f"note: {plain(note)}", err=True)
    if len(report.notes) > _NOTES:
        click.echo(f"note: and {len(report.notes) - _NOTES:,} more like it (--json)", err=True)
    if show_skipped:
        for skip in report.skipped:
            click.echo(f"skipped {plain(skip.path)}: {skip.reason}", err=True)
    for problem in report.problems:
        click.echo(f"warning: {plain(problem)}", err=True)
    if as_json:
        skipped = [{"path": one.path, "reason": one.reason} for one in report.skipped]
        print_json({**asdict(report), "skipped": skipped, "items": count})
    else:
        click.echo(summary(report))
        if report.skipped and not show_skipped:
            click.echo("--show-skipped lists the files that were left out", err=True)


def summary(report: IndexReport) -> str:
    """One line that says what was done."""
    parts = [f"{report.indexed:,} indexed"]
    if report.reused:
        parts.append(f"{report.reused:,} copies reused")
    parts.append(f"{report.unchanged:,} unchanged")
    parts.append(f"{report.removed:,} removed")
    if report.held_back:
        parts.append(f"{report.held_back:,} not there but not removed")
    if report.moved:
        parts.append(f"{report.moved:,} moved with their words")
    if report.restored:
        parts.append(f"{report.restored:,} restored")
    if report.relabelled:
        parts.append(f"{report.relabelled:,} relabelled by the source")
    if report.kept_by_hand:
        parts.append(f"{report.kept_by_hand:,} kept as set by hand")
    if report.thumbnails:
        parts.append(f"{report.thumbnails:,} thumbnails made for items there before")
    if report.kept:
        parts.append(f"{report.kept:,} missing but kept")
    if report.skipped:
        reasons = Counter(skip.reason for skip in report.skipped)
        rest = len(reasons) - 5
        shown = reasons_text(dict(reasons.most_common(5))) + (
            f", and {rest} other reasons" if rest > 0 else ""
        )
        parts.append(f"{len(report.skipped):,} skipped ({shown})")
    rate = f", {report.indexed / report.seconds:.0f} pictures/s" if report.indexed else ""
    return f"{', '.join(parts)} in {report.seconds:.1f} s{rate}"
