"""Encoders in 8-bit integers: about twice as fast on most processors, and a quarter of the size.

Weights become signed 8-bit numbers, with a scale for each channel. What flows between the layers
becomes unsigned ones, whose ranges are measured on images (static calibration), so an embedding
does not depend on the other images of a run. It loses a little, and how much depends on the images:
hence the trial before a quantised encoder is kept.
"""

import hashlib
import logging
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from numpy.typing import NDArray

from lookalike.core.atomic_files import write_file
from lookalike.core.protocols import Encoder, Prepared
from lookalike.encoders.cards import (
    ModelCard,
    Weights,
    card_text,
    default_folder,
    shipped_encoders,
)
from lookalike.encoders.cards.reading import NAME_PATTERN
from lookalike.encoders.devices import DEVICES
from lookalike.encoders.graph_cutting import cut_graph, parse_model
from lookalike.encoders.open_model import open_model
from lookalike.encoders.reserved_names import reserved_for
from lookalike.encoders.runtimes.sessions import RunSettings
from lookalike.encoders.weights import default_cache, network, wanted_tensors
from lookalike.errors import EncoderError

__all__ = ["Loss", "QuantizedEncoder", "check_new_name", "measure_loss", "quantized_encoder"]

# The heavy layers, and what lies between them. A pooling or a spread would lose far more.
_QUANTIZED = ("Conv", "MatMul", "Gemm", "Add", "Clip", "Relu")
_COMMENT = "Written by `lookalike encoder quantize`; every key is explained in docs/encoders.md."
_TURNS = 5
_TURN = 16  # images


class QuantizedEncoder:
    """A quantised encoder that is tried before it is kept. ``card`` is where its card lies."""

    def __init__(self, card: Path, place: Path) -> None:
        self.card = card
        self._place = place

    def keep(self) -> None:
        """Move it to its place. Raise ``EncoderError``."""
        try:
            self.card.parent.rename(self._place)
        except OSError as error:
            raise _unwritable(self._place, error) from error
        self.card = self._place / self.card.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What quantising changed, on images that were not used for it.

    ``cosine`` is the mean cosine of embeddings to those of the base encoder, ``lowest`` the lowest.
    ``relative`` is the rate of encoding as a multiple of the base encoder's.
    """

    images: int
    cosine: float
    lowest: float
    relative: float


def check_new_name(name: str, folder: Path | None = None) -> Path:
    """Return the folder of a new encoder of that name.

    Raise ``ValueError`` for what is no name, and ``EncoderError`` for one that is taken.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(
            f"{name!r} cannot be an encoder's name: use letters, digits, '.', '_' and '-'"
        )
    place = (default_folder() if folder is None else folder) / name
    if reserved := reserved_for(name):
        raise EncoderError(f"{reserved}; choose another name")
    if name in shipped_encoders():
        raise EncoderError(f"{name} comes with lookalike; choose another name")
    if place.exists():
        raise EncoderError(f"there is an encoder {name} already, in {place}; choose another name")
    return place


@contextmanager
def quantized_encoder(
    base: ModelCard,
    images: Sequence[Prepared],
    name: str,
    *,
    folder: Path | None = None,
    cache: Path | None = None,
) -> Iterator[QuantizedEncoder]:
    """Quantise an encoder on ``images``; unless it is kept within the block, nothing is left of it.

    A text encoder is left out: its vectors belong to the exact embeddings. Raise ``EncoderError``
    for a model that cannot be quantised, a name that is taken, or a folder that cannot be written,
    and ``ValueError`` without images or for what is no name.
    """
    if not images:
        raise ValueError("there are no images to calibrate with")
    place = check_new_name(name, folder)
    draft = place.parent / f".lookalike-{secrets.token_hex(8)}.part"
    try:
        content = _quantize(base, images, default_cache() if cache is None else cache)
        draft.mkdir(parents=True)
        write_file(draft / f"{name}.onnx", content)
        card = draft / f"{name}.toml"
        write_file(card, card_text(_describe(base, name, content, card), comment=_COMMENT))
        made = QuantizedEncoder(card, place)
        yield made
    except OSError as error:
        raise _unwritable(place, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def measure_loss(base: Encoder, quantized: Encoder, images: Sequence[Prepared]) -> Loss:
    """Compare two encoders of the same input on prepared images, in turns."""
    cosines = (base.encode(images) * quantized.encode(images)).sum(axis=1)
    some = (list(images) * _TURN)[:_TURN]
    turns = [(_seconds(base, some), _seconds(quantized, some)) for _ in range(_TURNS)]
    return Loss(
        images=len(images),
        cosine=float(cosines.mean()),
        lowest=float(cosines.min()),
        relative=median(before / after for before, after in turns),
    )


def _quantize(base: ModelCard, images: Sequence[Prepared], cache: Path) -> bytes:
    """Return the base encoder's model with 8-bit weights and activations, as an ONNX file."""
    from onnxruntime import quantization as onnx  # noqa: PLC0415 - only who quantises needs it

    card = _images_only(base)
    (cpu,) = (one for one in DEVICES if one.name == "cpu")
    model = open_model(card, [cpu], lambda _: RunSettings(), cache=cache)  # as it is cut
    found = network(card, cache=cache)
    content = cut_graph(
        found if isinstance(found, bytes) else found.read_bytes(), wanted_tensors(card), card.path
    )

    inputs = {one.name for one in parse_model(content).graph.input}

    class Reader(onnx.CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
        def __init__(self) -> None:
            count = model.fixed or 1
            self._batches = (
                [*images[start : start + count], *[images[-1]] * count][:count]
                for start in range(0, len(images), count)
            )

        def get_next(self) -> Mapping[str, NDArray[Any]] | None:
            batch = next(self._batches, None)
            if batch is None:
                return None
            return {key: array for key, array in model.feed(batch).items() if key in inputs}

    with tempfile.TemporaryDirectory(prefix="lookalike-") as folder, _quiet():
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        whole.write_bytes(content)
        try:
            onnx.quantize_static(
                str(whole),
                str(small),
                Reader(),
                quant_format=onnx.QuantFormat.QDQ,
                per_channel=True,
                activation_type=onnx.QuantType.QUInt8,
                weight_type=onnx.QuantType.QInt8,
                op_types_to_quantize=list(_QUANTIZED),
            )
        except Exception as error:  # its errors share no other base
            raise EncoderError(f"{base.name}: cannot be quantised: {error}") from error
        return small.read_bytes()


def _images_only(base: ModelCard) -> ModelCard:
    """Return the card without what a quantised model does not have."""
    built = base.weights.builder != "onnx"  # its classifier is a model of its own
    return replace(base, words=None, logits=None if built else base.logits)


def _describe(base: ModelCard, name: str, content: bytes, path: Path) -> ModelCard:
    """Return the card of a quantised model at ``path``."""
    digest = hashlib.sha256(content).hexdigest()
    inputs = {one.name for one in parse_model(content).graph.input}
    return replace(
        _images_only(base),
        name=name,
        title=f"{base.title}, in 8-bit integers",
        weights=Weights(builder="onnx", file=f"{name}.onnx", sha256=digest),
        inputs=tuple(one for one in base.inputs if one.name in inputs),
        origin=None,
        path=path,
    )


def _seconds(encoder: Encoder, batch: Sequence[Prepared]) -> float:
    began = time.perf_counter()
    encoder.encode(batch)
    return time.perf_counter() - began


def _unwritable(place: Path, error: OSError) -> EncoderError:
    return EncoderError(f"{place}: cannot be written: {error.strerror or error}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out ONNX Runtime's advice on preparing a model, which goes to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
