"""Suggestions for an id that no item has: the ids that its words may stand for."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lookalike.core import settings_keys
from lookalike.core.ids import is_text
from lookalike.core.keywords import match, split
from lookalike.core.protocols import Store
from lookalike.core.roots import Root, expand_home, read_roots
from lookalike.core.suggestions import closest, format_hint
from lookalike.errors import ItemNotFoundError

__all__ = ["item_not_found", "near_ids"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_PARTS = 16  # of a path, at most: each makes a few ids to look up
_SHOWN = 3
_COMPARED = 50  # items that share words with the id
_LONGEST = 200  # characters of an id whose words are looked up
_BEGINNING = 3  # characters


def item_not_found(store: Store, given: str) -> ItemNotFoundError:
    """Return the error for an id that no item has, with the ids that it may stand for.

    Ids and words are looked up, so the time hardly grows with the collection.
    """
    near: list[str] = []
    if is_text(given):
        roots = read_roots(store.settings.get(settings_keys.ROOTS))
        wanted = near_ids(given, roots)
        there = store.items.get(wanted)
        near = [one for one in wanted if one in there] or _similar_ids(store, given)
    return ItemNotFoundError(f"there is no item {given!r}{format_hint(near[:_SHOWN])}")


def _similar_ids(store: Store, given: str) -> list[str]:
    """Return ids that resemble ``given``, of the items that share a word with it, or its beginning.

    A word that an item has counts the more the rarer it is, so few items need to be compared.
    """
    words = split(given[:_LONGEST])
    beginnings = " ".join(f"{word[:_BEGINNING]}*" for word in words if len(word) >= _BEGINNING)
    for text in (" ".join(words), beginnings):
        ids = [hit.item.id for hit in match(store.keywords, text, k=_COMPARED).hits]
        if found := closest(given, ids, n=_SHOWN):
            return found
    return []


def near_ids(given: str, roots: Sequence[Root]) -> list[str]:
    """Return the ids that ``given`` may stand for, the likeliest first.

    They are the id of the file at that path in one of the ``roots``, the ends of the path, and
    each of these without its suffix or with that of an image.
    """
    names = _ids_of_file(given, roots)
    parts = PurePosixPath(given.replace("\\", "/")).parts[-_PARTS:]
    names += ["/".join(parts[at:]) for at in range(len(parts))]
    found: list[str] = []
    for name in names:
        stem = os.path.splitext(name)[0]  # noqa: PTH122 - of an id, which is no path
        found += [name, stem, *(stem + suffix for suffix in _SUFFIXES)]
        found += [name + suffix for suffix in _SUFFIXES if name != stem]  # 12.5 → 12.5.jpg
    return [one for one in dict.fromkeys(found) if one.strip("/") and one != given]


def _ids_of_file(given: str, roots: Sequence[Root]) -> list[str]:
    try:
        place = expand_home(given).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, a name too long, a loop of links
        return []
    return [
        "/".join(filter(None, (root.name, place.relative_to(Path(root.path)).as_posix())))
        for root in roots
        if place.is_relative_to(root.path)
    ]
