"""Which tensor of a TensorFlow Lite graph is the embedding, and how its images are prepared. Pure.

Such a file usually is a classifier: its last dense layer (or 1 x 1 convolution of one position)
gives the classes, and what goes into it is the embedding.
"""

from dataclasses import dataclass

from lookalike.encoders.cards import Input, Triple
from lookalike.encoders.converting.graph import FEATURES, IMAGE, LOGITS, MAP
from lookalike.encoders.converting.tflite_files import TfliteModel, TfliteStep

__all__ = ["choose_outputs", "input_of"]

_AFTER = ("DEQUANTIZE", "LOGISTIC", "QUANTIZE", "RESHAPE", "SOFTMAX", "SQUEEZE")
_POOLING = ("AVERAGE_POOL_2D", "MEAN", "RESHAPE", "SQUEEZE", "DEQUANTIZE", "QUANTIZE")
_CLASSES = (1000, 1001)  # of ImageNet, without and with a background
_FEWEST = 128  # numbers of an embedding
_MAP = 4  # axes
_HALF = 127.5
_WHOLE = 255.0
_NEAR_ZERO = 0.1
_SMALL = 0.02
_UNKNOWN = "the file does not say how pixels are scaled; they are mapped to -1 to 1"


@dataclass(frozen=True, slots=True)
class ChosenOutput:
    """Outputs by name → tensors, and what to say about the choice."""

    outputs: dict[str, int]
    note: str


def choose_outputs(model: TfliteModel) -> ChosenOutput:
    """Return ``features``, and ``logits`` and ``map`` where there are any."""
    makers = {at: step for step in model.steps for at in step.outputs}
    last, passed = model.output, set()
    while last in makers and makers[last].operator in _AFTER:
        passed.add(makers[last].operator)
        last = makers[last].inputs[0]
    width = model.tensors[last].shape[-1] if model.tensors[last].shape else 0
    step = makers.get(last)
    classifies = (
        step is not None
        and _is_dense(model, step)
        and (bool(passed & {"SOFTMAX", "LOGISTIC"}) or width in _CLASSES or width < _FEWEST)
    )
    if step is not None and classifies:
        outputs = {FEATURES: step.inputs[0], LOGITS: last}
        note = f"the embedding is what goes into the last layer, which tells {width} classes"
    else:
        outputs = {FEATURES: last}
        note = f"the embedding is the output, {width} numbers"
    before = outputs[FEATURES]
    while before in makers and makers[before].operator in _POOLING:
        before = makers[before].inputs[0]
    shape = model.tensors[before].shape
    if before != model.input and len(shape) == _MAP and shape[1] * shape[2] > 1:
        outputs[MAP] = before
    return ChosenOutput(outputs, note)


def _is_dense(model: TfliteModel, step: TfliteStep) -> bool:
    if step.operator == "FULLY_CONNECTED":
        return True
    shape = model.tensors[step.inputs[0]].shape
    return step.operator == "CONV_2D" and shape[1:3] == (1, 1)


def input_of(model: TfliteModel) -> tuple[Input, str | None]:
    """Return how images are prepared, and a note if the file does not say it.

    A quantised input says it exactly: its stored number is the pixel. Otherwise the first step may
    tell: it rescales pixels by itself, or has a range from -1 to 1 or from 0 to 1.
    """
    (mean, std), note = _scaling(model)
    _, height, width, _ = model.tensors[model.input].shape
    means: Triple = (mean, mean, mean)
    stds: Triple = (std, std, std)
    spec = Input(
        name=IMAGE,
        width=width,
        height=height,
        layout="nchw",
        channels="rgb",
        resize="squash",
        interpolation="bilinear",
        crop=1.0,
        fill=(0, 0, 0),
        scale=1.0,
        mean=means,
        std=stds,
    )
    return spec, note


def _scaling(model: TfliteModel) -> tuple[tuple[float, float], str | None]:
    """Return (mean, std) of every channel, and a note if they are a guess."""
    tensor = model.tensors[model.input]
    given = tensor.quantisation
    if tensor.dtype in ("UINT8", "INT8") and given is not None and given.scales[0] > 0:
        offset = 128 if tensor.dtype == "INT8" else 0  # int8 input is the pixel less 128
        return (float(given.zero_points[0] + offset), float(1 / given.scales[0])), None
    first = next((step for step in model.steps if model.input in step.inputs), None)
    if first is not None and first.operator == "MUL" and _shrinks(model, first):
        return (0.0, 1.0), None
    span = None
    if first is not None and first.operator == "QUANTIZE":
        span = model.tensors[first.outputs[0]].range
    if span is None:
        return (_HALF, _HALF), _UNKNOWN
    if span[0] < -_NEAR_ZERO:
        return (_HALF, _HALF), None
    return (0.0, _WHOLE if span[1] < _WHOLE / 2 else 1.0), None


def _shrinks(model: TfliteModel, step: TfliteStep) -> bool:
    """Return whether a step multiplies pixels by a number like 1/255 or 1/127.5."""
    factors = [model.tensors[at].floats for at in step.inputs if at != model.input]
    return all(one is not None and one.size == 1 and 0 < one.item() < _SMALL for one in factors)
