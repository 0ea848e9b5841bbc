"""Fine-tuning: teach a network a collection's labels, and keep it as an encoder.

    from lookalike.analysis import finetuning as training

    report = training.train(shop, Path("shop-encoder"))
    print(report.before.new, report.after.new, report.card)

Needs PyTorch (``pip install 'lookalike[train]'``), which is imported when a training begins. What
comes out needs none. ``docs/training.md`` tells all.
"""

from lookalike.analysis.finetuning.learn import train
from lookalike.analysis.finetuning.records import (
    Epoch,
    Judgement,
    Quality,
    Recipe,
    TrainingProgress,
    TrainingReport,
)

__all__ = [
    "Epoch",
    "Judgement",
    "Quality",
    "Recipe",
    "TrainingProgress",
    "TrainingReport",
    "train",
]
