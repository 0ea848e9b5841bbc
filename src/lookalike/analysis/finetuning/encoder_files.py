"""Write fine-tuned weights as an ordinary encoder: an ONNX file and its card."""

import json
import re
from hashlib import sha256
from pathlib import Path

from lookalike.core.atomic_files import write_file
from lookalike.encoders.cards import ModelCard, read_card
from lookalike.encoders.checkpoint import Arrays
from lookalike.encoders.efficientnet_lite import FEATURES, IMAGE, MAP, build_network

__all__ = ["card_name", "is_written", "write_encoder"]

# The beginning of _CARD, now and when the command was called `train`.
_FIRST = (b"# Written by `lookalike finetune`", b"# Written by `lookalike train`")
_CARD = """\
# Written by `lookalike finetune`; every key is explained in docs/encoders.md.
name = {name}
title = {title}
licence = {licence}
source = {source}

[weights]
builder = "onnx"
file = {file}
sha256 = "{sha256}"

[input]
name = "{image}"
width = {width}
height = {height}
layout = "nchw"
channels = "{channels}"
resize = "{resize}"
{resizing}interpolation = "{interpolation}"
scale = {scale!r}
mean = {mean}
std = {std}

[output]
name = "{features}"
dim = {dim}

[map]
name = "{map}"
layout = "nchw"
"""


def card_name(folder: Path) -> str:
    """Return a name for the encoder in that folder: the folder's, as far as names allow."""
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")
    return text[:64] or "encoder"


def is_written(card: Path) -> bool:
    """Return whether ``write_encoder`` wrote this card, so that a new one may replace it."""
    try:
        with card.open("rb") as file:
            return file.readline().startswith(_FIRST)
    except OSError:
        return False


def write_encoder(folder: Path, base: ModelCard, arrays: Arrays, *, trained_on: str) -> Path:
    """Write ``NAME.onnx`` and ``NAME.toml``; return the card's path. Files are written completely
    or not.

    The graph and the preprocessing are those of ``base``, so images are prepared as in the
    training. ``trained_on`` describes the training data.
    """
    name, given = card_name(folder), base.input
    content = build_network(arrays, width=given.width, height=given.height).SerializeToString()
    file = f"{name}.onnx"
    write_file(folder / file, content)
    resizing = {
        "crop": f"crop = {given.crop!r}\n",
        "pad": f"fill = {list(given.fill)}\n",
        "squash": "",
    }
    text = _CARD.format(
        name=_text(name),
        title=_text(f"{base.title}, fine-tuned on {trained_on}"),
        licence=_text(f"{base.licence} for the original network; the images' for the rest"),
        source=_text(f"lookalike finetune, from {base.name}: {base.source}"),
        file=_text(file),
        sha256=sha256(content).hexdigest(),
        image=IMAGE,
        width=given.width,
        height=given.height,
        channels=given.channels,
        resize=given.resize,
        resizing=resizing[given.resize],
        interpolation=given.interpolation,
        scale=given.scale,
        mean=list(given.mean),
        std=list(given.std),
        features=FEATURES,
        dim=base.output.dim,
        map=MAP,
    )
    path = folder / f"{name}.toml"
    write_file(path, text.encode())
    return read_card(path).path


def _text(value: str) -> str:
    """Return a TOML string. JSON has the same escapes, except that TOML also escapes DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
