"""The regions of one image: boxes and their embeddings."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lookalike.core.records import SideRow
from lookalike.core.vectors import Matrix
from lookalike.images.cropping import Box

__all__ = ["Regions"]

_PLACES = 4  # decimals of a side of a box: a pixel of 10,000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regions:
    """``boxes`` of an image with their embeddings ``vectors``, (len(boxes), dim) unit rows.

    ``count`` is how many were asked for: an image of which less stands out has fewer.
    """

    count: int
    boxes: tuple[Box, ...]
    vectors: Matrix

    def row(self, digest: str) -> SideRow:
        """Return the row of a table: boxes, and vectors as half floats in Base64."""
        halves = self.vectors.astype("<f2").tobytes()
        return SideRow(
            id=digest,
            value={
                "count": self.count,
                "boxes": [[round(side, _PLACES) for side in box] for box in self.boxes],
                "vectors": base64.b64encode(halves).decode(),
            },
        )

    @classmethod
    def of_row(cls, row: SideRow, dim: int) -> Self | None:
        """Return what a row holds; ``None`` for one of another form or of other dimensions."""
        value: Any = row.value
        try:
            boxes = tuple((box[0], box[1], box[2], box[3]) for box in value["boxes"])
            halves = np.frombuffer(base64.b64decode(value["vectors"]), "<f2")
            vectors = halves.reshape(len(boxes), dim).astype(np.float32)
            return cls(count=int(value["count"]), boxes=boxes, vectors=vectors)
        except (KeyError, IndexError, TypeError, ValueError, binascii.Error):
            return None
