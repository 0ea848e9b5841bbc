"""List the image files of a folder, with their stamps. Opens none of them."""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.core.plurals import count_noun
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
    "describe_passed",
    "holds_anything",
    "scan",
    "scan_in_steps",
    "stamp_of",
]

IGNORE_FILE = ".lookalikeignore"
TRASH = ".lookalike-trash"
"""The folder inside an indexed one to which deleted duplicates are moved; never indexed."""

# Where services store uploads in a collection's folder (stores/embedded/own_files.py). Those images
# are items already.
_UPLOAD_NAME = 24
_UPLOADS = re.compile(rf"(^|/)uploads/[0-9a-f]{{{_UPLOAD_NAME}}}$")

# Folders that systems and tools create for themselves; images in them are previews or icons.
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

# What a scan passed over, in messages. Suffixes stand for themselves.
_KINDS = {
    "hidden": "hidden (--hidden takes them)",
    "ignored": f"excluded by --exclude or a {IGNORE_FILE} file",
    "not included": "not matched by --include",
}
_NOUNS = {
    "links": ("link (--follow-links takes it)", "links (--follow-links takes them)"),
    "system": ("system folder", "system folders"),
    "without": ("file without a suffix", "files without a suffix"),
}
_MOST_KINDS = 6  # named


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """Which files of a folder to list.

    ``include`` and ``exclude`` are patterns as in ``.gitignore``, below the root. With ``include``,
    exactly the matching files are listed, whatever their suffix.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hidden: bool = False
    follow_links: bool = False


@dataclass(slots=True, kw_only=True)
class Listing:
    """What a scan found. ``files``: path below the root → stamp, in the order of the walk.

    ``unlisted`` are folders that could not be listed (``""``: parts of the root itself) and files
    that could not be examined: nothing is known about their content, least of all that it has
    vanished. ``passed`` counts files and folders that were passed over, by kind: a suffix that is
    not an image's (``.pdf``), ``without`` a suffix, ``links``, ``hidden``, ``ignored``, ``not
    included``, ``system``.
    """

    passed: Counter[str] = field(default_factory=Counter)
    files: dict[str, Stamp] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)

    def covers(self, path: str) -> bool:
        """Return whether the scan would have found ``path`` if it existed."""
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
    """List the images below ``root`` (only those below ``under``, if given).

    ``suffixes`` are lower case and include the dot. Folders whose resolved path is in ``apart`` are
    not entered. ``found`` is called after each folder with the number of files so far. Raise
    ``SourceError`` if the folder itself does not exist, is not a folder, or cannot be listed: an
    unplugged disk must not look like an empty one.
    """
    listing = Listing()
    for listing in scan_in_steps(
        root, suffixes=suffixes, under=under, options=options, apart=apart
    ):
        found(len(listing.files))
    return listing


def scan_in_steps(
    root: Path,
    *,
    suffixes: Collection[str],
    under: str = "",
    options: ScanOptions = ScanOptions(),
    apart: Collection[str] = (),
) -> Iterator[Listing]:
    """Yield the listing of ``scan`` as far as it has come, after each folder.

    Whoever stops early knows nothing of the rest: only the last listing may be compared.
    """
    start = root / under if under else root
    check_folder(start)
    walk = _Walk(root, frozenset(suffixes), options, frozenset(apart))
    if under:  # ignore files of the folders above also apply
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
        yield walk.listing


def stamp_of(path: Path) -> Stamp | None:
    """Return a file's stamp, or ``None`` if it cannot be read."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return Stamp(size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def check_folder(folder: Path) -> None:
    """Raise ``SourceError`` unless ``folder`` is a folder."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise SourceError(f"{folder} {what}; give the folder that holds the images")


def holds_anything(folder: Path) -> bool:
    """Return whether a folder holds anything but hidden files and system folders.

    Raise ``OSError`` if it does not exist or cannot be listed.
    """
    with os.scandir(folder) as entries:
        return any(
            entry.name[0] != "." and entry.name.lower() not in _SYSTEM_FOLDERS for entry in entries
        )


def describe_passed(passed: Mapping[str, int]) -> str:
    """Describe what a scan passed over, as ``12 .cr2, 3 links (--follow-links)``; most first."""
    ranked = sorted(passed.items(), key=lambda one: (-one[1], one[0]))
    parts = [
        count_noun(count, *_NOUNS[kind])
        if kind in _NOUNS
        else f"{count:,} {_KINDS.get(kind, kind)}"
        for kind, count in ranked[:_MOST_KINDS]
    ]
    if rest := sum(count for _, count in ranked[_MOST_KINDS:]):
        parts.append(count_noun(rest, "other"))
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
        self._include = _compile_patterns(options.include) if options.include else None
        self._exclude = _compile_patterns(options.exclude) if options.exclude else None
        self._ignores: dict[str, GitIgnoreSpec] = {}
        self._entered: set[tuple[int, int]] = set()

    def folder(self, folder: str, entries: list[os.DirEntry[str]] | None) -> list[str]:
        """List one folder into ``listing``; return the folders below it."""
        below: list[str] = []
        try:
            if self._options.follow_links and not self._enter(folder):
                return below
            if entries is None:
                with os.scandir(self._place(folder)) as listed:
                    entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            self._note_unlisted(folder, error)
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
                    Skipped(path=_escape(path), reason=f"cannot be read: {error.strerror}")
                )
                if not isinstance(error, FileNotFoundError):
                    self.listing.unlisted.append(path)  # it may exist
        return below

    def _entry(self, path: str, entry: os.DirEntry[str]) -> bool:
        """List one entry if it is an image file; return whether it is a folder to enter."""
        if entry.is_dir(follow_symlinks=self._options.follow_links):
            return self._is_wanted_folder(path, entry)
        unwanted = self._why_passed(path, entry.name)
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
            self._ignores[folder] = _compile_patterns(lines)
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
                    Skipped(path=_escape(path), reason="its name is not UTF-8; rename it")
                )
                return
        self.listing.files[path] = Stamp(stat.st_size, stat.st_mtime_ns)

    def _is_wanted_folder(self, path: str, entry: os.DirEntry[str]) -> bool:
        if entry.name.lower() in _SYSTEM_FOLDERS:
            self.listing.passed["system"] += 1
            return False
        if self._is_ignored(f"{path}/"):
            self.listing.passed["ignored"] += 1
            return False
        if _UPLOADS.search(path) and self._holds_collection(path):
            return False
        return not self._apart or os.path.realpath(entry.path) not in self._apart

    def _holds_collection(self, path: str) -> bool:
        """Return whether the folder above ``uploads/…`` is a collection's."""
        folder = path[: -len("uploads/") - _UPLOAD_NAME]
        return os.path.isfile(os.path.join(self._root, folder, "collection.sqlite"))  # noqa: PTH113, PTH118 - as above

    def _why_passed(self, path: str, name: str) -> str | None:
        """Return why a file is not listed; ``None`` if it is."""
        if self._include is not None:
            if not self._include.match_file(path):
                return "not included"
        else:
            dot = name.rfind(".")  # a quarter of splitext's time
            suffix = name[dot:].lower()
            if suffix not in self._suffixes:
                return suffix if 0 < dot < len(name) - 1 else "without"
        return "ignored" if self._is_ignored(path) else None

    def _is_ignored(self, path: str) -> bool:
        if self._exclude is not None and self._exclude.match_file(path):
            return True
        if not self._ignores:
            return False
        ignored = False
        for folder, spec in self._ignores.items():  # outer first: the innermost decides
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
        """Return whether a folder is entered for the first time: links can form circles."""
        stat = os.stat(self._place(folder))  # noqa: PTH116 - a string is at hand
        key = (stat.st_dev, stat.st_ino)
        if key in self._entered:
            return False
        self._entered.add(key)
        return True

    def _note_unlisted(self, folder: str, error: OSError) -> None:
        self.listing.unlisted.append(folder)
        self.listing.skipped.append(
            Skipped(
                path=_escape(folder) + "/",
                reason=f"the folder cannot be listed: {error.strerror}",
            )
        )

    def _place(self, folder: str) -> str:
        return os.path.join(self._root, folder) if folder else self._root  # noqa: PTH118 - speed


def _compile_patterns(lines: Sequence[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - 12 ms that a search would pay as well

    return GitIgnoreSpec.from_lines(lines)


def _escape(path: str) -> str:
    """Return the path with bytes that are not UTF-8 written as ``\\xff``."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
