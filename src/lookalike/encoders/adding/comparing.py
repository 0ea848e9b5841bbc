"""Does retrieval get better if images are prepared in another way? Measured, not believed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders.adding.labelled_images import LabelledImage
from lookalike.encoders.cards import Channels, Input, Resize
from lookalike.encoders.onnx_encoder import OnnxEncoder
from lookalike.encoders.preprocessing import prepare

__all__ = ["RANGES", "InputComparison", "average_precisions", "compare", "in_range", "range_of"]

_Range = tuple[float, tuple[float, float, float], tuple[float, float, float]]

RANGES: dict[str, _Range] = {
    "0..255": (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "0..1": (1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1..1": (1.0, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "imagenet": (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": (
        1 / 255,
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
    "caffe": (1.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
}
"""Ways to bring 0..255 into a model's range: scale, mean and std of red, green, blue."""

_CERTAIN = 3.0  # standard errors that a better variant must be ahead
_WORTH = 0.03  # of mAP


@dataclass(frozen=True, slots=True, kw_only=True)
class InputComparison:
    """Retrieval with images prepared in one way.

    ``key`` and ``value`` are what differs from the card, "" for the card itself. ``map`` is the
    mean average precision, ``gain`` its difference to the card's. ``better`` says that the gain is
    neither small nor chance; ``verdict`` says it in words.
    """

    key: str
    value: str
    map: float
    gain: float
    better: bool

    @property
    def verdict(self) -> str:
        """What the gain means: "" if there is none in two digits, as mAP is printed."""
        if self.better:
            return "better"
        if round(self.map, 2) <= round(self.map - self.gain, 2):
            return ""
        return "too small to count" if self.gain < _WORTH else "may be chance"


def in_range(given: Input, name: str) -> Input:
    """Return an input whose numbers are in the range of that name, in its order of channels."""
    scale, mean, std = RANGES[name]
    if given.channels == "bgr":
        mean, std = mean[::-1], std[::-1]
    return replace(given, scale=scale, mean=mean, std=std)


def range_of(given: Input) -> str | None:
    """Return the name of the range of an input, if it has one."""
    low, high = _ends(given)
    for name in RANGES:
        if np.allclose((low, high), _ends(in_range(given, name)), atol=1e-3):
            return name
    return None


def _ends(given: Input) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what black and white become."""
    mean, std = np.array(given.mean), np.array(given.std)
    return (0 - mean) / std, (255 * given.scale - mean) / std


def average_precisions(vectors: Matrix, labels: Sequence[str]) -> NDArray[np.float64]:
    """Return the average precision of each image as a query for the others of its label."""
    names = np.array(labels)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :-1]
    hits = names[order] == names[:, None]
    precisions = hits.cumsum(axis=1) / np.arange(1, order.shape[1] + 1)
    found: NDArray[np.float64] = (precisions * hits).sum(axis=1) / hits.sum(axis=1)
    return found


def variants(given: Input) -> Iterator[tuple[str, str, Input]]:
    """Yield other ways to prepare images: the key, its value, and the input with it."""
    other: Channels = "bgr" if given.channels == "rgb" else "rgb"
    turned = replace(given, channels=other, mean=given.mean[::-1], std=given.std[::-1])
    yield "channels", other, turned
    if given.dtype != "uint8":
        for name in RANGES:
            if name != range_of(given):
                yield "range", name, in_range(given, name)
    resizes: tuple[Resize, ...] = ("squash", "crop", "pad")
    for resize in resizes:
        if resize != given.resize:
            yield "resize", resize, replace(given, resize=resize, crop=1.0)


def compare(encoder: OnnxEncoder, images: Sequence[LabelledImage]) -> list[InputComparison]:
    """Return how well images find those of their label: by the card first, then by variants of it.

    A variant is better only if it is by more than chance over the queries explains.
    """
    given = encoder.card.input
    labels = [one.label for one in images]

    def measured(spec: Input) -> NDArray[np.float64]:
        batch = [prepare(one.image, spec) for one in images]
        try:
            vectors = unit_rows(encoder.encode_as(batch, spec))
        except ValueError:  # no direction: as bad as it gets
            return np.zeros(len(images))
        return average_precisions(vectors, labels)

    own = measured(given)
    found = [InputComparison(key="", value="", map=float(own.mean()), gain=0.0, better=False)]
    for key, value, spec in variants(given):
        other = measured(spec)
        gains = other - own
        error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf
        gain = float(gains.mean())
        found.append(
            InputComparison(
                key=key,
                value=value,
                map=float(other.mean()),
                gain=gain,
                better=gain >= _WORTH and gain > _CERTAIN * error,
            )
        )
    return found
