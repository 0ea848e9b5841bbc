"""An open model, and how to keep its device busy."""

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.protocols import Prepared
from lookalike.encoders.cards import Input, ModelCard
from lookalike.encoders.constants import constants_for
from lookalike.encoders.devices import Device, open_session
from lookalike.encoders.preprocessing import tensor
from lookalike.encoders.runtimes.sessions import RunSettings, Session
from lookalike.encoders.signature import check_signature, fixed_batch, must_be_cut
from lookalike.encoders.weights import Network, cut_network, network
from lookalike.errors import EncoderError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["OpenModel", "open_model"]

_Array: TypeAlias = NDArray[Any]


class OpenModel:
    """A session and how to keep its device busy. Raise ``EncoderError`` for an input without a
    value.
    """

    def __init__(
        self,
        session: Session,
        device: Device,
        card: ModelCard,
        settings: RunSettings,
    ) -> None:
        self.device = device
        self.session = session
        self._card = card
        self._spec = card.input
        self._lock = threading.Lock()  # guards the making of the pool
        self._pool: ThreadPoolExecutor | None = None
        self._constants = constants_for(session, card)
        # A model may take only a certain number of images; fewer are filled up with the last one.
        self.fixed = fixed_batch(session, card.input.name)
        images = self.fixed or min(settings.images, card.input.max_batch or settings.images)
        self.settings = replace(settings, images=images)
        self.batch_size = 1 if device.processor and settings.threads == 1 else images
        # Not every provider for graphics cards allows two runs at a time, and none gains by it.
        self._turn = nullcontext() if device.processor else threading.Lock()

    def with_images(self, images: int) -> "OpenModel":
        """Return the same open model, to be run with another number of images at a time."""
        settings = replace(self.settings, images=images)
        return OpenModel(self.session, self.device, self._card, settings)

    def run(
        self,
        batch: Sequence[Prepared],
        output: str,
        reduce: Callable[[_Array], _Array],
        *,
        spec: Input | None = None,
    ) -> NDArray[np.float32]:
        """Return one output for all the batch, each run's part passed through ``reduce``.

        ``spec`` is how to make numbers of pixels, if not as the card says.
        """
        runs, size = self.settings.runs, self.settings.images
        if self.fixed is None:
            size = min(size, -(-len(batch) // runs))  # few images: spread them
        parts = [batch[start : start + size] for start in range(0, len(batch), size)]

        def run(part: Sequence[Prepared]) -> _Array:
            (rows,) = self._run(part, [output], spec or self._spec)
            return reduce(rows)

        if len(parts) == 1 or runs == 1:
            results = [run(part) for part in parts]
        else:
            results = list(self._workers().map(run, parts))
        return np.concatenate(results).astype(np.float32, copy=False)

    def feed(self, batch: Sequence[Prepared], spec: Input | None = None) -> dict[str, _Array]:
        """Return an array for every input of the model, for a batch that it takes at once."""
        return {
            self._spec.name: tensor(batch, spec or self._spec),
            **{one.name: one.array(len(batch)) for one in self._constants},
        }

    def run_several(self, batch: Sequence[Prepared], outputs: Sequence[str]) -> list[_Array]:
        """Return several outputs for all the batch, of the model's own types; one run at a time."""
        size = self.settings.images
        found = [
            self._run(batch[start : start + size], outputs, self._spec)
            for start in range(0, len(batch), size)
        ]
        return [np.concatenate(one) for one in zip(*found, strict=True)]

    def _run(self, part: Sequence[Prepared], outputs: Sequence[str], spec: Input) -> list[_Array]:
        count = self.fixed or len(part)
        filled = [*part, *[part[-1]] * (count - len(part))]
        given = self.feed(filled, spec)
        try:
            with self._turn:
                results = self.session.run(outputs, given)
        except Exception as error:
            raise EncoderError(f"the model failed on {self.device.name}: {error}") from error
        return [
            self._rows(name, result, count)[: len(part)]
            for name, result in zip(outputs, results, strict=True)
        ]

    def _rows(self, output: str, result: object, count: int) -> _Array:
        """Return an output, which must have a row for each of ``count`` images."""
        if not isinstance(result, np.ndarray):
            raise EncoderError(f"output {output} is no array of numbers")
        if count == 1 and result.ndim == 1:  # a model of one image may leave out the first axis
            result = result[None]
        if result.shape[:1] != (count,):
            raise EncoderError(
                f"output {output} does not have one row for each image: it is of shape "
                f"{result.shape} for {count}"
            )
        return result

    def _workers(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - one image needs none

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    self.settings.runs, thread_name_prefix="lookalike-run"
                )
            return self._pool


def open_model(
    card: ModelCard,
    devices: Sequence[Device],
    settings: Callable[[Device], RunSettings],
    *,
    cache: Path,
    classifier: bool = False,
    read: Callable[[], Network] | None = None,
) -> OpenModel:
    """Open a card's model on the first of ``devices`` that takes it, with the device's settings.

    ``classifier`` asks for the output of classes too. ``read`` returns what ``weights.network``
    does, if that has begun before. Raise ``EncoderError``; ``ModelCardError`` for a model that is
    not what the card says, ``WeightsError`` for weights that are missing or others.
    """
    built = card.weights.builder != "onnx"
    found = network(card, cache=cache, classifier=classifier) if read is None else read()
    try:
        session, device = open_session(found, devices, settings)
    except EncoderError as error:
        if not built:
            raise EncoderError(f"{card.path}: {error}") from error
        # The cached file is as it was written, and yet no model to this runtime.
        found = network(card, cache=cache, classifier=classifier, rebuild=True)
        session, device = open_session(found, devices, settings)
    if not built and must_be_cut(card, session):
        session, device = open_session(cut_network(card, cache=cache), devices, settings)
    check_signature(card, session, classifier=classifier or not built)
    return OpenModel(session, device, card, settings(device))
