"""Files whose pixels are whole although something beside them is not.

A metadata chunk that cannot be read, a profile that is too large for Pillow or a missing end marker
is not the image. Where a parser fails, the file is tried again without it.
"""

import io
import random
import re
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from lookalike.images.formats import DECODER_ERRORS
from lookalike.images.limits import Limits, check_pixels

__all__ = ["Repaired", "repairs"]

_LARGEST_PROFILE = 4 * 2**20
_DROPPED = "metadata that cannot be read was dropped"


class Repaired(NamedTuple):
    """A file's bytes without what cannot be read, and a note that says so, if it matters.

    ``profile`` is a colour profile that ``data`` lacks.
    """

    data: bytes
    note: str | None
    profile: bytes | None = None


def repairs(data: bytes, kind: str, limits: Limits) -> Iterator[Repaired]:
    """Yield a file that could not be decoded without what may be the reason, least first.

    Raise ``ImageTooLargeError``.
    """
    if kind == "PNG":
        yield from _repair_png(data)
    elif kind == "JPEG":
        yield from _repair_jpeg(data, limits)
    elif kind == "WebP":
        yield from _repair_webp(data)
    elif kind == "AVIF":
        yield from _repair_avif(data)


# --- PNG -----------------------------------------------------------------------------------------

_PNG_START = 8
_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_OF_PIXELS = {b"tRNS", b"acTL", b"fcTL", b"fdAT"}


def _repair_png(data: bytes) -> Iterator[Repaired]:
    chunks = list(_png_chunks(data))
    sound = [one for one in chunks if _is_sound(one[0], one[1])]
    profile = next((_unpack_profile(body) for name, body, _ in sound if name == b"iCCP"), None)
    bare = [whole for name, _, whole in sound if name in _PIXELS | _OF_PIXELS | {b"eXIf"}]
    if len(bare) < len(chunks):
        yield Repaired(data[:_PNG_START] + b"".join(bare), _DROPPED, profile)
    still = [whole for name, _, whole in sound if name in _PIXELS | {b"tRNS"}]
    if len(still) < len(bare):
        yield Repaired(data[:_PNG_START] + b"".join(still), _DROPPED, profile)
    barest = [whole for name, _, whole in sound if name in _PIXELS]
    if len(barest) < len(still):
        note = "metadata and transparency that cannot be read were dropped"
        yield Repaired(data[:_PNG_START] + b"".join(barest), note, profile)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the name, the content and the bytes of each chunk."""
    at = _PNG_START
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        name = data[at + 4 : at + 8]
        yield name, data[at + 8 : at + 8 + size], data[at : at + 12 + size]
        at += 12 + size
        if name == b"IEND":
            return


def _is_sound(name: bytes, body: bytes) -> bool:
    """Return whether a chunk holds what its name promises, as far as Pillow relies on it."""
    least = {b"tRNS": 1, b"acTL": 8, b"fcTL": 26, b"fdAT": 4, b"eXIf": 6, b"iCCP": 3}
    return len(body) >= least.get(name, 0)


def _unpack_profile(body: bytes) -> bytes | None:
    """Return the colour profile of an iCCP chunk, if it is of a size that is used."""
    _, _, packed = body.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], _LARGEST_PROFILE + 1)
    except zlib.error:
        return None
    return profile if len(profile) <= _LARGEST_PROFILE and unpacker.eof else None


# --- JPEG ----------------------------------------------------------------------------------------

_START_OF_SCAN, _END = 0xDA, 0xD9
_EXIF, _PROFILE, _ADOBE = 0xE1, 0xE2, 0xEE
_BESIDE = {*range(0xE0, 0xF0), 0xFE}  # what applications keep in a file, and comments
_LEAST_ADOBE = 12
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xCA}
_NEXT_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")  # neither data nor a restart


class _Segment(NamedTuple):
    marker: int
    start: int
    end: int


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments of a JPEG after its start; image data belongs to the scan before it."""
    at = 2
    while (found := _NEXT_MARKER.search(data, at)) is not None:
        marker, start = found[0][-1], found.end() - 2
        if marker in {_END, 0xD8, 0x01}:
            yield _Segment(marker, start, found.end())
            if marker == _END:
                return
            at = found.end()
            continue
        (size,) = struct.unpack(">H", data[start + 2 : start + 4].rjust(2, b"\0"))
        end = start + 2 + max(size, 2)
        yield _Segment(marker, start, end)
        at = end


