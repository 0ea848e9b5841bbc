"""Where a network runs: ONNX Runtime's execution providers, chosen and opened quietly.

The device is no part of an encoder's fingerprint: all of them compute the same network, up to
rounding.
"""

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lookalike.encoders.runtime_errors import explain
from lookalike.encoders.weights import Network
from lookalike.errors import EncoderError

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["DEVICES", "Device", "available_providers", "choose_devices", "open_session"]

# ONNX Runtime's builds tell Microsoft of their use (its Privacy.md) and keep a number for that
# below ~/.cache, unless this is set before they are imported. Who runs this asked for neither.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_log = logging.getLogger(__name__)

_ONLY_FATAL = 4  # ONNX Runtime's log severity; what goes wrong arrives as an exception anyway


class Device(NamedTuple):
    """A kind of device, ONNX Runtime's name for it, and the package that brings it."""

    name: str
    provider: str
    install: str


# In order of preference: a graphics card, then what a machine's own chips offer.
DEVICES = (
    Device("cuda", "CUDAExecutionProvider", "onnxruntime-gpu"),
    Device("coreml", "CoreMLExecutionProvider", "onnxruntime (on macOS)"),
    Device("directml", "DmlExecutionProvider", "onnxruntime-directml (on Windows)"),
    Device("openvino", "OpenVINOExecutionProvider", "onnxruntime-openvino"),
    Device("cpu", "CPUExecutionProvider", "onnxruntime"),
)


def choose_devices(wanted: str, available: Sequence[str]) -> list[Device]:
    """Return the devices to try in turn, given the providers that ONNX Runtime has.

    "auto" is all of them by preference, ending with the CPU; a name is that one only.
    Raise ``EncoderError`` for a name that is unknown or whose provider is not installed.
    """
    if wanted == "auto":
        return [device for device in DEVICES if device.provider in available]
    for device in DEVICES:
        if device.name == wanted:
            if device.provider not in available:
                raise EncoderError(
                    f"device {wanted!r} needs the {device.provider} of ONNX Runtime, which is not "
                    f"installed; it comes with: pip install {device.install}"
                )
            return [device]
    known = ", ".join(["auto", *(device.name for device in DEVICES)])
    raise EncoderError(f"there is no device {wanted!r}; there are {known}")


def available_providers() -> list[str]:
    """Return the providers of the ONNX Runtime that is installed; the first call imports it."""
    import onnxruntime  # noqa: PLC0415  25 ms that listing a collection must not pay

    onnxruntime.set_default_logger_severity(_ONLY_FATAL)
    providers: list[str] = onnxruntime.get_available_providers()
    return providers


def open_session(
    network: Network, devices: Sequence[Device], threads: int = 1
) -> "tuple[onnxruntime.InferenceSession, Device]":
    """Open a network on the first of ``devices`` that takes it.

    ``threads`` is how many cores one run on the processor may use. A device that fails is passed
    over with a warning in the log. Raise ``EncoderError`` when none is
    left, or the network is none.
    """
    import onnxruntime  # noqa: PLC0415  see available_providers

    reason = "ONNX Runtime offers no device"
    for place, device in enumerate(devices):
        try:
            session = onnxruntime.InferenceSession(
                network,
                _options(device, threads),
                providers=[device.provider],
                enable_fallback=0,  # it would print, and fall back without saying so
            )
        except Exception as error:  # noqa: BLE001  ONNX Runtime's errors share no other base
            reason = f"{device.name}: {explain(error)}"
        else:
            # A provider whose libraries are missing is left out without an exception.
            if session.get_providers()[0] == device.provider:
                return session, device
            reason = f"{device.name}: its libraries cannot be loaded"
        if place + 1 < len(devices):
            _log.warning("a device cannot be used, trying the next: %s", reason)
    raise EncoderError(f"the model cannot be opened: {reason}")


def _options(device: Device, threads: int) -> "onnxruntime.SessionOptions":
    import onnxruntime  # noqa: PLC0415  see open_session

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_FATAL
    # Parallelism comes from several runs at a time, each on one thread, and not from threads
    # inside a run: docs/decisions/0002-encoder-runtime.md. A text is mostly alone.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if device.name == "directml":
        options.enable_mem_pattern = False  # it refuses to start otherwise
    return options
