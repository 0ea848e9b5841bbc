"""What decoding had to choose or leave out, of many images in a few sentences."""

import re
from collections.abc import Sequence

__all__ = ["DecodingNotes"]

_NAMED = 3  # blank images in a sentence


class DecodingNotes:
    """Collects what is noted of images, and says it at the end of a run."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}  # by the note without its numbers
        self._firsts: dict[str, tuple[str, str]] = {}
        self._blank: list[str] = []
        self._blank_count = 0

    def add(self, path: str, notes: Sequence[str]) -> None:
        """Add the notes on an image."""
        for note in notes:
            kind = re.sub(r"\d+", "0", note)
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._firsts.setdefault(kind, (path, note))

    def add_blank(self, path: str) -> None:
        """Add an image that is blank."""
        self._blank_count += 1
        if len(self._blank) < _NAMED:
            self._blank.append(path)

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each kind of note, the most frequent first."""
        kinds = sorted(self._counts, key=lambda kind: -self._counts[kind])
        found = [self._sentence(kind) for kind in kinds]
        if self._blank_count:
            names = ", ".join(self._blank) + (" …" if self._blank_count > len(self._blank) else "")
            what = "image is" if self._blank_count == 1 else "images are"
            found.append(
                f"{self._blank_count:,} {what} blank ({names}): nothing but white, black or one "
                "grey. Searches leave blank images out unless include_blank is set"
            )
        return tuple(found)

    def _sentence(self, kind: str) -> str:
        path, note = self._firsts[kind]
        count = self._counts[kind]
        return f"{path}: {note}" if count == 1 else f"{count:,} images, such as {path}: {note}"
