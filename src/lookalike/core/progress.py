"""How far a piece of work is: what every ``progress`` callback is called with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Progress", "ProgressCallback", "ignore_progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """``done`` of ``total`` units of work; the total is ``None`` if it cannot be known.

    Units are items, unless the function says otherwise. ``skipped`` counts images that could not
    be used. ``stage`` names what is being done, where work has several stages. ``note`` is text
    that is worth showing beside the numbers, such as the loss of a training.
    """

    done: int
    total: int | None = None
    skipped: int = 0
    stage: str = ""
    note: str = ""


ProgressCallback: TypeAlias = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Do nothing: the callback of those who ask for none."""
