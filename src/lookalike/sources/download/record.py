"""The record of requested images and their outcomes: ``downloads.sqlite`` beside the images."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self

from lookalike.core.records import Json
from lookalike.errors import DownloadError
from lookalike.sources.download.names import key_of

__all__ = ["NAME", "DownloadRecord", "RecordRow"]

NAME = "downloads.sqlite"

_APPLICATION_ID = 0x6C6B646C  # "lkdl"
_VERSION = 1
_BUSY_TIMEOUT_S = 30.0
_MOST_IDS = 500  # parameters per query; SQLite allows at least 999

# place: the file without its suffix, equal for files that some file system treats as one.
_SCHEMA = """
CREATE TABLE downloads (
    id TEXT PRIMARY KEY, urls TEXT NOT NULL, url TEXT NOT NULL, file TEXT, place TEXT,
    label TEXT, "group" TEXT, metadata TEXT, status TEXT NOT NULL, reason TEXT NOT NULL,
    kind TEXT, bytes INTEGER, digest TEXT, http_status INTEGER, attempts INTEGER NOT NULL,
    tried_at REAL NOT NULL
);
CREATE INDEX by_place ON downloads (place) WHERE place IS NOT NULL;
CREATE INDEX by_status ON downloads (status);
"""
_COLUMNS = (
    'id, urls, url, file, label, "group", metadata, status, reason, kind, bytes, digest, '
    "http_status, attempts, tried_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """The state of an entry.

    ``file`` (below the folder, ``/``-separated), ``kind``, ``bytes`` and ``digest`` (SHA-256 in
    hex) are set if ``status`` is ``ok``. ``url`` is the one used last, ``attempts`` counts the
    requests for all URLs, ``tried_at`` is in seconds since 1970.
    """

    id: str
    urls: tuple[str, ...]
    url: str
    status: str
    reason: str = ""
    file: str | None = None
    label: str | None = None
    group: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    kind: str | None = None
    bytes: int | None = None
    digest: str | None = None
    http_status: int | None = None
    attempts: int = 0
    tried_at: float = 0.0


class DownloadRecord:
    """The record of a folder of downloads; one process writes, any number may read.

    Writes are collected in a transaction until ``flush``; this object sees them at once. All
    methods raise ``DownloadError`` for a database that cannot be used.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.path = folder / NAME
        if not create and not self.path.is_file():
            raise DownloadError(
                f"{folder} holds no {NAME}; `lookalike download` makes such a folder"
            )
        with self._translate_errors():
            self._db = _connect(self.path, create=create)
        try:
            with self._translate_errors():
                self._check(create=create)
        except BaseException:
            self._db.close()
            raise

    def _check(self, *, create: bool) -> None:
        application, version, tables = (
            self._db.execute(question).fetchone()[0]
            for question in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if create and not application and not tables:
            self._db.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID}; "
                f"PRAGMA user_version = {_VERSION}; COMMIT;"
            )
        elif application != _APPLICATION_ID:
            raise DownloadError(
                f"{self.path} is not a record of downloads but another program's database; "
                "choose another folder"
            )
        elif version > _VERSION:
            raise DownloadError(f"{self.path} was written by a newer lookalike; update this one")

    def known(self, ids: Sequence[str]) -> dict[str, RecordRow]:
        """Return the rows of these ids that exist."""
        rows: dict[str, RecordRow] = {}
        with self._translate_errors():
            for start in range(0, len(ids), _MOST_IDS):
                some = ids[start : start + _MOST_IDS]
                marks = ",".join("?" * len(some))
                found = self._db.execute(
                    f"SELECT {_COLUMNS} FROM downloads WHERE id IN ({marks})",  # noqa: S608 - marks only
                    some,
                )
                rows.update((values[0], _read_row(values)) for values in found)
        return rows

    def owner(self, place: str) -> str | None:
        """Return the id whose file has this place (``names.key_of``), or ``None``."""
        with self._translate_errors():
            found = self._db.execute("SELECT id FROM downloads WHERE place = ?", (place,))
            row = found.fetchone()
        return None if row is None else str(row[0])

    def put(self, row: RecordRow) -> None:
        """Insert or replace a row."""
        values = (
            row.id,
            _pack(row.urls),
            row.url,
            row.file,
            row.label,
            row.group,
            _pack(row.metadata),
            row.status,
            row.reason,
            row.kind,
            row.bytes,
            row.digest,
            row.http_status,
            row.attempts,
            row.tried_at,
            None if row.file is None else key_of(str(PurePosixPath(row.file).with_suffix(""))),
        )
        marks = ",".join("?" * len(values))
        with self._translate_errors():
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                f"INSERT OR REPLACE INTO downloads ({_COLUMNS}, place) VALUES ({marks})",  # noqa: S608 - marks only
                values,
            )

    def flush(self) -> None:
        """Commit pending writes."""
        with self._translate_errors():
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def rows(self, *, ok: bool) -> Iterator[RecordRow]:
        """Yield the rows that are ``ok``, or all others, by ascending id. Memory stays flat."""
        sign = "=" if ok else "!="
        with self._translate_errors():
            found = self._db.execute(
                f"SELECT {_COLUMNS} FROM downloads WHERE status {sign} 'ok' ORDER BY id"  # noqa: S608 - a sign
            )
            for values in found:
                yield _read_row(values)

    def counts(self) -> dict[str, int]:
        """Return status → number of rows, the most frequent first."""
        with self._translate_errors():
            return dict(
                self._db.execute(
                    "SELECT status, count(*) FROM downloads GROUP BY status ORDER BY 2 DESC, 1"
                )
            )

    def close(self) -> None:
        """Commit and close."""
        try:
            self.flush()
        finally:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            raise DownloadError(f"{self.path} {_describe_error(code, error)}") from error


def _describe_error(code: int, error: sqlite3.Error) -> str:
    if code == sqlite3.SQLITE_FULL:
        return "cannot be written: no space is left on the disk; what was downloaded stays"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            f"is damaged or no SQLite database ({error}); move it away and the next run makes "
            "another"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "is being written by another process; try again when it is done"
    return f"cannot be used: {error}"


def _connect(path: Path, *, create: bool) -> sqlite3.Connection:
    def open_with(mode: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{path.resolve().as_uri()}?{mode}",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    if not create:
        with suppress(sqlite3.OperationalError):
            return open_with("mode=ro")
        # In a read-only folder, WAL's files cannot be created: open the database as immutable.
        return open_with("mode=ro&immutable=1")
    db = open_with("mode=rwc")
    try:
        ours = db.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION_ID
        if ours or not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # kill -9 loses nothing that was committed
    except BaseException:
        db.close()
        raise
    return db


def _pack(value: object) -> str:
    if isinstance(value, Mapping):
        value = dict(value)
    return json.dumps(value, separators=(",", ":"))  # ASCII: even a lone surrogate can be stored


def _read_row(values: tuple[Any, ...]) -> RecordRow:
    (one, urls, url, file, label, group, metadata, *rest) = values
    status, reason, kind, size, digest, http_status, attempts, tried_at = rest
    return RecordRow(
        id=one,
        urls=tuple(json.loads(urls)),
        url=url,
        file=file,
        label=label,
        group=group,
        metadata=json.loads(metadata or "{}"),
        status=status,
        reason=reason,
        kind=kind,
        bytes=size,
        digest=digest,
        http_status=http_status,
        attempts=attempts,
        tried_at=tried_at,
    )
