"""Measure how fast an encoder runs in each way.

Other programs share the machine, so a rate says little alone. Each way is measured in turns with
the default, on the same images, and what counts is the ratio of the two: of images per second, and
of processor time, which depends on other programs even less. While a collection is indexed, the
cores decode images too, so a way that takes more of their time is no gain there.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lookalike.core.cpus import usable_cores
from lookalike.core.progress import Progress, ProgressCallback, ignore_progress
from lookalike.core.protocols import Prepared
from lookalike.core.records import Json
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders.cards import ModelCard
from lookalike.encoders.devices import (
    DEVICES,
    Device,
    available_providers,
    choose_devices,
    default_settings,
)
from lookalike.encoders.open_model import OpenModel, open_model
from lookalike.encoders.pooling import pool
from lookalike.encoders.preprocessing import prepare
from lookalike.encoders.runtimes.openvino_runtime import offered_precisions
from lookalike.encoders.runtimes.sessions import RunSettings
from lookalike.encoders.speed.candidates import list_candidates, sizes
from lookalike.encoders.speed.machine import describe_machine
from lookalike.encoders.speed.remembered import MOST_DISTANCE, RunChoice
from lookalike.encoders.weights import default_cache
from lookalike.errors import EncoderError

__all__ = ["Measurement", "SpeedReport", "measure_speed"]

_IMAGES = 16  # different ones, whose embeddings are compared
_CHUNK = 64  # images at a time: what indexing hands to an encoder
_TURN_S = 0.3  # seconds that one turn should take, within that
_GAIN = 1.1  # how much faster than the default is worth another way
_FREE = 0.7  # of the cores: with less for the default, other programs are in the way


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One way to run an encoder.

    ``images_per_second`` is the median of all turns, ``relative`` that of the ratios to the
    default and ``low`` their lower quartile. ``processor_ms`` is processor time for each image, and
    ``work`` how many times as much the default took; a clock may be too coarse for both.
    ``distance`` is the largest cosine distance to the embeddings in float32 by ONNX Runtime. All
    are ``None`` where ``problem`` says why nothing could be measured.
    """

    device: Device
    settings: RunSettings
    default: bool = False
    images_per_second: float | None = None
    relative: float | None = None
    low: float | None = None
    processor_ms: float | None = None
    work: float | None = None
    distance: float | None = None
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the embeddings count as the same."""
        return self.distance is not None and self.distance <= MOST_DISTANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedReport:
    """All measurements, the default's first.

    ``best`` is the fastest whose embeddings agree; the default unless another is clearly faster.
    ``None`` if the measuring was stopped. ``busy`` says that other programs took so much of the
    cores that the figures mean little.
    """

    encoder: str
    fingerprint: str
    machine: dict[str, Json]
    measurements: tuple[Measurement, ...]
    best: Measurement | None
    busy: bool

    @property
    def choice(self) -> RunChoice | None:
        """The best, to be remembered."""
        best = self.best
        if best is None or best.distance is None or best.relative is None:
            return None
        return RunChoice(
            device=best.device,
            settings=best.settings,
            distance=best.distance,
            relative=best.relative,
        )


def measure_speed(
    card: ModelCard,
    fingerprint: str,
    *,
    seconds: float = 30.0,
    cache: Path | None = None,
    progress: ProgressCallback = ignore_progress,
    stop: Callable[[], bool] = lambda: False,
) -> SpeedReport:
    """Measure an encoder on every device that is installed, in every way worth trying.

    ``seconds`` is about how long the turns take together; opening the models comes on top, and each
    way has one turn at least. ``progress`` counts ways. ``stop`` is called between turns. Raise
    ``EncoderError`` if the encoder cannot be run by default.
    """
    cache = default_cache() if cache is None else cache
    providers = available_providers()
    cores = usable_cores()
    bench = _Bench(card, cache, choose_devices("auto", providers), cores)
    there = [device for device in DEVICES if device.provider in providers]
    packaged = any(device.runtime == "openvino" for device in there)
    ways = list(list_candidates(there, cores, offered_precisions() if packaged else ()))
    found = [bench.measure_default()]
    for number, (device, settings) in enumerate(ways):
        progress(Progress(done=number, total=len(ways), note=device.name))
        found += bench.measure(device, settings, seconds / len(ways), stop)
        if stop():
            break
    report = SpeedReport(
        encoder=card.name,
        fingerprint=fingerprint,
        machine=describe_machine(providers),
        measurements=tuple(found),
        best=None,
        busy=bench.busy(),
    )
    return report if stop() else replace(report, best=choose_best(found))


def choose_best(measurements: Sequence[Measurement]) -> Measurement:
    """Return the fastest that agrees; the default, which is the first, unless clearly faster."""
    default = measurements[0]
    faster = [
        one
        for one in measurements
        if one.agrees
        and (one.relative or 0) >= _GAIN
        and (one.low or 0) > 1
        and (one.work is None or one.work >= 1 or not default.device.processor)
    ]
    return max(faster, key=lambda one: one.relative or 0, default=default)


class _Turn(NamedTuple):
    """What encoding a batch took."""

    images: int
    seconds: float
    processor_s: float

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds


class _Bench:
    """An encoder that is open as it is by default, against which other ways are measured."""

    def __init__(self, card: ModelCard, cache: Path, devices: Sequence[Device], cores: int) -> None:
        self._card = card
        self._cache = cache
        self._images = [prepare(image, card.input) for image in _drawn(_IMAGES)]
        self._default = open_model(
            card, devices, lambda device: default_settings(device, cores), cache=cache
        )
        self._expected = self._encode(self._default, self._images)
        if self._default.device.name != "cpu":
            (plain,) = (one for one in devices if one.name == "cpu")
            reference = open_model(card, [plain], lambda _: RunSettings(), cache=cache)
            self._expected = self._encode(reference, self._images)
        self._cores = cores
        self._shares: list[float] = []  # of the cores that a turn of the default got
        self._first = self._turn(self._default, self._cycled(_IMAGES))

    def measure_default(self) -> Measurement:
        return Measurement(
            device=self._default.device,
            settings=self._default.settings,
            default=True,
            images_per_second=self._first.rate,
            relative=1.0,
            low=1.0,
            processor_ms=self._first.processor_s / self._first.images * 1e3 or None,
            work=1.0,
            distance=self._distance(self._default),
        )

    def measure(
        self, device: Device, settings: RunSettings, seconds: float, stop: Callable[[], bool]
    ) -> list[Measurement]:
        """Measure a way of opening the model with several numbers of images in a run."""
        try:
            model = open_model(self._card, [device], lambda _: settings, cache=self._cache)
        except EncoderError as error:
            return [Measurement(device=device, settings=settings, problem=str(error))]
        found: list[Measurement] = []
        tried = sizes(device, settings, self._card.input.max_batch, model.fixed)
        for images in tried:
            one = model.with_images(images)
            if stop():
                break
            if (device, one.settings) != (self._default.device, self._default.settings):
                found.append(self._measured(one, seconds / len(tried), stop))
        return found

    def _measured(self, model: OpenModel, seconds: float, stop: Callable[[], bool]) -> Measurement:
        way = Measurement(device=model.device, settings=model.settings)
        try:
            way = replace(way, distance=self._distance(model))
            full = model.settings.runs * model.settings.images
            count = min(_CHUNK, max(round(self._first.rate * _TURN_S), 1))
            batch = self._cycled(-(-count // full) * full)
            self._turn(model, batch)
            pairs: list[tuple[_Turn, _Turn]] = []
            until = time.perf_counter() + seconds
            while not pairs or (time.perf_counter() < until and not stop()):
                pairs.append((self._default_turn(batch), self._turn(model, batch)))
        except (EncoderError, ValueError) as error:
            return replace(way, problem=str(error))
        ratios = [turn.rate / default.rate for default, turn in pairs]
        work = sum(turn.processor_s for _, turn in pairs)
        return replace(
            way,
            images_per_second=statistics.median(turn.rate for _, turn in pairs),
            relative=statistics.median(ratios),
            low=float(np.quantile(ratios, 0.25)),
            processor_ms=work / sum(turn.images for _, turn in pairs) * 1e3 or None,
            work=sum(default.processor_s for default, _ in pairs) / work if work else None,
        )

    def busy(self) -> bool:
        """Return whether the default, which can use all cores, often had to wait for them."""
        return bool(self._shares) and statistics.median(self._shares) < _FREE

    def _default_turn(self, batch: Sequence[Prepared]) -> "_Turn":
        turn = self._turn(self._default, batch)
        if self._default.device.processor and len(batch) >= self._cores:
            self._shares.append(turn.processor_s / turn.seconds / self._cores)
        return turn

    def _distance(self, model: OpenModel) -> float:
        cosines = (self._encode(model, self._images) * self._expected).sum(axis=1, dtype=np.float64)
        return max(float(1 - cosines.min()), 0.0)

    def _encode(self, model: OpenModel, batch: Sequence[Prepared]) -> Matrix:
        output = self._card.output
        return unit_rows(model.run(batch, output.name, lambda rows: pool(rows, output)))

    def _turn(self, model: OpenModel, batch: Sequence[Prepared]) -> "_Turn":
        worked, began = time.process_time(), time.perf_counter()
        self._encode(model, batch)
        return _Turn(len(batch), time.perf_counter() - began, time.process_time() - worked)

    def _cycled(self, count: int) -> list[Prepared]:
        return list(itertools.islice(itertools.cycle(self._images), count))


def _drawn(count: int) -> list[Image.Image]:
    """Return images of several scales of structure, the same each time."""
    random = np.random.default_rng(0)
    images = []
    for _ in range(count):
        canvas = np.zeros((256, 256, 3))
        for cells in (2, 8, 64):
            noise = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            canvas += np.asarray(noise.resize((256, 256), Image.Resampling.BICUBIC)) / 3
        images.append(Image.fromarray(canvas.astype(np.uint8)))
    return images
