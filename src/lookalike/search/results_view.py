"""How results show themselves: as HTML in a notebook, and as a contact sheet."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from lookalike import images
from lookalike.core.plurals import count_noun
from lookalike.core.roots import expand_home
from lookalike.display.cards import Card, cards_html
from lookalike.display.contact_sheet import Cell, Theme, contact_sheet
from lookalike.display.hit_cards import MOST, hit_cards
from lookalike.display.outputs import write_sheet
from lookalike.errors import LookalikeError
from lookalike.search.query import Encoded, ItemRef, QueryPart, Words, is_vector

if TYPE_CHECKING:
    from lookalike.core.protocols.viewing import ItemViewer
    from lookalike.search.results import Results

__all__ = ["results_html", "results_sheet"]

_PIXELS = 192  # of a query's image in HTML
_SHEET_PIXELS = 440  # on a sheet, enough for a high-resolution screen


def results_html(results: "Results") -> str:
    """Return HTML that shows the query and the hits, and says what the notes say."""
    parts = () if results.query is None else results.query.parts
    notes = [note.message for note in results.notes]
    if len(results) > MOST:
        notes.append(f"and {len(results) - MOST} more; .to_pandas() has all of them")
    return cards_html(
        hit_cards(results.collection, results, matches=results.matches),
        heading=f"{count_noun(len(results), 'result')}{_about(parts)}",
        query=[card for part in parts if (card := _query_card(results.collection, part))],
        notes=notes,
    )


def results_sheet(
    results: "Results",
    path: str | os.PathLike[str] | None,
    *,
    title: str | None,
    columns: int,
    cell: int,
    theme: Theme,
) -> Image.Image:
    """Return the contact sheet of a query and its hits; with ``path`` it is written, too.

    Raise ``ExportError`` for a file that cannot be written, or that would replace an image that
    lookalike did not write.
    """
    parts = () if results.query is None else results.query.parts
    shown = (_image_of(results.collection, part, _SHEET_PIXELS) for part in parts)
    items = [hit.item for hit in results]
    viewer = results.collection
    previews: Sequence[Image.Image | None] = [None] * len(items)
    if viewer is not None:
        previews = [*viewer.previews(items, side=_SHEET_PIXELS)]
    cells = [
        Cell(
            image=image,
            caption=hit.id.rpartition("/")[2],
            score=hit.score,
            note=hit.item.label or "",
        )
        for hit, image in zip(results, previews, strict=True)
    ]
    sheet = contact_sheet(
        next((one for one in shown if one is not None), None),
        cells,
        title=_name(parts[0]) if title is None and parts else title or "",
        columns=columns,
        cell=cell,
        theme=theme,
    )
    if path is not None:
        local: Any = viewer
        shops = [local] if hasattr(viewer, "store") else []
        files = [place for part in parts if (place := _file_of(part)) is not None]
        write_sheet(sheet, Path(path), shops, inputs=files)
    return sheet


def _about(parts: Sequence[QueryPart]) -> str:
    names = [
        _name(part) if part.weight == 1 else f"{part.weight:g}:{_name(part)}" for part in parts
    ]
    return f" for {', '.join(names)}" if names else ""


def _name(part: QueryPart) -> str:
    source = part.source
    if isinstance(source, Words):
        return repr(source.text)
    if isinstance(source, ItemRef):
        return source.id
    if isinstance(source, Encoded):
        if source.words is not None:
            return repr(source.words.text)
        return "an encoded image" if source.item is None else source.item.id
    if isinstance(source, str | os.PathLike):
        return Path(source).name
    return "a vector" if is_vector(source) else "an image"


def _query_card(viewer: "ItemViewer | None", part: QueryPart) -> Card | None:
    image = _image_of(viewer, part, _PIXELS)
    if image is None:
        return None
    weight = () if part.weight == 1 else (f"weight {part.weight:g}",)
    jpeg = images.encode_thumbnail(image, _PIXELS)
    return Card(jpeg=jpeg, title=_name(part), lines=("query", *weight))


def _image_of(viewer: "ItemViewer | None", part: QueryPart, side: int) -> Image.Image | None:
    """Return the image of a part of a query, cropped; ``None`` for words and vectors."""
    image = _whole_image(viewer, part.source, side)
    if image is None or part.crop is None or part.crop == "auto":
        return image
    whole = images.DecodedImage(image=image, width=image.width, height=image.height)
    return images.crop_image(whole, part.crop).image


def _whole_image(viewer: "ItemViewer | None", source: object, side: int) -> Image.Image | None:
    if isinstance(source, Encoded):
        source = None if source.item is None else ItemRef(source.item.id)
    try:
        if isinstance(source, ItemRef):
            jpeg = None if viewer is None else viewer.thumbnail(source.id, side=side)
            return None if jpeg is None else Image.open(io.BytesIO(jpeg))
        if isinstance(source, Image.Image):
            return images.from_image(source).image
        if isinstance(source, np.ndarray):
            return None if is_vector(source) else images.from_array(source).image
    except (LookalikeError, OSError, UnidentifiedImageError):
        return None
    if isinstance(source, str | os.PathLike):
        return images.load_preview(expand_home(source), side)
    return images.load_preview(source, side) if isinstance(source, bytes) else None


def _file_of(part: QueryPart) -> Path | None:
    source = part.source
    return expand_home(source) if isinstance(source, str | os.PathLike) else None