def _repair_jpeg(data: bytes, limits: Limits) -> Iterator[Repaired]:
    segments = list(_segments(data))
    scans = [one for one in segments if one.marker == _START_OF_SCAN]
    if not scans:
        return
    variants = [Repaired(data, "its end marker is missing")]
    beside = [one for one in segments if one.marker in _BESIDE]
    gaps = [  # between segments; after the start of a scan lies its data
        _Segment(0, one.end, after.start)
        for one, after in pairwise([_Segment(0, 0, 2), *segments])
        if one.marker != _START_OF_SCAN and one.end < after.start
    ]
    for kept in ({_EXIF, _PROFILE, _ADOBE}, {_ADOBE}):
        dropped = [
            one
            for one in beside
            if one.marker not in kept
            or (one.marker == _ADOBE and one.end - one.start - 4 < _LEAST_ADOBE)
            or (one.marker == _EXIF and not data[one.start + 4 :].startswith(b"Exif\0\0"))
        ]
        dropped = sorted([*dropped, *gaps], key=lambda one: one.start)
        if dropped:
            variants.append(Repaired(_without(data, dropped), _DROPPED))
    if segments[-1].marker == _END:
        yield from variants[1:]
        return
    # The end marker, and often more, is missing. The pixels are whole if they are the same,
    # whatever follows the data.
    if _covers_all(data, segments):
        for one in variants:
            scan = one.data.rstrip(b"\xff")  # the first half of the marker
            if _is_whole(scan, limits):
                yield Repaired(scan + b"\xff\xd9", one.note)


def _without(data: bytes, dropped: list[_Segment]) -> bytes:
    parts, at = [], 0
    for one in dropped:
        parts.append(data[at : one.start])
        at = one.end
    return b"".join([*parts, data[at:]])


def _covers_all(data: bytes, segments: list[_Segment]) -> bool:
    """Return whether the scans describe every coefficient of every component to the last bit."""
    frame = next((one for one in segments if one.marker in _FRAMES), None)
    if frame is None:
        return False
    body = data[frame.start + 4 : frame.end]
    components = {body[place] for place in range(6, min(len(body), 6 + 3 * body[5]), 3)}
    missing = {component: set(range(64)) for component in components}
    for scan in (one for one in segments if one.marker == _START_OF_SCAN):
        head = data[scan.start + 4 : scan.end]
        count = head[0] if head else 0
        if len(head) < 4 + 2 * count:
            return False
        first, last, low = head[1 + 2 * count], head[2 + 2 * count], head[3 + 2 * count] & 15
        if frame.marker not in _PROGRESSIVE:
            first, last, low = 0, 63, 0
        for place in range(count):
            covered = missing.setdefault(head[1 + 2 * place], set())
            if low == 0:
                covered.difference_update(range(first, last + 1))
    return not any(missing.values())


def _is_whole(data: bytes, limits: Limits) -> bool:
    """Return whether the pixels are the same whatever follows the data of the last scan."""
    noise = random.Random(0)  # noqa: S311 - only has to differ
    tails = [bytes(noise.randrange(first, 255) for _ in range(64)) for first in (0, 128)]
    seen = None
    for tail in (b"", b"\x55" * 8 + tails[0], b"\xaa" * 8 + tails[1]):
        try:
            image = JpegImageFile(io.BytesIO(data + tail + b"\xff\xd9"))
            check_pixels(image.size, limits)
            image.load()
        except (*DECODER_ERRORS, Image.DecompressionBombError):
            return False
        if seen is None:
            seen = image.tobytes()
        elif seen != image.tobytes():
            return False
    return True


# --- WebP ----------------------------------------------------------------------------------------


def _repair_webp(data: bytes) -> Iterator[Repaired]:
    """Yield a still image without its metadata."""
    at, kept, dropped = 12, [], False
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= end:
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        whole = data[at : at + 8 + size + size % 2]
        if name in {b"VP8 ", b"VP8L", b"ALPH"}:
            kept.append(whole)
        elif name == b"VP8X" and len(whole) >= 18:  # noqa: PLR2004
            kept.append(whole[:8] + bytes([whole[8] & 0x10]) + whole[9:])  # alpha alone
        elif name in {b"ANIM", b"ANMF"}:
            return
        else:
            dropped = True
        at += 8 + size + size % 2
    if dropped:
        body = b"WEBP" + b"".join(kept)
        yield Repaired(b"RIFF" + len(body).to_bytes(4, "little") + body, _DROPPED)


# --- AVIF ----------------------------------------------------------------------------------------

_LONGEST_META = 2**16


def _repair_avif(data: bytes) -> Iterator[Repaired]:
    """Yield a file that libavif does not refuse for what early encoders wrote.

    Those listed the properties of each image in a box of its own, all with the same flags: give
    each box other flags, which have no meaning. And they wrote transparency without a size: hide
    it.
    """
    head = bytearray(data[:_LONGEST_META])
    boxes = [found.start() for found in re.finditer(b"ipma", head)]
    for number, at in enumerate(boxes[1:128], 1):
        if at + 8 <= len(head):
            head[at + 6] = number
    if len(boxes) > 1:
        yield Repaired(bytes(head) + data[_LONGEST_META:], None)
    if b"auxC" in head:
        hidden = bytes(head).replace(b"auxC", b"skip") + data[_LONGEST_META:]
        yield Repaired(hidden, "transparency that cannot be read was dropped")
