"""Checks that every store shares: one encoder per collection, and only its vectors. Pure."""

from collections.abc import Sequence

import numpy as np

from lookalike.core.records import Item, Json, Thumbnail
from lookalike.core.vectors import Matrix
from lookalike.errors import EncoderMismatchError, StoreDamagedError

__all__ = [
    "Bound",
    "bound_of",
    "check_encoder",
    "check_k",
    "check_queries",
    "check_thumbnails",
    "check_vectors",
    "no_vector",
]

Bound = tuple[str, str, int]
"""An encoder's name and fingerprint, and the dimensions of its vectors."""


def bound_of(setting: Json) -> Bound | None:
    """Return what the setting ``encoder`` holds; ``None`` if there is none."""
    match setting:
        case {"name": str(name), "fingerprint": str(fingerprint), "dim": int(dim)}:
            return name, fingerprint, dim
        case _:
            return None


def check_encoder(bound: Bound | None, wanted: Bound, *, place: object) -> None:
    """Raise ``EncoderMismatchError`` if the store at ``place`` is bound to another encoder."""
    if bound is None or bound[1:] == wanted[1:]:
        return
    held, given = bound[0], wanted[0]
    if held == given:  # one name, but other weights or another projection
        held, given = (f"{one[0]} ({one[1]}, {one[2]} values)" for one in (bound, wanted))
    raise EncoderMismatchError(
        f"{place} holds embeddings of the encoder {held}, not of {given}",
        "use the collection's own encoder, index into another collection, or move this one to "
        f"{wanted[0]} (`lookalike migrate`)",
    )


def check_vectors(items: Sequence[Item], vectors: Matrix, dim: int) -> None:
    """Raise ``ValueError`` unless ``vectors`` is (len(items), dim) with rows of length 1."""
    if vectors.shape != (len(items), dim):
        raise ValueError(
            f"vectors are {vectors.shape}, but {len(items)} items of {dim} values were to be stored"
        )
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.allclose(lengths, 1.0, atol=1e-3):  # NaN is not close either
        raise ValueError("every vector must have length 1")


def check_thumbnails(
    items: Sequence[Item], thumbnails: Sequence[Thumbnail | None] | None
) -> Sequence[Thumbnail | None]:
    """Return one thumbnail per item. Raise ``ValueError`` if their numbers differ."""
    if thumbnails is None:
        return [None] * len(items)
    if len(thumbnails) != len(items):
        raise ValueError(f"there are {len(thumbnails)} thumbnails for {len(items)} items")
    return thumbnails


def no_vector(one: str) -> StoreDamagedError:
    """Return the error for an item without a vector."""
    return StoreDamagedError(
        f"item {one!r} has no vector; `lookalike doctor --repair`, then `lookalike index`, makes "
        "it one"
    )


def check_k(k: int) -> None:
    """Raise ``ValueError`` if ``k`` is less than 1."""
    if k < 1:
        raise ValueError(f"k is {k}, but it must be at least 1")


def check_queries(vectors: Matrix, dim: int) -> None:
    """Raise ``ValueError`` unless query vectors are (n, dim)."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:  # noqa: PLR2004 - a matrix
        raise ValueError(f"queries are {vectors.shape}, not (n, {dim})")
