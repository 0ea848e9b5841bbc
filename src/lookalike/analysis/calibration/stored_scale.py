"""The calibration that is stored with a collection: loaded, checked, measured again."""

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lookalike.analysis.calibration.measurement import measure
from lookalike.analysis.calibration.scale import Calibration, Level, Match, Spread
from lookalike.core import settings_keys
from lookalike.core.arguments import checked
from lookalike.errors import StoreBusyError, StoreFullError, StoreReadOnlyError

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["calibrate", "choose_scale", "get_calibration", "holds", "load_calibration"]

_DRIFT = 1.5  # factor of items after which it is measured again: weak has moved by 0.006


@checked
def get_calibration(collection: "Collection") -> Calibration:
    """Return the collection's stored calibration if it still holds, else measure it now.

    Measuring needs no image and no encoder. The result is stored if the collection is writable.
    """
    scale = load_calibration(collection)
    if scale is None:
        scale = measure(collection)
        # If it cannot be stored, the next caller measures again, which takes a second.
        with suppress(StoreBusyError, StoreFullError, StoreReadOnlyError):
            _keep(collection, scale)
    return scale


@checked
def choose_scale(scale: Calibration | None, min_match: Match | None) -> Calibration | None:
    """Return the scale to use, if any. Pure.

    Default thresholds are only used if a level was requested.
    """
    return None if scale is None or (scale.reason and min_match is None) else scale


@checked
def calibrate(collection: "Collection") -> Calibration:
    """Measure the levels again and store them. Raise ``StoreError`` if that is not possible."""
    scale = measure(collection)
    _keep(collection, scale)
    return scale


@checked
def load_calibration(collection: "Collection") -> Calibration | None:
    """Return the stored calibration if it still holds, else ``None``."""
    scale = _read(collection.store.settings.get(settings_keys.CALIBRATION))
    return scale if scale is not None and holds(scale, collection) else None


@checked
def holds(scale: Calibration, collection: "Collection") -> bool:
    """Return whether a calibration still describes the collection.

    It does for the vectors of one encoder, until there are half as many items again or a third
    have gone. What could not be measured holds while the number of items is the same.
    """
    bound = collection.store.bound()
    if bound is None or scale.fingerprint != bound[1]:
        return False
    items = len(collection)
    if scale.reason is not None:
        return items == scale.items
    return scale.items / _DRIFT <= items <= scale.items * _DRIFT


def _keep(collection: "Collection", scale: Calibration) -> None:
    if collection.store.bound() is not None:
        collection.store.settings.set(settings_keys.CALIBRATION, asdict(scale))


def _read(document: Any) -> Calibration | None:  # noqa: ANN401 - JSON, looked at closely here
    """Return what ``_keep`` wrote; ``None`` for nothing, or what another version wrote."""
    try:
        strong, fair, weak = (Level(**level) for level in document["levels"])
        spreads = {
            name: None if document[name] is None else Spread(**document[name])
            for name in ("pairs", "nearest")
        }
        return Calibration(**{**document, **spreads, "levels": (strong, fair, weak)})
    except (KeyError, TypeError, ValueError):
        return None
