"""Projection: an encoder's embeddings, centred and reduced to their principal components.

Centring takes away what all images of a collection have in common, and the first components hold
what tells them apart; so results get better while embeddings get 10 to 30 times smaller. Mean and
components are fitted once, on a sample of the collection's own images, and never change: they are
part of the fingerprint.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.protocols import (
    ClassEncoder,
    Encoder,
    PatchEncoder,
    Prepared,
    TextEncoder,
    class_encoder_of,
    patch_encoder_of,
    text_encoder_of,
)
from lookalike.core.records import Json
from lookalike.core.vectors import Matrix, unit_rows

__all__ = [
    "ProjectedClasses",
    "ProjectedEncoder",
    "ProjectedPatches",
    "ProjectedTextEncoder",
    "Projection",
    "fit_projection",
    "is_projected",
]

_TINY = 1e-6  # length below which a centred embedding has no direction
_MARK = "+pca"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """``(embedding - mean) @ components``, scaled to length 1.

    ``base`` is the fingerprint of the encoder whose embeddings it takes; ``mean`` (d,) float32 and
    ``components`` (d, dim) float16 are what was fitted, on ``images`` images.
    """

    base: str
    mean: NDArray[np.float32]
    components: NDArray[np.float16]
    images: int

    @property
    def dim(self) -> int:
        """The number of components: the length of an embedding after the projection."""
        return int(self.components.shape[1])

    @property
    def fingerprint(self) -> str:
        """The base encoder's fingerprint, and the number and a digest of the components."""
        fitted = hashlib.sha256(self.mean.astype("<f4").tobytes())
        fitted.update(self.components.astype("<f2").tobytes())
        return f"{self.base}{_MARK}{self.dim}:{fitted.hexdigest()[:16]}"

    def apply(self, embeddings: Matrix) -> Matrix:
        """Return embeddings (n, d) in the projected space, (n, dim) float32 unit rows."""
        return self.rotate(embeddings - self.mean)

    def rotate(self, rows: Matrix) -> Matrix:
        """Return rows (n, d) on the components without centring them, (n, dim) unit rows."""
        found = rows @ self.components.astype(np.float32)
        # An image that is the very mean has no direction left: any fixed one will do.
        found[np.linalg.norm(found, axis=1) < _TINY, 0] = 1.0
        return unit_rows(found)

    def divide(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return shares (n, rows, columns, d) of embeddings as shares of projected ones.

        The mean is taken away evenly: each position differs by an equal part of it. Shares of an
        embedding without a direction, that is the very mean, are even too.
        """
        count = shares.shape[1] * shares.shape[2]
        found = (shares - self.mean / count) @ self.components.astype(np.float32)
        sums = found.sum(axis=(1, 2))
        even = np.linalg.norm(sums, axis=1) < _TINY
        found[even] = 0.0
        found[even, :, :, 0] = 1 / count
        sums[even] = found[even].sum(axis=(1, 2))
        divided: NDArray[np.float32] = found / np.linalg.norm(sums, axis=1)[:, None, None, None]
        return divided

    def to_json(self) -> Json:
        """Return a JSON document: what a collection stores."""
        return {
            "base": self.base,
            "dim": self.dim,
            "images": self.images,
            "mean": _text(self.mean.astype("<f4")),
            "components": _text(self.components.astype("<f2")),
        }

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Read what ``to_json`` wrote. Raise ``ValueError`` for anything else."""
        if not isinstance(document, dict):
            raise ValueError("not a projection")  # noqa: TRY004 - the value of a document
        try:
            mean = np.frombuffer(_data(document["mean"]), "<f4").astype(np.float32)
            flat = np.frombuffer(_data(document["components"]), "<f2").astype(np.float16)
            components = flat.reshape(len(mean), int(document["dim"]))  # type: ignore[arg-type]
            return cls(
                base=str(document["base"]),
                mean=mean,
                components=components,
                images=int(document["images"]),  # type: ignore[arg-type]
            )
        except (KeyError, TypeError, binascii.Error) as error:
            raise ValueError(f"not a projection: {error}") from error


def fit_projection(embeddings: Matrix, dim: int, *, base: str) -> Projection:
    """Fit mean and ``dim`` principal components to embeddings (n, d) of the encoder ``base``.

    Raise ``ValueError`` where there are not more rows and columns than ``dim``. Whichever is
    smaller is decomposed: the products of columns or those of rows.
    """
    count, width = embeddings.shape
    if not 1 <= dim < min(count, width + 1):
        raise ValueError(
            f"{count:,} embeddings of {width:,} values cannot be projected to {dim:,} dimensions"
        )
    mean = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = (embeddings - mean).astype(np.float64)
    if width <= count:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        components = vectors[:, ::-1][:, :dim]
    else:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        lengths = np.sqrt(np.maximum(values[::-1][:dim], values[-1] * 1e-12))
        components = centred.T @ vectors[:, ::-1][:, :dim] / lengths
    return Projection(base=base, mean=mean, components=components.astype(np.float16), images=count)


def is_projected(fingerprint: str) -> bool:
    """Return whether a fingerprint is that of a projected encoder."""
    return _MARK in fingerprint


class ProjectedEncoder:
    """An encoder whose embeddings are projected."""

    def __init__(self, base: Encoder, projection: Projection) -> None:
        self.base = base
        self.projection = projection
        self.fingerprint = projection.fingerprint

    @property
    def name(self) -> str:
        """The name of the base encoder."""
        return self.base.name

    @property
    def dim(self) -> int:
        """The number of components."""
        return self.projection.dim

    @property
    def decode_size(self) -> tuple[int, int] | None:
        """That of the base encoder."""
        return self.base.decode_size

    def prepare(self, image: Image.Image, /) -> Prepared:
        """Return what the base encoder takes."""
        return self.base.prepare(image)

    def encode(self, batch: Sequence[Prepared], /) -> Matrix:
        """Return projected embeddings, (n, dim) float32 unit rows."""
        return self.projection.apply(self.base.encode(batch))

    @property
    def text_encoder(self) -> "ProjectedTextEncoder | None":
        """What encodes words in the projected space, if the base encoder has words."""
        words = text_encoder_of(self.base)
        return None if words is None else ProjectedTextEncoder(words, self.projection)

    @property
    def class_encoder(self) -> "ProjectedClasses | None":
        """The classes that the base encoder knows by name, in the projected space."""
        classes = class_encoder_of(self.base)
        return None if classes is None else ProjectedClasses(classes, self.projection)

    @property
    def patch_encoder(self) -> "ProjectedPatches | None":
        """What divides projected embeddings over positions, if the base encoder's can be."""
        patches = patch_encoder_of(self.base)
        return None if patches is None else ProjectedPatches(patches, self.projection)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - batch_size and other optional parts
        if name == "encode_words":  # in the space of the base encoder: see text_encoder
            raise AttributeError(name)
        return getattr(self.base, name)


class ProjectedTextEncoder:
    """A text encoder whose vectors are projected on the components of images.

    They are not centred: the mean of the images is not that of texts, which lie apart from images
    in their common space (Liang et al., "Mind the gap", 2022). What all texts have in common is
    nearly orthogonal to what tells images apart, so projecting takes most of it away.
    """

    def __init__(self, base: TextEncoder, projection: Projection) -> None:
        self.base = base
        self.projection = projection

    def encode_words(self, texts: Sequence[str], /) -> Matrix:
        """Return projected vectors of texts, (n, dim) float32 unit rows."""
        return self.projection.rotate(self.base.encode_words(texts))


class ProjectedClasses:
    """The directions of classes, projected. They have no mean to take away."""

    def __init__(self, base: ClassEncoder, projection: Projection) -> None:
        self.base = base
        self.projection = projection

    @property
    def names(self) -> Sequence[str]:
        """The classes' names."""
        return self.base.names

    def vectors(self) -> Matrix:
        """Return projected directions, (classes, dim) float32 unit rows."""
        return self.projection.rotate(self.base.vectors())


class ProjectedPatches:
    """Shares of embeddings, projected. Satisfies ``PatchEncoder``."""

    def __init__(self, base: PatchEncoder, projection: Projection) -> None:
        self.base = base
        self.projection = projection

    def shares(self, batch: Sequence[Prepared], /) -> NDArray[np.float32]:
        """Return what each position adds to a projected embedding, (n, rows, columns, dim)."""
        return self.projection.divide(self.base.shares(batch))


def _text(array: NDArray[np.floating]) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _data(value: Json) -> bytes:
    if not isinstance(value, str):
        raise TypeError("an array is stored as text")
    return base64.b64decode(value, validate=True)
