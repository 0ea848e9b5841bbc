"""``lookalike duplicates``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from lookalike.analysis.duplicates import KeepRule, act, find, find_duplicates_of, undo
from lookalike.cli.duplicate_results import (
    duplicate_json,
    duplicates_json,
    kind_text,
    print_duplicates,
    print_undone,
    size_text,
    summary,
)
from lookalike.cli.exit_codes import of_batch
from lookalike.cli.options import collection_option, json_option, opened, where_option
from lookalike.cli.output import plain, print_json, print_notes, print_table
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.config import settings
from lookalike.core.plurals import count_noun
from lookalike.core.progress import Progress
from lookalike.errors import ImageError
from lookalike.output.json_documents import error_json, notes_json
from lookalike.output.result_files import write_duplicates
from lookalike.sources.scan import TRASH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lookalike.analysis.duplicates import DuplicateOutcome, DuplicateReport
    from lookalike.collection import Collection
    from lookalike.core.records import Json

__all__ = ["duplicates_command"]


# To touch a file takes more certainty than to show it: docs/decisions/0010-copies.md.
_ACTING = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Removal:
    """What to do with the duplicates besides reporting them."""

    move_to: Path | None
    delete: bool
    permanently: bool
    undo: Path | None
    dry_run: bool
    yes: bool

    @property
    def wanted(self) -> bool:
        return self.delete or self.move_to is not None

    def check(self) -> None:
        if self.delete and self.move_to is not None:
            raise click.UsageError("give --move-to or --delete, not both")
        if self.permanently and not self.delete:
            raise click.UsageError("--permanently needs --delete")
        if self.undo is not None and self.wanted:
            raise click.UsageError("--undo can only be combined with -c, --dry-run and --json")
        if self.dry_run and not self.wanted and self.undo is None:
            raise click.UsageError("--dry-run needs --move-to, --delete or --undo")
        if self.delete and not self.dry_run and not self.yes and not sys.stdin.isatty():
            raise click.UsageError(
                "not an interactive terminal; pass --yes to confirm, or --dry-run"
            )


@click.command("duplicates")
@click.argument("images", nargs=-1, metavar="[IMAGE...]")
@collection_option
@where_option
@click.option("--exact-only", is_flag=True, help="Find only files with identical bytes.")
@click.option(
    "--max-difference",
    type=click.FloatRange(0, 1),
    help="How much a near duplicate may differ.  [default: 1; 0.7 with --move-to or --delete]",
)
@click.option(
    "--marked",
    is_flag=True,
    help="Also find images that differ in one place only, for example by a watermark. Check before "
    "you delete: two prints of one shirt also differ in one place only.",
)
@click.option(
    "--keep",
    type=click.Choice(get_args(KeepRule)),
    default="best",
    show_default=True,
    help="Which image of a group to keep: the one with the most pixels (then the largest file, the "
    "oldest, the first id), the largest file, the oldest file, or the first id.",
)
@click.option(
    "--move-to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Move the other files of each group to a folder.",
)
@click.option(
    "--delete",
    is_flag=True,
    help="Move the other files of each group to .lookalike-trash in the indexed folder.",
)
@click.option(
    "--permanently", is_flag=True, help="With --delete: delete for good instead of using the trash."
)
@click.option(
    "--undo",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="RECORD",
    help="Restore the files that --delete or --move-to moved, using the record that it wrote.",
)
@click.option(
    "--dry-run", is_flag=True, help="Only show what --move-to, --delete or --undo would do."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation before --delete.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Write an HTML report that shows the groups.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def duplicates_command(
    ctx: click.Context,
    /,
    images: tuple[str, ...],
    *,
    collection: str | None,
    where: str | None,
    exact_only: bool,
    keep: KeepRule,
    max_difference: float | None,
    marked: bool,
    report: Path | None,
    quiet: bool,
    as_json: bool,
    **acting: bool | Path | None,
) -> None:
    """Find duplicates: identical files, or images resized, recompressed, cropped or rotated.

    Only reports them, unless --move-to or --delete is given; then one image of each group stays. A
    near duplicate is compared again in full detail before its file is touched, and left alone if
    the two differ in one place, as two letters do. Each step is recorded for --undo.

    With IMAGES ('-' reads one from stdin), prints which items each one duplicates, and exits with
    5 if one of them duplicates none.

    \b
      lookalike duplicates -c shop --report duplicates.html
      lookalike duplicates --exact-only --delete --dry-run
      lookalike duplicates --move-to ../duplicates
      lookalike duplicates --undo ../duplicates/moved.jsonl
      lookalike duplicates new.jpg && echo "already indexed"
    """
    todo = _Removal(**acting)  # type: ignore[arg-type] # as click has read them
    todo.check()
    if max_difference is None:
        max_difference = _ACTING if todo.wanted else 1.0
    cache = settings().cache / "signatures.sqlite"
    if todo.undo is not None:
        if images or report is not None or where is not None or exact_only or marked:
            raise click.UsageError("--undo can only be combined with -c, --dry-run and --json")
        ctx.exit(_undo(collection, todo.undo, dry_run=todo.dry_run, as_json=as_json))
    if images:
        if todo.wanted or report is not None or where is not None or exact_only:
            raise click.UsageError("images can only be combined with -c, --marked and --json")
        with opened(collection, search=True) as shop:
            outcomes_of = _print_duplicates_of(shop, images, cache, marked=marked, as_json=as_json)
        ctx.exit(of_batch(outcomes_of))
    with opened(collection) as shop, stop_on_signal() as stop:
        meters = _Meters(quiet=quiet)
        found = find(
            shop,
            where=where,
            exact_only=exact_only,
            keep=keep,
            max_difference=max_difference,
            marked=marked,
            cache=cache,
            progress=meters,
            stop=stop,
        )
        meters.end()
        acted = _report(shop, found, todo, stop, report=report, as_json=as_json, where=where)
    if found.interrupted or stop.asked:
        click.echo("interrupted; the work so far is kept for the next run", err=True)
        ctx.exit(130)
    if found.unread and not found.compared:
        click.echo("error: no image could be read, so near duplicates are unknown", err=True)
        ctx.exit(1)
    if any(one.done == "left" for one in acted):
        ctx.exit(1)


def _report(
    shop: "Collection",
    found: "DuplicateReport",
    todo: _Removal,
    stop: "Callable[[], bool]",
    *,
    report: Path | None,
    as_json: bool,
    where: str | None,
) -> "list[DuplicateOutcome]":
    """Write and print what was found and done. Return what was done."""
    if report is not None:
        write_duplicates(shop, found, report)
        click.echo(f"wrote {plain(str(report))}", err=True)
    acted: list[DuplicateOutcome] | None = None
    if todo.wanted and not found.interrupted:
        acted = _remove(shop, found, todo, stop)
    notes = () if found.items else shop.notes(where)
    if as_json:
        document = duplicates_json(shop, found, acted, dry_run=todo.dry_run)
        print_json({**document, "notes": notes_json(notes)})
    else:
        print_duplicates(found, acted)
        click.echo(summary(found, acted, dry_run=todo.dry_run), err=True)
        print_notes(notes)
    return acted or []


class _Meters:
    """A meter for each stage of the work."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._meter: Meter | None = None
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage or self._meter is None:
            self.end()
            self._stage, self._meter = progress.stage, Meter(progress.stage, quiet=self._quiet)
        self._meter.show(progress.done, progress.total)

    def end(self) -> None:
        if self._meter is not None:
            self._meter.stop()


