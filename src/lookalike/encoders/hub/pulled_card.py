"""The card of a pulled encoder: what the list knows, completed from the graph, with its pins."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lookalike.encoders.adding.model_facts import ModelFacts, Tensor, before_classifier
from lookalike.encoders.adding.proposals import image_input
from lookalike.encoders.cards.writing import toml_text
from lookalike.encoders.hub.curated import CuratedEncoder, CuratedWords
from lookalike.encoders.hub.timm_models import INPUT, OUTPUT, WEIGHTS_FILE, TimmModel
from lookalike.errors import EncoderError, PullError

__all__ = ["Pins", "pulled_card_text", "read_pins", "timm_card_text"]

_TYPES = {"float16", "uint8"}  # of an input, beside float32; anything else is a message of the card


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What a pull noted: the commit, and the digest of each file in the encoder's folder.

    ``repository`` and ``file`` are where the graph came from.
    """

    repository: str | None = None
    file: str | None = None
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)


def read_pins(card: Path) -> Pins:
    """Return what the card of an earlier pull noted; nothing if there is none that can be read."""
    try:
        parsed = tomllib.loads(card.read_text(encoding="utf-8"))
        weights: dict[str, Any] = parsed["weights"]
        digests = {weights["file"]: weights["sha256"], **weights.get("data", {})}
        words: dict[str, Any] = parsed.get("words", {})
        if words:
            digests[words["file"]] = words["sha256"]
            digests[words["tokenizer"]] = words["tokenizer_sha256"]
            digests |= words.get("data", {})
        origin: dict[str, str] = parsed["origin"]
        names = ("repository", "file", "revision")
        return Pins(**{name: origin[name] for name in names}, sha256=digests)
    except (OSError, ValueError, KeyError, TypeError):
        return Pins()


def _image_input(facts: ModelFacts, wanted: str | None) -> Tensor:
    """Return the list's input, or where the graph has another the one that takes an image."""
    known = {one.name for one in facts.inputs}
    try:
        return image_input(facts, wanted if wanted in known else None)
    except EncoderError as error:
        raise PullError(str(error)) from error


def _embedding(facts: ModelFacts, wanted: Mapping[str, Any]) -> str:
    """Return the name of the tensor that is the embedding.

    The list's name, or where the graph has another: the only output of the right length.
    """
    outputs = {one.name: one for one in facts.outputs}
    name, before = wanted.get("name"), wanted.get("before")
    if before is not None:
        classes = before if before in outputs else next(iter(outputs))
        inner = before_classifier(facts, classes) if len(outputs) == 1 else None
        if inner is not None:
            return inner
    elif name in facts.producers:
        return str(name)
    fitting = [one.name for one in facts.outputs if one.shape[1:] == (wanted["dim"],)]
    if len(fitting) == 1:
        return fitting[0]
    if len(outputs) == 1 and before is None and name is None:
        return next(iter(outputs))
    raise PullError(
        f"the graph has other outputs than the list says, {', '.join(outputs)} instead of "
        f"{name or before}; pull it as hf:OWNER/NAME/FILE"
    )


def pulled_card_text(
    entry: CuratedEncoder, pins: Pins, graph: ModelFacts, text: ModelFacts | None = None
) -> str:
    """Return the card as TOML; ``text`` are the facts of the text side, if it was pulled.

    Raise ``PullError`` if a graph is not what the list says.
    """
    given, output = entry.keys["input"], entry.keys["output"]
    image = _image_input(graph, given.get("name"))
    input_keys = {"name": image.name, "preset": given["preset"], "size": given["size"]}
    if image.dtype in _TYPES:
        input_keys["dtype"] = image.dtype
    output_keys = {"name": _embedding(graph, output), "dim": output["dim"]}
    if "pooling" in output:
        output_keys["pooling"] = output["pooling"]
    values = _top(entry) | {
        "weights": _file(entry.graph, pins, graph),
        "input": input_keys,
        "output": output_keys,
        "origin": {
            "repository": entry.repository,
            "revision": pins.revision,
            "file": entry.graph,
            "terms": entry.terms,
        },
    }
    if text is not None and entry.words is not None:
        values["words"] = _words(entry.words, pins, text)
    return toml_text(values, comment=_comment(entry))


def _top(entry: CuratedEncoder) -> dict[str, Any]:
    names = ("name", "title", "licence", "source")
    return {name: getattr(entry, name) for name in names}


def _comment(entry: CuratedEncoder) -> str:
    return f"Written by `lookalike encoder pull {entry.name}`."


def _file(path: str, pins: Pins, graph: ModelFacts) -> dict[str, Any]:
    """Return the keys of a graph's own file and of those that it reads."""
    file = PurePosixPath(path).name
    keys: dict[str, Any] = {"file": file, "sha256": pins.sha256[file]}
    if graph.data:
        keys["data"] = dict(graph.data)
    return keys


def _words(words: CuratedWords, pins: Pins, text: ModelFacts) -> dict[str, Any]:
    output = str(words.keys["output"])
    if output not in {one.name for one in text.outputs}:
        names = ", ".join(one.name for one in text.outputs)
        raise PullError(f"the text side has no output {output}, as the list says, but {names}")
    tokenizer = PurePosixPath(words.tokenizer).name
    found = {"tokenizer": tokenizer, "tokenizer_sha256": pins.sha256[tokenizer]}
    return _file(words.graph, pins, text) | found | dict(words.keys)


def timm_card_text(entry: CuratedEncoder, model: TimmModel, pins: Pins, dim: int) -> str:
    """Return the card of an exported model of timm as TOML."""
    ((file, digest),) = pins.sha256.items()
    values = _top(entry) | {
        "weights": {"file": file, "sha256": digest},
        "input": {
            "name": INPUT,
            "width": model.width,
            "height": model.height,
            "resize": model.resize,
            "crop": model.crop if model.resize == "crop" else None,
            "interpolation": model.interpolation,
            "scale": 1 / 255,
            "mean": model.mean,
            "std": model.std,
        },
        "output": {"name": OUTPUT, "dim": dim},
        "origin": {
            "repository": model.repository,
            "revision": pins.revision,
            "file": WEIGHTS_FILE,
            "terms": entry.terms,
        },
    }
    return toml_text(values, comment=_comment(entry))
