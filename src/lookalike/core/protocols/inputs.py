"""Where images come from, and what turns them into vectors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.records import Entry, Skipped
from lookalike.core.vectors import Matrix

__all__ = [
    "Catalogue",
    "ClassEncoder",
    "Encoder",
    "MapEncoder",
    "PatchEncoder",
    "Prepared",
    "TextEncoder",
    "class_encoder_of",
    "map_encoder_of",
    "patch_encoder_of",
    "text_encoder_of",
]

Prepared: TypeAlias = NDArray[np.uint8]
"""One image at the encoder's input size, (height, width, 3)."""


class Encoder(Protocol):
    """Turns images into unit vectors."""

    @property
    def name(self) -> str:
        """The name by which a user chooses the encoder."""

    @property
    def fingerprint(self) -> str:
        """Weights and preprocessing in one string; vectors of two fingerprints never mix."""

    @property
    def dim(self) -> int:
        """The length of a vector."""

    @property
    def decode_size(self) -> tuple[int, int] | None:
        """The (width, height) below which an image must not be decoded; ``None`` for full size.

        A larger JPEG may be decoded at a reduced scale that keeps both sides at least this long,
        which costs a fraction of the time.
        """

    def prepare(self, image: Image.Image, /) -> Prepared:
        """Return an RGB image at the input size. Pure and thread-safe; the result is small."""

    def encode(self, batch: Sequence[Prepared], /) -> Matrix:
        """Return the vectors of prepared images, (n, dim) float32 with unit rows, in order.

        Thread-safe. An image's vector does not depend on the other images in the batch (up to
        float rounding). Raise ``EncoderError`` when the encoder cannot be run.

        An encoder may also have a number ``batch_size``: the batch that it runs best, if that is
        not 32. A service then encodes that many images together.

        An encoder of words too is a ``TextEncoder`` itself, or has one as ``text_encoder``.
        """


@runtime_checkable
class TextEncoder(Protocol):
    """Turns words into unit vectors in the space of an encoder's images."""

    def encode_words(self, texts: Sequence[str], /) -> Matrix:
        """Return the vectors of texts, (n, dim) float32 with unit rows, in order.

        Thread-safe. A long text is cut to what the encoder takes. Raise ``EncoderError`` when the
        text encoder cannot be opened or run.
        """


class ClassEncoder(Protocol):
    """Knows classes by name, as directions in the space of an encoder's images."""

    @property
    def names(self) -> Sequence[str]:
        """The classes' names."""

    def vectors(self) -> Matrix:
        """Return the direction of each class, (classes, dim) float32 with unit rows, in order."""


class MapEncoder(Protocol):
    """Gives a vector for each position of an image, in a space of their own."""

    def patches(self, batch: Sequence[Prepared], /) -> NDArray[np.float32]:
        """Return position vectors, (n, rows, columns, depth) float32, not scaled.

        Positions lie on an even grid over the input. Thread-safe. Raise ``EncoderError``.
        """


class PatchEncoder(Protocol):
    """Divides the embeddings of images over the positions of the images."""

    def shares(self, batch: Sequence[Prepared], /) -> NDArray[np.float32]:
        """Return what each position adds to an embedding, (n, rows, columns, dim) float32.

        The sum over rows and columns is what ``encode`` returns, up to float rounding. Positions
        lie on an even grid over the input. Raise ``ExplanationError`` where the embedding turns
        out not to be such a sum.
        """


def class_encoder_of(encoder: Encoder) -> ClassEncoder | None:
    """Return the classes that ``encoder`` knows by name, as ``class_encoder``, if it does."""
    found: ClassEncoder | None = getattr(encoder, "class_encoder", None)
    return found


def map_encoder_of(encoder: Encoder) -> MapEncoder | None:
    """Return what gives position vectors of the images of ``encoder``, if anything does."""
    found: MapEncoder | None = getattr(encoder, "map_encoder", None)
    return found


def patch_encoder_of(encoder: Encoder) -> PatchEncoder | None:
    """Return what divides the embeddings of ``encoder`` over positions, if anything can."""
    found: PatchEncoder | None = getattr(encoder, "patch_encoder", None)
    return found


def text_encoder_of(encoder: Encoder) -> TextEncoder | None:
    """Return what encodes words for the images of ``encoder``; ``None`` if nothing does."""
    if isinstance(encoder, TextEncoder):
        return encoder
    found: TextEncoder | None = getattr(encoder, "text_encoder", None)
    return found


@runtime_checkable
class Catalogue(Protocol):
    """A list of images with their labels, groups and metadata, in some format.

    A catalogue that is read from a file has it as ``path``, or several files and folders of files
    as ``files``. No output of a command replaces them. After ``entries`` it may have
    ``notes``: sentences for the report.
    """

    @property
    def format(self) -> str:
        """The format's name."""

    @property
    def root(self) -> Path:
        """The folder that the images lie in; entries' paths are below it."""

    def entries(self) -> Iterator[Entry | Skipped | None]:
        """Yield entries one by one, and unusable lines with the reason. Memory stays flat.

        ``None`` stands for nothing yet: it is yielded where much is read before the next entry, so
        that whoever asked to stop need not wait for it.
        """
