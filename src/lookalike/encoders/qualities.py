"""Names for points on the frontier of quality against time (docs/encoder-quality.md)."""

from typing import Final

__all__ = ["DEFAULT_ENCODER", "FORMER_DEFAULTS", "QUALITIES"]

QUALITIES: Final = {
    "fast": "efficientnet-lite0-pooled",
    "balanced": "lookalike-v1",
    "best": "lookalike-v1-260",
}
"""Quality → the encoder that it stands for. Each may be given wherever an encoder's name is."""

DEFAULT_ENCODER: Final = QUALITIES["balanced"]
"""The encoder of a new collection for which none is named."""

FORMER_DEFAULTS: Final = ("efficientnet-lite0", "efficientnet-lite2-pooled")
"""Encoders that were the default once: collections made with them keep them until migrated."""
