"""Fine-tuning: train an encoder on a collection's labels.

    from lookalike.analysis import finetuning

    report = finetuning.finetune(shop, Path("shop-encoder"))
    print(report.before.new, report.after.new, report.card)

Needs PyTorch (``pip install 'lookalike[finetune]'``), which is imported when fine-tuning starts.
The encoder that it writes does not need PyTorch. See ``docs/fine-tuning.md``.
"""

from lookalike.analysis.finetuning.finetune_encoder import finetune
from lookalike.analysis.finetuning.quality import (
    Epoch,
    FinetuningReport,
    Quality,
    Recipe,
    SplitQuality,
)

__all__ = [
    "Epoch",
    "FinetuningReport",
    "Quality",
    "Recipe",
    "SplitQuality",
    "finetune",
]
