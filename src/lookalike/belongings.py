"""What belongs to a collection beside its items: settings, declared fields, left-out files."""

from collections.abc import Sequence

from lookalike.protocols import Store
from lookalike.roots import read_roots

__all__ = ["OWN", "move_settings", "move_skips"]

OWN = frozenset(
    {"copied_from", "declared", "encoder", "graph", "neighbours", "replaced", "version_of"}
)
"""Settings that a store, a copy or a migration has for itself; ``declared`` moves by itself."""

_BATCH = 1000


def move_settings(source: Store, target: Store, *, names: Sequence[str] | None = None) -> list[str]:
    """Copy what is declared, and of what is kept beside the items all but caches, or ``names``."""
    for field in source.declared():
        target.declare(field)
    moved = []
    for name in source.settings() if names is None else names:
        value = source.setting(name)
        if name not in OWN and value is not None:
            target.set_setting(name, value)
            moved.append(name)
    return moved


def move_skips(source: Store, target: Store) -> int:
    """Copy what is remembered of files that were left out; how many there are."""
    moved = 0
    for name in dict.fromkeys(["", *(root.name for root in read_roots(source.setting("roots")))]):
        skips = list(source.skips(name).values())
        for start in range(0, len(skips), _BATCH):
            target.skip(name, skips[start : start + _BATCH])
        moved += len(skips)
    return moved
