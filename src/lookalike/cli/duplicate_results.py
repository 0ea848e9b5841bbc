"""What ``lookalike duplicates`` prints: tables, summaries and JSON."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.output import plain, print_json, print_table
from lookalike.core.plurals import count_noun
from lookalike.core.records import Json
from lookalike.output.json_documents import item_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.analysis.duplicates import Duplicate, DuplicateOutcome, DuplicateReport
    from lookalike.collection import Collection
    from lookalike.core.records import Item

__all__ = [
    "duplicate_json",
    "duplicates_json",
    "kind_text",
    "print_duplicates",
    "print_undone",
    "size_text",
    "summary",
]


def print_undone(outcomes: "Sequence[DuplicateOutcome]", *, as_json: bool, dry_run: bool) -> None:
    """Print which files were restored, as a table or as JSON."""
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


def print_duplicates(
    found: "DuplicateReport", outcomes: "Sequence[DuplicateOutcome] | None"
) -> None:
    """Print a table of the groups, with what was done."""
    done = {one.item.id: one for one in outcomes or ()}
    rows: list[list[object]] = []
    for number, group in enumerate(found.groups, 1):
        rows.append([number, "kept", "", plain(group.kept.id), size_text(group.kept), ""])
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
                    kind_text(duplicate),
                    duplicate.turn,
                    plain(duplicate.item.id),
                    size_text(duplicate.item),
                    plain(what),
                ]
            )
    if rows:
        print_table(("#", "duplicate", "rotation", "image", "size", ""), rows)


def kind_text(duplicate: "Duplicate") -> str:
    """Return how alike a duplicate is, in words."""
    return "exact" if duplicate.exact else f"near, difference {duplicate.difference:.2f}"


def size_text(item: "Item") -> str:
    """Return an image's size in pixels, as text."""
    return f"{item.width} x {item.height}"


def summary(
    found: "DuplicateReport", outcomes: "Sequence[DuplicateOutcome] | None", *, dry_run: bool
) -> str:
    """Return what was found and done, in one to three lines."""
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


def duplicates_json(
    shop: "Collection",
    found: "DuplicateReport",
    outcomes: "Sequence[DuplicateOutcome] | None",
    *,
    dry_run: bool,
) -> dict[str, Json]:
    """Return what was found and done as the JSON document of the command."""
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
        return {**duplicate_json(shop, duplicate), **acted}

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


def duplicate_json(shop: "Collection", duplicate: "Duplicate") -> dict[str, Json]:
    """Return one duplicate as JSON."""
    return {
        "kind": "exact" if duplicate.exact else "near",
        "difference": duplicate.difference,
        "turn": duplicate.turn or None,
        "score": round(duplicate.score, 6),
        "sure": duplicate.sure,
        "unsure_because": duplicate.reason or None,
        **item_json(shop, duplicate.item),
    }
