"""What the frozen stages of the student give for views, computed once and kept.

For Lite0 at 224 px with two stages trained that is a map of 14 x 14 x 112, 44 kB a view as float16.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.finetuning.maps import front_of
from lookalike.encoders.cards import find_card
from lookalike.encoders.weights import read_weights
from training.config import Config
from training.crops import disturb, show
from training.kept import Kept, Writer
from training.rate import Rate
from training.sources import Reader, View

__all__ = ["Activations"]


class Activations:
    """Maps of views, (n, rows, columns, channels) float32; computes what is not kept yet."""

    def __init__(self, config: Config, threads: int) -> None:
        student = config.student
        card = find_card(student.card)
        card = replace(card, input=replace(card.input, width=student.side, height=student.side))
        self._folder = config.run / "activations" / f"{card.name}-{student.side}-{student.stages}"
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = read_weights(card)
        self._front = front_of(card, arrays, student.stages, self._folder, threads=threads)
        self._reader = Reader(Path(config.data.archives))
        self._kept = Kept(self._folder)
        self._shape: tuple[int, ...] | None = None

    def ensure(self, views: Sequence[View], variants: int = 1) -> None:
        """Compute the maps of views in so many variants that are missing."""
        missing = [
            (view, variant)
            for variant in range(variants)
            for view in views
            if _key(view, variant) not in self._kept
        ]
        rate = Rate("activations", len(missing))
        if missing:
            with Writer(self._folder, "all", math.prod(self.shape)) as writer:
                for view, variant in missing:
                    writer.append(_key(view, variant), self._run(view, variant).ravel())
                    rate.step()
            self._kept = Kept(self._folder)

    def maps(self, views: Sequence[View], variant: int = 0) -> NDArray[np.float32]:
        """Return the maps of views that are kept."""
        rows = self._kept.rows([_key(view, variant) for view in views])
        return rows.reshape(len(views), *self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns and channels of a map."""
        if self._shape is None:
            width, height = self._front.card.input.width, self._front.card.input.height
            blank = np.zeros((height, width, 3), np.uint8)
            self._shape = self._front.patches([blank]).shape[1:]
        return self._shape

    def _run(self, view: View, variant: int) -> NDArray[np.float32]:
        image = disturb(show(self._reader.image(view.entry), view), view.key, variant)
        maps: NDArray[np.float32] = self._front.patches([self._front.prepare(image)])[0]
        return maps


def _key(view: View, variant: int) -> str:
    return f"{view.key}~{variant}" if variant else view.key
