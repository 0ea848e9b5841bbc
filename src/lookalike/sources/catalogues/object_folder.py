"""Images in object storage, or on web pages that list them, with local copies."""

import hashlib
import json
import os
import re
import sqlite3
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Self, TypeVar

from lookalike import images
from lookalike.core.atomic_files import replace_file
from lookalike.core.records import Entry, Remote
from lookalike.errors import ImageError, SourceError
from lookalike.images.limits import check_bytes
from lookalike.sources.object_storage import (
    ObjectFacts,
    is_object_url,
    list_objects,
    read_object,
)
from lookalike.sources.scan import stamp_of

__all__ = ["ObjectFolder", "find_in", "open_objects"]

_Source = TypeVar("_Source")

_RECORD = "objects.sqlite"
_COPIES = "objects"  # the folder in a cache
_AT_ONCE = 16  # requests
_AHEAD = 64  # objects that are requested before they are wanted
_PATIENCE_S = 0.3  # until whoever asked to stop is let speak
_HOPELESS = 20  # unreadable objects at the beginning
_COMMIT = 50  # copies
_MOST_BYTES = 255  # of a name, on the usual file systems
_ODD = re.compile(r"[\x00-\x1f\x7f\\]")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS source (one INTEGER PRIMARY KEY, url TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    path TEXT PRIMARY KEY, version TEXT NOT NULL, bytes INTEGER NOT NULL
);
"""

_Pending = tuple[ObjectFacts, Future[str | None] | None, str]
"""An object; the copy that is being made (its result: why it failed); or why none can be made."""


class ObjectFolder:
    """The images below a URL (``s3://bucket/photos``, ``gs://…``, ``https://host/photos/``).

    ``path`` is the folder of copies that ``of`` has made for the URL. Each image is copied to it
    before it is read, so its file can be shown later. An object that has not changed since (size,
    time and ETag) is not requested again. Copies of objects that are gone stay. The id of an image
    is its path below the URL.
    """

    format = "object-storage"

    def __init__(self, path: Path) -> None:
        self.root = path
        if not find_in(path):
            raise SourceError(f"{path} holds no copies of objects; give their address (s3://…)")
        with _Copies(path) as copies:
            self.url = copies.url()

    @classmethod
    def of(cls, url: str, copies: Path) -> Self:
        """Return the images below a URL, with their copies in a folder of their own in ``copies``.

        Raise ``SourceError`` if it cannot be made.
        """
        url = url.rstrip("/")
        name = re.sub(r"[^\w.-]+", "-", url.rpartition("/")[2]) or "objects"
        key = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        root = copies / f"{name[:60]}-{key}"
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(
                f"{root}, for copies of {url}, cannot be made: {error.strerror}"
            ) from error
        with _Copies(root, create=True) as record:
            record.set_url(url)
        return cls(root)

    def entries(self) -> Iterator[Entry | None]:
        """Yield an entry for each image, and ``None`` while copies are awaited."""
        usable = unusable = 0
        reason = ""
        with (
            _Copies(self.root) as copies,
            ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="lookalike-copy") as pool,
            closing(self._copy_all(copies, pool)) as copied,
        ):
            for found in copied:
                if found is None:
                    yield None
                    continue
                facts, problem = found
                if problem:
                    unusable, reason = unusable + 1, problem
                else:
                    usable += 1
                if unusable == _HOPELESS and not usable:
                    break
                yield self._entry(facts, problem)
        if unusable and not usable:
            raise SourceError(f"no image of {self.url} can be read: {reason}")

    def _copy_all(
        self, copies: "_Copies", pool: ThreadPoolExecutor
    ) -> Generator[tuple[ObjectFacts, str] | None, None, None]:
        """Yield each object with the reason why there is no copy of it; ``None`` while waiting."""
        pending: deque[_Pending] = deque()
        try:
            for facts in chain(_chosen(self.url), [None]):
                if facts is not None:
                    pending.append(self._begin(facts, copies, pool))
                while pending and (facts is None or len(pending) >= _AHEAD):
                    one, copy, problem = pending.popleft()
                    if copy is not None:
                        while not wait([copy], _PATIENCE_S).done:
                            yield None
                        problem = copy.result() or ""
                        if not problem:
                            copies.note(one)
                    yield one, problem
        finally:
            for _, copy, _ in pending:
                if copy is not None:
                    copy.cancel()

    def _begin(self, facts: ObjectFacts, copies: "_Copies", pool: ThreadPoolExecutor) -> _Pending:
        if problem := _find_problem(facts.path):
            return facts, None, problem
        if copies.has(facts):
            return facts, None, ""
        return facts, pool.submit(_copy, facts, self.root / facts.path), ""

    def _entry(self, facts: ObjectFacts, problem: str) -> Entry:
        if problem:
            shown = facts.path.encode("utf-8", "backslashreplace").decode()
            return Entry(id=shown, image=Remote((facts.url,), problem), path=shown)
        place = self.root / facts.path
        return Entry(id=facts.path, image=place, path=facts.path, stamp=stamp_of(place))


def find_in(path: Path) -> bool:
    """Return whether a folder holds copies of objects."""
    return (path / _RECORD).is_file()


def open_objects(source: _Source, cache: Path | None) -> _Source | ObjectFolder:
    """Return a source that is a URL as an ``ObjectFolder`` with copies in ``cache``; others stay.

    Raise ``SourceError``.
    """
    if not isinstance(source, str) or not is_object_url(source):
        return source
    if cache is None:
        raise SourceError(
            f"{source}: there is no folder for copies; pass ObjectFolder.of(url, folder)"
        )
    return ObjectFolder.of(source, cache / _COPIES)


def _chosen(url: str) -> Iterator[ObjectFacts]:
    for facts in list_objects(url):
        if os.path.splitext(facts.path)[1].lower() in images.SUFFIXES:  # noqa: PTH122 - a key
            yield facts


def _find_problem(path: str) -> str:
    """Return why no file can have the path of an object; empty if one can."""
    try:
        parts = path.encode().split(b"/")
    except UnicodeEncodeError:
        return "its name is not valid Unicode"
    if _ODD.search(path) or any(part in (b"", b".", b"..") for part in parts):
        return "no file can have its name; rename it"
    if any(len(part) > _MOST_BYTES for part in parts):
        return "its name is too long for a file; rename it"
    return ""


def _copy(facts: ObjectFacts, place: Path) -> str | None:
    """Copy an object to a file that has its time; return the reason if that fails."""
    limits = images.Limits()
    try:
        check_bytes(facts.size or 0, limits)
        data = read_object(facts.url, max_bytes=limits.max_bytes)
        if data is None:
            check_bytes(limits.max_bytes + 1, limits)
            return None
    except ImageError as error:
        return error.reason
    except SourceError as error:
        return str(error)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(place) as file:
            file.write(data)
        if facts.mtime is not None:
            os.utime(place, (facts.mtime, facts.mtime))
    except OSError as error:
        return f"its copy {place} cannot be written: {error.strerror}"
    return None


class _Copies:
    """Which objects were copied and what they were then, in SQLite beside the copies."""

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self._folder = folder
        self._pending = 0
        path = folder / _RECORD
        mode = "rwc" if create else "rw"
        try:
            self._db = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={mode}",
                uri=True,
                timeout=30,
                check_same_thread=False,
            )
            if create:
                self._db.executescript(_SCHEMA)
            self._db.execute("SELECT count(*) FROM objects WHERE path = ''")
        except sqlite3.Error as error:
            raise SourceError(
                f"{path} cannot be used ({error}); delete it and run again"
            ) from error

    def url(self) -> str:
        """Return the URL that the copies are of."""
        return str(self._db.execute("SELECT url FROM source").fetchone()[0])

    def set_url(self, url: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO source VALUES (1, ?)", (url,))

    def has(self, facts: ObjectFacts) -> bool:
        """Return whether there is a copy of the object as it is now."""
        found = self._db.execute(
            "SELECT version, bytes FROM objects WHERE path = ?", (facts.path,)
        ).fetchone()
        stamp = stamp_of(self._folder / facts.path)
        return stamp is not None and found == (_version_of(facts), stamp.size)

    def note(self, facts: ObjectFacts) -> None:
        """Record a copy that was made."""
        stamp = stamp_of(self._folder / facts.path)
        if stamp is None:
            return
        self._db.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?)",
            (facts.path, _version_of(facts), stamp.size),
        )
        self._pending += 1
        if self._pending >= _COMMIT:
            self._db.commit()
            self._pending = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        with closing(self._db), suppress(sqlite3.Error):  # without the record, it is copied again
            self._db.commit()


def _version_of(facts: ObjectFacts) -> str:
    return json.dumps([facts.size, facts.mtime, facts.etag])
