"""The stored category classifier: saved, loaded, and compared with the current items."""

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from lookalike.analysis.categories import logistic
from lookalike.analysis.categories.labels import Path, path_of
from lookalike.core import settings_keys
from lookalike.core.arguments import checked
from lookalike.core.filters import Exists
from lookalike.core.protocols import Store
from lookalike.core.records import Json
from lookalike.core.vectors import Vector
from lookalike.errors import EncoderMismatchError, StoreDamagedError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = [
    "ClassifierInfo",
    "ClassifierStatus",
    "Model",
    "drop",
    "get_classifier_info",
    "get_classifier_status",
    "load",
    "save_model",
]

# A small document says which of two others holds the model, so that replacing the model is one
# write and noticing it costs a search a few microseconds.
_SLOTS = ("categories 1", "categories 2")
_ALL = 1_000_000  # labels of a collection that are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierInfo:
    """What a collection stores about its classifier.

    ``report`` is ``CategoryReport`` as JSON, without its ``labels``, and with the most frequent
    confusions only. ``where`` is the filter of the training; ``False`` for one that was not text.
    """

    by: str
    levels: bool
    where: str | bool | None
    labels: tuple[str, ...]
    encoder: str
    fingerprint: str
    temperature: float
    trained_at: float
    report: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """Weights (dim, n) and bias (n,) for the labels of ``paths``, which ``counts`` items had.

    The fingerprint covers everything except ``trained_at`` and the report.
    """

    info: ClassifierInfo
    paths: tuple[Path, ...]
    counts: tuple[int, ...]
    weights: logistic.Floats
    bias: logistic.Floats

    def probabilities(self, vector: Vector) -> logistic.Floats:
        logits = vector @ self.weights + self.bias  # (n,)
        return logistic.softmax(logits, self.info.temperature)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierStatus:
    """How the classifier compares with the current items.

    When it was trained, ``items_then`` items had one of ``labels_then`` labels. ``added`` labels
    are unknown to it, no item has the ``gone`` ones any more, and ``changed`` ones have more or
    fewer items. Exchanges of items between labels are not noticed if the numbers stay the same.
    """

    items_then: int
    items_now: int
    labels_then: int
    labels_now: int
    added: tuple[str, ...]
    gone: tuple[str, ...]
    changed: int

    @property
    def current(self) -> bool:
        """Return whether no label was added, removed, or has another number of items."""
        return not (self.added or self.gone or self.changed)


# Decoded models of open stores: decoding takes 3 ms for 142 labels, which each search of a service
# would spend.
_decoded: WeakKeyDictionary[Store, Model] = WeakKeyDictionary()


def save_model(
    collection: "Collection",
    counts: Mapping[Path, int],
    weights: logistic.Floats,
    bias: logistic.Floats,
    *,
    by: str,
    levels: bool,
    where: str | bool | None,
    temperature: float,
    report: Mapping[str, Json],
) -> None:
    """Store a classifier, replacing the present one; weights as float16.

    The columns of ``weights`` (dim, n) and the values of ``bias`` (n,) are in the order of
    ``counts``, the number of items of each label.
    """
    store = collection.store
    bound = store.bound()
    assert bound is not None  # noqa: S101 - there were vectors
    document: dict[str, Json] = {
        "by": by,
        "levels": levels,
        "where": where,
        "labels": [list(path) for path in counts],
        "counts": list(counts.values()),
        "encoder": bound[1],
        "dim": bound[2],
        "temperature": temperature,
        # (dim, n) little-endian float16, then (n,) little-endian float32
        "data": base64.b64encode(
            weights.astype("<f2").tobytes() + bias.astype("<f4").tobytes()
        ).decode(),
    }
    mark: dict[str, Json] = {"fingerprint": _hash_document(document), "trained_at": time.time()}
    used = _choose_slot(store.settings.get(settings_keys.CATEGORIES))
    free = next(slot for slot in _SLOTS if slot != used)
    store.settings.set(free, {**document, **mark, "report": dict(report)})
    store.settings.set(settings_keys.CATEGORIES, {"slot": free, **mark})
    if used is not None:
        store.settings.set(used, None)


def _choose_slot(mark: Json) -> str | None:
    slot = mark.get("slot") if isinstance(mark, dict) else None
    return slot if isinstance(slot, str) and slot in _SLOTS else None


