"""From the facts of a model and what a user says to a card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.adding.comparing import in_range
from lookalike.encoders.adding.model_facts import ModelFacts, Tensor
from lookalike.encoders.adding.proposals import (
    Candidate,
    Guess,
    ask_for_constants,
    candidates,
    further_inputs,
    guess_preset,
    image_input,
    layout_of,
    pooled,
)
from lookalike.encoders.adding.records import AddOptions
from lookalike.encoders.adding.shapes import ModelRun
from lookalike.encoders.cards import (
    Dtype,
    Input,
    Layout,
    ModelCard,
    Output,
    Preset,
    Weights,
    find_preset,
)
from lookalike.errors import EncoderError, ModelCardError

__all__ = ["propose_card"]

_SIDE = 224  # pixels, where neither the model nor anybody says
_DTYPES: dict[str, Dtype] = {"float": "float32", "float16": "float16", "uint8": "uint8"}
_MAP_AXES, _TOKEN_AXES = 3, 2  # of one image


def propose_card(
    facts: ModelFacts, options: AddOptions, name: str, target: Path
) -> tuple[ModelCard, list[Guess], list[Candidate]]:
    """Return a card, what was guessed for it, and what may be its output, the best first.

    Raise ``EncoderError`` saying what the user must choose.
    """
    image = image_input(facts, options.input)
    if image.dtype not in _DTYPES or len(image.shape) != 4:  # noqa: PLR2004 - axes of a batch
        raise EncoderError(
            f"{facts.path}: input {image.name} takes {image.dtype} arrays of {len(image.shape)} "
            "axes; a batch of images has 4, of float32, float16 or uint8"
        )
    layout, unsure = layout_of(image)
    guesses = [] if unsure is None else [unsure]
    preset = None if options.preset is None else _preset(options.preset)
    size = _size(facts, image, layout, options, preset)
    run = ModelRun(facts, image, layout, size)
    if options.output is None:
        ranked = candidates(facts, image, run.shapes)
    else:
        ranked = [_chosen(facts, image, run, options.output)]
    chosen = ranked[0]
    if len(ranked) > 1:
        others = ", ".join(one.name for one in ranked[1:])
        reason = f"{chosen.reason}; others: {others}"
        guesses.append(Guess(key="output.name", value=chosen.name, reason=reason))
    if preset is None:
        guess = guess_preset(facts, layout, ranked)
        preset = find_preset(guess.value)
        guesses.append(guess)
        if options.size is None and not _fixed(image, layout):
            size = (preset.keys["size"],) * 2
    if not _fixed(image, layout) and options.size is None:
        why = f"the model takes any; this is usual for {preset.name}"
        guesses.append(Guess(key="input.size", value=str(size[0]), reason=why))
    given = _input(image, layout, size, preset.keys, options, dynamic=facts.dynamic)
    if facts.dynamic:
        why = "it is quantised at run time, by all images of a batch"
        guesses.append(Guess(key="input.max_batch", value="1", reason=why))
    card = ModelCard(
        name=name,
        title=options.title or name,
        licence=options.licence or "",
        source=options.source or "",
        weights=Weights(
            builder="onnx", file=str(facts.path.resolve()), sha256=facts.sha256, data=facts.data
        ),
        input=given,
        output=_output(chosen, options),
        map=None,
        logits=None,
        path=target,
    )
    return card, guesses, ranked


def _preset(name: str) -> Preset:
    try:
        return find_preset(name)
    except ModelCardError as error:
        raise EncoderError(f"--preset {error}") from error


def _chosen(facts: ModelFacts, image: Tensor, run: ModelRun, name: str) -> Candidate:
    """Return the tensor that the user names."""
    if name not in facts.producers:
        there = ", ".join(one.name for one in facts.outputs)
        raise EncoderError(
            f"{facts.path}: the model has no tensor {name!r}; its outputs are {there}"
            f"{did_you_mean(name, facts.producers)}"
        )
    try:
        shape = run.shapes([name])[name]
    except EncoderError as error:
        if further := further_inputs(facts, image, name):
            raise EncoderError(ask_for_constants(facts, name, further)) from error
        raise
    pooling, dim, prefix = pooled(shape)
    return Candidate(
        name=name,
        shape=shape,
        pooling=pooling,
        dim=dim,
        prefix_tokens=prefix,
        reason="it was chosen",
        inner=name not in {one.name for one in facts.outputs},
    )


def _fixed(image: Tensor, layout: Layout) -> tuple[int, int] | None:
    """Return the width and height that the model takes, if it takes only one size."""
    height, width = image.shape[2:] if layout == "nchw" else image.shape[1:3]
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _size(
    facts: ModelFacts, image: Tensor, layout: Layout, options: AddOptions, preset: Preset | None
) -> tuple[int, int]:
    fixed = _fixed(image, layout)
    if fixed is None:
        side = options.size or (_SIDE if preset is None else preset.keys["size"])
        return side, side
    if options.size is not None and fixed != (options.size, options.size):
        raise EncoderError(
            f"{facts.path}: the model takes images of {fixed[0]} x {fixed[1]} pixels only, not of "
            f"--size {options.size}"
        )
    return fixed


def _input(
    image: Tensor,
    layout: Layout,
    size: tuple[int, int],
    keys: Mapping[str, Any],
    options: AddOptions,
    *,
    dynamic: bool,
) -> Input:
    dtype = _DTYPES[image.dtype]
    plain = dtype == "uint8"
    channels = options.channels or keys.get("channels", "rgb")
    turned = channels != keys.get("channels", "rgb")
    mean, std = (tuple(keys[key][::-1] if turned else keys[key]) for key in ("mean", "std"))
    resize = options.resize or keys["resize"]
    given = Input(
        name=image.name,
        width=size[0],
        height=size[1],
        layout=layout,
        channels=channels,
        resize=resize,
        interpolation=keys["interpolation"],
        crop=keys.get("crop", 1.0) if resize == keys["resize"] else 1.0,
        fill=(0, 0, 0),
        scale=1.0 if plain else keys.get("scale", 1.0),
        mean=(0.0, 0.0, 0.0) if plain else mean,
        std=(1.0, 1.0, 1.0) if plain else std,
        dtype=dtype,
        max_batch=1 if dynamic else None,
    )
    if options.range is None:
        return given
    if plain:
        raise EncoderError("--range is not for a model that takes uint8: it gets plain pixels")
    return in_range(given, options.range)


def _output(chosen: Candidate, options: AddOptions) -> Output:
    pooling = options.pooling or chosen.pooling
    shape, dim, prefix = chosen.shape, chosen.dim, chosen.prefix_tokens
    is_map = len(shape) == _MAP_AXES
    if options.pooling is not None:
        if pooling == "none":
            dim = int(np.prod(shape))
        elif pooling in {"cls", "mean_tokens"} and len(shape) != _TOKEN_AXES:
            raise EncoderError(
                f"--pooling {pooling} needs a vector for each token, but {chosen.name} is of shape "
                f"{shape} for one image"
            )
        elif len(shape) not in {_MAP_AXES, _TOKEN_AXES}:
            raise EncoderError(
                f"--pooling {pooling} needs a map or tokens, but {chosen.name} is of shape {shape} "
                "for one image; leave it out"
            )
    if pooling in {"none", "cls"}:
        prefix = 0
    elif pooling == "mean_tokens":
        prefix = prefix or 1
    nhwc = is_map and pooling != "none" and shape[0] < shape[2]
    return Output(
        name=chosen.name,
        dim=dim,
        pooling=pooling,
        layout="nhwc" if nhwc else "nchw",
        prefix_tokens=prefix,
    )
