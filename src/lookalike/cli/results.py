"""Printing the results of searches: tables, paths, contact sheets, JSON."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.output import lines, plain, print_json, print_table
from lookalike.core import settings_keys
from lookalike.core.notes import text
from lookalike.core.records import Hit, Item, Json
from lookalike.errors import LookalikeError
from lookalike.output.json_documents import collection_json, error_json, hits_json, search_json

if TYPE_CHECKING:
    from PIL import Image

    from lookalike.analysis.calibration import Calibration, Match
    from lookalike.analysis.categories.category_search import CategoryChoice
    from lookalike.collection import Collection
    from lookalike.images.cropping import Box
    from lookalike.search import QueryPart, Results, SearchOptions

__all__ = [
    "SIDE",
    "Failure",
    "RowLimits",
    "ShownPart",
    "Success",
    "View",
    "load_images",
    "query_json",
    "show",
]

SIDE = 440
"""Pixels of an image on a sheet, enough for a high-resolution screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How to show results, from the options."""

    as_json: bool
    paths: bool
    null: bool
    sheet: Path | None
    no_preview: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPart:
    """A part of a query, to be shown: a file, its bytes, an item, or nothing for words."""

    image: Path | bytes | Item | None
    name: str
    weight: float
    crop: "Box | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """The results of one query, whose name is ``text``, and its ``parts``."""

    text: str
    query: dict[str, Json]
    parts: Sequence[ShownPart]
    found: "Results"
    seconds: float

    @property
    def has_results(self) -> bool:
        """Whether there is at least one result."""
        return bool(self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A query that failed, and its name."""

    text: str
    query: dict[str, Json]
    error: LookalikeError
    has_results: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLimits:
    """Match levels: ``scale`` gives each result its level; ``None`` without calibration."""

    scale: "Calibration | None"

    @classmethod
    def of(cls, shop: "Collection", min_match: "Match | None") -> "RowLimits":
        """Return the stored calibration; with ``min_match``, calibrate if there is none."""
        if min_match is None and shop.store.settings.get(settings_keys.CALIBRATION) is None:
            return cls(scale=None)
        from lookalike.analysis import calibration

        found = (
            calibration.load_calibration(shop)
            if min_match is None
            else calibration.get_calibration(shop)
        )
        scale = calibration.choose_scale(found, min_match)
        if scale is not None and scale.reason is not None:
            from lookalike.cli.calibrate import levels_text

            click.echo(
                f"{scale.reason}; using default thresholds: {levels_text(scale.levels)}", err=True
            )
        return cls(scale=scale)


def show(
    shop: "Collection", outcomes: Sequence[Success | Failure], options: "SearchOptions", view: View
) -> None:
    """Print the results of each query, and its notes on stderr."""
    several = len(outcomes) > 1
    if view.sheet is not None:
        from lookalike.cli.result_sheets import write_sheets

        write_sheets(shop, outcomes, view.sheet)
    if view.as_json:
        documents = _make_documents(shop, outcomes, options)
        print_json(documents if several else documents[0])
    elif view.paths:
        places = [
            shop.file_of(hit.item) or hit.item.id
            for outcome in outcomes
            if isinstance(outcome, Success)
            for hit in outcome.found
        ]
        lines(map(str, places), null=view.null)
    else:
        for outcome in outcomes:
            if several:
                click.echo(plain(outcome.text))
            if isinstance(outcome, Success):
                if outcome.found.category is not None:
                    click.echo(_describe_category(outcome.found.category), err=True)
                _print_table(shop, outcome, preview=not view.no_preview)
    for outcome in outcomes:
        for line in _list_messages(outcome, left_out=not view.as_json):
            named = not several or line.startswith(f"error: {outcome.text}: ")
            click.echo(plain(line if named else f"{outcome.text}: {line}"), err=True)


def _list_messages(outcome: Success | Failure, *, left_out: bool) -> Iterator[str]:
    """Yield the messages for stderr; with ``left_out`` also that the query itself was left out."""
    if isinstance(outcome, Failure):
        yield f"error: {outcome.error}"
        return
    notes = outcome.found.notes
    if not outcome.found:
        yield f"nothing found: {text(notes)}" if notes else "nothing found"
    elif notes:
        yield f"note: {text(notes)}"
    if left_out and outcome.found.left_out and "id" not in outcome.query:  # of an item, it is clear
        names = ", ".join(outcome.found.left_out)
        yield f"left out the query itself: {names} (show it with --include-self)"


