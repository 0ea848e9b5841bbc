"""What the speed of an encoder depends on beside the encoder: processor, cores, packages."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lookalike.core.cpus import usable_cores
from lookalike.core.records import Json

__all__ = ["describe_machine"]

_CPUINFO = Path("/proc/cpuinfo")
_PART = 8192  # characters, more than a paragraph
_FACTS = ("vendor_id", "cpu family", "model", "model name", "CPU implementer", "CPU part")
_FEATURES = ("flags", "Features")


def describe_machine(providers: Sequence[str]) -> dict[str, Json]:
    """Return what a measurement is valid for.

    ``providers`` are what ``devices.available_providers`` returns. A machine of a cloud often names
    its processor vaguely, so a digest of the processor's features is included.
    """
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "providers": list[Json](sorted(providers)),
        "packages": {name: _version(name) for name in ("onnxruntime", "openvino")},
    }


def _processor() -> str:
    lines: dict[str, str] = {}
    with suppress(OSError, UnicodeDecodeError):  # only Linux has it
        with _CPUINFO.open(encoding="utf-8") as file:
            first = file.read(_PART).split("\n\n", 1)[0]  # it has a paragraph for each core
        for line in first.splitlines():
            key, _, value = line.partition(":")
            lines[key.strip()] = value.strip()
    known = [lines[key] for key in _FACTS if key in lines]
    if not known:
        return platform.processor() or platform.machine()
    features = " ".join(sorted(lines[key] for key in _FEATURES if key in lines))
    return " ".join([*known, hashlib.sha256(features.encode()).hexdigest()[:8]])


def _version(package: str) -> str | None:
    """Return the version of a package; of one that has a build for each device, any of them."""
    if package == "onnxruntime":
        import onnxruntime  # noqa: PLC0415 - imported by now: it was asked for its providers

        return str(onnxruntime.__version__)
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None
