"""The training loop: epochs, evaluation, checkpoints. Importing this imports PyTorch."""

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

_READ = 64  # images per block: as many are decoded before the network runs
_SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
_PATIENCE = 4  # epochs without improvement before the training ends
_WARM_UP = 0.05  # share of the training in which rates rise
_Optimizer: TypeAlias = Any  # torch's; not every environment that checks types has it


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuningOutcome:
    """``arrays`` is the whole checkpoint; ``None`` if nothing was better than the original."""

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
    """One training. ``classes`` (n,) are those of the items in ``maps``.

    ``plan`` is a digest of everything that decides the result: a ``checkpoint`` of another plan is
    refused.
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
        self._trained_on = 0, 0  # images, labels
        self._progress, self._on_epoch, self._stop = progress, on_epoch, stop
        self._held_out: dict[str, tuple[NDArray[np.float16], Rows]] = {}
        self._before = SplitQuality(held=None, new=None)
        self._epochs: list[Epoch] = []
        self._best: tuple[int, State] | None = None
        self._skipped: list[Skipped] = []
        self._to_read = len(sides.held) + len(sides.new) + len(sides.train)
        self._read = 0

    def run(self) -> FinetuningOutcome:
        """Read, train, choose."""
        stored = self._load_checkpoint()
        for side, rows in (("held", self._sides.held), ("new", self._sides.new)):
            self._held_out[side] = self._read_held_out(rows)
        if self._stop():
            return self._make_outcome(0.0, self._before, interrupted=True)
        self._before = self._evaluate()
        if self._before.held is None and self._before.new is None:
            raise CollectionError(self._explain_too_few())
        if stored is not None:
            self._restore_progress(stored)
        interrupted = not self._is_done() and self._read_and_train(stored)
        share, after = self._choose()
        return self._make_outcome(share, after, interrupted=interrupted)

    def _read_and_train(self, stored: dict[str, Any] | None) -> bool:
        """Read the training images and train; return whether it was stopped before the end."""
        trained, vectors = self._read_training()
        if self._stop():
            return True
        labels = np.unique(self._classes[trained])
        if len(labels) < 2:  # noqa: PLR2004 - one label tells nothing apart
            raise CollectionError(self._explain_too_few())
        self._trained_on = len(trained), len(labels)
        head = Head(vectors, self._classes[trained], self._recipe)
        optimizer = torch.optim.Adam(
            [{"params": list(self._tail.trainable.values())}, {"params": [head.directions]}]
        )
        if stored is not None:
            self._restore_weights(stored, head, optimizer)
        return self._train(trained, labels, head, optimizer)

    # --- reading --------------------------------------------------------------------------

    def _read_held_out(self, rows: Rows) -> tuple[NDArray[np.float16], Rows]:
        maps, good = [np.empty((0, 1, 1, 1), np.float16)], [rows[:0]]
        for some_maps, some in self._iterate_maps(rows):
            maps.append(some_maps)
            good.append(some)
        return np.concatenate(maps[1:] or maps), np.concatenate(good)

    def _read_training(self) -> tuple[Rows, Matrix]:
        """Return the rows that can be read, and their images' vectors before the training."""
        self._maps.remember(self._sides.train)
        vectors, good = [np.empty((0, 1), np.float32)], [self._sides.train[:0]]
        for maps, some in self._iterate_maps(self._sides.train):
            vectors.append(self._tail.vectors(maps))
            good.append(some)
        return np.concatenate(good), np.concatenate(vectors[1:] or vectors)

    def _iterate_maps(self, rows: Rows) -> Iterator[tuple[NDArray[np.float16], Rows]]:
        """Yield maps of the images that can be read, in blocks, until stopped."""
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

    def _explain_too_few(self) -> str:
        text = (
            "too few images to train on and to evaluate with: at least 2 labels with 8 images each "
            "are needed"
        )
        if self._skipped:
            first = self._skipped[0]
            text += f"; {len(self._skipped):,} could not be read, {first.path} for one: "
            text += first.reason
        return text

    # --- training -------------------------------------------------------------------------

    def _train(self, trained: Rows, labels: Rows, head: Head, optimizer: _Optimizer) -> bool:
        """Train epoch by epoch until done; return whether it was stopped before."""
        self._report(len(self._epochs) * len(trained), len(trained))
        while not self._is_done():
            began = time.monotonic()
            lost, done = 0.0, 0
            for loss, count in self._epoch(trained, labels, head, optimizer):
                lost, done = lost + loss * count, done + count
                seen = len(self._epochs) * len(trained) + done
                self._report(seen, len(trained), note=f"loss {loss:.3f}")
                if self._stop():
                    return True
                if self._compute_progress() >= 1:
                    break
            quality = self._evaluate()
            if self._best is None or quality.value > self._read_value(self._best[0]):
                self._best = len(self._epochs) + 1, self._tail.state()
            self._epochs.append(
                Epoch(
                    number=len(self._epochs) + 1,
                    loss=lost / max(done, 1),
                    quality=quality,
                    seconds=time.monotonic() - began,
                )
            )
            self._save(head, optimizer)
            self._on_epoch(self._epochs[-1], self._before)
            self._report(len(self._epochs) * len(trained), len(trained))
        return False

    def _report(self, done: int, images: int, *, note: str = "") -> None:
        total = self._recipe.epochs * images
        self._progress(Progress(done=done, total=total, stage="training", note=note))

    def _epoch(
        self, trained: Rows, labels: Rows, head: Head, optimizer: _Optimizer
    ) -> Iterator[tuple[float, int]]:
        """Yield the loss and size of each batch. The next batch is read meanwhile."""
        recipe, number = self._recipe, len(self._epochs)
        order = np.random.default_rng([self._seed, number]).permutation(trained)
        batches = np.array_split(order, max(len(order) // recipe.batch, 1))  # no small remainder
        with ThreadPoolExecutor(1, thread_name_prefix="lookalike-views") as ahead:
            waiting = ahead.submit(self._maps.views, batches[0], number)
            for at in range(len(batches)):
                maps, rows = waiting.result()
                if at + 1 < len(batches):
                    waiting = ahead.submit(self._maps.views, batches[at + 1], number)
                if not len(rows):
                    continue
                along = self._compute_progress(at / len(batches))
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

    def _compute_progress(self, of_epoch: float = 0.0) -> float:
        """Return the progress of the training, by epochs or by time: 0 to 1."""
        along = (len(self._epochs) + of_epoch) / self._recipe.epochs
        if self._seconds is not None:
            along = max(along, (time.monotonic() - self._began) / self._seconds)
        return min(along, 1.0)

    def _is_done(self) -> bool:
        stale = self._best is not None and len(self._epochs) - self._best[0] >= _PATIENCE
        return stale or self._compute_progress() >= 1

    def _evaluate(self) -> SplitQuality:
        def quality(side: str) -> Quality | None:
            maps, rows = self._held_out[side]
            return Quality.of(self._tail.vectors(maps), self._classes[rows]) if len(rows) else None

        return SplitQuality(held=quality("held"), new=quality("new"))

    def _read_value(self, number: int) -> float:
        return self._epochs[number - 1].quality.value

    def _choose(self) -> tuple[float, SplitQuality]:
        """Return the chosen point between the first weights and the best epoch's.

        It is the given share, or the best point that is no worse than the original on either side:
        an encoder that recognises its labels and becomes worse at others is no gain for a
        collection that grows.
        """
        share, after = 0.0, self._before
        if self._best is None:
            return share, after
        for one in _SHARES if self._share is None else (self._share,):
            self._tail.load(self._tail.between(self._best[1], one))
            found = self._evaluate()
            better = found.value > after.value and found.is_nowhere_below(self._before)
            if better or self._share is not None:
                share, after = one, found
        self._tail.load(self._tail.between(self._best[1], share))
        return share, after

    def _make_outcome(
        self, share: float, after: SplitQuality, *, interrupted: bool
    ) -> FinetuningOutcome:
        return FinetuningOutcome(
            arrays=self._tail.arrays() if share else None,
            images=self._trained_on[0],
            labels=self._trained_on[1],
            before=self._before,
            after=after,
            epochs=tuple(self._epochs),
            best=0 if self._best is None else self._best[0],
            share=share,
            skipped=tuple(self._skipped),
            interrupted=interrupted,
            seconds=time.monotonic() - self._began,
        )

    # --- checkpoints ----------------------------------------------------------------------

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
                    "trained_on": self._trained_on,
                },
                file,
            )

    def _load_checkpoint(self) -> dict[str, Any] | None:
        if not self._checkpoint.exists():
            return None
        try:
            stored: dict[str, Any] = torch.load(self._checkpoint, weights_only=True)
            plan, _ = stored["plan"], stored["trained_on"]
        except OSError:
            raise
        except Exception as error:  # a damaged file can raise nearly anything
            raise ExportError(
                f"{self._checkpoint} cannot be read; start again with --anew"
            ) from error
        if plan != self._plan:
            raise ExportError(self._describe_other_plan())
        return stored

    def _describe_other_plan(self) -> str:
        return (
            f"{self._checkpoint} is of a training with other images, labels or settings; give "
            "another folder, or --anew to start again"
        )

    def _restore_progress(self, stored: dict[str, Any]) -> None:
        self._epochs = [_read_epoch(one) for one in json.loads(stored["epochs"])]
        self._best = stored["best"]
        self._trained_on = stored["trained_on"]
        self._began -= stored["seconds"]

    def _restore_weights(self, stored: dict[str, Any], head: Head, optimizer: _Optimizer) -> None:
        if stored["directions"].shape != head.directions.shape:  # a label's images have gone
            raise ExportError(self._describe_other_plan())
        self._tail.load(stored["tail"])
        with torch.no_grad():
            head.directions.copy_(stored["directions"])
        optimizer.load_state_dict(stored["optimizer"])


def is_checkpoint(path: Path) -> bool:
    """Return whether a file is the checkpoint of a training."""
    try:
        stored = torch.load(path, weights_only=True)
    except Exception:  # noqa: BLE001 - a file of others can raise nearly anything
        return False
    return isinstance(stored, dict) and {"plan", "epochs", "tail"} <= stored.keys()


def _read_epoch(stored: dict[str, Any]) -> Epoch:
    found_sides = {
        side: None if value is None else Quality(**value)
        for side, value in stored["quality"].items()
    }
    return Epoch(
        **{**stored, "quality": SplitQuality(held=found_sides["held"], new=found_sides["new"])}
    )
