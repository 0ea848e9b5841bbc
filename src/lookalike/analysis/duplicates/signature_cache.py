"""A cache of signatures and verdicts, keyed by the digests of the files' bytes.

It is one SQLite file that may be deleted at any time, serves every collection and store, and cannot
be stale, because other bytes have another digest.
"""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from lookalike.analysis.duplicates.confirming import Verdict
from lookalike.analysis.duplicates.signatures import SIDE, Signatures

__all__ = ["SignatureCache"]

# Raised with every change of what a signature or a verdict is.
_VERSION = 2
_ASK = 500  # digests in one query


class SignatureCache:
    """The signatures cached in a file; ``None`` caches nothing.

    A file that cannot be read or written is ignored: it only saves time.
    """

    def __init__(self, file: str | os.PathLike[str] | None) -> None:
        self._file = None if file is None else Path(file)

    def get(self, digests: Sequence[str]) -> dict[str, Signatures]:
        """Return digest → signature, (SIDE, SIDE, 3) uint8, for those that are kept."""
        found: dict[str, Signatures] = {}
        if self._file is None or not self._file.exists():
            return found
        try:
            with closing(self._open()) as database:
                for start in range(0, len(digests), _ASK):
                    some = [bytes.fromhex(one) for one in digests[start : start + _ASK]]
                    marks = ",".join("?" * len(some))
                    rows = database.execute(
                        f"SELECT digest, pixels FROM signatures WHERE digest IN ({marks})",  # noqa: S608 - question marks only
                        some,
                    )
                    found |= {
                        digest.hex(): np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE, 3)
                        for digest, pixels in rows
                    }
        except (sqlite3.Error, OSError, ValueError):
            return found
        return found

    def put(self, signatures: Mapping[str, Signatures]) -> None:
        """Keep signatures by digest."""
        if self._file is None or not signatures:
            return
        rows = [(bytes.fromhex(one), pixels.tobytes()) for one, pixels in signatures.items()]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as database, database:
                database.executemany("INSERT OR REPLACE INTO signatures VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError):
            return

    def verdicts(self, kept: str, copies: Sequence[str]) -> dict[str, Verdict]:
        """Return digest of the duplicate → cached verdict on it and ``kept``."""
        found: dict[str, Verdict] = {}
        if self._file is None or not self._file.exists():
            return found
        try:
            with closing(self._open()) as database:
                for start in range(0, len(copies), _ASK):
                    some = [bytes.fromhex(one) for one in copies[start : start + _ASK]]
                    marks = ",".join("?" * len(some))
                    rows = database.execute(
                        f"SELECT copy, same, sure, difference, reason FROM verdicts WHERE kept = ? AND copy IN ({marks})",  # noqa: E501, S608 - question marks only
                        [bytes.fromhex(kept), *some],
                    )
                    found |= {
                        copy.hex(): Verdict(
                            same=bool(same), sure=bool(sure), difference=difference, reason=reason
                        )
                        for copy, same, sure, difference, reason in rows
                    }
        except (sqlite3.Error, OSError, ValueError):
            return found
        return found

    def put_verdicts(self, kept: str, verdicts: Mapping[str, Verdict]) -> None:
        """Cache verdicts on duplicates of ``kept``, by their digests."""
        if self._file is None or not verdicts:
            return
        rows = [
            (
                bytes.fromhex(kept),
                bytes.fromhex(copy),
                one.same,
                one.sure,
                one.difference,
                one.reason,
            )
            for copy, one in verdicts.items()
        ]
        try:
            with closing(self._open()) as database, database:
                database.executemany(
                    "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", rows
                )
        except (sqlite3.Error, OSError):
            return

    def _open(self) -> sqlite3.Connection:
        assert self._file is not None  # noqa: S101 - asked before
        database = sqlite3.connect(self._file, timeout=5)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                with database:
                    database.execute("DROP TABLE IF EXISTS signatures")
                    database.execute(
                        "CREATE TABLE signatures (digest BLOB PRIMARY KEY, pixels BLOB NOT NULL)"
                        " WITHOUT ROWID"
                    )
                    database.execute("DROP TABLE IF EXISTS verdicts")
                    database.execute(
                        "CREATE TABLE verdicts (kept BLOB, copy BLOB, same INTEGER NOT NULL,"
                        " sure INTEGER NOT NULL, difference REAL NOT NULL, reason TEXT NOT NULL,"
                        " PRIMARY KEY (kept, copy)) WITHOUT ROWID"
                    )
                    database.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.Error:
            database.close()
            raise
        return database