def _remove(
    shop: "Collection", found: "DuplicateReport", todo: _Removal, stop: "Callable[[], bool]"
) -> "list[DuplicateOutcome]":
    if todo.delete and not todo.dry_run and not todo.yes and found.copies:
        how = "Delete for good" if todo.permanently else f"Move to {TRASH}:"
        sure = sum(duplicate.sure for group in found.groups for duplicate in group.duplicates)
        click.confirm(
            f"{how} {count_noun(sure, 'file')}, keeping one of each group "
            f"({count_noun(len(found.groups), 'group')})?",
            abort=True,
            err=True,
        )
    return list(
        act(
            shop,
            found.groups,
            move_to=todo.move_to,
            permanently=todo.permanently,
            dry_run=todo.dry_run,
            stop=stop,
        )
    )


def _undo(collection: str | None, record: Path, *, dry_run: bool, as_json: bool) -> int:
    """Put files back. Return the exit code."""
    with opened(collection) as shop:
        outcomes = list(undo(shop, record, dry_run=dry_run))
    print_undone(outcomes, as_json=as_json, dry_run=dry_run)
    return int(any(one.done == "left" for one in outcomes))


def _print_duplicates_of(
    shop: "Collection", images: "Sequence[str]", cache: Path, *, marked: bool, as_json: bool
) -> list[bool | None]:
    """Print what each image duplicates. Return whether it does, or ``None`` if it failed."""
    documents: list[Json] = []
    rows: list[list[object]] = []
    outcomes: list[bool | None] = []
    for image in images:
        try:
            source = sys.stdin.buffer.read() if image == "-" else image
            found = find_duplicates_of(shop, source, marked=marked, cache=cache)
        except ImageError as error:
            if error.path is None:
                error = type(error)(error.reason, path=image)
            click.echo(f"error: {error}", err=True)
            outcomes.append(None)
            documents.append({"path": image, "duplicates": [], "error": error_json(error)})
            continue
        outcomes.append(bool(found))
        duplicates: list[Json] = [duplicate_json(shop, one) for one in found]
        documents.append({"path": image, "duplicates": duplicates, "error": None})
        rows += [
            [plain(image), kind_text(one), one.turn, plain(one.item.id), size_text(one.item)]
            for one in found
        ]
        if not found:
            click.echo(f"{plain(image)}: no duplicate", err=True)
    if as_json:
        print_json(documents if len(images) > 1 else documents[0])
    elif rows:
        print_table(("image", "duplicate", "rotation", "of", "size"), rows)
    return outcomes
