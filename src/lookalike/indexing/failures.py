"""What an import could not use and that has no file to look at again: lines, URLs, missing files.

A file that could not be used is remembered with its stamp (``Store.skips``), and is not tried again
while it stays as it is. What has no stamp is tried again by every run. It is kept here only so that
it can be shown afterwards.
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
    """Keep those of ``skipped`` that have no stamp.

    With ``whole`` the run has looked at all of ``source``, so what earlier runs left is dropped.
    ``kind`` is ``id`` where the paths are ids: they are forgotten once there is such an item.
    At most 10,000 of a source are kept.
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
    """Return what is kept, by path, but for ids of items that are there by now."""
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
