"""ONNX Runtime: quiet, and with one thread in a run unless more are asked for."""

import os
from typing import TYPE_CHECKING

from lookalike.encoders.runtimes.sessions import RunSettings, Session
from lookalike.encoders.weights import Network

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["installed_providers", "open_onnx_runtime"]

# ONNX Runtime's builds tell Microsoft of their use (its Privacy.md) and keep a number for that
# below ~/.cache, unless this is set before they are imported. Who runs this asked for neither.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_ONLY_FATAL = 4  # ONNX Runtime's log severity; what goes wrong arrives as an exception anyway
_DIRECTML = "DmlExecutionProvider"


def installed_providers() -> list[str]:
    """Return the providers of the ONNX Runtime that is installed; the first call imports it."""
    import onnxruntime  # noqa: PLC0415  25 ms that listing a collection must not pay

    onnxruntime.set_default_logger_severity(_ONLY_FATAL)
    providers: list[str] = onnxruntime.get_available_providers()
    return providers


def open_onnx_runtime(network: Network, provider: str, settings: RunSettings) -> Session | None:
    """Open a model on a provider; ``None`` where the provider's own libraries cannot be loaded.

    Raise ONNX Runtime's exceptions, which share no base.
    """
    import onnxruntime  # noqa: PLC0415  see installed_providers

    session: Session = onnxruntime.InferenceSession(
        network,
        _options(provider, settings),
        providers=[provider],
        enable_fallback=0,  # it would print, and fall back without saying so
    )
    # A provider whose libraries are missing is left out without an exception.
    return session if session.get_providers()[0] == provider else None  # type: ignore[attr-defined]


def _options(provider: str, settings: RunSettings) -> "onnxruntime.SessionOptions":
    import onnxruntime  # noqa: PLC0415  see installed_providers

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_FATAL
    # By default parallelism comes from several runs at a time, each on one thread, and not from
    # threads inside a run: docs/decisions/0002-encoder-runtime.md.
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    # Threads that wait for each other without sleeping take the time of those that decode images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider == _DIRECTML:
        options.enable_mem_pattern = False  # it refuses to start otherwise
    return options
