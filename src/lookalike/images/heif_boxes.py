"""The crop that a HEIF or AVIF file asks for (`clap`), which Pillow's AVIF reader leaves out."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from math import floor

__all__ = ["read_crop"]

_MOST_BOXES = 10_000


def read_crop(data: bytes, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return the (left, top, right, bottom) of the part to show of an image of ``size`` as stored.

    ``None`` where the main image has no crop, or an impossible one. It comes before the turn.
    """
    try:
        body = _crop_of_main_item(data)
        return None if body is None else _to_pixels(body, size)
    except (struct.error, IndexError, ZeroDivisionError):
        return None


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, start and end of the content of each box."""
    at = start
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        stop = end if size == 0 else at + size
        if (size and size < head) or stop > end:
            return
        yield name, at + head, stop
        at = stop


def _find(data: bytes, start: int, end: int, name: bytes) -> tuple[int, int] | None:
    return next(((low, high) for one, low, high in _boxes(data, start, end) if one == name), None)


def _crop_of_main_item(data: bytes) -> bytes | None:
    meta = _find(data, 0, len(data), b"meta")
    if meta is None:
        return None
    inner = meta[0] + 4, meta[1]  # after version and flags
    main, properties = _find(data, *inner, b"pitm"), _find(data, *inner, b"iprp")
    if main is None or properties is None:
        return None
    wide = data[main[0]] > 0
    (item,) = struct.unpack_from(">I" if wide else ">H", data, main[0] + 4)
    kept, used = _find(data, *properties, b"ipco"), _find(data, *properties, b"ipma")
    if kept is None or used is None:
        return None
    every = list(_boxes(data, *kept))
    for number in _used_by(data, used[0], item):
        if 0 < number <= len(every) and every[number - 1][0] == b"clap":
            return data[every[number - 1][1] : every[number - 1][2]]
    return None


def _used_by(data: bytes, at: int, item: int) -> list[int]:
    """Return the numbers of the properties that an item has, from 1."""
    version, flags = data[at], data[at + 3]
    (count,) = struct.unpack_from(">I", data, at + 4)
    at += 8
    for _ in range(min(count, _MOST_BOXES)):
        (one,) = struct.unpack_from(">I" if version else ">H", data, at)
        at += 4 if version else 2
        entries, at = data[at], at + 1
        if flags & 1:
            numbers = [n & 0x7FFF for n in struct.unpack_from(f">{entries}H", data, at)]
            at += 2 * entries
        else:
            numbers = [n & 0x7F for n in data[at : at + entries]]
            at += entries
        if one == item:
            return numbers
    return []


def _to_pixels(body: bytes, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return the box in pixels: a width, a height, and the offset of centre from centre."""
    width, width_d, height, height_d, x, x_d, y, y_d = struct.unpack_from(">IIIIiIiI", body)
    spans = []
    for whole, extent, offset in (
        (size[0], Fraction(width, width_d), Fraction(x, x_d)),
        (size[1], Fraction(height, height_d), Fraction(y, y_d)),
    ):
        low = floor(offset + Fraction(whole, 2) - extent / 2 + Fraction(1, 2))
        high = low + floor(extent + Fraction(1, 2))
        spans.append((max(low, 0), min(high, whole)))
    (left, right), (top, bottom) = spans
    if left >= right or top >= bottom or (left, top, right, bottom) == (0, 0, *size):
        return None
    return left, top, right, bottom
