"""Decide when the embedded store has an ANN index, when it grows, and when it is rebuilt.

The index is a cache: searches without it give the same scores, but more slowly.
"""

import json

from lookalike.core.progress import Progress, ProgressCallback
from lookalike.errors import StoreError, StoreFullError
from lookalike.stores.embedded import ann_index
from lookalike.stores.embedded.ann_index import AnnIndex, AnnRecord
from lookalike.stores.embedded.database import Database
from lookalike.stores.embedded.settings import SET

__all__ = ["EXACT_FLOATS", "GROWTH_FLOATS", "AnnCache"]

# Past this many floats the rows are searched through an ANN index: reading and multiplying more
# than this costs a fresh process longer than opening the index does (benchmarks/results).
EXACT_FLOATS = 16_000_000
GROWTH_FLOATS = 4_000_000  # rows newer than the index are searched exactly up to this many
# An index is rebuilt, not extended, if more than a fifth of its rows have been deleted.
_DEAD_SHARE = 0.2

_SETTING = "graph"  # the name used since the first format


class AnnCache:
    """The ANN index over a store's rows: a record in the settings, and a file."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._open: AnnIndex | None = None
        self._open_file: str | None = None

    def record(self) -> AnnRecord | None:
        """Return the stored record of the index; ``None`` if there is none."""
        match self._db.setting(_SETTING):
            case {
                "file": str(file),
                "mark": int(mark),
                "count": int(count),
                "bytes": int(size),
                "digest": str(digest),
            }:
                return AnnRecord(file=file, mark=mark, count=count, bytes=size, digest=digest)
            case _:
                return None

    def current(self) -> AnnIndex | None:
        """Return the open index; ``None`` if there is none or its file is damaged."""
        record = self.record()
        if record is None:
            self.close()
        elif self._open_file != record.file:
            self._open_file = record.file
            self._open = AnnIndex.open(self._db.folder, record, dim=self._db.dim)
        return self._open

    def close(self) -> None:
        """Release the file."""
        self._open = self._open_file = None

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:
        """Build, extend or drop the index as the rows need it; return whether anything changed."""
        if self._db.bound() is None or self._db.read_only:
            return False
        total: int = self._db.read("SELECT count(*) FROM items")[0][0]
        if total * self._db.dim <= EXACT_FLOATS:
            return self._drop()
        plan = self._plan(total)
        if plan is None:
            return False
        grow, total = plan

        def report(done: int) -> None:
            if progress is not None:
                progress(Progress(done=min(done, total), total=total))

        def build(grow: AnnRecord | None) -> AnnRecord | None:
            chunks = self._db.chunks(grow.mark if grow else 0)
            return ann_index.build(
                self._db.folder, chunks, dim=self._db.dim, grow=grow, progress=report
            )

        folder = self._db.folder
        try:
            record = build(grow) or build(None)
        except OSError as error:
            raise StoreFullError(
                f"the ANN index could not be written in {folder}: {error.strerror}; "
                "searches are correct, but slower"
            ) from error
        if record is None:  # only an index that was to grow can be missing
            raise StoreError(f"the ANN index of {folder} could not be built")
        with self._db.transaction() as db:
            ann_index.adopt(folder, record)
            db.execute(SET, (_SETTING, json.dumps(record.as_json())))
        return True

    def check(self, *, repair: bool) -> list[str]:
        """Return problems of the index as sentences; ``repair`` has it rebuilt."""
        if self.record() is None:
            return []
        self.close()
        if self.current() is not None:
            return []
        if repair:
            self._forget()
        done = "; rebuilt" if repair else " (searches are correct, but slower)"
        return [f"the ANN index is missing or damaged{done}"]

    def _plan(self, total: int) -> tuple[AnnRecord | None, int] | None:
        """Return the index to add to (``None``: a new one) and how many rows to add.

        ``None`` where nothing needs to be done.
        """
        record = self.record()
        if record is None or not ann_index.intact(self._db.folder, record):
            return None, total
        fresh, covered = self._db.read(
            "SELECT coalesce(sum(seq > ?), 0), coalesce(sum(seq <= ?), 0) FROM items",
            (record.mark, record.mark),
        )[0]
        if record.count - covered > _DEAD_SHARE * record.count:
            return None, total
        return (record, fresh) if fresh * self._db.dim > GROWTH_FLOATS else None

    def _drop(self) -> bool:
        """Drop the index of a collection that has become small; return whether there was one."""
        if self.record() is None:
            return False
        self._forget()
        self.close()
        ann_index.remove_others(self._db.folder, None)
        return True

    def _forget(self) -> None:
        with self._db.transaction() as db:
            db.execute(SET, (_SETTING, json.dumps(None)))
