"""ONNX networks whose weights lie in further files: every file that is read is checked first.

A network may keep tensors in files beside it (ONNX external data). ONNX Runtime reads such a file
without asking what is in it, and maps it into memory, so that a change on the disk changes an open
network. So the card names each file with its SHA-256, and what is opened are the bytes that were
hashed, put into the network in memory.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from lookalike.core.digests import sha256_of
from lookalike.encoders.cards import ModelCard
from lookalike.errors import ModelCardError, WeightsError

if TYPE_CHECKING:
    import onnx

__all__ = ["MOST_BYTES", "digest_beside", "locations", "with_data"]

MOST_BYTES = 2**31 - 2**20
"""Protobuf's limit for one message, which ONNX Runtime is given, with room for the graph."""

# Every tensor outside the file has an entry of this name: without it there is none, and the graph
# need not be parsed (which imports onnx, 100 ms).
_MARK = b"location"
_CONTEXT = b"EPContext"
_TENSOR = "onnx.TensorProto"


def locations(model: "onnx.ModelProto") -> tuple[str, ...]:
    """Return the further files that a graph reads, by the names that it has for them."""
    return tuple(dict.fromkeys(_details(one).get("location", "") for one in _external(model)))


def digest_beside(path: Path, location: str) -> str:
    """Return the SHA-256 of a further file of the model at ``path``. Raise ``WeightsError``."""
    return _digest(_place(path, location))


def with_data(content: bytes, path: Path, card: ModelCard) -> bytes | None:
    """Return the network with the tensors of its further files in it; ``None`` if it has none.

    ``content`` is that of the file at ``path``. Raise ``WeightsError`` for a file that the card
    does not name, that is missing, too short, not the one that the card names, or outside the
    network's folder, and ``ModelCardError`` for a file in the card that the network does not read.
    """
    listed = dict(card.weights.data)
    if _MARK not in content and _CONTEXT not in content:
        _check_all_read(set(listed), path, card)
        return None
    model = _parsed(content, path)
    _refuse_contexts(model, path)
    tensors = list(_external(model))
    if not tensors:
        _check_all_read(set(listed), path, card)
        return None
    named = [(tensor, _details(tensor)) for tensor in tensors]
    locations = dict.fromkeys(details.get("location", "") for _, details in named)
    places = {one: _place(path, one) for one in locations}
    unnamed = {one: place for one, place in places.items() if one not in listed}
    if unnamed:
        lines = "\n".join(f'"{one}" = "{_digest(place)}"' for one, place in unnamed.items())
        raise WeightsError(
            f"{path}: reads {', '.join(unnamed)} beside it, which the card {card.path} does not "
            "name; if these are the right files, add their SHA-256 to the card:\n"
            f"[weights.data]\n{lines}"
        )
    _check_all_read(set(listed) - set(places), path, card)
    size = len(content) + sum(_size(place) for place in places.values())
    if size > MOST_BYTES:
        raise WeightsError(
            f"{path}: has {size:,} bytes with the files that it reads; the limit is {MOST_BYTES:,}"
        )
    found = {one: _read(place, listed[one], card) for one, place in places.items()}
    for tensor, details in named:
        location = details["location"]
        _fill(tensor, details, found[location], places[location])
    serialized: bytes = model.SerializeToString()
    return serialized


def _parsed(content: bytes, path: Path) -> "onnx.ModelProto":
    import onnx  # noqa: PLC0415 - 100 ms that few networks need
    from google.protobuf.message import (  # type: ignore[import-untyped]  # noqa: PLC0415 - of onnx
        DecodeError,
    )

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise WeightsError(f"{path}: is no ONNX file: {error}") from error
    return model


