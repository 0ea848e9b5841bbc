"""Fine-tuning: teach a network a collection's labels, and keep it as an encoder.

    from lookalike.analysis import finetuning as training

    report = training.train(shop, Path("shop-encoder"))
    print(report.before.new, report.after.new, report.card)

Needs PyTorch (``pip install 'lookalike[train]'``), which is imported when a training begins. What
comes out needs none. ``docs/fine-tuning.md`` tells all.
"""

from lookalike.analysis.finetuning.finetune_encoder import finetune
from lookalike.analysis.finetuning.quality import (
    Epoch,
    FinetuningProgress,
    FinetuningReport,
    Quality,
    Recipe,
    SplitQuality,
)

__all__ = [
    "Epoch",
    "FinetuningProgress",
    "FinetuningReport",
    "Quality",
    "Recipe",
    "SplitQuality",
    "finetune",
]
