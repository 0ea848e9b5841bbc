"""Reports of evaluations and duplicates as files: HTML pages with thumbnails, and JSON."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from lookalike import images
from lookalike.analysis.duplicates import DuplicateReport
from lookalike.analysis.evaluation import Comparison, Evaluation
from lookalike.collection import Collection
from lookalike.core.atomic_files import write_file
from lookalike.core.records import Item, Json
from lookalike.display.outputs import check_output
from lookalike.errors import ExportError
from lookalike.output.report import render_duplicates, render_evaluation

__all__ = ["document", "plain_json", "write_duplicates", "write_report"]

_SIDE = 176  # pixels of a thumbnail in a report: sharp at 94 on a fine screen, some 6 kB
_COPIES = 2000  # images on a page of copies: some 12 MB


def document(found: Comparison) -> Json:
    """Return a comparison as JSON, without the values of single queries."""
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
    """Return records as objects, tuples as lists, paths as text."""
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
    """Write an evaluation's page; ``shops`` are the compared collections, for their images.

    Raise ``ExportError`` when the file cannot be written.
    """
    thumbnails: dict[tuple[int, str], bytes | None] = {}
    for number, (shop, one) in enumerate(zip(shops, found.evaluations, strict=True)):
        wanted = {
            item_id
            for query in one.worst
            for item_id in (query.id, *(hit.id for hit in query.hits))
        }
        small = _render_thumbnails(shop, [shop.get(item_id) for item_id in sorted(wanted)])
        thumbnails |= {(number, item_id): jpeg for item_id, jpeg in small.items()}
    _write(target, render_evaluation(found, thumbnails, made_at=_format_now()), shops)


def write_duplicates(shop: Collection, found: DuplicateReport, target: Path) -> None:
    """Write the page of the duplicates found in ``shop``, with the images of the first groups.

    Raise ``ExportError`` when the file cannot be written.
    """
    shown: list[Item] = []
    for group in found.groups:
        if len(shown) + 1 + len(group.duplicates) > _COPIES:
            break
        shown += (group.kept, *(copy.item for copy in group.duplicates))
    thumbnails = _render_thumbnails(shop, shown)
    name = Path(shop.info().address).name
    _write(target, render_duplicates(found, thumbnails, name=name, made_at=_format_now()), [shop])


def _format_now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _write(target: Path, page: str, shops: Sequence[Collection]) -> None:
    check_output(target, shops)
    try:
        write_file(target, page)
    except OSError as error:
        raise ExportError(f"the report cannot be written to {target}: {error.strerror}") from error


def _render_thumbnails(shop: Collection, items: Sequence[Item]) -> dict[str, bytes | None]:
    """Return small JPEGs by id, ``None`` where the image is gone or cannot be read."""
    return {
        item.id: None if image is None else images.encode_thumbnail(image, _SIDE)
        for item, image in zip(items, shop.previews(items, side=_SIDE), strict=True)
    }
