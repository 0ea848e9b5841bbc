"""The embedded store's tables beside the items. The bytes: docs/storage.md."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lookalike.core.records import SideRow
from lookalike.stores.embedded.database import PARAMETERS, Database, Row

__all__ = ["SideRows"]

_CHUNK = 1000  # rows read at a time

_SELECT = 'SELECT id, value, digest FROM beside WHERE "table" = ?'
_PUT = "INSERT OR REPLACE INTO beside VALUES (?, ?, ?, ?)"
_DELETE = 'DELETE FROM beside WHERE "table" = ? AND id = ?'


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRows:
    """One table beside the items, whose rows all lie in the SQLite table ``beside``."""

    table: str
    db: Database

    def put(self, rows: Sequence[SideRow]) -> None:
        values = [
            (
                self.table,
                row.id,
                bytes.fromhex(row.digest) if row.digest else None,
                json.dumps(row.value, ensure_ascii=False),
            )
            for row in rows
        ]
        if values:
            with self.db.transaction() as db:
                db.executemany(_PUT, values)

    def get(self, ids: Sequence[str]) -> dict[str, SideRow]:
        return {row.id: row for row in self._among("id", ids)}

    def with_digest(self, digests: Sequence[str]) -> list[SideRow]:
        wanted = [bytes.fromhex(one) for one in dict.fromkeys(digests) if one]
        return sorted(self._among("digest", wanted), key=lambda row: row.id)

    def scan(self) -> Iterator[SideRow]:
        # The first row may have the empty id, so nothing is less than it.
        rows = self.db.read(f"{_SELECT} ORDER BY id LIMIT ?", (self.table, _CHUNK))
        while rows:
            yield from map(_row_of, rows)
            after = rows[-1][0]
            rows = self.db.read(
                f"{_SELECT} AND id > ? ORDER BY id LIMIT ?", (self.table, after, _CHUNK)
            )

    def delete(self, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        with self.db.transaction() as db:
            return sum(db.execute(_DELETE, (self.table, one)).rowcount for one in ids)

    def count(self) -> int:
        total: int = self.db.read('SELECT count(*) FROM beside WHERE "table" = ?', (self.table,))[
            0
        ][0]
        return total

    def _among(self, column: str, values: Sequence[str] | Sequence[bytes]) -> list[SideRow]:
        found: list[SideRow] = []
        for start in range(0, len(values), PARAMETERS):
            part = values[start : start + PARAMETERS]
            sql = f"{_SELECT} AND {column} IN ({','.join('?' * len(part))})"
            found += map(_row_of, self.db.read(sql, (self.table, *part)))
        return found


def _row_of(row: Row) -> SideRow:
    one, value, digest = row
    return SideRow(id=one, value=json.loads(value), digest=digest.hex() if digest else "")
