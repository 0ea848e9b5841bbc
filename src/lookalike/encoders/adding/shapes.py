"""The shapes of a model's tensors, by running it on one image of noise."""

from collections.abc import Sequence

import numpy as np

from lookalike.core.cpus import usable_cores
from lookalike.encoders.adding.model_facts import ModelFacts, Tensor
from lookalike.encoders.cards import Layout
from lookalike.encoders.devices import (
    available_providers,
    choose_devices,
    default_settings,
    open_session,
)
from lookalike.encoders.external import MOST_BYTES
from lookalike.encoders.graph_cutting import cut_graph
from lookalike.encoders.runtime_errors import explain
from lookalike.errors import EncoderError

__all__ = ["ModelRun"]

_KINDS = {"float": np.float32, "float16": np.float16, "uint8": np.uint8}


class ModelRun:
    """A model and an image of noise. Raise ``EncoderError`` where it cannot be run."""

    def __init__(
        self, facts: ModelFacts, image: Tensor, layout: Layout, size: tuple[int, int]
    ) -> None:
        self._path = facts.path
        self._content: bytes | None = None
        self._count = image.shape[0] if isinstance(image.shape[0], int) else 1
        width, height = size
        axes = (3, height, width) if layout == "nchw" else (height, width, 3)
        noise = np.random.default_rng(0).integers(0, 256, (self._count, *axes))
        scale = 1.0 if image.dtype == "uint8" else 1 / 255
        self._feed = {image.name: (noise * scale).astype(_KINDS[image.dtype])}

    def shapes(self, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of tensors for one image, without the axis of images."""
        if not names:
            return {}
        cut = cut_graph(self._whole(), dict.fromkeys(names, "output"), self._path)
        try:
            session, _ = open_session(
                cut,
                choose_devices("cpu", available_providers()),
                lambda device: default_settings(device, usable_cores()),
            )
            results = session.run(list(names), self._feed)
        except EncoderError as error:
            raise EncoderError(f"{self._path}: {error}") from error
        except Exception as error:
            ((name, pixels),) = self._feed.items()
            raise EncoderError(
                f"{self._path}: the model fails with {name} of shape {pixels.shape}: "
                f"{explain(error)}"
            ) from error
        found = {}
        for name, one in zip(names, results, strict=True):
            if isinstance(one, np.ndarray):
                by_image = one.shape[:1] == (self._count,)
                found[name] = one.shape[1:] if by_image else one.shape
        return found

    def _whole(self) -> bytes:
        """Return the model with the tensors of its further files in it."""
        if self._content is None:
            import onnx  # noqa: PLC0415 - loaded by then

            model = onnx.load(self._path)
            if model.ByteSize() > MOST_BYTES:
                raise EncoderError(
                    f"{self._path}: has {model.ByteSize():,} bytes; the limit is {MOST_BYTES:,}: "
                    "take a smaller model, or its float16 file"
                )
            content: bytes = model.SerializeToString()
            self._content = content
        return self._content
