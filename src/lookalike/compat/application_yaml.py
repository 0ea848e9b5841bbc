"""Translate the keys of an older visual search's ``application.yaml`` into those of a run file.

Such a file downloads a data set, trains a classifier, fills an Elasticsearch index and searches:

    dataset: "caltech_101"
    elasticsearch: {es.nodes: "localhost", es.port: "9200", es.index: "visual", …}
    classifier: {train.classifier: False, model.path: "models/classifier.h5", …}
    pretrained: {model.type: "ResNet50"}

Pure: values in, values out. Reading the file and naming its lines is done by ``runfile``.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lookalike.core.suggestions import did_you_mean

__all__ = [
    "KEYS",
    "KeyChange",
    "OldKeyError",
    "Translation",
    "is_application_yaml",
    "translate",
]

Place: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = "dict[str, Value] | list[Value] | object"

_SECTIONS = ("elasticsearch", "classifier", "pretrained")

# Old key → what became of it. {} is replaced by the value in the file.
KEYS: dict[str, str] = {
    "dataset": "is now index.source, a folder with a folder of images for each label; "
    "lookalike downloads no data set: put the folder {} beside this file, or write "
    "index: {{source: …}}",
    "es.nodes": "is now part of the collection's address; a store that is not a server needs none",
    "es.port": "is now part of the collection's address",
    "es.index": "is now the collection's name, the end of its address",
    "es.index_mapping_path": "is no longer used: a store writes its own mapping",
    "es.rewrite_index": "is no longer used: each run brings the collection in line with the "
    "images, and vectors of two encoders never mix",
    "es.batch_size": "is no longer used: each image is stored with its own id, 64 in a transaction",
    "es.approx_search_size": "is no longer used: the category is a filter that is applied before "
    "the search, so no result is lost by filtering afterwards",
    "es.search_size": "is now given with each search (lookalike search -k {}); here it is one of "
    "evaluate.k",
    "train.classifier": "is now the section categories: the trained classifier is stored in the "
    "collection and trained again when images or labels change (or with --force categories)",
    "model.path": "is no longer used: the trained classifier is stored in the collection",
    "model.batch_size": "is no longer used: training reads the stored vectors, not the images",
    "model.type": "is now encoder",
}


class OldKeyError(Exception):
    """A key or value that cannot be translated: where it is, and what is wrong with it."""

    def __init__(self, place: Place, reason: str, *, unknown: bool = False) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason
        self.unknown = unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What became of the old key at ``place``, as a phrase that follows the key."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """The values of a run file, a change for each old key, and where new keys came from.

    ``origins`` maps a key of a run file to the places of the old keys that it was made of, so that
    a message about it can name their line.
    """

    values: dict[str, Value]
    changes: tuple[KeyChange, ...]
    origins: Mapping[str, tuple[Place, ...]]


def is_application_yaml(values: Mapping[str, Value]) -> bool:
    """Return whether a file's values have sections or keys of the old kind."""
    words = {part for key in values for part in (key, key.partition(".")[0])}
    return bool(words & {"dataset", *_SECTIONS}) or any(key in KEYS for key in values)


def translate(
    values: Mapping[str, Value], encoders: Sequence[str], is_current: Callable[[str], bool]
) -> Translation:
    """Return the values with their current keys.

    ``encoders`` are the names of the known encoders. ``is_current`` returns whether a top-level key
    is one of a run file: such keys are taken unchanged, and win. Raise ``OldKeyError`` for a key
    that is neither, one that is given twice, and a group where one value is expected.
    """
    own = {key: value for key, value in values.items() if is_current(key)}
    found: dict[str, tuple[Place, Value]] = {}
    for place, value in _leaves(values, is_current):
        key = _without_section(".".join(map(str, place)))
        if key not in KEYS:
            hint = did_you_mean(key, KEYS)
            raise OldKeyError(place, f"is a key of neither kind of file{hint}", unknown=True)
        if key in found:
            raise OldKeyError(place, "is given twice")
        if isinstance(value, dict | list):
            raise OldKeyError(place, "must be one value")
        found[key] = (place, value)
    texts = {key: "" if value is None else str(value) for key, (_, value) in found.items()}
    made, extra = _translate_values(texts, encoders)
    changes = tuple(
        KeyChange(place=place, text=KEYS[key].format(texts[key]) + extra.get(key, ""))
        for key, (place, _) in found.items()
    )
    origins = {
        key: places
        for key, old in _ORIGINS.items()
        if (places := tuple(found[one][0] for one in old if one in found))
    }
    return Translation(values={**made, **own}, changes=changes, origins=origins)


# Key of a run file → the old keys that it is made of.
_ORIGINS: Mapping[str, tuple[str, ...]] = {
    "collection": ("es.index", "es.nodes", "es.port"),
    "encoder": ("model.type",),
    "index": ("dataset",),
    "categories": ("train.classifier",),
    "evaluate": ("es.search_size",),
}


def _leaves(
    values: Mapping[str, Value], is_current: Callable[[str], bool]
) -> Iterator[tuple[Place, Value]]:
    """Yield every value that is not a group, with the keys that lead to it."""

    def within(value: Value, place: Place) -> Iterator[tuple[Place, Value]]:
        if isinstance(value, dict) and value:
            for key, one in value.items():
                yield from within(one, (*place, key))
        elif not (value is None and place[0] in _SECTIONS and len(place) == 1):
            yield place, value

    for key, value in values.items():
        if not is_current(key):
            yield from within(value, (key,))


def _without_section(key: str) -> str:
    first, dot, rest = key.partition(".")
    return rest if dot and first in _SECTIONS else key


def _translate_values(
    texts: Mapping[str, str], encoders: Sequence[str]
) -> tuple[dict[str, Value], dict[str, str]]:
    """Return the new values, and for old keys what to add to their text."""
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
        near = _find_encoder(wanted, encoders)
        if near:
            made["encoder"] = near
            extra["model.type"] = f": encoder: {near}"
        else:
            extra["model.type"] = (
                f"; no weights of {wanted} come with lookalike, so a new collection takes its "
                "default, balanced; `lookalike encoder add FILE` makes an encoder of weights that "
                "you have, such as resnet50-max (docs/encoders.md) "
                f"(available: {', '.join(encoders)})"
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


def _find_encoder(wanted: str, encoders: Sequence[str]) -> str | None:
    """Return the encoder that a model type names: of several poolings the maximum, as before."""
    plain = {one: re.sub(r"[^a-z0-9]", "", one.lower()) for one in encoders}
    word = re.sub(r"[^a-z0-9]", "", wanted.lower())
    matching = [one for one, name in plain.items() if word and name.startswith(word)]
    return min(matching, key=lambda one: (not plain[one].endswith("max"), one), default=None)
