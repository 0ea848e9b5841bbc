"""What every store holds to: one encoder for good, and vectors that are its. Pure."""

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
"""An encoder's name and fingerprint, and how long its vectors are."""


def bound_of(setting: Json) -> Bound | None:
    """What the setting ``encoder`` says, if there is one."""
    match setting:
        case {"name": str(name), "fingerprint": str(fingerprint), "dim": int(dim)}:
            return name, fingerprint, dim
        case _:
            return None


def check_encoder(bound: Bound | None, wanted: Bound, *, place: object) -> None:
    """``EncoderMismatchError`` where the store at ``place`` is bound to another encoder."""
    if bound is None or bound[1:] == wanted[1:]:
        return
    encoder, fingerprint, dim = wanted
    raise EncoderMismatchError(
        f"{place} holds vectors of {bound[0]} ({bound[1]}, {bound[2]} values), and the encoder at "
        f"hand is {encoder} ({fingerprint}, {dim} values); use the collection's own encoder, or "
        "index into another collection"
    )


def check_vectors(items: Sequence[Item], vectors: Matrix, dim: int) -> None:
    """``ValueError`` where ``vectors`` is not (len(items), dim), or a row's length is not 1."""
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
    """A place for the thumbnail of each item; ``ValueError`` where there are not as many."""
    if thumbnails is None:
        return [None] * len(items)
    if len(thumbnails) != len(items):
        raise ValueError(f"there are {len(thumbnails)} thumbnails for {len(items)} items")
    return thumbnails


def no_vector(one: str) -> StoreDamagedError:
    """The error for an item whose vector is gone."""
    return StoreDamagedError(
        f"item {one!r} has no vector; `lookalike doctor --repair`, then `lookalike index`, makes "
        "it one"
    )


def check_k(k: int) -> None:
    """Raise ``ValueError`` where fewer than one result is asked for."""
    if k < 1:
        raise ValueError(f"k is {k}, but at least 1 answer must be asked for")


def check_queries(vectors: Matrix, dim: int) -> None:
    """Raise ``ValueError`` where query vectors are not (n, dim)."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:  # noqa: PLR2004 - a matrix
        raise ValueError(f"queries are {vectors.shape}, not (n, {dim})")
