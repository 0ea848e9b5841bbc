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
from lookalike.errors import LookalikeError, SourceError
from lookalike.output.json_documents import collection_json, error_json, hits_json, search_json

if TYPE_CHECKING:
    from PIL import Image

    from lookalike.analysis.calibration import Calibration, Match
    from lookalike.analysis.categories.category_search import CategoryChoice
    from lookalike.collection import Collection
    from lookalike.search import Results, SearchOptions

__all__ = ["Answer", "Failure", "Limits", "View", "show"]

_SIDE = 440  # pixels of an image on a sheet, enough for a high-resolution screen


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How to show results, from the options."""

    as_json: bool
    paths: bool
    null: bool
    sheet: Path | None
    no_preview: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The results of one query; ``image`` is the query itself: a file, its bytes, or an item."""

    query: dict[str, Json]
    image: Path | bytes | Item
    found: "Results"
    seconds: float

    @property
    def outcome(self) -> bool:
        """Whether there is at least one result."""
        return bool(self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A query that failed."""

    query: dict[str, Json]
    error: LookalikeError
    outcome: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Match levels: ``scale`` gives each result its level; ``None`` without calibration."""

    scale: "Calibration | None"

    @classmethod
    def of(cls, shop: "Collection", min_match: "Match | None") -> "Limits":
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
    shop: "Collection", answers: Sequence[Answer | Failure], options: "SearchOptions", view: View
) -> None:
    """Print the results of each query, and its notes on stderr."""
    several = len(answers) > 1
    if view.sheet is not None:
        _write_sheets(shop, answers, view.sheet)
    if view.as_json:
        documents = _documents(shop, answers, options)
        print_json(documents if several else documents[0])
    elif view.paths:
        places = [
            shop.file_of(hit.item) or hit.item.id
            for answer in answers
            if isinstance(answer, Answer)
            for hit in answer.found
        ]
        lines(map(str, places), null=view.null)
    else:
        for answer in answers:
            if several:
                click.echo(plain(_name(answer)))
            if isinstance(answer, Answer):
                if answer.found.category is not None:
                    click.echo(_category_text(answer.found.category), err=True)
                _print_table(shop, answer, preview=not view.no_preview)
    for answer in answers:
        for line in _messages(answer, left_out=not view.as_json):
            click.echo(plain(f"{_name(answer)}: {line}" if several else line), err=True)


def _name(answer: Answer | Failure) -> str:
    return str(next(iter(answer.query.values())))


def _messages(answer: Answer | Failure, *, left_out: bool) -> Iterator[str]:
    """Yield the messages for stderr; with ``left_out`` also that the query itself was left out."""
    if isinstance(answer, Failure):
        yield f"error: {answer.error}"
        return
    notes = answer.found.notes
    if not answer.found:
        yield f"nothing found: {text(notes)}" if notes else "nothing found"
    elif notes:
        yield f"note: {text(notes)}"
    if left_out and answer.found.left_out and "path" in answer.query:  # of an item, that is clear
        names = ", ".join(answer.found.left_out)
        yield f"left out the query itself: {names} (show it with --include-self)"


def _documents(
    shop: "Collection", answers: Sequence[Answer | Failure], options: "SearchOptions"
) -> list[dict[str, Json]]:
    """Return a document for each query; ``error`` is ``null`` unless it failed."""
    collection = collection_json(shop)
    return [
        {"query": answer.query, "error": error_json(answer.error), "total": 0, "hits": []}
        if isinstance(answer, Failure)
        else search_json(
            query=answer.query,
            seconds=answer.seconds,
            collection=collection,
            hits=hits_json(shop, answer.found),
            results=answer.found,
            options=options,
        )
        | {"error": None}
        for answer in answers
    ]


def _category_text(found: "CategoryChoice") -> str:
    """Return the predicted labels, the labels searched and the reason as one line."""
    likely = [f"{one.label} {one.probability:.2f}" for one in found.predictions[:3]]
    where = f"in {', '.join(found.scope.labels)}" if found.scope.labels else "all items"
    predicted = f"predicted {', '.join(likely)}; " if likely else ""
    return plain(f"{predicted}searched {where} ({found.scope.reason})")


def _columns(answer: Answer) -> tuple[list[str], list[list[object]]]:
    """Return the column titles and rows of a result table."""
    columns = ["#", "score", "image", "label", "match"]
    matches: Sequence[str | None] = answer.found.matches or ["-"] * len(answer.found)
    rows: list[list[object]] = [
        [
            rank,
            f"{hit.score:.3f}",
            plain(hit.item.id),
            plain(hit.item.label or "-"),
            match or "none",
        ]
        for rank, (hit, match) in enumerate(zip(answer.found, matches, strict=True), 1)
    ]
    if answer.found.folded is not None:
        columns.append("duplicates")
        for row, hit in zip(rows, answer.found, strict=True):
            row.append(answer.found.folded[hit.item.id])
    return columns, rows


def _print_table(shop: "Collection", answer: Answer, *, preview: bool) -> None:
    if not answer.found:
        return
    columns, rows = _columns(answer)
    if preview and sys.stdout.isatty():
        from rich.console import Console

        from lookalike.cli.preview import can_preview
        from lookalike.cli.preview import preview as thumbnail

        out = Console()
        if can_preview(out):
            columns.insert(2, "")
            for row, image in zip(rows, _images(shop, answer.found), strict=True):
                row.insert(2, (image and thumbnail(image, console=out)) or "")
    print_table(columns, rows)


def _write_sheets(shop: "Collection", answers: Sequence[Answer | Failure], path: Path) -> None:
    """Write a contact sheet for each query; those of several queries are numbered."""
    from lookalike.output.contact_sheet import Cell, contact_sheet
    from lookalike.output.outputs import save_sheet

    queries = [
        answer.image
        for answer in answers
        if isinstance(answer, Answer) and isinstance(answer.image, Path)
    ]
    for number, answer in enumerate(answers, 1):
        if isinstance(answer, Failure):
            continue
        target = path if len(answers) == 1 else path.with_stem(f"{path.stem}-{number}")
        cells = [
            Cell(
                image=image,
                caption=hit.item.id.rpartition("/")[2],
                score=hit.score,
                note=hit.item.label or "",
            )
            for hit, image in zip(answer.found, _images(shop, answer.found), strict=True)
        ]
        sheet = contact_sheet(
            _own_image(shop, answer),
            cells,
            title=str(next(iter(answer.query.values()))).rpartition("/")[2],
        )
        try:
            save_sheet(sheet, target, [shop], inputs=queries)
        except (OSError, ValueError) as error:  # ValueError: the suffix of no image format
            raise SourceError(
                f"cannot write the sheet to {target}: {error}; give a .png or .jpg file"
            ) from error
        click.echo(f"wrote {target}", err=True)


def _images(shop: "Collection", hits: Sequence[Hit]) -> "Iterator[Image.Image | None]":
    return shop.previews([hit.item for hit in hits], side=_SIDE)


def _own_image(shop: "Collection", answer: Answer) -> "Image.Image | None":
    if isinstance(answer.image, Item):
        return next(shop.previews([answer.image], side=_SIDE))
    from lookalike import images

    return images.load_preview(answer.image, _SIDE, shop.limits)