def _external(message: Any) -> Iterator[Any]:  # noqa: ANN401 - any message of protobuf
    """Every tensor outside the file, wherever a network may hold one.

    All fields are looked through, so none is missed: initializers, sparse ones, attributes,
    subgraphs, functions.
    """
    if message.DESCRIPTOR.full_name == _TENSOR:
        if message.data_location == message.EXTERNAL:
            yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for one in value if _is_repeated(value) else (value,):
            yield from _external(one)


def _is_repeated(value: object) -> bool:
    return not hasattr(value, "DESCRIPTOR")


def _nodes(message: Any) -> Iterator[Any]:  # noqa: ANN401 - any message of protobuf
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for one in value if _is_repeated(value) else (value,):
            if one.DESCRIPTOR.full_name == "onnx.NodeProto":
                yield one
            if one.DESCRIPTOR.full_name != _TENSOR:
                yield from _nodes(one)


def _refuse_contexts(model: "onnx.ModelProto", path: Path) -> None:
    """A network compiled for one device may keep its weights in a file of the device's own form."""
    for node in _nodes(model):
        if node.op_type == "EPContext" and any(
            one.name == "embed_mode" and one.i == 0 for one in node.attribute
        ):
            raise WeightsError(
                f"{path}: was compiled for one device and reads a further file that cannot be "
                "checked; use the original network"
            )


def _details(tensor: Any) -> dict[str, str]:  # noqa: ANN401 - a TensorProto
    return {one.key: one.value for one in tensor.external_data}


def _place(network: Path, location: str) -> Path:
    """Return where a further file lies. Raise ``WeightsError`` outside the network's folder."""
    windows = PureWindowsPath(location)
    parts = {*PurePosixPath(location).parts, *windows.parts}
    if not location or ".." in parts or windows.anchor or location.startswith("/"):
        raise WeightsError(
            f"{network}: reads weights from {location!r}; they must lie in the network's own folder"
        )
    place = network.parent / location
    try:
        real = place.resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{network}: reads weights from {location!r}, which is not there; put the file beside "
            "the network"
        ) from error
    if not real.is_relative_to(network.parent.resolve()) or not real.is_file():
        raise WeightsError(
            f"{network}: reads weights from {location!r}, which leads to {real}; they must be a "
            "file in the network's own folder"
        )
    return real


def _size(place: Path) -> int:
    try:
        return place.stat().st_size
    except OSError as error:
        raise WeightsError(f"{place}: cannot be read: {error.strerror or error}") from error


def _digest(place: Path) -> str:
    try:
        return sha256_of(place)
    except OSError as error:
        raise WeightsError(f"{place}: cannot be read: {error.strerror or error}") from error


def _read(place: Path, expected: str, card: ModelCard) -> bytes:
    try:
        content = place.read_bytes()
    except OSError as error:
        raise WeightsError(f"{place}: cannot be read: {error.strerror or error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise WeightsError(
            f"{place}: not the weights that the card of {card.name} names: "
            f"expected SHA-256 {expected}, found {found}"
        )
    return content


def _fill(tensor: Any, details: dict[str, str], content: bytes, place: Path) -> None:  # noqa: ANN401 - a TensorProto
    """Put the tensor's bytes into it, as ``onnx.external_data_helper`` does."""
    try:
        start = int(details.get("offset", "0"))
        length = int(details["length"]) if "length" in details else len(content) - start
    except ValueError as error:
        raise WeightsError(f"{place}: the place of tensor {tensor.name!r} is no number") from error
    if start < 0 or length < 0 or start + length > len(content):
        raise WeightsError(
            f"{place}: is too short: tensor {tensor.name!r} ends at byte {start + length:,}, and "
            f"the file has {len(content):,}"
        )
    tensor.raw_data = content[start : start + length]
    tensor.data_location = tensor.DEFAULT
    del tensor.external_data[:]


def _check_all_read(unread: set[str], path: Path, card: ModelCard) -> None:
    if unread:
        raise ModelCardError(
            f"{card.path}: weights.data names {', '.join(sorted(unread))}, which {path} does not "
            "read; remove it from the card"
        )
