"""Check whether the embedded store's rows agree with each other, and repair them.

No item is ever removed, because its label and metadata belong to the user. An item whose vector is
unusable is marked, and the next `index` of its source encodes it again.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lookalike.stores.problems import digest_awaiting, sentence, usable

__all__ = ["inspect"]

_CHUNK = 4096  # rows read at a time: 10 MB of vectors of 1,280 half floats
_DIGEST = 32  # bytes
_ENTRY = 12  # bytes of an entry of a neighbour list

# Rows that belong to an item, by table: all of them can be computed again.
_HANGING = (
    ("vectors", "vector has no item", "vectors have no item"),
    ("neighbours", "list of neighbours has no item", "lists of neighbours have no item"),
    ("neighbour_lists", "list of neighbours has no item", "lists of neighbours have no item"),
    ("thumbnails", "thumbnail has no item", "thumbnails have no item"),
    ("thumbnail_jpegs", "thumbnail has no item", "thumbnails have no item"),
)
# Rows that are stored in two tables.
_PAIRS = (
    ("neighbours", "neighbour_lists", "list of neighbours is", "lists of neighbours are"),
    ("thumbnails", "thumbnail_jpegs", "thumbnail is", "thumbnails are"),
)
_VALUES = """
    SELECT items.seq, declared.field, each.type, each.value
    FROM declared, items, json_each(
        CASE WHEN json_valid(items.metadata) THEN items.metadata ELSE '{}' END, declared.path
    ) AS each
    WHERE typeof(each.key) != 'text' AND each.type NOT IN ('null', 'array', 'object')"""
_KEPT = "SELECT seq, field, type, value FROM field_values"
_WORDLESS = """
    SELECT id FROM items WHERE seq NOT IN (SELECT rowid FROM item_words)
    AND seq NOT IN (SELECT seq FROM words_due) ORDER BY id"""
_STRAY = "SELECT rowid FROM item_words WHERE rowid NOT IN (SELECT seq FROM items)"
_MARK = """
    UPDATE items SET digest = ?, size = NULL, mtime_ns = NULL,
        width = CASE WHEN typeof(width) = 'integer' THEN max(width, 1) ELSE 1 END,
        height = CASE WHEN typeof(height) = 'integer' THEN max(height, 1) ELSE 1 END
    WHERE seq = ?"""
_ITEMS = """
    SELECT seq, id, digest, size, width, height, metadata, vector
    FROM items LEFT JOIN vectors USING (seq) WHERE seq > ? ORDER BY seq LIMIT ?"""


@dataclass(slots=True)
class _Items:
    """What is wrong with items: (seq, id) of each."""

    bare: list[tuple[int, str]] = field(default_factory=list)
    sized: list[tuple[int, str]] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)
    waiting: list[tuple[int, str]] = field(default_factory=list)
    unnamed: list[tuple[int, str]] = field(default_factory=list)
    garbled: list[tuple[int, str]] = field(default_factory=list)


def inspect(db: sqlite3.Connection, *, dim: int, repair: bool) -> list[str]:
    """Return problems of the rows of ``db`` as sentences; ``repair`` repairs what it can.

    Must be called within a transaction if ``repair``. ``dim`` is the number of dimensions.
    """
    return [
        *_check_settings(db),
        *_check_items(db, dim, repair=repair),
        *_check_dependent_rows(db, repair=repair),
        *_check_fields(db, repair=repair),
        *_words(db, repair=repair),
    ]


def _check_items(db: sqlite3.Connection, dim: int, *, repair: bool) -> list[str]:
    found = _Items()
    for rows in _read_chunks(db):
        _sort_rows(rows, dim, found)
    marked = "marked: `lookalike index` encodes them again" if repair else ""
    problems = [
        sentence(one, many, [name for _, name in some], done=done if repair else "")
        for some, one, many, done in (
            (found.bare, "item has no vector", "items have no vector", marked),
            (found.sized, "vector has the wrong length", "vectors have the wrong length", marked),
            (
                found.broken,
                "vector is not a unit vector",
                "vectors are not unit vectors",
                marked,
            ),
            (found.unnamed, "item has an invalid digest", "items have invalid digests", marked),
            (
                found.garbled,
                "item has metadata that is not a JSON object",
                "items have metadata that is not a JSON object",
                "kept as text, as the field `unreadable`",
            ),
        )
        if some
    ]
    if found.waiting:
        problems.append(
            sentence("item waits", "items wait", [name for _, name in found.waiting])
            + " for the next `lookalike index` to be encoded again"
        )
    if repair:
        again = [*found.bare, *found.sized, *found.broken, *found.unnamed]
        db.executemany(
            _MARK,
            [(bytes.fromhex(digest_awaiting(name)), seq) for seq, name in again],
        )
        gone = [(seq,) for seq, _ in (*found.sized, *found.broken)]
        db.executemany("DELETE FROM vectors WHERE seq = ?", gone)
        _repair_metadata(db, [seq for seq, _ in found.garbled])
    return problems


def _read_chunks(db: sqlite3.Connection) -> Iterator[list[Any]]:
    after = -1
    while rows := db.execute(_ITEMS, (after, _CHUNK)).fetchall():
        yield rows
        after = rows[-1][0]


def _sort_rows(rows: Sequence[Any], dim: int, found: _Items) -> None:
    """Sort rows of ``_ITEMS`` by what is wrong with them."""
    whole: list[tuple[tuple[int, str], bytes]] = []
    for seq, name, digest, size, width, height, metadata, vector in rows:
        one = (seq, str(name))
        marked = digest == bytes.fromhex(digest_awaiting(one[1])) and size is None
        if vector is None:
            (found.waiting if marked else found.bare).append(one)
        elif not isinstance(vector, bytes) or len(vector) != 2 * dim:
            found.sized.append(one)
        else:
            whole.append((one, vector))
            if marked:
                found.waiting.append(one)
        proper = isinstance(digest, bytes) and len(digest) == _DIGEST
        numbers = isinstance(width, int) and isinstance(height, int) and min(width, height) > 0
        if not (proper and numbers):
            found.unnamed.append(one)
        if not _is_object(metadata):
            found.garbled.append(one)
    matrix = np.frombuffer(b"".join(vector for _, vector in whole), "<f2").reshape(-1, dim)
    found.broken += [one for (one, _), well in zip(whole, usable(matrix), strict=True) if not well]


def _is_object(metadata: object) -> bool:
    if not isinstance(metadata, str | bytes):
        return False
    try:
        return isinstance(json.loads(metadata), dict)
    except ValueError:
        return False


def _repair_metadata(db: sqlite3.Connection, seqs: Sequence[int]) -> None:
    if not seqs:
        return
    for seq in seqs:
        (text,) = db.execute(
            "SELECT CAST(metadata AS BLOB) FROM items WHERE seq = ?", (seq,)
        ).fetchone()
        kept = (text or b"").decode(errors="replace")
        value = json.dumps({"unreadable": kept} if kept else {}, ensure_ascii=False)
        db.execute("UPDATE items SET metadata = ? WHERE seq = ?", (value, seq))


def _check_dependent_rows(db: sqlite3.Connection, *, repair: bool) -> list[str]:
    problems = []
    done = "removed" if repair else ""
    for table, one, many in _HANGING:
        where = "WHERE seq NOT IN (SELECT seq FROM items)"
        problems += _remove_rows(db, table, where, (one, many), done)
    for first, second, one, many in _PAIRS:
        for table, other in ((first, second), (second, first)):
            where = f"WHERE seq NOT IN (SELECT seq FROM {other})"  # noqa: S608 - constants
            problems += _remove_rows(
                db, table, where, (f"{one} not whole", f"{many} not whole"), done
            )
    where = f"WHERE length(entries) % {_ENTRY} != 0"
    words = ("list of neighbours is damaged", "lists of neighbours are damaged")
    return problems + _remove_rows(db, "neighbour_lists", where, words, done)


def _remove_rows(
    db: sqlite3.Connection, table: str, where: str, words: tuple[str, str], done: str
) -> list[str]:
    seqs = [seq for (seq,) in db.execute(f"SELECT seq FROM {table} {where}")]  # noqa: S608 - constants
    if seqs and done:
        db.execute(f"DELETE FROM {table} {where}")  # noqa: S608 - constants
    return [sentence(*words, [f"row {seq}" for seq in seqs], done=done)] if seqs else []


def _check_fields(db: sqlite3.Connection, *, repair: bool) -> list[str]:
    """Check whether the indexed values of declared fields are those of the metadata."""
    differ = (
        f"SELECT DISTINCT seq FROM (SELECT * FROM ({_VALUES} EXCEPT {_KEPT}) "  # noqa: S608 - constants
        f"UNION ALL SELECT * FROM ({_KEPT} EXCEPT {_VALUES}))"
    )
    rows = db.execute(
        f"SELECT coalesce(id, 'row ' || wrong.seq) FROM ({differ}) AS wrong "  # noqa: S608 - constants
        "LEFT JOIN items USING (seq) ORDER BY 1"
    ).fetchall()
    if not rows:
        return []
    if repair:
        db.execute("DELETE FROM field_values")
        db.execute(f"INSERT INTO field_values {_VALUES}")
    words = ("item is indexed with other values", "items are indexed with other values")
    problem = sentence(*words, [name for (name,) in rows])
    return [
        f"{problem} of declared fields than its metadata has"
        + ("; indexed again" if repair else "")
    ]


def _words(db: sqlite3.Connection, *, repair: bool) -> list[str]:
    """Whether each item has its words, or is to be given them by the next search for words."""
    names = [name for (name,) in db.execute(_WORDLESS)]
    stray = [f"row {row}" for (row,) in db.execute(_STRAY)]
    if repair and (names or stray):
        db.execute("DELETE FROM item_words")
        db.execute("INSERT OR IGNORE INTO words_due SELECT seq FROM items")
    done = "written again" if repair else ""
    problems = []
    if names:
        words = ("item is not found by its words", "items are not found by their words")
        problems.append(sentence(*words, names, done=done))
    if stray:
        words = ("row of words has no item", "rows of words have no item")
        problems.append(sentence(*words, stray, done="removed" if repair else ""))
    return problems


def _check_settings(db: sqlite3.Connection) -> list[str]:
    bad = []
    for name, value in db.execute("SELECT name, value FROM settings"):
        try:
            json.loads(value)
        except (ValueError, TypeError):
            bad.append(name)
    words = ("setting is not JSON", "settings are not JSON")
    return [sentence(*words, bad) + "; restore them from a backup of the folder"] if bad else []
