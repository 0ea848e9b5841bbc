"""Remove a collection that was created and never filled."""

from contextlib import suppress

from lookalike.core import settings_keys
from lookalike.core.protocols import Store
from lookalike.errors import LookalikeError
from lookalike.indexing.failures import remembered

__all__ = ["abandon"]


def abandon(store: Store) -> bool:
    """Remove the collection that ``store`` has created, and close it; return whether it was
    removed.

    A collection that existed before, or that anybody has put an item or a skip into, stays. Call it
    when filling the collection has failed. Never raises.
    """
    if not store.begun:
        return False
    with suppress(LookalikeError):
        roots = store.settings.get(settings_keys.ROOTS)
        names = ["", *roots] if isinstance(roots, dict) else [""]
        left_out = any(store.skips.below(name) for name in names) or remembered(store)
        if store.search.count() or left_out or not store.is_current():
            return False
        store.drop()
        for folder in store.made:
            with suppress(OSError):
                folder.rmdir()
        return True
    return False
