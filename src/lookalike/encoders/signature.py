"""What a model takes and gives, compared with what its card says."""

from lookalike.encoders.cards import ModelCard
from lookalike.encoders.runtimes.sessions import Session
from lookalike.encoders.weights import wanted_tensors
from lookalike.errors import ModelCardError

__all__ = ["check_signature", "fixed_batch", "must_be_cut"]

_IMAGE_AXES = 4
_COLOURS = 3
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}


def must_be_cut(card: ModelCard, session: Session) -> bool:
    """Return whether the model lacks an output that the card names, or takes what may not matter.

    Raise ``ModelCardError`` for constants in the card that the model does not take.
    """
    inputs = [one.name for one in session.get_inputs()]
    if card.input.name not in inputs:  # check_signature says so
        return False
    for one in card.inputs:
        if one.name not in inputs:
            raise ModelCardError(
                f"{card.path}: inputs.{one.name} is no input of the model; it has "
                f"{', '.join(inputs)}"
            )
    outputs = {one.name for one in session.get_outputs()}
    needs_all = card.words is not None and card.words.file is None
    others = set(inputs) - {card.input.name} - {one.name for one in card.inputs}
    return not outputs.issuperset(wanted_tensors(card)) or (bool(others) and not needs_all)


def fixed_batch(session: Session, name: str) -> int | None:
    """Return how many images the model takes in each run; ``None`` if that is open."""
    (shape,) = (node.shape for node in session.get_inputs() if node.name == name)
    first = shape[0] if shape else None
    return first if isinstance(first, int) and first > 0 else None


def check_signature(card: ModelCard, session: Session, *, classifier: bool) -> None:
    """Raise ``ModelCardError`` if the model is not what the card says: names, types, shapes.

    The message says which key to change.
    """
    _check_names(card, session, classifier=classifier)
    (node,) = (one for one in session.get_inputs() if one.name == card.input.name)
    if node.type not in _DTYPES:
        raise ModelCardError(
            f"{card.path}: input {node.name} takes {node.type}; an image can be given as "
            f"{', '.join(_DTYPES)}: export the model with one of these"
        )
    if _DTYPES[node.type] != card.input.dtype:
        raise ModelCardError(
            f'{card.path}: input.dtype is "{card.input.dtype}", but the model takes '
            f'"{_DTYPES[node.type]}"'
        )
    _check_shape(card, node.shape)
    for one in session.get_outputs():
        if one.name == card.output.name and one.type not in {
            "tensor(float)",
            "tensor(float16)",
            "tensor(double)",
        }:
            raise ModelCardError(
                f"{card.path}: output {one.name} gives {one.type}, which is no embedding; name "
                "another tensor of the model as output.name"
            )


def _check_names(card: ModelCard, session: Session, *, classifier: bool) -> None:
    inputs = [node.name for node in session.get_inputs()]
    outputs = [node.name for node in session.get_outputs()]
    wanted = [("input.name", card.input.name, inputs)]
    wanted += [(key, name, outputs) for name, key in wanted_tensors(card).items()]
    for key, name, there in wanted:
        if name not in there and (classifier or key != "logits.name"):
            raise ModelCardError(
                f"{card.path}: {key} is {name!r}, but the model has {', '.join(there)}"
            )


def _check_shape(card: ModelCard, shape: list[object]) -> None:
    given = card.input
    if not shape:  # unknown, or a single number; the first run tells
        return
    if len(shape) != _IMAGE_AXES:
        raise ModelCardError(
            f"{card.path}: input {given.name} takes arrays of {len(shape)} axes, {shape}; a batch "
            "of images has 4: name the input that takes images as input.name, or export the model "
            "with such an input"
        )
    first, second = (1, 2) if given.layout == "nchw" else (3, 1)
    colours, (height, width) = shape[first], shape[second : second + 2]
    other = {"nchw": "nhwc", "nhwc": "nchw"}[given.layout]
    if isinstance(colours, int) and colours not in {_COLOURS, -1}:
        if _COLOURS in {shape[1], shape[3]}:
            raise ModelCardError(
                f'{card.path}: input.layout is "{given.layout}", but the model takes {shape}, '
                f'which is "{other}"'
            )
        raise ModelCardError(
            f"{card.path}: input {given.name} takes images of {colours} channels, {shape}; "
            "lookalike gives three: red, green, blue"
        )
    for key, wanted, there in (("width", given.width, width), ("height", given.height, height)):
        if isinstance(there, int) and there not in {wanted, -1}:
            raise ModelCardError(
                f"{card.path}: input.{key} is {wanted}, but the model takes {there}"
            )
