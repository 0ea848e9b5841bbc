"""The steps of a run, in order; a separate module, because `--help` loads nothing else."""

from typing import Literal, TypeAlias, get_args

__all__ = ["STEPS", "Step"]

Step: TypeAlias = Literal[
    "download", "index", "declare", "categories", "neighbours", "evaluate", "export"
]
STEPS: tuple[Step, ...] = get_args(Step)
