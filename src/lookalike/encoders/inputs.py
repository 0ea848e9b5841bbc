"""What a model takes beside the input that matters: stand-ins for the other half of a model.

A model with both halves, for images and for text, wants both inputs in every run, and ONNX Runtime
computes all outputs whichever are fetched. So the other half gets one input as small as its shape
allows.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.runtimes.sessions import Session
from lookalike.errors import EncoderError

if TYPE_CHECKING:
    from lookalike.encoders.cards import Input

__all__ = ["TEXT_INPUTS", "number_type", "stand_ins"]

_TYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
TEXT_INPUTS: Mapping[str, int] = {
    "input_ids": 0,
    "attention_mask": 1,
    "token_type_ids": 0,
    "position_ids": 0,
}
"""Usual names of text inputs, and what fills each for a text that does not matter."""


def number_type(name: str) -> type[np.generic]:
    """Return the numpy type of an ONNX type, as ``tensor(int64)``. Raise ``EncoderError``."""
    if name not in _TYPES:
        raise EncoderError(f"the model takes {name}, which is not supported")
    return _TYPES[name]


def stand_ins(
    session: Session,
    fed: Collection[str],
    *,
    image: "Input | None" = None,
    text: Mapping[str, int] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return an array for every input of a model that is not ``fed``, of one image or text each.

    ``image`` is the input that takes images. ``text`` are the inputs that take text, and the number
    that fills each. Raise ``EncoderError`` for an input of neither kind.
    """
    fills = text or {}
    found: dict[str, NDArray[Any]] = {}
    for node in session.get_inputs():
        if node.name in fed:
            continue
        kind = number_type(node.type)
        if image is not None and node.name == image.name:
            sides = (image.height, image.width)
            plain = (1, 3, *sides) if image.layout == "nchw" else (1, *sides, 3)
            found[node.name] = np.zeros(plain, dtype=kind)
        elif node.name in fills:
            shape = [one if isinstance(one, int) else 1 for one in node.shape]
            found[node.name] = np.full(shape, fills[node.name], dtype=kind)
        else:
            raise EncoderError(
                f"the model also takes {node.name} ({node.type}), and nothing says what that is"
            )
    return found
