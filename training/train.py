"""Train the student on views whose teacher embeddings are there; go on where it stopped.

    python -m training.train training/lite0.toml --run FOLDER [--minutes 30] [--threads 1]

Writes to ``FOLDER/student``: ``checkpoint.pt`` after every ``--every`` steps (weights, optimiser,
average, place), ``log.jsonl`` (loss each time, quality on the classes to choose by each epoch) and
``weights.npz`` at the end: the averaged weights. ``Ctrl-C`` and ``--minutes`` stop after a step
that is kept. A checkpoint of another configuration or of other views is refused.
"""

import argparse
import hashlib
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from numpy.typing import NDArray

from lookalike.analysis.finetuning.tail import Tail
from lookalike.encoders.cards import find_card
from lookalike.encoders.weights import read_weights
from training.activations import Activations
from training.config import Config, Tuning, read_config
from training.kept import Kept
from training.rate import Rate
from training.retrieval import evaluate, in_space, unit
from training.sources import View, list_entries, list_views
from training.student import Average, pooled, relational_loss, vectors


def centred(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit rows less their mean, at length 1."""
    rows = unit(rows)
    return unit(rows - rows.mean(axis=0))


def target_of(
    teacher: NDArray[np.float32],
    base: NDArray[np.float32],
    classes: NDArray[np.float32],
    tuning: Tuning,
) -> NDArray[np.float32]:
    """Return what the student's similarities shall be: teacher, base and class side by side."""
    parts = [
        tuning.teacher_weight * centred(teacher),
        centred(base),
        tuning.label_weight * classes,
    ]
    return unit(np.concatenate(parts, axis=1))


def classes_of(views: Sequence[View]) -> NDArray[np.float32]:
    """Return each view's class, (n, classes): 1 in the column of its label, or zeros.

    Labels of archives that were gathered from many sources are noisy and say nothing here.
    """
    labels = [view.entry.label if view.entry.is_sure else None for view in views]
    columns = {label: place for place, label in enumerate(sorted(set(labels) - {None}, key=str))}
    rows = np.zeros((len(views), len(columns)), np.float32)
    for row, label in enumerate(labels):
        if label is not None:
            rows[row, columns[label]] = 1
    return rows


def order_of(views: int, seed: int, epoch: int) -> list[int]:
    """Return the order of views in an epoch; the same whenever it is asked for."""
    order = list(range(views))
    random.Random(f"{seed} {epoch}").shuffle(order)
    return order


def learning_rate(step: int, steps: int, config: Config) -> float:
    """Return the rate at a step: a linear warm-up, then half a cosine down to nothing."""
    tuning = config.tuning
    if step < tuning.warm_up:
        return tuning.learning_rate * (step + 1) / tuning.warm_up
    share = (step - tuning.warm_up) / max(steps - tuning.warm_up, 1)
    return tuning.learning_rate * 0.5 * (1 + float(np.cos(np.pi * min(share, 1))))


class Run:
    """A training that can be cut off anywhere."""

    def __init__(
        self, config: Config, views: Sequence[View], held: Sequence[View], threads: int
    ) -> None:
        torch.set_num_threads(threads)
        self._config = config
        self._views, self._held = views, held
        self._folder = config.run / "student"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._activations = Activations(config, threads)
        self._activations.ensure(held)
        self._activations.ensure(views, config.tuning.variants)
        arrays = read_weights(find_card(config.student.card))
        self._tail = Tail(arrays, config.student.stages)
        self._base = self._vectors(views)
        teacher = Kept(config.run / "teacher-embeddings").rows([view.key for view in views])
        self._target = torch.from_numpy(
            target_of(teacher, self._base, classes_of(views), config.tuning)
        )
        self._mean = torch.from_numpy(unit(self._base).mean(axis=0))
        self._anchor = F.normalize(torch.from_numpy(unit(self._base)) - self._mean)
        self._bank = self._anchor.clone()  # the student's latest vector of each view
        self._optimiser = torch.optim.AdamW(
            list(self._tail.trainable.values()),
            lr=config.tuning.learning_rate,
            weight_decay=config.tuning.weight_decay,
        )
        self._average = Average(self._tail.state(), config.tuning.average)
        self._step = 0
        self._plan = hashlib.sha256(
            json.dumps(
                [asdict(config.student), asdict(config.tuning), [view.key for view in views]]
            ).encode()
        ).hexdigest()
        self._resume()

    @property
    def steps(self) -> int:
        """Steps of the whole training; a last batch that is not full is left out."""
        return self._config.tuning.epochs * self._per_epoch

    @property
    def _per_epoch(self) -> int:
        return len(self._views) // self._config.tuning.batch

    def go(self, seconds: float | None, every: int) -> None:
        """Train to the end, or for so long."""
        began = time.monotonic()
        rate = Rate("views", (self.steps - self._step) * self._config.tuning.batch)
        if self._step == 0:
            self._note(self._quality())
        losses: list[tuple[float, float]] = []
        while self._step < self.steps:
            losses.append(self._learn())
            relational, anchor = np.mean(losses[-every:], axis=0)
            rate.step(self._config.tuning.batch, f"loss {relational:.4f} + {anchor:.4f}")
            over = seconds is not None and time.monotonic() - began > seconds
            if self._step % every == 0 or self._step == self.steps or over:
                self._keep()
                self._note({"loss": float(relational), "anchor": float(anchor)})
            if self._step % self._per_epoch == 0 or self._step == self.steps:
                self._note(self._quality())
            if over:
                break
        self._write()

    def _learn(self) -> tuple[float, float]:
        tuning = self._config.tuning
        epoch, place = divmod(self._step, self._per_epoch)
        order = order_of(len(self._views), tuning.seed, epoch)
        rows = order[place * tuning.batch :][: tuning.batch]
        others = random.Random(f"{tuning.seed} bank {self._step}").sample(
            range(len(self._views)), min(tuning.bank, len(self._views))
        )
        others = sorted(set(others) - set(rows))
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self._step, self.steps, self._config)
        variant = epoch % tuning.variants
        maps = self._activations.maps([self._views[row] for row in rows], variant)
        found = F.normalize(pooled(self._tail, maps, self._config.student.spread))
        student = F.normalize(found - self._mean)
        relational = relational_loss(
            student,
            self._target[rows],
            self._bank[others],
            self._target[others],
            tuning.temperature,
        )
        anchor = (1 - (student * self._anchor[rows]).sum(dim=1)).mean()
        self._optimiser.zero_grad()
        (relational + tuning.anchor * anchor).backward()
        self._optimiser.step()
        self._bank[rows] = student.detach()
        self._average.add(self._tail.trainable)
        self._step += 1
        return relational.item(), anchor.item()

    def _vectors(self, views: Sequence[View]) -> NDArray[np.float32]:
        block = 256
        return np.concatenate(
            [
                vectors(
                    self._tail,
                    self._activations.maps(views[start : start + block]),
                    self._config.student.spread,
                )
                for start in range(0, len(views), block)
            ]
        )

    def _quality(self) -> dict[str, float]:
        """mAP of the averaged weights on the classes to choose by, centred, by archive."""
        current = self._tail.state()
        self._tail.load(self._average.state)
        found: dict[str, float] = {}
        for archive in sorted({view.entry.archive for view in self._held}):
            views = [view for view in self._held if view.entry.archive == archive]
            rows = in_space(self._vectors(views), "centred")
            score = evaluate(rows, [view.entry.label for view in views])
            found[f"mAP {archive}"] = round(score.mean["mAP"], 4)
        self._tail.load(current)
        print(f"step {self._step}: {found}", file=sys.stderr, flush=True)
        return found

    def _note(self, facts: dict[str, float]) -> None:
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self._step, "time": time.time(), **facts}) + "\n")

    def _keep(self) -> None:
        path = self._folder / "checkpoint.pt"
        draft = path.with_suffix(".part")
        torch.save(
            {
                "plan": self._plan,
                "step": self._step,
                "weights": self._tail.state(),
                "average": self._average.state,
                "optimiser": self._optimiser.state_dict(),
                "bank": self._bank,
            },
            draft,
        )
        draft.replace(path)

    def _resume(self) -> None:
        path = self._folder / "checkpoint.pt"
        if not path.exists():
            return
        kept = torch.load(path, weights_only=True)
        if kept["plan"] != self._plan:
            raise ValueError(
                f"{path}: belongs to another configuration or other views; move the folder away"
            )
        self._step = kept["step"]
        self._tail.load(kept["weights"])
        self._average.state = kept["average"]
        self._optimiser.load_state_dict(kept["optimiser"])
        self._bank = kept["bank"]
        print(f"goes on from step {self._step} of {self.steps}", file=sys.stderr, flush=True)

    def _write(self) -> None:
        state = {name: value.numpy() for name, value in self._average.state.items()}
        np.savez(self._folder / "weights.npz", **state)


def settle(usable: Sequence[View], most: int | None, path: Path) -> list[View]:
    """Return the views to train on: those of the first start, which ``path`` keeps.

    Embeddings that came since take part in the next training, in another folder.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{view.key}\n" for view in usable[:most]), encoding="utf-8")
    known = {view.key: view for view in usable}
    return [known[key] for key in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--minutes", type=float, help="stop after so long; a later call goes on")
    parser.add_argument("--every", type=int, default=10, help="steps between checkpoints")
    parser.add_argument("--views", type=int, help="at the first start: so many views at most")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    config = read_config(options.config, options.run)
    views = list_views(list_entries(config.data), config.data.crops)
    embedded = Kept(config.run / "teacher-embeddings")
    usable = [view for view in views if view.entry.part == "train" and view.key in embedded]
    held = [view for view in views if view.entry.part == "choose"]
    chosen = settle(usable, options.views, config.run / "student" / "views.txt")
    run = Run(config, chosen, held, options.threads)
    run.go(None if options.minutes is None else options.minutes * 60, options.every)


if __name__ == "__main__":
    main()
