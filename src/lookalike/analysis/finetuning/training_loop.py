"""One training: epoch by epoch, judged, kept, taken up again. Importing this imports PyTorch."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.analysis.finetuning.data_split import DataSplit, Rows
from lookalike.analysis.finetuning.maps import Maps
from lookalike.analysis.finetuning.quality import (
    Epoch,
    Quality,
    Recipe,
    SplitQuality,
)
from lookalike.analysis.finetuning.tail import Head, State, Tail
from lookalike.core.atomic_files import replace_file
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.records import Skipped
from lookalike.core.vectors import Matrix
from lookalike.encoders.checkpoint import Arrays
from lookalike.errors import CollectionError, EncoderError, ExportError

__all__ = ["FinetuningOutcome", "FinetuningRun", "is_checkpoint"]

_READ = 64  # images at a time: as many are decoded before the network runs
_SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
_PATIENCE = 4  # epochs without anything better
_WARM_UP = 0.05  # of the training, while rates rise
_Optimizer: TypeAlias = Any  # torch's; not every environment that checks types has it


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuningOutcome:
    """``arrays`` is the whole checkpoint; ``None`` when nothing was better than it was before."""

    arrays: Arrays | None
    images: int
    labels: int
    before: SplitQuality
    after: SplitQuality
    epochs: tuple[Epoch, ...]
    best: int
    share: float
    skipped: tuple[Skipped, ...]
    interrupted: bool
    seconds: float


class FinetuningRun:
    """``classes`` (n,) of the items whose ``maps`` are to be had. ``plan`` is a digest of all
    that decides what comes out: a ``checkpoint`` of another plan is refused.
    """

    def __init__(
        self,
        maps: Maps,
        classes: Rows,
        sides: DataSplit,
        arrays: Arrays,
        recipe: Recipe,
        *,
        checkpoint: Path,
        plan: str,
        seed: int,
        threads: int,
        began: float,
        seconds: float | None,
        share: float | None,
        progress: ProgressCallback,
        on_epoch: Callable[[Epoch, SplitQuality], None],
        stop: Callable[[], bool],
    ) -> None:
        torch.set_num_threads(threads)
        self._maps, self._classes, self._sides, self._recipe = maps, classes, sides, recipe
        self._tail = Tail(arrays, recipe.stages)
        self._checkpoint, self._plan, self._seed = checkpoint, plan, seed
        self._began, self._seconds, self._share = began, seconds, share
        self._taught = 0, 0  # images, labels
        self._progress, self._on_epoch, self._stop = progress, on_epoch, stop
        self._judges: dict[str, tuple[NDArray[np.float16], Rows]] = {}
        self._before = SplitQuality(held=None, new=None)
        self._epochs: list[Epoch] = []
        self._best: tuple[int, State] | None = None
        self._skipped: list[Skipped] = []
        self._to_read = len(sides.held) + len(sides.new) + len(sides.learn)
        self._read = 0

    def go(self) -> FinetuningOutcome:
        """Read, learn, choose."""
        stored = self._stored()
        for side, rows in (("held", self._sides.held), ("new", self._sides.new)):
            self._judges[side] = self._read_judges(rows)
        if self._stop():
            return self._outcome(0.0, self._before, interrupted=True)
        self._before = self._judge()
        if self._before.held is None and self._before.new is None:
            raise CollectionError(self._too_few())
        if stored is not None:
            self._take_up(stored)
        interrupted = not self._enough() and self._teach(stored)
        share, after = self._choose()
        return self._outcome(share, after, interrupted=interrupted)

    def _teach(self, stored: dict[str, Any] | None) -> bool:
        """Read what is to be learned, and learn it; says whether it was stopped before the end."""
        learned, vectors = self._read_learned()
        if self._stop():
            return True
        labels = np.unique(self._classes[learned])
        if len(labels) < 2:  # noqa: PLR2004 - one label tells nothing apart
            raise CollectionError(self._too_few())
        self._taught = len(learned), len(labels)
        head = Head(vectors, self._classes[learned], self._recipe)
        optimizer = torch.optim.Adam(
            [{"params": list(self._tail.learned.values())}, {"params": [head.directions]}]
        )
        if stored is not None:
            self._go_on(stored, head, optimizer)
        return self._learn(learned, labels, head, optimizer)

    # --- reading --------------------------------------------------------------------------

    def _read_judges(self, rows: Rows) -> tuple[NDArray[np.float16], Rows]:
        maps, good = [np.empty((0, 1, 1, 1), np.float16)], [rows[:0]]
        for some_maps, some in self._plain(rows):
            maps.append(some_maps)
            good.append(some)
        return np.concatenate(maps[1:] or maps), np.concatenate(good)

    def _read_learned(self) -> tuple[Rows, Matrix]:
        """Return the rows that can be read, and the vectors of their images before all learning."""
        self._maps.remember(self._sides.learn)
        vectors, good = [np.empty((0, 1), np.float32)], [self._sides.learn[:0]]
        for maps, some in self._plain(self._sides.learn):
            vectors.append(self._tail.vectors(maps))
            good.append(some)
        return np.concatenate(good), np.concatenate(vectors[1:] or vectors)

    def _plain(self, rows: Rows) -> Iterator[tuple[NDArray[np.float16], Rows]]:
        """Yield maps of the images that can be read, some at a time, until it is to stop."""
        for start in range(0, len(rows), _READ):
            if self._stop():
                return
            some = rows[start : start + _READ]
            maps, good, skipped = self._maps.plain(some)
            self._skipped += skipped
            self._read += len(some)
            self._progress(Progress(done=self._read, total=self._to_read, stage="reading"))
            if len(good):
                yield maps, good

    def _too_few(self) -> str:
        text = (
            "too few images to train on and to evaluate with: at least 2 labels with 8 images each "
            "are needed"
        )
        if self._skipped:
            first = self._skipped[0]
            text += f"; {len(self._skipped):,} could not be read, {first.path} for one: "
            text += first.reason
        return text

    # --- learning -------------------------------------------------------------------------

    def _learn(self, learned: Rows, labels: Rows, head: Head, optimizer: _Optimizer) -> bool:
        """Epoch by epoch until it is enough; says whether it was stopped before."""
        self._report(len(self._epochs) * len(learned), len(learned))
        while not self._enough():
            began = time.monotonic()
            lost, done = 0.0, 0
            for loss, count in self._epoch(learned, labels, head, optimizer):
                lost, done = lost + loss * count, done + count
                seen = len(self._epochs) * len(learned) + done
                self._report(seen, len(learned), note=f"loss {loss:.3f}")
                if self._stop():
                    return True
                if self._along() >= 1:
                    break
            judgement = self._judge()
            if self._best is None or judgement.value > self._value_of(self._best[0]):
                self._best = len(self._epochs) + 1, self._tail.state()
            self._epochs.append(
                Epoch(
                    number=len(self._epochs) + 1,
                    loss=lost / max(done, 1),
                    judgement=judgement,
                    seconds=time.monotonic() - began,
                )
            )
            self._save(head, optimizer)
            self._on_epoch(self._epochs[-1], self._before)
            self._report(len(self._epochs) * len(learned), len(learned))
        return False

    def _report(self, done: int, images: int, *, note: str = "") -> None:
        total = self._recipe.epochs * images
        self._progress(Progress(done=done, total=total, stage="training", note=note))

    def _epoch(
        self, learned: Rows, labels: Rows, head: Head, optimizer: _Optimizer
    ) -> Iterator[tuple[float, int]]:
        """Yield the loss of each batch and its size. The next is read while one is learned from."""
        recipe, number = self._recipe, len(self._epochs)
        order = np.random.default_rng([self._seed, number]).permutation(learned)
        batches = np.array_split(order, max(len(order) // recipe.batch, 1))  # no small rest
        with ThreadPoolExecutor(1, thread_name_prefix="lookalike-views") as ahead:
            waiting = ahead.submit(self._maps.views, batches[0], number)
            for at in range(len(batches)):
                maps, rows = waiting.result()
                if at + 1 < len(batches):
                    waiting = ahead.submit(self._maps.views, batches[at + 1], number)
                if not len(rows):
                    continue
                along = self._along(at / len(batches))
                part = min(along / _WARM_UP, 1.0) * 0.5 * (1 + np.cos(np.pi * along))
                for group, rate in zip(
                    optimizer.param_groups, (recipe.rate, recipe.head_rate), strict=True
                ):
                    group["lr"] = rate * float(part)
                wanted = np.searchsorted(labels, self._classes[rows])
                loss = head.loss(self._tail.features(maps), wanted)
                if not torch.isfinite(loss):
                    raise EncoderError(
                        "training diverged: the loss is not a number; lower the rate"
                    )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                yield loss.item(), len(rows)

    def _along(self, of_epoch: float = 0.0) -> float:
        """Return how much of the training is over, by epochs or by time: 0 to 1."""
        along = (len(self._epochs) + of_epoch) / self._recipe.epochs
        if self._seconds is not None:
            along = max(along, (time.monotonic() - self._began) / self._seconds)
        return min(along, 1.0)

    def _enough(self) -> bool:
        stale = self._best is not None and len(self._epochs) - self._best[0] >= _PATIENCE
        return stale or self._along() >= 1

    def _judge(self) -> SplitQuality:
        def quality(side: str) -> Quality | None:
            maps, rows = self._judges[side]
            return Quality.of(self._tail.vectors(maps), self._classes[rows]) if len(rows) else None

        return SplitQuality(held=quality("held"), new=quality("new"))

    def _value_of(self, number: int) -> float:
        return self._epochs[number - 1].judgement.value

    def _choose(self) -> tuple[float, SplitQuality]:
        """Return the point between the first weights and the best epoch's that was asked for, or
        is best.

        Unless one was asked for, it must be no worse than the first on either side: an encoder
        that knows its labels and forgets how to see other things is no gain to a collection that
        grows.
        """
        share, after = 0.0, self._before
        if self._best is None:
            return share, after
        for one in _SHARES if self._share is None else (self._share,):
            self._tail.load(self._tail.between(self._best[1], one))
            found = self._judge()
            better = found.value > after.value and found.is_nowhere_below(self._before)
            if better or self._share is not None:
                share, after = one, found
        self._tail.load(self._tail.between(self._best[1], share))
        return share, after

    def _outcome(
        self, share: float, after: SplitQuality, *, interrupted: bool
    ) -> FinetuningOutcome:
        return FinetuningOutcome(
            arrays=self._tail.arrays() if share else None,
            images=self._taught[0],
            labels=self._taught[1],
            before=self._before,
            after=after,
            epochs=tuple(self._epochs),
            best=0 if self._best is None else self._best[0],
            share=share,
            skipped=tuple(self._skipped),
            interrupted=interrupted,
            seconds=time.monotonic() - self._began,
        )

    # --- what is kept ---------------------------------------------------------------------

    def _save(self, head: Head, optimizer: _Optimizer) -> None:
        with replace_file(self._checkpoint) as file:
            torch.save(
                {
                    "plan": self._plan,
                    "seconds": time.monotonic() - self._began,
                    "epochs": json.dumps([asdict(one) for one in self._epochs]),
                    "tail": self._tail.state(),
                    "directions": head.directions.detach(),
                    "optimizer": optimizer.state_dict(),
                    "best": self._best,
                    "taught": self._taught,
                },
                file,
            )

    def _stored(self) -> dict[str, Any] | None:
        if not self._checkpoint.exists():
            return None
        try:
            stored: dict[str, Any] = torch.load(self._checkpoint, weights_only=True)
            plan = stored["plan"]
        except OSError:
            raise
        except Exception as error:  # a damaged file can raise nearly anything
            raise ExportError(
                f"{self._checkpoint} cannot be read; begin again with --anew"
            ) from error
        if plan != self._plan:
            raise ExportError(self._another())
        return stored

    def _another(self) -> str:
        return (
            f"{self._checkpoint} is of a training with other images, labels or settings; give "
            "another folder, or --anew to begin again"
        )

    def _take_up(self, stored: dict[str, Any]) -> None:
        self._epochs = [_epoch_of(one) for one in json.loads(stored["epochs"])]
        self._best = stored["best"]
        self._taught = stored["taught"]
        self._began -= stored["seconds"]

    def _go_on(self, stored: dict[str, Any], head: Head, optimizer: _Optimizer) -> None:
        if stored["directions"].shape != head.directions.shape:  # a label's images have gone
            raise ExportError(self._another())
        self._tail.load(stored["tail"])
        with torch.no_grad():
            head.directions.copy_(stored["directions"])
        optimizer.load_state_dict(stored["optimizer"])


def is_checkpoint(path: Path) -> bool:
    """Return whether a file is one in which a training has kept how far it came."""
    try:
        stored = torch.load(path, weights_only=True)
    except Exception:  # noqa: BLE001 - a file of others can raise nearly anything
        return False
    return isinstance(stored, dict) and {"plan", "epochs", "tail"} <= stored.keys()


def _epoch_of(stored: dict[str, Any]) -> Epoch:
    judged = {
        side: None if value is None else Quality(**value)
        for side, value in stored["judgement"].items()
    }
    return Epoch(**{**stored, "judgement": SplitQuality(held=judged["held"], new=judged["new"])})
