"""Shards of a source, for several machines that index it together: by a hash of the ids. Pure."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

__all__ = ["Shard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Shard ``number`` (from 1) of ``of``. Each id is in exactly one shard, on any machine."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no shard {self.number} of {self.of}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that a text such as ``3/8`` names. Raise ``ValueError``."""
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if match is None:
            raise ValueError(f"{text!r} is not a shard; write it like 3/8")
        return cls(number=int(match[1]), of=int(match[2]))

    def __contains__(self, id: str) -> bool:
        # Python's own hash() of text differs from process to process.
        digest = hashlib.sha256(id.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
