"""A folder → the image files that are there, with their stamps. Opens none of them."""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.core.records import Skipped, Stamp
from lookalike.errors import SourceError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = [
    "IGNORE_FILE",
    "TRASH",
    "Listing",
    "ScanOptions",
    "check_folder",
    "holds_anything",
    "passed_text",
    "scan",
    "stamp_of",
]

IGNORE_FILE = ".lookalikeignore"
TRASH = ".lookalike-trash"
"""The folder in an indexed one that takes its deleted duplicates; never indexed."""

# Where services keep what they are sent, in a collection's folder (stores/own_files.py). Those
# images are items already.
_UPLOAD_NAME = 24
_UPLOADS = re.compile(rf"(^|/)uploads/[0-9a-f]{{{_UPLOAD_NAME}}}$")

# Folders that systems and tools make for themselves; images in them are copies or icons.
_SYSTEM_FOLDERS = frozenset(
    {
        "@eadir",
        "#recycle",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "__macosx",
        "node_modules",
        "__pycache__",
        TRASH,
    }
)

# What a scan passed over, in words. Suffixes stand for themselves.
_KINDS = {
    "hidden": "hidden (--hidden takes them)",
    "ignored": f"left out by --exclude or a {IGNORE_FILE} file",
    "links": "links (--follow-links takes them)",
    "not included": "not matched by --include",
    "system": "system folders",
    "without": "files without a suffix",
}
_MOST_KINDS = 6  # named


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """Which files of a folder are meant.

    ``include`` and ``exclude`` are patterns in the manner of ``.gitignore``, below the root. With
    ``include``, files that match are taken whatever their suffix, and no others.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hidden: bool = False
    follow_links: bool = False


@dataclass(slots=True, kw_only=True)
class Listing:
    """What a scan found. ``files``: path below the root → stamp, in the order of the walk.

    ``unlisted`` are folders that could not be looked into (``""``: parts of the root itself), and
    files that could not be looked at: nothing can be said about what is there, least of all that
    it has gone. ``passed`` counts files and folders that were passed over, by kind: a suffix that
    is no image's (``.pdf``), ``without`` one, ``links``, ``hidden``, ``ignored``, ``not included``,
    ``system``.
    """

    passed: Counter[str] = field(default_factory=Counter)
    files: dict[str, Stamp] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)

    def covers(self, path: str) -> bool:
        """Return whether the scan would have seen ``path``, had it been there."""
        return not any(
            folder in ("", path) or path.startswith(f"{folder}/") for folder in self.unlisted
        )


def scan(
    root: Path,
    *,
    suffixes: Collection[str],
    under: str = "",
    options: ScanOptions = ScanOptions(),
    apart: Collection[str] = (),
    found: Callable[[int], None] = lambda _count: None,
) -> Listing:
    """Walk ``root`` (only below ``under``, if given) and list the images.

    ``suffixes`` are lower case with their dot. Folders whose resolved path is in ``apart`` are
    not entered. ``found`` hears the number of files so far, a folder at a time. Raises
    ``SourceError`` when the folder itself is missing, no folder, or cannot be listed: an unplugged
    disk must not look like an empty one.
    """
    start = root / under if under else root
    check_folder(start)
    walk = _Walk(root, frozenset(suffixes), options, frozenset(apart))
    if under:  # the ignore files of the folders above count as well
        above = ""
        for part in under.split("/"):
            walk.read_ignore_file(above)
            above = f"{above}/{part}" if above else part
    try:
        first = sorted(os.scandir(start), key=lambda entry: entry.name)
    except OSError as error:
        raise SourceError(f"{start} cannot be listed: {error.strerror}") from error
    waiting: list[tuple[str, list[os.DirEntry[str]] | None]] = [(under, first)]
    while waiting:
        folder, entries = waiting.pop()
        waiting += [(sub, None) for sub in reversed(walk.folder(folder, entries))]
        found(len(walk.listing.files))
    return walk.listing


def stamp_of(path: Path) -> Stamp | None:
    """A file's stamp, or ``None`` when it cannot be had."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return Stamp(size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def check_folder(folder: Path) -> None:
    """Raise ``SourceError`` unless ``folder`` is one."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise SourceError(f"{folder} {what}; give the folder that holds the images")


def holds_anything(folder: Path) -> bool:
    """Return whether a folder holds anything but hidden files and folders of the system.

    Raise ``OSError`` when it is not there or cannot be listed.
    """
    with os.scandir(folder) as entries:
        return any(
            entry.name[0] != "." and entry.name.lower() not in _SYSTEM_FOLDERS for entry in entries
        )


def passed_text(passed: Mapping[str, int]) -> str:
    """Return what a scan passed over, as ``12 .cr2, 3 links (--follow-links)``; most first."""
    ranked = sorted(passed.items(), key=lambda one: (-one[1], one[0]))
    parts = [f"{count:,} {_KINDS.get(kind, kind)}" for kind, count in ranked[:_MOST_KINDS]]
    if rest := sum(count for _, count in ranked[_MOST_KINDS:]):
        parts.append(f"{rest:,} others")
    return ", ".join(parts)


class _Walk:
    def __init__(
        self, root: Path, suffixes: frozenset[str], options: ScanOptions, apart: frozenset[str]
    ) -> None:
        self.listing = Listing()
        self._root = os.fspath(root)
        self._suffixes = suffixes
        self._options = options
        self._apart = apart
        self._include = _patterns(options.include) if options.include else None
        self._exclude = _patterns(options.exclude) if options.exclude else None
        self._ignores: dict[str, GitIgnoreSpec] = {}
        self._entered: set[tuple[int, int]] = set()

    def folder(self, folder: str, entries: list[os.DirEntry[str]] | None) -> list[str]:
        """List one folder into ``listing``; answer the folders below it."""
        below: list[str] = []
        try:
            if self._options.follow_links and not self._enter(folder):
                return below
            if entries is None:
                with os.scandir(self._place(folder)) as listed:
                    entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            self._unlisted(folder, error)
            return below
        if any(entry.name == IGNORE_FILE for entry in entries):
            self.read_ignore_file(folder)
        prefix = f"{folder}/" if folder else ""
        for entry in entries:
            if entry.name[0] == "." and not self._options.hidden:
                self.listing.passed["hidden"] += entry.name != IGNORE_FILE
                continue
            path = prefix + entry.name
            try:
                if self._entry(path, entry):
                    below.append(path)
            except OSError as error:
                self.listing.skipped.append(
                    Skipped(path=_printable(path), reason=f"cannot be looked at: {error.strerror}")
                )
                if not isinstance(error, FileNotFoundError):
                    self.listing.unlisted.append(path)  # it may well be there
        return below

    def _entry(self, path: str, entry: os.DirEntry[str]) -> bool:
        """List one entry, if it is an image file; say if it is a folder to go into."""
        if entry.is_dir(follow_symlinks=self._options.follow_links):
            return self._wanted_folder(path, entry)
        unwanted = self._unwanted(path, entry.name)
        if unwanted is None:
            self._file(path, entry)
        else:
            link = not self._options.follow_links and entry.is_symlink()
            self.listing.passed["links" if link else unwanted] += 1
        return False

    def read_ignore_file(self, folder: str) -> None:
        file = Path(self._place(folder)) / IGNORE_FILE
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
            self._ignores[folder] = _patterns(lines)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise SourceError(f"{file} cannot be read as an ignore file: {error}") from error

    def _file(self, path: str, entry: os.DirEntry[str]) -> None:
        if not self._options.follow_links and entry.is_symlink():
            self.listing.passed["links"] += 1
            return
        stat = entry.stat()
        if not path.isascii():
            try:
                path.encode()
            except UnicodeEncodeError:
                self.listing.skipped.append(
                    Skipped(path=_printable(path), reason="its name is not UTF-8; rename it")
                )
                return
        self.listing.files[path] = Stamp(stat.st_size, stat.st_mtime_ns)

    def _wanted_folder(self, path: str, entry: os.DirEntry[str]) -> bool:
        if entry.name.lower() in _SYSTEM_FOLDERS:
            self.listing.passed["system"] += 1
            return False
        if self._ignored(f"{path}/"):
            self.listing.passed["ignored"] += 1
            return False
        if _UPLOADS.search(path) and self._holds_collection(path):
            return False
        return not self._apart or os.path.realpath(entry.path) not in self._apart

    def _holds_collection(self, path: str) -> bool:
        """Whether the folder above ``uploads/…`` is a collection's, which a service adds to."""
        folder = path[: -len("uploads/") - _UPLOAD_NAME]
        return os.path.isfile(os.path.join(self._root, folder, "collection.sqlite"))  # noqa: PTH113, PTH118 - as above

    def _unwanted(self, path: str, name: str) -> str | None:
        """Why a file is not meant; ``None`` if it is."""
        if self._include is not None:
            if not self._include.match_file(path):
                return "not included"
        else:
            dot = name.rfind(".")  # a quarter of splitext's time
            suffix = name[dot:].lower()
            if suffix not in self._suffixes:
                return suffix if 0 < dot < len(name) - 1 else "without"
        return "ignored" if self._ignored(path) else None

    def _ignored(self, path: str) -> bool:
        if self._exclude is not None and self._exclude.match_file(path):
            return True
        if not self._ignores:
            return False
        ignored = False
        for folder, spec in self._ignores.items():  # outer first: the innermost has the last word
            if not folder:
                inside = path
            elif path.startswith(f"{folder}/"):
                inside = path[len(folder) + 1 :]
            else:
                continue
            said = spec.check_file(inside).include
            if said is not None:
                ignored = said
        return ignored

    def _enter(self, folder: str) -> bool:
        """Return whether a folder is met for the first time: links can lead in circles."""
        stat = os.stat(self._place(folder))  # noqa: PTH116 - a string is at hand
        key = (stat.st_dev, stat.st_ino)
        if key in self._entered:
            return False
        self._entered.add(key)
        return True

    def _unlisted(self, folder: str, error: OSError) -> None:
        self.listing.unlisted.append(folder)
        self.listing.skipped.append(
            Skipped(
                path=_printable(folder) + "/",
                reason=f"the folder cannot be listed: {error.strerror}",
            )
        )

    def _place(self, folder: str) -> str:
        return os.path.join(self._root, folder) if folder else self._root  # noqa: PTH118 - speed


def _patterns(lines: Sequence[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - 12 ms that a search would pay as well

    return GitIgnoreSpec.from_lines(lines)


def _printable(path: str) -> str:
    """Return the path with bytes that are not UTF-8 written as ``\\xff``."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
