"""Values for the inputs of a model that do not take the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.cards import Constant, ModelCard
from lookalike.encoders.inputs import TEXT_INPUTS, number_type
from lookalike.encoders.runtimes.sessions import Session
from lookalike.errors import EncoderError, ModelCardError

__all__ = ["OpenConstant", "constants_for"]


@dataclass(frozen=True, slots=True)
class OpenConstant:
    """What an input gets: ``array`` for a number of images. ``None`` in a shape is that number."""

    name: str
    _values: NDArray[Any]
    _shape: tuple[int | None, ...]

    def array(self, images: int) -> NDArray[Any]:
        shape = tuple(images if axis is None else axis for axis in self._shape)
        if self._values.size == 1:
            return np.broadcast_to(self._values, shape)
        return self._values.reshape(shape)


def constants_for(session: Session, card: ModelCard) -> tuple[OpenConstant, ...]:
    """Return what every input of a model but the image's gets, by the card.

    Inputs for text are known by their names, and get a text that stands for nothing.
    Raise ``ModelCardError`` for an input that the card has no value for, and for a value that
    does not fit.
    """
    nodes = {node.name: node for node in session.get_inputs()}
    others = [name for name in nodes if name != card.input.name]
    given = {one.name: one for one in card.inputs}
    texts = dict(TEXT_INPUTS)
    if card.words is not None:
        texts |= {card.words.input: 0, card.words.mask: 1}
    given |= {
        name: Constant(name=name, values=(texts[name],))
        for name in others  # those of a card that a cut model lacks are not there
        if name in texts and name not in given
    }
    missing = [name for name in others if name not in given]
    if missing:
        lines = "\n".join(f"{name} = 0" for name in missing)
        raise ModelCardError(
            f"{card.path}: the model also takes {', '.join(missing)}; if they do not matter for "
            f"the embedding of an image, add to the card:\n[inputs]\n{lines}"
        )
    if card.input.name in given:
        raise ModelCardError(f"{card.path}: inputs.{card.input.name} takes the image")
    if not others:
        return ()
    first = nodes[card.input.name].shape[:1]
    return tuple(_opened(given[name], nodes[name], first, card) for name in others)


def _opened(
    one: Constant,
    node: Any,  # noqa: ANN401 - ONNX Runtime's NodeArg, which has no types
    batch: Sequence[object],
    card: ModelCard,
) -> OpenConstant:
    try:
        kind = number_type(node.type)
    except EncoderError as error:
        raise ModelCardError(
            f"{card.path}: the model also takes {one.name}, of type {node.type}, which cannot be "
            "given; export the model without that input"
        ) from error
    shape: tuple[int | None, ...]
    if one.shape is not None:
        shape = one.shape
    else:
        named = batch[0] if batch and isinstance(batch[0], str) else None
        shape = tuple(
            axis if isinstance(axis, int) and axis > 0 else None if axis == named and named else 1
            for axis in node.shape
        )
    values: NDArray[Any] = np.asarray(one.values).astype(kind)
    fixed = [axis for axis in shape if axis is not None]
    if values.size > 1 and (len(fixed) < len(shape) or values.size != np.prod(fixed)):
        raise ModelCardError(
            f"{card.path}: inputs.{one.name} has {values.size} values, but the input is of shape "
            f"{node.shape}; give a shape too: {{ value = […], shape = […] }}"
        )
    return OpenConstant(one.name, values, shape)
