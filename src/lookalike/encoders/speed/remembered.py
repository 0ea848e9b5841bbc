"""The fastest way to run an encoder on this machine, as measured, in one small file of the cache.

    $CACHE/speed/<digest of encoder and machine>.json

A file that is damaged, or was measured elsewhere or with other packages, is as good as none: it is
never more than a hint how to compute the same embeddings.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from lookalike.core.atomic_files import write_file
from lookalike.core.records import Json
from lookalike.encoders.devices import DEVICES, Device
from lookalike.encoders.runtimes.sessions import Precision, RunSettings
from lookalike.encoders.speed.machine import describe_machine

__all__ = ["MOST_DISTANCE", "RunChoice", "forget", "recall", "remember"]

MOST_DISTANCE = 1e-3
"""The cosine distance to float32 up to which embeddings count as the same."""

_FOLDER = "speed"
_MOST = 4096  # of anything that is counted: a file with more was not written here


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoice:
    """A device, and how to use it.

    ``distance`` is the largest cosine distance of its embeddings to those in float32 by ONNX
    Runtime, ``relative`` its speed as a multiple of that of the default.
    """

    device: Device
    settings: RunSettings
    distance: float
    relative: float


def recall(cache: Path, fingerprint: str, providers: Sequence[str]) -> RunChoice | None:
    """Return what was remembered for an encoder here; ``None`` if nothing usable was.

    ``providers`` are what ``devices.available_providers`` returns.
    """
    if not (cache / _FOLDER).is_dir():  # as mostly
        return None
    machine = describe_machine(providers)
    try:
        document = json.loads(_path(cache, fingerprint, machine).read_text(encoding="utf-8"))
        if document["encoder"] != fingerprint or document["machine"] != machine:
            return None
        choice = _choice(document["best"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    there = choice.device.provider in providers
    return choice if there and 0 <= choice.distance <= MOST_DISTANCE else None


def remember(cache: Path, fingerprint: str, machine: Mapping[str, Json], choice: RunChoice) -> Path:
    """Write what is best for an encoder on a machine, and return the file. Raise ``OSError``."""
    path = _path(cache, fingerprint, machine)
    best = {
        "provider": choice.device.provider,
        "distance": choice.distance,
        "relative": choice.relative,
        "runs": choice.settings.runs,
        "threads": choice.settings.threads,
        "images": choice.settings.images,
        "precision": choice.settings.precision,
    }
    text = json.dumps({"encoder": fingerprint, "machine": machine, "best": best}, indent=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text + "\n")
    return path


def forget(cache: Path, fingerprint: str, machine: Mapping[str, Json]) -> bool:
    """Delete what was remembered, readable or not. Return whether there was anything.

    Raise ``OSError``.
    """
    path = _path(cache, fingerprint, machine)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _path(cache: Path, fingerprint: str, machine: Mapping[str, Json]) -> Path:
    key = json.dumps([fingerprint, machine], sort_keys=True)
    return cache / _FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _choice(best: Mapping[str, object]) -> RunChoice:
    """Read what ``remember`` wrote. Raise ``KeyError`` or ``ValueError`` for anything else."""
    (device,) = (one for one in DEVICES if one.provider == best["provider"])
    counts = {key: best[key] for key in ("runs", "threads", "images")}
    precision = best["precision"]
    if precision not in get_args(Precision):
        raise ValueError(f"no precision: {precision!r}")
    for value in counts.values():
        if type(value) is not int or not 1 <= value <= _MOST:
            raise ValueError(f"no count: {value!r}")
    distance, relative = best["distance"], best["relative"]
    if not isinstance(distance, int | float) or not isinstance(relative, int | float):
        raise ValueError("no numbers")  # noqa: TRY004 - the value of a document
    settings = RunSettings(precision=precision, **counts)  # type: ignore[arg-type]
    return RunChoice(
        device=device, settings=settings, distance=float(distance), relative=float(relative)
    )
