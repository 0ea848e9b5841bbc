"""``lookalike duplicates``."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from lookalike.analysis.duplicates import KeepRule, act, find, find_duplicates_of, undo
from lookalike.cli.exit_codes import of_batch
from lookalike.cli.options import collection_option, json_option, opened, where_option
from lookalike.cli.output import plain, print_json, print_notes, print_table
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.config import settings
from lookalike.core.plurals import count_noun
from lookalike.core.progress import Progress
from lookalike.core.records import Json
from lookalike.errors import ImageError
from lookalike.output.json_documents import error_json, item_json, notes_json
from lookalike.output.result_files import write_duplicates
from lookalike.sources.scan import TRASH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lookalike.analysis.duplicates import Duplicate, DuplicateOutcome, DuplicateReport
    from lookalike.collection import Collection
    from lookalike.core.records import Item

__all__ = ["duplicates_command"]


# To touch a file takes more certainty than to show it: docs/decisions/0010-copies.md.
_ACTING = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
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
    todo = _Act(**acting)  # type: ignore[arg-type] # as click has read them
    todo.check()
    if max_difference is None:
        max_difference = _ACTING if todo.wanted else 1.0
    cache = settings().cache / "signatures.sqlite"
    if todo.undo is not None:
        if images or report is not None or where is not None or exact_only or marked:
            raise click.UsageError("--undo can only be combined with -c, --dry-run and --json")
        ctx.exit(_undone(collection, todo.undo, dry_run=todo.dry_run, as_json=as_json))
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
        acted = _shown(shop, found, todo, stop, report=report, as_json=as_json, where=where)
    if found.interrupted or stop.asked:
        click.echo("interrupted; the work so far is kept for the next run", err=True)
        ctx.exit(130)
    if found.unread and not found.compared:
        click.echo("error: no image could be read, so near duplicates are unknown", err=True)
        ctx.exit(1)
    if any(one.done == "left" for one in acted):
        ctx.exit(1)


def _shown(
    shop: "Collection",
    found: "DuplicateReport",
    todo: _Act,
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
        acted = _acted(shop, found, todo, stop)
    notes = () if found.items else shop.notes(where)
    if as_json:
        document = _document(shop, found, acted, dry_run=todo.dry_run)
        print_json({**document, "notes": notes_json(notes)})
    else:
        _print(found, acted)
        click.echo(_summary(found, acted, dry_run=todo.dry_run), err=True)
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
            self._meter.__exit__()


def _acted(
    shop: "Collection", found: "DuplicateReport", todo: _Act, stop: "Callable[[], bool]"
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


def _undone(collection: str | None, record: Path, *, dry_run: bool, as_json: bool) -> int:
    """Put files back. Return the exit code."""
    with opened(collection) as shop:
        outcomes = list(undo(shop, record, dry_run=dry_run))
    _print_undone(outcomes, as_json=as_json, dry_run=dry_run)
    return int(any(one.done == "left" for one in outcomes))


def _print_undone(outcomes: "Sequence[DuplicateOutcome]", *, as_json: bool, dry_run: bool) -> None:
    counts = {what: sum(one.done == what for one in outcomes) for what in ("restored", "left")}
    if as_json:
        files: list[Json] = [
            {
                "id": one.item.id,
                "done": one.done,
                "path": str(one.target),
                "from": None if one.path is None else str(one.path),
                "reason": one.reason or None,
            }
            for one in outcomes
        ]
        print_json({"dry_run": dry_run, **counts, "files": files})
    elif outcomes:
        rows = [(one.done, plain(str(one.target)), plain(one.reason)) for one in outcomes]
        print_table(("done", "file", ""), rows)
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    dry = "dry run, nothing changed: " if dry_run else ""
    click.echo(f"{dry}{said or 'nothing to restore'}", err=True)


def _print(found: "DuplicateReport", outcomes: "Sequence[DuplicateOutcome] | None") -> None:
    done = {one.item.id: one for one in outcomes or ()}
    rows: list[list[object]] = []
    for number, group in enumerate(found.groups, 1):
        rows.append([number, "kept", "", plain(group.kept.id), _size(group.kept), ""])
        for duplicate in group.duplicates:
            one = done.get(duplicate.item.id)
            what = (
                duplicate.reason
                if one is None
                else f"{one.done} {one.target or one.reason}".strip()
            )
            rows.append(
                [
                    number,
                    _kind(duplicate),
                    duplicate.turn,
                    plain(duplicate.item.id),
                    _size(duplicate.item),
                    plain(what),
                ]
            )
    if rows:
        print_table(("#", "duplicate", "rotation", "image", "size", ""), rows)


def _kind(duplicate: "Duplicate") -> str:
    return "exact" if duplicate.exact else f"near, difference {duplicate.difference:.2f}"


def _size(item: "Item") -> str:
    return f"{item.width} x {item.height}"


def _summary(
    found: "DuplicateReport", outcomes: "Sequence[DuplicateOutcome] | None", *, dry_run: bool
) -> str:
    exact = sum(duplicate.exact for group in found.groups for duplicate in group.duplicates)
    text = (
        f"{count_noun(found.items, 'item')}, {count_noun(len(found.groups), 'group')}: "
        f"{count_noun(exact, 'exact duplicate')}, {found.copies - exact:,} near, "
        f"in {found.seconds:.1f} s"
    )
    if found.unread:
        text += (
            f"; {count_noun(len(found.unread), 'image')} could not be read "
            f"({plain(found.unread[0].path)}: {found.unread[0].reason})"
        )
    unsure = sum(not duplicate.sure for group in found.groups for duplicate in group.duplicates)
    if unsure:
        text += f"; {unsure:,} not certain enough to be moved or deleted"
    if outcomes is not None:
        counts = {what: sum(one.done == what for one in outcomes) for what in _DONE}
        said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        text += f"\n{'dry run, nothing changed: ' if dry_run else ''}{said or 'nothing to do'}"
        record = _record(outcomes)
        if record is not None and not dry_run:
            text += f"\nto undo: lookalike duplicates --undo {shlex.quote(plain(str(record)))}"
    return text


def _record(outcomes: "Sequence[DuplicateOutcome]") -> Path | None:
    return next((one.record for one in outcomes if one.record is not None), None)


_DONE = ("moved", "trashed", "deleted", "left")


def _document(
    shop: "Collection",
    found: "DuplicateReport",
    outcomes: "Sequence[DuplicateOutcome] | None",
    *,
    dry_run: bool,
) -> dict[str, Json]:
    done = {one.item.id: one for one in outcomes or ()}
    record = _record(outcomes or ())

    def with_outcome(duplicate: "Duplicate") -> dict[str, Json]:
        one = done.get(duplicate.item.id)
        acted: dict[str, Json] = {}
        if one is not None:
            acted = {
                "done": one.done,
                "target": None if one.target is None else str(one.target),
                "reason": one.reason or None,
            }
        return {**_duplicate_json(shop, duplicate), **acted}

    return {
        "items": found.items,
        "duplicates": found.copies,
        "compared": found.compared,
        "interrupted": found.interrupted,
        "dry_run": dry_run,
        "record": None if record is None else str(record),
        "seconds": round(found.seconds, 3),
        "groups": [
            {
                "kept": item_json(shop, group.kept),
                "duplicates": [with_outcome(duplicate) for duplicate in group.duplicates],
            }
            for group in found.groups
        ],
        "unread": [{"path": one.path, "reason": one.reason} for one in found.unread],
    }


def _duplicate_json(shop: "Collection", duplicate: "Duplicate") -> dict[str, Json]:
    return {
        "kind": "exact" if duplicate.exact else "near",
        "difference": duplicate.difference,
        "turn": duplicate.turn or None,
        "score": round(duplicate.score, 6),
        "sure": duplicate.sure,
        "unsure_because": duplicate.reason or None,
        **item_json(shop, duplicate.item),
    }


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
        duplicates: list[Json] = [_duplicate_json(shop, one) for one in found]
        documents.append({"path": image, "duplicates": duplicates, "error": None})
        rows += [
            [plain(image), _kind(one), one.turn, plain(one.item.id), _size(one.item)]
            for one in found
        ]
        if not found:
            click.echo(f"{plain(image)}: no duplicate", err=True)
    if as_json:
        print_json(documents if len(images) > 1 else documents[0])
    elif rows:
        print_table(("image", "duplicate", "rotation", "of", "size"), rows)
    return outcomes
