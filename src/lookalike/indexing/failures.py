"""Failures of an import that have no file to try again: lines, URLs, absent files.

A file that could not be used is stored with its stamp (``Store.skips``) and is not tried again
while it stays unchanged. Failures without a stamp are tried again by every run. They are stored
here only so that they can be listed later.
"""

import hashlib
from collections.abc import Iterator, Sequence

from lookalike.core.protocols import Store
from lookalike.core.records import SideRow, Skipped

__all__ = ["TABLE", "remember", "remembered"]

TABLE = "failures"
_MOST = 10_000  # of a source
_BATCH = 1000


def remember(
    store: Store, source: str, skipped: Sequence[Skipped], *, whole: bool, kind: str = ""
) -> None:
    """Store those of ``skipped`` that have no stamp.

    With ``whole``, the run has processed all of ``source``, so failures of earlier runs are
    dropped. ``kind`` is ``id`` if the paths are ids: they are forgotten once such an item exists.
    At most 10,000 failures of a source are stored.
    """
    table, key = store.table(TABLE), _hashed(source)
    rows = [
        SideRow(
            id=_hashed(f"{source}\n{one.path}"),
            digest=key,
            value={"path": one.path, "reason": one.reason, "kind": kind},
        )
        for one in [one for one in skipped if one.stamp is None][:_MOST]
    ]
    if whole:
        current = {row.id for row in rows}
        gone = [row.id for row in table.with_digest([key]) if row.id not in current]
        for start in range(0, len(gone), _BATCH):
            table.delete(gone[start : start + _BATCH])
    for start in range(0, len(rows), _BATCH):
        table.put(rows[start : start + _BATCH])


def remembered(store: Store) -> list[Skipped]:
    """Return the stored failures by path, except those of ids that now exist."""
    by_id: list[Skipped] = []
    others: list[Skipped] = []
    for one, kind in _read(store):
        (by_id if kind == "id" else others).append(one)
    for start in range(0, len(by_id), _BATCH):
        some = by_id[start : start + _BATCH]
        there = store.items.get([one.path for one in some])
        others += [one for one in some if one.path not in there]
    return sorted(others, key=lambda one: one.path)


def _read(store: Store) -> Iterator[tuple[Skipped, str]]:
    for row in store.table(TABLE).scan():
        if isinstance(row.value, dict):
            path, reason = str(row.value.get("path")), str(row.value.get("reason"))
            yield Skipped(path=path, reason=reason), str(row.value.get("kind"))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
