"""What a pull brought."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PulledEncoder", "PulledFile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledFile:
    """A file of a pulled encoder: its place in the encoder's folder, and where it came from."""

    path: str
    origin: str
    bytes: int
    sha256: str
    downloaded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledEncoder:
    """What a pull brought. ``changed`` is false if all of it was there already.

    ``notes`` say what was guessed of a file that is not in the list.
    """

    name: str
    card: Path
    licence: str
    repository: str
    revision: str
    files: tuple[PulledFile, ...]
    words: bool
    changed: bool
    notes: tuple[str, ...] = ()
