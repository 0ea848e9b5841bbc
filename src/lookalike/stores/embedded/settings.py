"""The embedded store's settings, and the files that it skipped."""

import json
from collections.abc import Callable, Sequence

from lookalike.core.records import Json, Skipped
from lookalike.stores.embedded.database import Database
from lookalike.stores.stored_values import stamp_of

__all__ = ["SET", "EmbeddedSettings", "EmbeddedSkips"]

SET = "INSERT OR REPLACE INTO settings VALUES (?, ?)"


class EmbeddedSettings:
    """The rows of settings: a name and JSON."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, name: str) -> Json:
        return self._db.setting(name)

    def set(self, name: str, value: Json) -> None:
        with self._db.transaction() as db:
            db.execute(SET, (name, json.dumps(value)))

    def change(self, name: str, change: Callable[[Json], Json]) -> Json:
        with self._db.transaction() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
            value = change(None if row is None else json.loads(row[0]))
            db.execute(SET, (name, json.dumps(value)))
        return value

    def names(self) -> list[str]:
        return [row[0] for row in self._db.read("SELECT name FROM settings ORDER BY name")]


class EmbeddedSkips:
    """The rows of skipped files; writing an item deletes the row of its path."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, root: str, skips: Sequence[Skipped]) -> None:
        rows = []
        for one in skips:
            size, mtime_ns = (one.stamp.size, one.stamp.mtime_ns) if one.stamp else (None, None)
            rows.append((root, one.path, size, mtime_ns, one.reason))
        with self._db.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO skips VALUES (?, ?, ?, ?, ?)", rows)

    def below(self, root: str, under: str = "") -> dict[str, Skipped]:
        rows = self._db.below("SELECT path, size, mtime_ns, reason FROM skips", root, under)
        return {
            path: Skipped(path=path, reason=reason, stamp=stamp_of(size, mtime_ns))
            for path, size, mtime_ns, reason in rows
        }

    def delete(self, root: str, paths: Sequence[str]) -> None:
        with self._db.transaction() as db:
            db.executemany(
                "DELETE FROM skips WHERE root = ? AND path = ?", [(root, path) for path in paths]
            )
