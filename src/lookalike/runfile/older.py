"""The keys of an older visual search's ``application.yaml``, in our words.

Such a file downloads a data set, trains a classifier, fills an Elasticsearch index and searches:

    dataset: "caltech_101"
    elasticsearch: {es.nodes: "localhost", es.port: "9200", es.index: "visual", …}
    classifier: {train.classifier: False, model.path: "models/classifier.h5", …}
    pretrained: {model.type: "ResNet50"}
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lookalike.core.suggestions import did_you_mean
from lookalike.errors import RunFileError
from lookalike.runfile.document import Document, Place, Value, where

__all__ = ["KEYS", "Note", "recognised", "translated"]

_SECTIONS = ("elasticsearch", "classifier", "pretrained")

# key → what became of it. In a text, {} is the value.
KEYS: dict[str, str] = {
    "dataset": "is now index.source, a folder with a folder of pictures for each label; "
    "lookalike downloads no data set: have the folder {} beside this file, or say "
    "index: {{source: …}}",
    "es.nodes": "is now part of the collection's address; a store that is not a server needs none",
    "es.port": "is now part of the collection's address",
    "es.index": "is now the collection's name, the end of its address",
    "es.index_mapping_path": "has no meaning any more: a store writes its own mapping",
    "es.rewrite_index": "has no meaning any more: each run brings the collection in line with the "
    "pictures, and vectors of two encoders never mix",
    "es.batch_size": "has no meaning any more: each picture is stored with its own id, 64 in a "
    "transaction",
    "es.approx_search_size": "has no meaning any more: the category is a filter that comes before "
    "the search, so nothing is lost by filtering afterwards",
    "es.search_size": "is now said with each search (lookalike search -k {}); here it is one of "
    "evaluate.k",
    "train.classifier": "is now the section categories: what it learns lies in the collection and "
    "is learned anew when pictures or labels change (or with --force categories)",
    "model.path": "has no meaning any more: what is learned lies in the collection",
    "model.batch_size": "has no meaning any more: learning reads the stored vectors, no pictures",
    "model.type": "is now encoder",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What became of a key: ``shop.yaml:3: es.port``, and a phrase about it."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where} {self.text}"


def recognised(document: Document) -> bool:
    """Whether a file has sections or keys of the older kind."""
    words = {part for key in document.values for part in (key, key.partition(".")[0])}
    return bool(words & {"dataset", *_SECTIONS}) or any(key in KEYS for key in document.values)


def translated(
    document: Document, encoders: Sequence[str], ours: Callable[[str], bool]
) -> tuple[Document, tuple[Note, ...]]:
    """The file in our words, and a note for each key that has another name or none.

    ``encoders`` are the names that there are; ``ours`` says of a top-level key whether it is one
    of ours: these are taken as they are, and win. Raises ``RunFileError`` for a key that is
    neither.
    """
    own = {key: value for key, value in document.values.items() if ours(key)}
    found: dict[str, tuple[Place, Value]] = {}
    for place, value in _leaves(document.values, ours):
        key = _without_section(".".join(map(str, place)))
        if key not in KEYS:
            hint = did_you_mean(key, KEYS)
            raise RunFileError(
                f"{where(document, place)} is no key, neither of ours nor of the older kind{hint}"
            )
        if key in found:
            raise RunFileError(f"{where(document, place)} is there twice")
        if isinstance(value, dict | list):
            raise RunFileError(f"{where(document, place)} must be one value")
        found[key] = (place, value)
    texts = {key: "" if value is None else str(value) for key, (_, value) in found.items()}
    made, extra = _made(texts, encoders)
    lines = dict(document.lines)
    for key, origin in _ORIGINS.items():
        line = next((document.line(found[one][0]) for one in origin if one in found), None)
        if line is not None:
            lines.setdefault((key,), line)
    notes = tuple(
        Note(
            where=where(document, place),
            text=KEYS[key].format(texts[key]) + extra.get(key, ""),
        )
        for key, (place, _) in found.items()
    )
    values = {**made, **own}
    return Document(path=document.path, values=values, lines=lines), notes


# Our key → the older ones that it is made of: messages about it name their line.
_ORIGINS = {
    "collection": ("es.index", "es.nodes", "es.port"),
    "encoder": ("model.type",),
    "index": ("dataset",),
    "categories": ("train.classifier",),
    "evaluate": ("es.search_size",),
}


def _leaves(
    values: Mapping[str, Value], ours: Callable[[str], bool]
) -> Iterator[tuple[Place, Value]]:
    """Every value that is no group, with the keys that lead to it."""

    def within(value: Value, place: Place) -> Iterator[tuple[Place, Value]]:
        if isinstance(value, dict) and value:
            for key, one in value.items():
                yield from within(one, (*place, key))
        elif not (value is None and place[0] in _SECTIONS and len(place) == 1):
            yield place, value

    for key, value in values.items():
        if not ours(key):
            yield from within(value, (key,))


def _without_section(key: str) -> str:
    first, dot, rest = key.partition(".")
    return rest if dot and first in _SECTIONS else key


def _made(
    texts: Mapping[str, str], encoders: Sequence[str]
) -> tuple[dict[str, Value], dict[str, str]]:
    """Our document, and what notes say besides."""
    made: dict[str, Value] = {}
    extra: dict[str, str] = {}
    if texts.keys() & {"es.nodes", "es.port", "es.index"}:
        address = _address(texts)
        made["collection"] = address
        key = next(one for one in ("es.index", "es.nodes", "es.port") if one in texts)
        extra[key] = f": collection: {address}; a plain name there keeps it on this machine"
    if dataset := texts.get("dataset"):
        made["index"] = {"source": dataset, "format": "class-folders"}
    if wanted := texts.get("model.type"):
        near = _encoder(wanted, encoders)
        if near:
            made["encoder"] = near
            extra["model.type"] = f": encoder: {near}"
        else:
            extra["model.type"] = (
                f"; no weights of {wanted} come with lookalike, so a new collection takes its "
                "default, efficientnet-lite0; a model card of your own brings others "
                f"(there are {', '.join(encoders)})"
            )
    made["categories"] = {}
    size = texts.get("es.search_size")
    made["evaluate"] = {"k": ["1", *([size] if size and size != "1" else [])]}
    return made, extra


def _address(texts: Mapping[str, str]) -> str:
    node = (texts.get("es.nodes") or "localhost").split(",")[0].strip()
    host = re.sub(r"^https?://", "", node).rstrip("/")
    if not re.search(r":\d+$", host):
        host += f":{texts.get('es.port') or '9200'}"
    return f"elasticsearch://{host}/{texts.get('es.index') or 'visual'}"


def _encoder(wanted: str, encoders: Sequence[str]) -> str | None:
    """The encoder that a network's name means: of several poolings the maximum, as it was."""
    plain = {one: re.sub(r"[^a-z0-9]", "", one.lower()) for one in encoders}
    word = re.sub(r"[^a-z0-9]", "", wanted.lower())
    fitting = [one for one, name in plain.items() if word and name.startswith(word)]
    return min(fitting, key=lambda one: (not plain[one].endswith("max"), one), default=None)
