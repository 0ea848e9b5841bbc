"""What a run does, in this order: by itself, for `--help` names it and loads nothing else."""

from typing import Literal, TypeAlias, get_args

__all__ = ["STEPS", "Step"]

Step: TypeAlias = Literal[
    "download", "index", "declare", "categories", "neighbours", "evaluate", "export"
]
STEPS: tuple[Step, ...] = get_args(Step)
