"""Find the files that a catalogue names, also where it spells their names differently."""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from lookalike import images
from lookalike.core.records import Stamp
from lookalike.sources.scan import stamp_of

__all__ = ["FoundImage", "ImageFinder"]

_MOST_NAMES = 200_000  # of files in folders, kept to be compared: about 50 MB


class FoundImage(NamedTuple):
    """A file that a catalogue names; without a stamp, it does not exist. ``path`` is below the
    root.
    """

    place: Path
    path: str
    stamp: Stamp | None


class ImageFinder:
    """Finds files below ``root`` by the names that a catalogue gives them.

    A name that does not exist as it is written is tried with ``/`` for ``\\``, without spaces
    around it, as a ``file:`` URL, with ``%20`` decoded, and below the root if it begins with a
    slash. Then the folders are looked through: case and Unicode form may differ, and the suffix
    may be missing, if only one file fits. ``respelled`` counts the files that were found so.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.respelled = 0
        self.example = ("", "")  # the name in the catalogue, and that of the file
        self._resolved = root.resolve()
        self._folders: dict[str, dict[str, list[str]]] = {}  # folder → simplified name → names
        self._names = 0

    def find(self, name: str) -> FoundImage:
        """Return the file that a name means. Raise ``ValueError`` with the reason if it cannot mean
        one below the root, or may mean several.
        """
        written: FoundImage | None = None  # as it is, to say that it does not exist
        plain = ""
        wrong = ""
        for spelling in (name, *_iterate_spellings(name)):
            try:
                found = self._look(spelling)
            except ValueError as error:
                wrong = wrong or str(error)
                continue
            if found.stamp is not None:
                return found if spelling == name else self._note(name, found)
            written = written or found
            if not plain or plain == written.path:
                plain = found.path
        if written is None or (wrong and name.strip()[:5].lower() == "file:"):
            raise ValueError(wrong)
        real = self._search(plain)
        return written if real is None else self._note(name, self._look(real))

    def exists(self, name: str) -> bool:
        """Return whether a name means a file as it is written."""
        try:
            return self._look(name).stamp is not None
        except ValueError:
            return False

    def _look(self, spelling: str) -> FoundImage:
        place = self.root / spelling
        try:
            path = place.resolve().relative_to(self._resolved).as_posix()
        except OSError as error:
            raise ValueError(f"{spelling[:100]} cannot be a file: {error.strerror}") from error
        except ValueError as error:
            if "\0" in spelling:
                raise ValueError("its name has a zero character") from error
            raise ValueError(
                f"{spelling} is outside {self.root}; give the folder of the files with --root"
            ) from error
        return FoundImage(place, path, stamp_of(place))

    def _note(self, name: str, found: FoundImage) -> FoundImage:
        self.respelled += 1
        if not self.example[1]:
            self.example = (name, found.path)
        return found

    def _search(self, path: str) -> str | None:
        """Return the one file below the root whose name differs only in spelling, if there is one.

        Raise ``ValueError`` if there are several.
        """
        here = ""
        *folders, last = path.split("/")
        for folder in folders:
            names = self._list(here).get(_simplify(folder), [])
            names = [one for one in names if (self.root / here / one).is_dir()]
            if len(names) != 1:
                return None
            here = posixpath.join(here, names[0])
        there = self._list(here)
        names = there.get(_simplify(last), [])
        if not names and Path(last).suffix.lower() not in images.SUFFIXES:
            names = there.get(_simplify(last) + "/", [])
        if len(names) > 1:
            raise ValueError(f"{path} may be {' or '.join(sorted(names)[:5])}")
        return posixpath.join(here, names[0]) if names else None

    def _list(self, folder: str) -> dict[str, list[str]]:
        """Return the names in a folder by their simplified form, images also without a suffix.

        The latter form ends with a slash, which no name has.
        """
        if folder in self._folders:
            return self._folders[folder]
        try:
            names = os.listdir(self.root / folder)  # noqa: PTH208 - names, not paths
        except OSError:
            names = []
        found: dict[str, list[str]] = {}
        if len(names) <= _MOST_NAMES:
            for name in names:
                simple = _simplify(name)
                found.setdefault(simple, []).append(name)
                stem, dot, suffix = simple.rpartition(".")
                if stem and f"{dot}{suffix}" in images.SUFFIXES:
                    found.setdefault(f"{stem}/", []).append(name)
            while self._folders and self._names + len(found) > _MOST_NAMES:
                self._names -= len(self._folders.pop(next(iter(self._folders))))
            self._names += len(found)
        self._folders[folder] = found
        return found


def _simplify(name: str) -> str:
    return normalize("NFC", normalize("NFC", name).casefold())


def _iterate_spellings(name: str) -> Iterator[str]:
    """Yield other spellings of a name, the plainest first; it never leaves the root by them."""
    plain = name.strip().replace("\\", "/")
    if plain[:5].lower() == "file:":
        parts = urlsplit(plain)
        if parts.netloc.lower() in ("", "localhost"):
            yield url2pathname(parts.path)
        return
    while plain.startswith("./"):
        plain = plain[2:].lstrip("/")
    if plain != name:
        yield plain
    if plain.startswith("/"):
        yield plain.lstrip("/")
    if "%" in plain and (decoded := unquote(plain)) != plain:
        yield decoded
