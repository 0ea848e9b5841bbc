"""Networks that turn images into vectors, described by model cards.

    encoder = load_encoder()                        # EfficientNet-Lite0
    vectors = encoder.encode([encoder.prepare(image)])

Importing this loads neither ONNX Runtime nor onnx: the first comes with the first network that is
opened, the second only when one must be built. ``docs/encoders.md`` tells all.
"""

from typing import TYPE_CHECKING

from lookalike.encoders.cards import ModelCard, available_encoders, find_card, read_card
from lookalike.encoders.onnx_encoder import OnnxEncoder, load_encoder
from lookalike.encoders.weights import default_cache

if TYPE_CHECKING:
    from lookalike.encoders.adding import (
        AddOptions,
        add,
        check_encoder,
        list_encoders,
        remove_encoder,
    )
    from lookalike.encoders.hub import pull

__all__ = [
    "AddOptions",
    "ModelCard",
    "OnnxEncoder",
    "add",
    "available_encoders",
    "check_encoder",
    "default_cache",
    "find_card",
    "list_encoders",
    "load_encoder",
    "pull",
    "read_card",
    "remove_encoder",
]


# What few need, loaded on first use.
_HOMES = {
    "AddOptions": "adding",
    "add": "adding",
    "check_encoder": "adding",
    "list_encoders": "adding",
    "pull": "hub",
    "remove_encoder": "adding",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - see above

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
