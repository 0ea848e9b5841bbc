"""The directories of a TIFF file: what each says of its image, before anything is decoded.

Camera raw files are built in the same way. Offsets and counts come from the file, so every one of
them is checked, and what is out of bounds is as good as absent.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Directory", "read_directories"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q"}
_MOST_DIRECTORIES = 64
_MOST_TAGS = 4096
_MOST_VALUES = 2**20  # strips and tiles of one image
_SUB_DIRECTORIES = 330

# Raw files of Olympus and Panasonic have a magic number of their own.
_CLASSIC = (b"*\0", b"\0*", b"RO", b"RS", b"OR", b"SR", b"U\0")
_BIG = (b"+\0", b"\0+")


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: int
    count: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One directory. ``main`` is its number in the file's chain; ``None`` for one inside another.

    ``order`` is the byte order as ``struct`` has it; ``big`` that of a BigTIFF.
    """

    main: int | None
    order: Literal["<", ">"]
    big: bool
    data: bytes
    tags: dict[int, _Tag]

    def __contains__(self, tag: int) -> bool:
        """Return whether the directory has a tag."""
        return tag in self.tags

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the whole numbers of a tag; ``default`` where there are none."""
        found = self.tags.get(tag)
        if found is None or found.kind not in _CODES or not 0 < found.count <= _MOST_VALUES:
            return default
        end = found.at + found.count * _SIZES[found.kind]
        if end > len(self.data):
            return default
        return struct.unpack_from(
            f"{self.order}{found.count}{_CODES[found.kind]}", self.data, found.at
        )

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first number of a tag."""
        return self.numbers(tag, (default,))[0]

    def text(self, tag: int) -> str:
        """Return the text of a tag; empty where there is none."""
        found = self.tags.get(tag)
        if found is None or found.kind not in {1, 2, 7}:
            return ""
        raw = self.data[found.at : found.at + min(found.count, 256)]
        return raw.split(b"\0")[0].decode("latin-1").strip()


def read_directories(data: bytes) -> list[Directory]:
    """Return the directories of a file: the chain, each with those inside it; none if broken."""
    order: Literal["<", ">"] = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in _BIG
    if not (big or data[2:4] in _CLASSIC):
        return []
    # Pillow accepts a number of the other byte order than its own; so does this.
    try:
        (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
    except struct.error:
        return []
    seen: set[int] = set()
    return list(_walk(data, order, big, start, seen, chain=True))


def _walk(
    data: bytes,
    order: Literal["<", ">"],
    big: bool,  # noqa: FBT001
    start: int,
    seen: set[int],
    *,
    chain: bool,
) -> Iterator[Directory]:
    number = 0
    while start and start not in seen and len(seen) < _MOST_DIRECTORIES:
        seen.add(start)
        found = _read(data, order, big, start)
        if found is None:
            return
        tags, following = found
        directory = Directory(
            main=number if chain else None, order=order, big=big, data=data, tags=tags
        )
        yield directory
        if chain:
            for inner in directory.numbers(_SUB_DIRECTORIES):
                yield from _walk(data, order, big, inner, seen, chain=False)
        number, start = number + 1, following


def _read(
    data: bytes,
    order: Literal["<", ">"],
    big: bool,  # noqa: FBT001
    start: int,
) -> tuple[dict[int, _Tag], int] | None:
    """Return the tags of the directory at ``start`` and where the next one lies (0: nowhere)."""
    counts, entries, nexts = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    word = 8 if big else 4
    try:
        (count,) = struct.unpack_from(order + counts, data, start)
        at = start + struct.calcsize("<" + counts)
        tags: dict[int, _Tag] = {}
        for _ in range(min(count, _MOST_TAGS)):
            tag, kind, values = struct.unpack_from(order + entries, data, at)
            place = at + 4 + word
            if values * _SIZES.get(kind, 1) > word:
                (place,) = struct.unpack_from(order + nexts, data, place)
            tags.setdefault(tag, _Tag(kind, values, place))
            at += 4 + 2 * word
        following = 0
        if count <= _MOST_TAGS and at + word <= len(data):
            (following,) = struct.unpack_from(order + nexts, data, at)
    except struct.error:
        return None
    return tags, following