def query_json(parts: "Sequence[QueryPart]") -> dict[str, Json]:
    """Return how a document describes a query: its one part, or its parts with their weights."""
    if len(parts) == 1 and parts[0].weight == 1:
        return _part_json(parts[0])
    return {"parts": [_part_json(part) | {"weight": part.weight} for part in parts]}


def _part_json(part: "QueryPart") -> dict[str, Json]:
    from lookalike.search import ItemRef, VectorFile, Words

    source = part.source
    document: dict[str, Json] = (
        {"id": source.id}
        if isinstance(source, ItemRef)
        else {"text": source.text}
        if isinstance(source, Words)
        else {"path": source.path}
        if isinstance(source, VectorFile)
        else {"path": str(source)}
    )
    if part.crop is not None:
        document["crop"] = "auto" if part.crop == "auto" else [*part.crop]
    return document


def _make_documents(
    shop: "Collection", outcomes: Sequence[Success | Failure], options: "SearchOptions"
) -> list[dict[str, Json]]:
    """Return a document for each query; ``error`` is ``null`` unless it failed."""
    collection = collection_json(shop)
    return [
        {"query": outcome.query, "error": error_json(outcome.error), "total": 0, "hits": []}
        if isinstance(outcome, Failure)
        else search_json(
            query=outcome.query,
            seconds=outcome.seconds,
            collection=collection,
            hits=hits_json(shop, outcome.found),
            results=outcome.found,
            options=options,
        )
        | {"error": None}
        for outcome in outcomes
    ]


def _describe_category(found: "CategoryChoice") -> str:
    """Return the predicted labels, the labels searched and the reason as one line."""
    likely = [f"{one.label} {one.probability:.2f}" for one in found.predictions[:3]]
    where = f"in {', '.join(found.scope.labels)}" if found.scope.labels else "all items"
    predicted = f"predicted {', '.join(likely)}; " if likely else ""
    return plain(f"{predicted}searched {where} ({found.scope.reason})")


def _make_columns(outcome: Success) -> tuple[list[str], list[list[object]]]:
    """Return the column titles and rows of a result table."""
    scored = "score" if outcome.found.score == "cosine" else "words"
    columns = ["#", scored, "image", "label", "match"]
    matches: Sequence[str | None] = outcome.found.matches or ["-"] * len(outcome.found)
    rows: list[list[object]] = [
        [
            rank,
            f"{hit.score:.3f}",
            plain(hit.item.id),
            plain(hit.item.label or "-"),
            match or "none",
        ]
        for rank, (hit, match) in enumerate(zip(outcome.found, matches, strict=True), 1)
    ]
    if outcome.found.folded is not None:
        columns.append("duplicates")
        for row, hit in zip(rows, outcome.found, strict=True):
            row.append(outcome.found.folded[hit.item.id])
    if any(hit.box is not None for hit in outcome.found):
        columns.append("region")
        for row, hit in zip(rows, outcome.found, strict=True):
            box = hit.box
            row.append("whole" if box is None else ",".join(f"{side:.2f}" for side in box))
    if outcome.found.orientations is not None:
        columns.append("orientation")
        for row, hit in zip(rows, outcome.found, strict=True):
            row.append(outcome.found.orientations[hit.item.id])
    return columns, rows


def _print_table(shop: "Collection", outcome: Success, *, preview: bool) -> None:
    if not outcome.found:
        return
    columns, rows = _make_columns(outcome)
    if preview and sys.stdout.isatty():
        from rich.console import Console

        from lookalike.cli.preview import can_preview
        from lookalike.cli.preview import preview as thumbnail

        out = Console()
        if can_preview(out):
            columns.insert(2, "")
            for row, image in zip(rows, load_images(shop, outcome.found), strict=True):
                row.insert(2, (image and thumbnail(image, console=out)) or "")
    print_table(columns, rows)


def load_images(shop: "Collection", hits: Sequence[Hit]) -> "Iterator[Image.Image | None]":
    """Yield an image of each hit, to be shown; ``None`` where it has none."""
    return shop.previews([hit.item for hit in hits], side=SIDE)
