"""Pulling a backbone of timm: its weights from a hub, exported here to a graph with a card."""

import tempfile
from pathlib import Path

from lookalike.core.digests import sha256_of
from lookalike.core.progress import ProgressCallback
from lookalike.encoders.hub.curated import CuratedEncoder
from lookalike.encoders.hub.encoder_folder import try_card, undone_on_failure
from lookalike.encoders.hub.files import Hub, connect
from lookalike.encoders.hub.pulled_card import Pins, read_pins, timm_card_text
from lookalike.encoders.hub.records import PulledEncoder, PulledFile
from lookalike.encoders.hub.timm_models import WEIGHTS_FILE, describe, export
from lookalike.errors import PullError

__all__ = ["pull_timm", "timm_entry"]

_GRAPH = "model.onnx"
_OPEN = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}


def timm_entry(name: str) -> CuratedEncoder:
    """Return a model of timm as an entry of the list. Raise ``PullError`` for an unknown one."""
    model = describe(name)
    licence = (model.licence or "unknown").lower()
    restricted = f"timm names its licence as {licence}"
    return CuratedEncoder(
        name=model.name,
        title=f"{model.name} (timm)",
        licence=_OPEN.get(licence, licence),
        terms=None if licence in _OPEN else restricted,
        source=f"https://huggingface.co/{model.repository}",
        good_for="",
        facts="timm",
        megabytes=0.0,
        timm=model.name,
    )


def pull_timm(
    entry: CuratedEncoder, folder: Path, hub: Hub | None, progress: ProgressCallback
) -> PulledEncoder:
    """Export the entry's model into ``folder``, unless it is there. Raise ``PullError``."""
    card = folder / f"{entry.name}.toml"
    pins = read_pins(card)
    graph, pinned = folder / _GRAPH, pins.sha256.get(_GRAPH)
    if pinned is not None and graph.is_file() and sha256_of(graph) == pinned:
        return _pulled(entry, card, pins, graph, changed=False)
    model = describe(entry.timm or entry.name)
    if model.repository is None:
        raise PullError(f"timm names no repository with the weights of {model.name}")
    hub = hub or connect()
    file = hub.look_up(model.repository, WEIGHTS_FILE, pins.revision or "main")
    hub.check_space([file], folder, copied=file.size)  # the graph is as large as the weights
    weights = hub.fetch(file, progress)
    with undone_on_failure(folder) as undo, tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / _GRAPH
        dim = export(model, weights.path, made)
        undo.place(made, graph)
        pins = Pins(
            repository=model.repository,
            file=WEIGHTS_FILE,
            revision=file.revision,
            sha256={_GRAPH: sha256_of(graph)},
        )
        undo.replace(card, timm_card_text(entry, model, pins, dim))
        try_card(card)
    return _pulled(entry, card, pins, graph, changed=True)


def _pulled(
    entry: CuratedEncoder, card: Path, pins: Pins, graph: Path, *, changed: bool
) -> PulledEncoder:
    file = PulledFile(
        path=_GRAPH,
        origin=WEIGHTS_FILE,
        bytes=graph.stat().st_size,
        sha256=pins.sha256[_GRAPH],
        downloaded=changed,
    )
    return PulledEncoder(
        name=entry.name,
        card=card,
        licence=entry.licence,
        repository=f"timm/{entry.timm}",
        revision=pins.revision or "",
        files=(file,),
        words=False,
        changed=changed,
    )
