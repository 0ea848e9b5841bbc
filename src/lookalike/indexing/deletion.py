"""Remove items on request: by id, or with the folder that they were indexed from."""

import time
from collections.abc import Iterable

from lookalike.core import settings_keys
from lookalike.core.ids import is_text
from lookalike.core.protocols import Store
from lookalike.core.roots import read_roots, roots_json
from lookalike.errors import SourceError
from lookalike.indexing import missing
from lookalike.regions.table import forget_unused, region_count

__all__ = ["remove_items", "remove_root"]


def remove_items(store: Store, ids: Iterable[str]) -> int:
    """Remove items, missing ones too, with all that is kept beside them. Return their number."""
    named = [one for one in ids if is_text(one)]
    with_regions = region_count(store) > 0
    shown = [one.digest for one in store.items.get(named).values()] if with_regions else []
    removed = store.items.delete(named)
    forget_unused(store, shown)
    if removed:
        store.settings.set(settings_keys.UPDATED_AT, time.time())
    return removed + missing.forget(store, named)


def remove_root(store: Store, name: str) -> int:
    """Remove a root with its items, and return their number. Raise ``SourceError`` if unknown."""
    if name not in (root.name for root in read_roots(store.settings.get(settings_keys.ROOTS))):
        raise SourceError(f"the collection has no root called {name!r}")
    gone = [one.item.id for one in missing.missing(store) if one.item.root == name]
    missing.forget(store, gone)
    # Items that came as bytes have no path. They belong to no root, not to the first.
    removed = remove_items(
        store, [one for path, (one, _) in store.items.stamps(name).items() if path]
    )
    store.skips.delete(name, list(store.skips.below(name)))
    store.settings.change(
        settings_keys.ROOTS,
        lambda stored: roots_json([root for root in read_roots(stored) if root.name != name]),
    )
    return removed
