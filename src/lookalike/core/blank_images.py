"""Which images are blank: nothing but white, black or one grey. Searches leave them out.

The mark belongs to the bytes of an image, not to an item, so it is kept by digest in a table beside
the items: copies have it at once, and moves, renames and deletions need not touch it.
"""

import time
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from lookalike.core.protocols import Store
from lookalike.core.records import SideRow

__all__ = ["TABLE", "find_blank", "mark_blank"]

TABLE = "blank-images"

# On a server, a look into the table is a request, so a table without rows is not looked into again
# for a while.
_EMPTY_FOR_S = 10.0
_empty_since: WeakKeyDictionary[Store, float] = WeakKeyDictionary()


def mark_blank(store: Store, digests: Iterable[str]) -> None:
    """Mark images as blank, by the digests of their bytes."""
    rows = [SideRow(id=digest, value=True, digest=digest) for digest in sorted(set(digests))]
    if rows:
        store.table(TABLE).put(rows)
        _empty_since.pop(store, None)


def find_blank(store: Store, digests: Iterable[str]) -> set[str]:
    """Return those of the digests that are marked.

    On a server, the first mark that another process writes may be seen ten seconds late.
    """
    wanted = sorted(set(digests))
    if not wanted:
        return set()
    if store.folder is None:
        if time.monotonic() - _empty_since.get(store, -_EMPTY_FOR_S) < _EMPTY_FOR_S:
            return set()
        if not store.table(TABLE).count():
            _empty_since[store] = time.monotonic()
            return set()
    return set(store.table(TABLE).get(wanted))