def _hash_document(document: Mapping[str, Json]) -> str:
    """Return a digest of everything that a prediction depends on."""
    names = ("by", "levels", "where", "labels", "counts", "encoder", "dim", "temperature", "data")
    text = json.dumps([document.get(name) for name in names])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load(collection: "Collection") -> Model | None:
    """Return the collection's classifier, or ``None``. It is decoded once per change.

    Raise ``EncoderMismatchError`` for a classifier of other vectors, and ``StoreDamagedError`` for
    a damaged one.
    """
    store = collection.store
    mark = store.settings.get(settings_keys.CATEGORIES)
    while mark is not None:
        model = _decoded.get(store)
        if model is None or not _is_of(mark, model.info):
            slot = _choose_slot(mark)
            model = None if slot is None else _decode_model(store.settings.get(slot))
            if model is None or not _is_of(mark, model.info):
                before, mark = mark, store.settings.get(settings_keys.CATEGORIES)
                if mark != before:  # trained again at this moment
                    continue
                raise StoreDamagedError(
                    "the category classifier is damaged; `lookalike categories train` trains it "
                    "again, `lookalike categories drop` removes it"
                )
            _decoded[store] = model
        bound = store.bound()
        if bound is None or (bound[1], bound[2]) != (model.info.encoder, len(model.weights)):
            raise EncoderMismatchError(
                f"the classifier was trained on vectors of {model.info.encoder}, but the "
                f"collection holds those of {bound[1] if bound else 'none'}; `lookalike "
                "categories train` trains it again"
            )
        return model
    _decoded.pop(store, None)
    return None


def _is_of(mark: Json, one: ClassifierInfo) -> bool:
    return isinstance(mark, dict) and (mark.get("fingerprint"), mark.get("trained_at")) == (
        one.fingerprint,
        one.trained_at,
    )


def _decode_model(document: Json) -> Model | None:
    """Return the model of a document; ``None`` if the document is not valid."""
    match document:
        case {
            "by": str(by),
            "levels": bool(levels),
            "where": str() | False | None as where,
            "labels": list(labels),
            "counts": list(counts),
            "encoder": str(encoder),
            "dim": int(dim),
            "temperature": float(temperature),
            "data": str(data),
            "fingerprint": str(fingerprint),
            "trained_at": float(trained_at),
            "report": dict(report),
        } if isinstance(document, dict) and fingerprint == _hash_document(document):
            pass
        case _:
            return None
    paths = tuple(tuple(map(str, path)) for path in labels if isinstance(path, list))
    raw, count = base64.b64decode(data), len(paths)
    return Model(
        info=ClassifierInfo(
            by=by,
            levels=levels,
            where=where,
            labels=tuple("/".join(path) for path in paths),
            encoder=encoder,
            fingerprint=fingerprint,
            temperature=temperature,
            trained_at=trained_at,
            report=report,
        ),
        paths=paths,
        counts=tuple(one for one in counts if isinstance(one, int)),
        weights=np.frombuffer(raw, "<f2", dim * count).reshape(dim, count).astype(np.float32),
        bias=np.frombuffer(raw, "<f4", count, offset=2 * dim * count).astype(np.float32),
    )


@checked
def get_classifier_info(collection: "Collection") -> ClassifierInfo | None:
    """Return facts about the trained classifier, or ``None``. Raise as ``predict``."""
    model = load(collection)
    return None if model is None else model.info


@checked
def get_classifier_status(collection: "Collection") -> ClassifierStatus | None:
    """Return how the classifier compares with the current items; ``None`` if that is unknown.

    It is unknown without a classifier, or if its filter was not text. Reads every item for label
    paths and metadata fields: 0.5 s for 100,000. Raise as ``predict``.
    """
    model = load(collection)
    if model is None or isinstance(model.info.where, bool):
        return None
    then = dict(zip(model.paths, model.counts, strict=True))
    now = _count_labels(collection, model.info.by, model.info.where, levels=model.info.levels)
    return ClassifierStatus(
        items_then=sum(then.values()),
        items_now=sum(now.values()),
        labels_then=len(then),
        labels_now=len(now),
        added=_join(now.keys() - then.keys()),
        gone=_join(then.keys() - now.keys()),
        changed=sum(now[path] != then[path] for path in now.keys() & then.keys()),
    )


def _join(paths: Sequence[Path] | set[Path]) -> tuple[str, ...]:
    return tuple(sorted("/".join(path) for path in paths))


def _count_labels(
    collection: "Collection", by: str, where: str | None, *, levels: bool
) -> Mapping[Path, int]:
    """Return label → number of items, of those that meet the filter."""
    if by == "label" and not levels:
        found = collection.facets(by, where, limit=_ALL)
        return {(label,): count for label, count in found if isinstance(label, str) and label}
    counts = Counter(
        path_of(item, by, levels=levels) for item in collection.items(where or Exists(by))
    )
    return {path: count for path, count in counts.items() if path}


@checked
def drop(collection: "Collection") -> bool:
    """Remove the classifier; return whether there was one."""
    store = collection.store
    there = store.settings.get(settings_keys.CATEGORIES) is not None
    if there:
        store.settings.set(settings_keys.CATEGORIES, None)
        for slot in _SLOTS:
            if store.settings.get(slot) is not None:
                store.settings.set(slot, None)
    return there
