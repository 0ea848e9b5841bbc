"""``Explanation``: which regions make a query and an item alike."""

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.atomic_files import write_file
from lookalike.core.records import Json
from lookalike.errors import ExportError
from lookalike.images.cropping import Box
from lookalike.images.turning import Orientation

__all__ = ["DIGITS", "ExplainedImage", "Explanation", "Method", "Side"]

Method: TypeAlias = Literal["auto", "map", "occlusion"]
Side: TypeAlias = Literal["query", "item"]

DIGITS = 8
"""Decimals of a contribution in JSON: thousands of them still add up to the score."""
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedImage:
    """One of the two images, and what each region of it adds to the score.

    ``image`` is the upright RGB image, perhaps at a reduced size. ``contributions`` (rows, columns)
    float32 lie on an even grid over ``area``: (left, top, right, bottom) in [0, 1] of the image,
    and beyond it where the encoder surrounds it with a colour. ``name`` is the item's id or the
    file's name, for people.
    """

    image: Image.Image
    contributions: NDArray[np.float32] = field(repr=False)
    area: Box = (0.0, 0.0, 1.0, 1.0)
    name: str = ""

    def heatmap(self, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """Return the contributions, smoothly enlarged to ``size`` (width, height) pixels.

        (height, width) float32, in units of the score for each position of the grid. ``size`` is
        that of ``image`` by default. What the encoder does not see is 0.
        """
        return enlarge(self.contributions, self.area, size or self.image.size)

    def position(self, x: float, y: float) -> tuple[int, int] | None:
        """Return the (row, column) of the grid at ``x`` and ``y`` in [0, 1] of the image.

        ``None`` where the encoder sees nothing.
        """
        left, top, right, bottom = self.area
        across, down = (x - left) / (right - left), (y - top) / (bottom - top)
        if not (0 <= across <= 1 and 0 <= down <= 1):
            return None
        rows, columns = self.contributions.shape
        return min(int(down * rows), rows - 1), min(int(across * columns), columns - 1)

    def to_json(self) -> dict[str, Json]:
        """Return the contributions as a JSON document, without the image."""
        return {
            "name": self.name,
            "area": [round(side, 6) for side in self.area],
            "contributions": rounded(self.contributions),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Which regions make a query and an item alike.

    ``score`` is their cosine. With ``method`` "map", the contributions of each image add up to it.
    With "occlusion" they are what the score loses when a region is hidden, and do not.

    ``query`` is ``None`` where the query is not one image: words, a vector, several parts. Then
    ``pairs`` is ``None`` too; otherwise ``pairs[r, c]`` (rows, columns, rows, columns) is what each
    position of the item has in common with the position (r, c) of the query.

    ``orientation`` is the one in which the query was compared; its contributions lie on the upright
    image.
    """

    score: float
    method: Literal["map", "occlusion"]
    item_id: str
    item: ExplainedImage = field(repr=False)
    query: ExplainedImage | None = field(default=None, repr=False)
    pairs: NDArray[np.float32] | None = field(default=None, repr=False)
    orientation: Orientation = "upright"

    @property
    def adds_up(self) -> bool:
        """Whether the contributions of an image add up to the score."""
        return self.method == "map"

    def counterpart(self, x: float, y: float, *, on: Side = "query") -> NDArray[np.float32]:
        """Return what each position of the other image has in common with one place.

        ``x`` and ``y`` in [0, 1] are the place on the query, or on the item. (rows, columns)
        float32; with "map" they add up to the contribution of the place. Raise ``ValueError`` for a
        place that the encoder does not see, and for a query that is not one image.
        """
        if self.query is None or self.pairs is None:
            raise ValueError("the query is not one image, so no place has a counterpart")
        side = self.query if on == "query" else self.item
        place = side.position(x, y)
        if place is None:
            raise ValueError(f"the encoder does not see the place ({x:g}, {y:g}) of the {on}")
        found: NDArray[np.float32] = (
            self.pairs[place] if on == "query" else self.pairs[:, :, *place]
        )
        return found

    def render(self, *, side: int = 480) -> Image.Image:
        """Return both images side by side with their contributions, and a scale.

        ``side`` is the longer side of each image, in pixels.
        """
        from lookalike.analysis.explanation.drawing import draw_explanation  # noqa: PLC0415 - fonts

        return draw_explanation(self, side=side)

    def save(self, path: str | os.PathLike[str], *, side: int = 480) -> None:
        """Write what ``render`` returns as PNG, JPEG or WebP, as the file's name says.

        Raise ``ExportError`` for another suffix, and for a file that cannot be written.
        """
        place = Path(path)
        kind = check_format(place)
        try:
            write_file(place, self.encode(kind, side=side))
        except OSError as error:
            reason = error.strerror or error
            raise ExportError(f"{place} cannot be written: {reason}") from error

    def encode(self, kind: str = "PNG", *, side: int = 480) -> bytes:
        """Return what ``render`` returns as the bytes of an image file: PNG, JPEG or WEBP."""
        buffer = io.BytesIO()
        self.render(side=side).save(buffer, kind, quality=90)
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self.encode()

    def to_json(self) -> dict[str, Json]:
        """Return all numbers as a JSON document; the images are not in it."""
        return {
            "score": round(self.score, DIGITS),
            "method": self.method,
            "adds_up": self.adds_up,
            "id": self.item_id,
            "orientation": self.orientation,
            "query": None if self.query is None else self.query.to_json(),
            "item": self.item.to_json(),
            "pairs": None if self.pairs is None else rounded(self.pairs),
        }

    @classmethod
    def from_json(
        cls, document: dict[str, Any], *, query: Image.Image | None, item: Image.Image
    ) -> Self:
        """Return the explanation that ``to_json`` described, with its images."""

        def side(found: dict[str, Any], image: Image.Image) -> ExplainedImage:
            left, top, right, bottom = found["area"]
            return ExplainedImage(
                image=image,
                contributions=np.array(found["contributions"], dtype=np.float32),
                area=(left, top, right, bottom),
                name=found["name"],
            )

        pairs = document["pairs"]
        asked = document["query"]
        return cls(
            score=document["score"],
            method=document["method"],
            item_id=document["id"],
            orientation=document["orientation"],
            item=side(document["item"], item),
            query=None if asked is None or query is None else side(asked, query),
            pairs=None if pairs is None else np.array(pairs, dtype=np.float32),
        )


def check_format(path: Path) -> str:
    """Return Pillow's name of the format of a file. Raise ``ExportError`` for an unknown suffix."""
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ExportError(f"{path}: an explanation is written as .png, .jpg or .webp")
    return kind


def enlarge(
    contributions: NDArray[np.float32], area: Box, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return a grid over ``area`` of an image, smoothly enlarged to the image, (height, width)."""
    width, height = size
    left, top, right, bottom = (
        round(side * whole) for side, whole in zip(area, (width, height) * 2, strict=True)
    )
    grid = Image.fromarray(contributions.astype(np.float32))
    patch = grid.resize((max(right - left, 1), max(bottom - top, 1)), Image.Resampling.BILINEAR)
    canvas = Image.new("F", size, 0.0)
    canvas.paste(patch, (left, top))
    return np.asarray(canvas, dtype=np.float32)


def rounded(values: NDArray[np.float32]) -> list[Json]:
    """Return numbers as nested lists, with as many decimals as a sum of them needs."""
    found: list[Json] = np.round(values.astype(np.float64), DIGITS).tolist()
    return found
