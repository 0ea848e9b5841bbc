"""An evaluation as files: the page to read, with its thumbnails, and the document for programs."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from lookalike import images
from lookalike.collection import Collection
from lookalike.errors import ExportError, PictureError
from lookalike.evaluation import Comparison, Evaluation
from lookalike.records import Json
from lookalike.report import render

__all__ = ["document", "picture_of", "plain_json", "write_report"]

_SIDE = 176  # pixels of a thumbnail in a report: sharp at 94 on a fine screen, some 6 kB


def document(found: Comparison) -> Json:
    """All that was measured, but for the queries' own values."""
    return {
        "common": found.common,
        "left_out": list(found.left_out),
        "evaluations": [_evaluation_json(one) for one in found.evaluations],
        "differences": [
            {name: plain_json(by) for name, by in each.items()} for each in found.differences
        ],
    }


def _evaluation_json(one: Evaluation) -> dict[str, Json]:
    names = [each.name for each in fields(one) if each.name not in ("query_ids", "values")]
    return {name: plain_json(getattr(one, name)) for name in names}


def plain_json(value: object) -> Json:
    """Records as objects, tuples as lists, paths as text."""
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(name): plain_json(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [plain_json(each) for each in value]
    return {each.name: plain_json(getattr(value, each.name)) for each in fields(value)}  # type: ignore[arg-type] # a record


def write_report(shops: Sequence[Collection], found: Comparison, target: Path) -> None:
    """Write the page; ``shops`` are the collections that were compared, for their pictures.

    Raises ``ExportError`` when the file cannot be written.
    """
    wanted = {
        (number, item_id)
        for number, one in enumerate(found.evaluations)
        for judged in one.worst
        for item_id in (judged.id, *(answer.id for answer in judged.answers))
    }
    thumbnails: dict[tuple[int, str], bytes | None] = {}
    for number, item_id in sorted(wanted):
        image = picture_of(shops[number], item_id, _SIDE)
        thumbnails[number, item_id] = None if image is None else images.thumbnail(image, _SIDE)
    made_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    try:
        target.write_text(render(found, thumbnails, made_at=made_at), encoding="utf-8")
    except OSError as error:
        raise ExportError(f"the report cannot be written to {target}: {error.strerror}") from error


def picture_of(shop: Collection, item_id: str, side: int) -> Image.Image | None:
    """An item's picture, at least ``side`` pixels if it can; ``None`` if it is gone or broken."""
    try:
        path = shop.file_of(shop.get(item_id))
        if path is None:
            return None
        data = images.read(path, limits=shop.limits)
        return images.decode(data, limits=shop.limits, at_least=(side, side)).image
    except PictureError:
        return None
