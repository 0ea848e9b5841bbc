"""Images to send to a service: queries, and entries in batches."""

import base64
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np
import urllib3
from PIL import Image

from lookalike import images
from lookalike.core.records import Entry, Json, Remote, Skipped
from lookalike.errors import (
    ImageError,
    NotAnImageError,
    UnreadableImageError,
)
from lookalike.search import (
    Encoded,
    ImageSource,
    ItemRef,
    QueryPart,
    VectorFile,
    Words,
    is_vector,
)
from lookalike.search.vectors import check_vector, load_vector

__all__ = [
    "batches",
    "crop_text",
    "form",
    "is_image",
    "part_json",
    "said_json",
    "skipped",
    "upload",
]

_BATCH = 50  # images sent at once: half of what a service takes
_BATCH_BYTES = 64 * 2**20  # a quarter of it


def is_image(source: object) -> TypeGuard[ImageSource]:
    """Return whether a part of a query is an image, rather than an item, words or an embedding."""
    return not is_vector(source) and not isinstance(source, ItemRef | Words | Encoded | VectorFile)


def crop_text(crop: images.Crop) -> str:
    """Return a crop as a query parameter."""
    return crop if crop == "auto" else ",".join(repr(float(side)) for side in crop)


def part_json(part: QueryPart) -> dict[str, Json]:
    """Return a part of a query as the service takes it."""
    document: dict[str, Json] = {"weight": part.weight}
    if part.crop is not None:
        box = part.crop
        document["crop"] = "auto" if box == "auto" else [float(side) for side in box]
    if isinstance(part.source, ItemRef):
        return document | {"id": part.source.id}
    if isinstance(part.source, Words):
        return document | {"text": part.source.text}
    if is_image(part.source):
        data, _ = upload(part.source)
        return document | {"image_base64": base64.b64encode(data).decode()}
    vector = part.source.vector if isinstance(part.source, Encoded) else part.source
    if isinstance(vector, VectorFile):
        vector = load_vector(vector.path)
    document["vector"] = check_vector(vector, dim=None).tolist()
    return document


def upload(query: ImageSource) -> tuple[bytes, str | None]:
    """Return an image's bytes, and its name for messages."""
    if isinstance(query, Image.Image):
        return _encode_png(images.from_image(query)), None
    if isinstance(query, np.ndarray):
        return _encode_png(images.from_array(query)), None
    if isinstance(query, bytes):
        return query, None
    path = os.fspath(query)
    if path.lower().startswith(("http://", "https://")):
        raise NotAnImageError("is a URL; save the image first and give the file", path=path)
    return images.read(Path(os.path.expanduser(path))), path  # noqa: PTH111 - as Collection has it


def _encode_png(decoded: images.DecodedImage) -> bytes:
    file = io.BytesIO()
    decoded.image.save(file, "PNG", compress_level=1, icc_profile=None)  # its colours are sRGB now
    return file.getvalue()


def form(files: Sequence[bytes], fields: Mapping[str, str]) -> tuple[bytes, str]:
    parts = [("image", ("image", data, "application/octet-stream")) for data in files]
    return urllib3.encode_multipart_formdata([*fields.items(), *parts])


def batches(
    entries: Iterable[Entry],
) -> Iterator[tuple[list[tuple[Entry, bytes]], list[Skipped]]]:
    """Yield batches of entries with their bytes, and the entries that cannot be read."""
    batch: list[tuple[Entry, bytes]] = []
    unread: list[Skipped] = []
    size = 0
    for entry in entries:
        try:
            data = _read_bytes(entry)
        except ImageError as error:
            unread.append(skipped(entry, error.reason))
            continue
        if batch and (len(batch) == _BATCH or size + len(data) > _BATCH_BYTES):
            yield batch, unread
            batch, unread, size = [], [], 0
        batch.append((entry, data))
        size += len(data)
    if batch or unread:
        yield batch, unread


def _read_bytes(entry: Entry) -> bytes:
    if isinstance(entry.image, Remote):
        raise UnreadableImageError("is a URL; download it first")
    return entry.image if isinstance(entry.image, bytes) else images.read(entry.image)


def said_json(batch: Sequence[tuple[Entry, bytes]]) -> list[dict[str, Json]]:
    """Return label, group and metadata of each image, in order. Null leaves a value unchanged."""
    return [
        {
            "name" if one.fresh else "id": one.id,
            "label": one.label,
            "group": one.group,
            "metadata": None if one.metadata is None else dict(one.metadata),
        }
        for one, _ in batch
    ]


def skipped(entry: Entry, reason: str) -> Skipped:
    return Skipped(path=entry.path or entry.id, reason=reason, stamp=entry.stamp)
