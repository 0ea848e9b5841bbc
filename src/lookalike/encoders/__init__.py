"""Networks that turn images into vectors, described by model cards.

    encoder = load_encoder()                        # EfficientNet-Lite0
    vectors = encoder.encode([encoder.prepare(image)])

Importing this loads neither ONNX Runtime nor onnx: the first comes with the first network that is
opened, the second only when one must be built. ``docs/encoders.md`` tells all.
"""

from lookalike.encoders.cards import ModelCard, available_encoders, find_card, read_card
from lookalike.encoders.hub import pull
from lookalike.encoders.onnx_encoder import OnnxEncoder, load_encoder
from lookalike.encoders.weights import default_cache

__all__ = [
    "ModelCard",
    "OnnxEncoder",
    "available_encoders",
    "default_cache",
    "find_card",
    "load_encoder",
    "pull",
    "read_card",
]
