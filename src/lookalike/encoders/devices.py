"""Where a model runs: ONNX Runtime's execution providers and OpenVINO, chosen and opened quietly.

The device is no part of an encoder's fingerprint: all of them compute the same embeddings, up to
rounding.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from lookalike.encoders.runtime_errors import explain
from lookalike.encoders.runtimes.onnx_runtime import installed_providers, open_onnx_runtime
from lookalike.encoders.runtimes.openvino_runtime import (
    explain_openvino,
    has_openvino,
    open_openvino,
)
from lookalike.encoders.runtimes.sessions import RunSettings, Session
from lookalike.encoders.weights import Network
from lookalike.errors import EncoderError

__all__ = [
    "DEVICES",
    "Device",
    "available_providers",
    "choose_devices",
    "default_settings",
    "open_session",
]

_log = logging.getLogger(__name__)

# Images in one run of the model, found by benchmarks/encode.py: on a CPU a small run stays in
# the cache of its core, a graphics card wants many at a time.
_CPU_RUN = 2
_GPU_RUN = 32

_PACKAGE = "openvino"  # stands for the package among ONNX Runtime's providers


class Device(NamedTuple):
    """A kind of device, ONNX Runtime's name for it, and the package that brings it.

    ``processor`` says that it computes on the cores that everything else runs on.
    """

    name: str
    provider: str
    install: str
    runtime: Literal["onnxruntime", "openvino"] = "onnxruntime"
    processor: bool = False


# In order of preference: a graphics card, then what a machine's own chips offer.
DEVICES = (
    Device("cuda", "CUDAExecutionProvider", "onnxruntime-gpu"),
    Device("coreml", "CoreMLExecutionProvider", "onnxruntime (on macOS)"),
    Device("directml", "DmlExecutionProvider", "onnxruntime-directml (on Windows)"),
    Device("openvino", "OpenVINOExecutionProvider", "onnxruntime-openvino"),
    Device("cpu", "CPUExecutionProvider", "onnxruntime", processor=True),
    # Last: on a processor, only a measurement tells which of the two is faster.
    Device("openvino", _PACKAGE, "'lookalike[openvino]'", runtime="openvino", processor=True),
)


def choose_devices(wanted: str, available: Sequence[str]) -> list[Device]:
    """Return the devices to try in turn, given what ``available_providers`` returns.

    "auto" is all of ONNX Runtime's by preference, ending with the CPU; a name is that one only,
    and "openvino" the package before a provider of ONNX Runtime. Raise ``EncoderError`` for a name
    that is unknown or whose device is not installed.
    """
    there = [device for device in DEVICES if device.provider in available]
    if wanted == "auto":
        return [device for device in there if device.runtime == "onnxruntime"]
    named = [device for device in DEVICES if device.name == wanted]
    if not named:
        known = ", ".join(dict.fromkeys(["auto", *(device.name for device in DEVICES)]))
        raise EncoderError(f"there is no device {wanted!r}; there are {known}")
    found = [device for device in reversed(named) if device in there]
    if not found:
        missing = named[-1]
        what = (
            "the package openvino"
            if missing.runtime == "openvino"
            else f"the {missing.provider} of ONNX Runtime"
        )
        raise EncoderError(
            f"device {wanted!r} needs {what}, which is not installed; it comes with: "
            f"pip install {missing.install}"
        )
    return found[:1]


def available_providers() -> list[str]:
    """Return the providers of ONNX Runtime, which is imported, and "openvino" for the package."""
    return [*installed_providers(), *([_PACKAGE] if has_openvino() else [])]


def default_settings(device: Device, threads: int) -> RunSettings:
    """Return how a device is used where nothing was measured, with ``threads`` cores at most."""
    if device.processor:
        return RunSettings(runs=threads, images=_CPU_RUN)
    return RunSettings(images=_GPU_RUN)


def open_session(
    network: Network, devices: Sequence[Device], settings: Callable[[Device], RunSettings]
) -> tuple[Session, Device]:
    """Open a model on the first of ``devices`` that takes it, with the device's ``settings``.

    A device that fails is passed over with a warning in the log. Raise ``EncoderError`` when none
    is left, or the file is no model.
    """
    reason = "ONNX Runtime offers no device"
    for place, device in enumerate(devices):
        try:
            session = _open(network, device, settings(device))
        except Exception as error:  # noqa: BLE001  ONNX Runtime's errors share no other base
            said = explain_openvino(error) if device.runtime == "openvino" else explain(error)
            reason = f"{device.name}: {said}"
        else:
            if session is not None:
                return session, device
            reason = f"{device.name}: its libraries cannot be loaded"
        if place + 1 < len(devices):
            _log.warning("a device cannot be used, trying the next: %s", reason)
    raise EncoderError(f"the model cannot be opened: {reason}")


def _open(network: Network, device: Device, settings: RunSettings) -> Session | None:
    if device.runtime == "openvino":
        return open_openvino(network, settings)
    return open_onnx_runtime(network, device.provider, settings)
