"""Backbones of timm as ONNX graphs: what a model is, and its export by torch.

timm knows the preprocessing that each of its weights was trained with, so that nothing about it
needs to be guessed. Needs the extra ``export``.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.core.suggestions import did_you_mean
from lookalike.errors import PullError

__all__ = ["INPUT", "OUTPUT", "WEIGHTS_FILE", "TimmModel", "describe", "export"]

WEIGHTS_FILE = "model.safetensors"  # in every repository of timm
INPUT, OUTPUT = "image", "embedding"  # of an exported graph
_FARTHEST = 1e-4  # cosine distance between torch's output and ONNX Runtime's
_PROBES = 3  # images of noise that both are given; more than one, so that batches are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmModel:
    """What timm knows of weights. ``resize`` and ``crop`` are those of a card's input.

    ``repository`` on the hub has the weights; ``None`` where timm names none.
    """

    name: str
    licence: str | None
    repository: str | None
    width: int
    height: int
    resize: str
    crop: float
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


def describe(name: str) -> TimmModel:
    """Return what timm knows of a model. Raise ``PullError`` for an unknown one."""
    timm = _timm()
    from timm.data import resolve_data_config  # noqa: PLC0415 - an extra, seconds to load

    config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is None or not (config.hf_hub_id or config.url):
        known = timm.list_pretrained()
        raise PullError(
            f"timm {timm.__version__} has no weights {name!r}{did_you_mean(name, known, n=3)}"
            "; `timm.list_pretrained()` lists them"
        )
    facts = resolve_data_config(pretrained_cfg=config.to_dict(), model=None)
    channels, height, width = facts["input_size"]
    if channels != len("rgb"):
        raise PullError(f"timm's {name} takes {channels} channels, not an RGB image")
    squash = facts["crop_mode"] == "squash"
    full = f"{config.architecture}.{config.tag}" if config.tag else str(config.architecture)
    return TimmModel(
        name=full,
        licence=config.license,
        repository=config.hf_hub_id,
        width=int(width),
        height=int(height),
        resize="squash" if squash else "crop",
        crop=1.0 if squash else float(facts["crop_pct"]),
        interpolation=str(facts["interpolation"]),
        mean=tuple(float(one) for one in facts["mean"]),
        std=tuple(float(one) for one in facts["std"]),
    )


def export(model: TimmModel, weights: Path | None, graph: Path) -> int:
    """Write the model without its classifier as an ONNX graph; return the embedding's length.

    ``image`` (n, 3, height, width) float32 → ``embedding`` (n, dim). ``weights`` is a checkpoint;
    with ``None`` they are random. The graph is compared with torch before it is kept: raise
    ``PullError`` if they differ, or if the model cannot be exported.
    """
    timm = _timm()
    import torch  # noqa: PLC0415 - an extra, a second to load

    overlay = {"file": str(weights)} if weights is not None else None
    try:
        network = timm.create_model(
            model.name,
            pretrained=weights is not None,
            pretrained_cfg_overlay=overlay,
            num_classes=0,
            exportable=True,
        ).eval()
    except Exception as error:
        raise PullError(f"timm cannot load {model.name}: {_first_line(error)}") from error
    shape = (_PROBES, 3, model.height, model.width)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(shape, generator=generator)
    with torch.inference_mode():
        expected = network(noise).numpy()
    if expected.ndim != 2:  # noqa: PLR2004 - (n, dim)
        raise PullError(
            f"timm's {model.name} gives {expected.shape[1:]} for an image, not a vector"
        )
    _write(torch, network, noise, graph)
    distance = _farthest(expected, _run(graph, noise.numpy()))
    if not distance <= _FARTHEST:
        graph.unlink()
        raise PullError(
            f"the exported graph of {model.name} differs from torch (cosine distance "
            f"{distance:.1g}); it was not kept"
        )
    return int(expected.shape[1])


def _timm() -> Any:  # noqa: ANN401 - the module, which has no types
    try:
        import timm  # noqa: PLC0415 - an extra
        import torch  # noqa: F401, PLC0415 - likewise
    except ImportError as error:
        raise PullError(
            "timm's backbones are exported by timm and torch, which are not installed; get them "
            "by: pip install 'lookalike[export]'"
        ) from error
    return timm


def _write(torch: Any, network: Any, example: Any, graph: Path) -> None:  # noqa: ANN401 - of torch, which has no types here
    """Export by torch's older exporter, which needs no further package, or else by the newer."""
    names = {"input_names": [INPUT], "output_names": [OUTPUT]}
    free = {INPUT: {0: "n"}, OUTPUT: {0: "n"}}
    failures = []
    with _quiet():
        for older in (True, False):
            try:
                torch.onnx.export(
                    network, (example,), str(graph), dynamo=not older, dynamic_axes=free, **names
                )
            except Exception as error:  # noqa: BLE001 - of torch, of any kind
                failures.append(_first_line(error))
            else:
                return
    graph.unlink(missing_ok=True)
    raise PullError(f"torch {torch.__version__} cannot export it: {'; '.join(failures)}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters print and warn of from the user."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def _run(graph: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime  # noqa: PLC0415 - slow to load

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (rows,) = session.run([OUTPUT], {INPUT: images})
    return np.asarray(rows, dtype=np.float32)


def _farthest(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the largest cosine distance between rows; NaN if one is not finite."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    products = (a * b).sum(axis=1)
    return float((1 - products / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).max())


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
