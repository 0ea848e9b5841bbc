"""Encoders that are ONNX networks, described by cards."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.arguments import checked
from lookalike.core.cpus import usable_cores
from lookalike.core.protocols import Prepared
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders.cards import Input, ModelCard, find_card
from lookalike.encoders.classes import CheckpointClasses, checkpoint_classes
from lookalike.encoders.devices import (
    Device,
    available_providers,
    choose_devices,
    default_settings,
    open_session,
)
from lookalike.encoders.efficientnet_lite import BUILDER_REVISION
from lookalike.encoders.later import Later
from lookalike.encoders.open_model import OpenModel, open_model
from lookalike.encoders.patch_encoder import OnnxPatchEncoder
from lookalike.encoders.pooling import pool
from lookalike.encoders.preprocessing import PREPROCESSING_REVISION, prepare, seen_area
from lookalike.encoders.qualities import DEFAULT_ENCODER
from lookalike.encoders.runtimes.sessions import RunSettings
from lookalike.encoders.speed.remembered import RunChoice, recall
from lookalike.encoders.text.encoder import OnnxTextEncoder
from lookalike.encoders.weights import Network, default_cache, network
from lookalike.errors import EncoderError, ModelCardError

__all__ = ["OnnxEncoder", "fingerprint_of", "load_encoder"]

# A JPEG is decoded at no less than this many times the input size. At once the size the decoder's
# coarse scaling (1/2, 1/4, 1/8) would do most of the reduction; with a factor of two in hand the
# antialiased resize does the last and visible part.
_DECODE_MARGIN = 2


@checked
def load_encoder(
    name_or_card: str | Path = DEFAULT_ENCODER,
    *,
    device: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
    folder: Path | None = None,
    background: bool = False,
    start: bool = True,
    measured: bool = True,
) -> "OnnxEncoder":
    """Open an encoder by name, or by the path of its card.

        load_encoder()                                  # the default, on the best device here
        load_encoder("efficientnet-lite2", threads=4)   # four cores at most
        load_encoder("my/network.toml", device="cuda")

    ``threads`` is the number of runs at a time on a CPU, all cores by default. ``cache`` is the
    folder for models that are built from checkpoints, ``folder`` the one where your own encoders
    lie. With ``background`` the encoder is returned at once and its model is opened meanwhile on a
    thread (some 70 ms for the default): if it cannot be opened, the first ``encode`` raises. That
    begins with the first image where ``start`` is not set, so that words alone never open it.
    ``measured`` says to run it as ``lookalike encoder bench`` found fastest here, if ``device`` is
    "auto" and ``threads`` is not given; that may take longer to open.

    Raise ``EncoderError`` for an unknown name or device, ``ModelCardError`` for a bad card,
    ``WeightsError`` for weights that are missing or not the ones that the card names.
    """
    encoder = OnnxEncoder(
        find_card(name_or_card, folder=folder),
        device=device,
        threads=threads,
        cache=cache,
        start=start or not background,
        measured=measured,
    )
    if not background:
        encoder.wait()
    return encoder


def fingerprint_of(card: ModelCard) -> str:
    """Return the fingerprint of the encoder that a card describes, without opening it."""
    built = card.weights.builder != "onnx"
    return card.fingerprint(PREPROCESSING_REVISION, BUILDER_REVISION if built else 0)


class OnnxEncoder:
    """Satisfies :class:`lookalike.core.protocols.Encoder`; thread-safe.

    Its network begins to open on a thread as soon as it is made or, without ``start``, with the
    first image; ``wait`` until it is there.
    """

    def __init__(
        self,
        card: ModelCard,
        *,
        device: str = "auto",
        threads: int | None = None,
        cache: Path | None = None,
        start: bool = True,
        measured: bool = True,
    ) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self._card = card
        self._threads = threads if threads is not None else usable_cores()
        self._cache = cache if cache is not None else default_cache()
        self._lock = threading.Lock()  # guards what is made on first use
        # Reading and checking the file leave the interpreter to the import of ONNX Runtime, and
        # opening the network leaves it to the caller: so the import must not be on the thread.
        reading = self._read(classifier=False, start=start)
        providers = available_providers()
        self._devices = choose_devices(device, providers)
        self._measured: RunChoice | None = None
        if device == "auto" and measured and threads is None:
            self._measured = recall(self._cache, self.fingerprint, providers)
        if self._measured is not None:
            best = self._measured.device
            self._devices = [best, *(one for one in self._devices if one != best)]
        self._vectors = Later(lambda: self._open(reading, classifier=False), start=start)
        self._classes: Later[OpenModel] | None = None
        self._text = self._text_encoder()
        self._named_classes: CheckpointClasses | None = None
        self._patches: OnnxPatchEncoder | None = None

    @property
    def card(self) -> ModelCard:
        """What is known of the network."""
        return self._card

    @property
    def cache(self) -> Path:
        """Where models that were built or cut are kept."""
        return self._cache

    @property
    def name(self) -> str:
        return self._card.name

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self._card)

    @property
    def dim(self) -> int:
        return self._card.output.dim

    @property
    def decode_size(self) -> tuple[int, int]:
        self._vectors.start()  # for what is decoded is encoded next
        spec = self._card.input
        margin = _DECODE_MARGIN / spec.crop  # what is cropped away is decoded too
        return round(spec.width * margin), round(spec.height * margin)

    @property
    def text_encoder(self) -> OnnxTextEncoder | None:
        """What encodes words in the space of the images; ``None`` if the card has no [words]."""
        return self._text

    @property
    def class_encoder(self) -> CheckpointClasses | None:
        """The classes that the network was trained on; ``None`` if they are not known."""
        if self._named_classes is None:
            self._named_classes = checkpoint_classes(self._card)
        return self._named_classes

    @property
    def map_encoder(self) -> Self | None:
        """What gives position vectors: the encoder itself, where its card has a [map]."""
        return None if self._card.map is None else self

    @property
    def patch_encoder(self) -> OnnxPatchEncoder:
        """What divides embeddings over the positions of images.

        Where the model has no map that is pooled, that is found when it opens.
        """
        with self._lock:
            if self._patches is None:
                self._patches = OnnxPatchEncoder(
                    self._card, cache=self._cache, open_model=self._open_again
                )
            return self._patches

    def area(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the part of an image of that size that the encoder sees; see ``seen_area``."""
        return seen_area(width, height, self._card.input)

    @property
    def device(self) -> str:
        """Where the network runs: "cpu", "cuda" and so on."""
        return self._vectors.result().device.name

    @property
    def batch_size(self) -> int:
        """How many images are best encoded at a time by who has other work for the cores.

        One, until the network is open and on a CPU, where each then takes a core and no thread is
        changed; a graphics card wants many.
        """
        return self._vectors.result().batch_size if self._vectors.done() else 1

    def wait(self) -> None:
        """Return when the network is open; raise what ``encode`` would if it cannot be."""
        self._vectors.result()

    def prepare(self, image: Image.Image, /) -> Prepared:
        self._vectors.start()
        return prepare(image, self._card.input)

    def encode(self, batch: Sequence[Prepared], /) -> Matrix:
        """See the protocol. ``ValueError`` for an image that ``prepare`` did not make.

        ``EncoderError`` also if the model returns zeros or NaN for an image:
        such a vector has no direction and could be compared with nothing.
        """
        output = self._card.output
        if not batch:
            return np.empty((0, output.dim), dtype=np.float32)
        rows = self._vectors.result().run(batch, output.name, self._pool)  # (n, dim)
        try:
            return unit_rows(rows)
        except ValueError as error:
            raise EncoderError(
                f"{self.name}: no vector for an image of the batch: {error}; if the model computes "
                "with float16, its numbers may overflow: take the float32 file"
            ) from error

    def encode_as(self, batch: Sequence[Prepared], spec: Input, /) -> NDArray[np.float32]:
        """Return what the model gives for images that were prepared by another table ``[input]``.

        (n, dim), not of length 1: for whoever compares ways to prepare images.
        """
        model = self._vectors.result()
        return model.run(batch, self._card.output.name, self._pool, spec=spec)

    def patches(self, batch: Sequence[Prepared], /) -> NDArray[np.float32]:
        """A vector for each position, (n, rows, columns, depth) float32, not scaled.

        ``EncoderError`` if the card names no map.
        """
        patch_map = self._card.map
        if patch_map is None:
            raise EncoderError(f"{self.name} gives no vectors for positions: its card has no [map]")
        if not batch:
            return np.empty((0, 0, 0, self.dim), dtype=np.float32)
        axes = (0, 2, 3, 1) if patch_map.layout == "nchw" else (0, 1, 2, 3)
        return self._vectors.result().run(batch, patch_map.name, lambda m: m.transpose(axes))

    def classify(self, batch: Sequence[Prepared], /) -> NDArray[np.float32]:
        """How much each image is of each class the network knows, (n, classes) float32.

        Raw logits: higher is more. The first call opens a second network where the classes are
        left out of the first. ``EncoderError`` if the card names no logits.
        """
        logits = self._card.logits
        if logits is None:
            raise EncoderError(f"{self.name} tells no classes: its card has no [logits]")
        if not batch:
            return np.empty((0, logits.classes), dtype=np.float32)
        with self._lock:
            if self._classes is None:
                self._classes = self._vectors  # a network of one file has all its outputs
                if self._card.weights.builder != "onnx":
                    reading = self._read(classifier=True, start=True)
                    self._classes = Later(lambda: self._open(reading, classifier=True))
        return self._classes.result().run(batch, logits.name, lambda rows: rows)

    def _pool(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Return the chosen output as (n, dim), pooled over its positions as the card says."""
        try:
            return pool(rows, self._card.output)
        except ValueError as error:
            raise ModelCardError(f"{self._card.path}: {error}") from error

    def _text_encoder(self) -> OnnxTextEncoder | None:
        if self._card.words is None:
            return None
        return OnnxTextEncoder(
            self._card,
            self._card.words,
            cache=self._cache,
            # A text takes one thread, as an image does: others are searched with meanwhile.
            open_session=lambda found: open_session(found, self._devices, lambda _: RunSettings())[
                0
            ],
            shared=lambda: self._vectors.result().session,
        )

    def _settings(self, device: Device) -> RunSettings:
        if self._measured is not None and device == self._measured.device:
            return self._measured.settings
        return default_settings(device, self._threads)

    def _read(self, *, classifier: bool, start: bool) -> Later[Network]:
        return Later(
            lambda: network(self._card, cache=self._cache, classifier=classifier), start=start
        )

    def _open_again(self, model: Network) -> OpenModel:
        """Open a model that is a part of the encoder's own, and takes the same input."""
        session, device = open_session(model, self._devices, self._settings)
        return OpenModel(session, device, self._card, self._settings(device))

    def _open(self, reading: Later[Network], *, classifier: bool) -> OpenModel:
        return open_model(
            self._card,
            self._devices,
            self._settings,
            cache=self._cache,
            classifier=classifier,
            read=reading.result,
        )
