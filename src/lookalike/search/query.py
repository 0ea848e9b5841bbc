"""What is searched for: ``Query`` and its weighted parts."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.arguments import checked, describe_value
from lookalike.core.ids import is_text
from lookalike.core.records import Item
from lookalike.core.vectors import Matrix, Vector
from lookalike.images.cropping import Box, Crop

__all__ = [
    "Encoded",
    "ImageSource",
    "ItemRef",
    "Query",
    "QueryLike",
    "QueryPart",
    "VectorFile",
    "Words",
    "check_source",
    "feedback",
    "is_vector",
    "liked_and_disliked",
]

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[np.generic] | Image.Image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """An image or words that have been encoded, to be searched more than once.

    ``vector`` (dim,) float32 has length 1. ``digest`` is of the image's bytes, if it had any.
    ``item`` is the one whose file it is; it is left out of its own results. ``words`` are the ones
    that the vector is of, and ``crop`` the part of the image. ``orientations`` (8, dim) are the
    vectors of the image in all orientations (``images.turning``), the upright one first.
    """

    vector: Vector
    digest: str | None = None
    item: Item | None = None
    words: "Words | None" = None
    crop: Box | None = None
    orientations: Matrix | None = None


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An item of the collection, as a query."""

    id: str


@dataclass(frozen=True, slots=True)
class VectorFile:
    """A file that holds a vector, as a query: ``.npy``, or a list of numbers as JSON."""

    path: str


@dataclass(frozen=True, slots=True)
class Words:
    """Words, as a query. ``guessed`` where text was given that could have named a file.

    Raise ``ValueError`` for text that is empty or cannot be stored.
    """

    text: str
    guessed: bool = field(default=False, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if not is_text(self.text) or not self.text.strip():
            or_file = " or a file" if self.guessed else ""
            raise ValueError(f"{self.text!r} contains no words; give a text{or_file}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryPart:
    """One part of a query.

    ``source`` is an image (a path, the bytes of a file, a PIL image, an (h, w, 3) array), an
    ``ItemRef``, ``Words``, something ``Encoded``, or a vector: an array of one dimension, or the
    ``VectorFile`` that holds it. A ``str`` that neither looks like a path nor names a file is words
    (``search.words``). ``crop`` (left, top, right, bottom), each in [0, 1] of the upright image,
    takes a part of it; ``auto`` takes the part that stands out most. ``weight`` is how much the
    part counts, not 0; below 0, results are less like it.
    """

    source: ImageSource | ItemRef | Words | Encoded | VectorFile
    weight: float = 1.0
    crop: Crop | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight) or not self.weight:
            raise ValueError(f"a weight is {self.weight}, but must be a number other than 0")


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is searched for: one part, or several that are mixed by weight."""

    parts: tuple[QueryPart, ...]

    @classmethod
    def of(cls, query: "QueryLike", *, crop: Crop | None = None) -> Self:
        """Return a query of whatever ``search`` takes; ``crop`` takes a part of its one image."""
        if isinstance(query, cls):
            made = query
        elif isinstance(query, QueryPart):
            made = cls((query,))
        elif _is_numbers(query):
            made = cls((QueryPart(source=np.asarray(query, dtype=np.float64)),))
        elif isinstance(query, list | tuple):
            made = cls(
                tuple(one if isinstance(one, QueryPart) else QueryPart(source=one) for one in query)
            )
        else:
            made = cls((QueryPart(source=query),))  # type: ignore[arg-type]
        for part in made.parts:
            check_source(part.source)
        if crop is None:
            return made
        if len(made.parts) != 1 or made.parts[0].crop is not None:
            raise ValueError("crop belongs to a query of one image; give each QueryPart its own")
        return cls((replace(made.parts[0], crop=crop),))

    @property
    def item_id(self) -> str | None:
        """The id of the item that the query is, where it is one whole item and nothing else."""
        if len(self.parts) != 1:
            return None
        (part,) = self.parts
        plain = isinstance(part.source, ItemRef) and part.crop is None and part.weight > 0
        return part.source.id if plain and isinstance(part.source, ItemRef) else None


QueryLike: TypeAlias = (
    ImageSource
    | ItemRef
    | Words
    | Encoded
    | VectorFile
    | QueryPart
    | Query
    | Sequence["QueryPart | ItemRef | Words | VectorFile | ImageSource | float"]
)


def liked_and_disliked(liked: int, disliked: int, *, alone: bool) -> tuple[float, float]:
    """Return the weight of each part that is liked and of each that is disliked.

    Beside a query of weight 1, what is liked weighs 1.5 together and what is disliked -1, or -0.25
    where nothing is liked; ``alone``, without a query, 1 and -0.5. Rocchio's method ("Relevance
    feedback in information retrieval", 1971) with weights measured on images: the textbook's 0.75
    and 0.15 find less (docs/decisions/0040-mixed-queries.md).
    """
    together = (1.0, -0.5) if alone else (1.5, -1.0 if liked else -0.25)
    return together[0] / max(liked, 1), together[1] / max(disliked, 1)


@checked
def feedback(
    positive: Sequence[ImageSource | ItemRef | Words],
    negative: Sequence[ImageSource | ItemRef | Words],
) -> list[QueryPart]:
    """Return the parts that what is liked and disliked adds to a query of weight 1."""
    liked, disliked = liked_and_disliked(len(positive), len(negative), alone=False)
    return [
        QueryPart(source=source, weight=weight)
        for sources, weight in ((positive, liked), (negative, disliked))
        for source in sources
    ]


def check_source(source: object) -> None:
    """Raise ``TypeError`` for what cannot be searched with, and say what can."""
    if isinstance(source, str | os.PathLike | bytes | np.ndarray | Image.Image):
        return
    if isinstance(source, ItemRef | Words | Encoded | VectorFile):
        return
    id = getattr(source, "id", None)  # of an item or a hit
    hint = f"; for an item, search with lookalike.ItemRef({id!r})" if isinstance(id, str) else ""
    raise TypeError(
        f"the query is {describe_value(source)}, but must be an image (a path, bytes, a PIL image "
        f"or an array), a lookalike.ItemRef, words, a vector, or a list of these{hint}"
    )


def _is_numbers(query: object) -> bool:
    """Return whether a query is a vector as a list, as it comes from JSON."""
    return (
        isinstance(query, list | tuple) and len(query) > 0 and {*map(type, query)} <= {int, float}
    )


def is_vector(source: object) -> bool:
    """Return whether a source is an embedding: an array of one dimension."""
    return isinstance(source, np.ndarray) and source.ndim == 1
