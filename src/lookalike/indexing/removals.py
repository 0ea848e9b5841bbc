"""Decide which vanished items may be removed: absence is not deletion.

An unmounted disk looks like an empty folder, and half a table like a short one. So a run that would
remove more than a small share of a source's items removes none of them, and says so.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lookalike.core.plurals import count_noun
from lookalike.core.protocols import Store
from lookalike.core.records import Damaged, Entry, Item, Skipped
from lookalike.sources.scan import holds_anything

__all__ = [
    "ALLOW",
    "LEAST",
    "ONE_IN",
    "Removals",
    "cut_off",
    "decide",
    "is_cut_off",
    "is_too_many",
    "looks_cut_off",
    "problems",
    "settle",
]

ONE_IN = 10  # more than one item in this many is not a small share
LEAST = 3  # so many may always be removed, unless none is left
ALLOW = "--allow-removals (allow_removals=True)"  # in messages; each interface names its own
_BATCH = 1000  # items per request
_FOLDERS = 5  # emptied folders that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class Removals:
    """What happens to vanished items: ids to ``remove``, and how many are ``held_back``.

    ``problems`` are sentences that say what was held back, why, and what to do.
    """

    remove: tuple[str, ...] = ()
    held_back: int = 0
    problems: tuple[str, ...] = ()


def is_too_many(gone: int, known: int) -> bool:
    """Return whether ``gone`` of a source's ``known`` items are too many to remove by default.

    They are if nothing is left, or if they are more than one in ten and more than three.
    """
    return gone > 0 and (gone >= known or (gone > LEAST and gone * ONE_IN > known))


def decide(
    gone: Collection[str],
    known: int,
    *,
    place: str,
    moved: Collection[str] = (),
    emptied: Mapping[str, str] = {},
    malformed: Sequence[Skipped] = (),
    allow: bool = False,
) -> Removals:
    """Decide what happens to the items that have vanished from a source of ``known`` items.

    ``gone`` are their ids. ``moved`` are those whose bytes the same run found under a new id;
    removing them loses nothing. ``emptied`` maps ids to the folder that held them, if it still
    exists but is empty. ``malformed`` are places of a catalogue that cannot be understood: each may
    name any item, so nothing is removed while there is one, even with ``allow``. ``place`` names
    the source in messages.
    """
    if not gone:
        return Removals()
    if malformed:
        return Removals(held_back=len(gone), problems=(_malformed(place, len(gone), malformed),))
    if allow:
        return Removals(remove=tuple(sorted(gone)))
    lost = {one for one in gone if one not in moved}
    if is_too_many(len(lost), known):
        return Removals(
            remove=tuple(sorted(set(gone) - lost)),
            held_back=len(lost),
            problems=(_too_many(place, len(lost), known),),
        )
    folders: dict[str, list[str]] = {}
    for one in lost:
        if one in emptied:
            folders.setdefault(emptied[one], []).append(one)
    folders = {folder: ids for folder, ids in sorted(folders.items()) if len(ids) > LEAST}
    held = {one for ids in folders.values() for one in ids}
    return Removals(
        remove=tuple(sorted(set(gone) - held)),
        held_back=len(held),
        problems=tuple(_emptied({folder: len(ids) for folder, ids in folders.items()}, place)),
    )


def looks_cut_off(entry: Entry, before: Item | None, gone: Mapping[str, str]) -> bool:
    """Return whether a last line without a line break is the beginning of an earlier version.

    ``before`` is the item with its id; ``gone`` maps ids that the catalogue no longer names to
    paths.
    """
    if any(one.startswith(entry.id) or path == entry.path != "" for one, path in gone.items()):
        return True
    if before is None:
        return False
    if before.path != entry.path:
        return bool(before.path)
    was = dict(before.metadata)
    now = was if entry.metadata is None else dict(entry.metadata)
    pairs = [
        *((was.get(name), now.get(name)) for name in was.keys() | now.keys()),
        (before.label, before.label if entry.label is None else entry.label),
        (before.group, before.group if entry.group is None else entry.group),
    ]
    changed = [(old, new) for old, new in pairs if old != new]
    return bool(changed) and all(
        old is not None and (new is None or str(old).startswith(str(new))) for old, new in changed
    )


def is_cut_off(
    store: Store,
    entry: Entry,
    known: Mapping[str, str],
    named: Collection[str],
    *,
    allow: bool = False,
) -> bool:
    """Return whether a catalogue seems to end in the middle of its last line.

    ``entry`` is that line, which has no line break; ``known`` maps the ids of the source's items to
    their paths; ``named`` are the ids of the lines before it. Many complete files end without a
    line break, so there must be further evidence: too many items are no longer named, or the line
    is the beginning of an earlier version.
    """
    if entry.ended:
        return False
    if entry.id in named:
        return True
    gone = {one: path for one, path in known.items() if one not in named and one != entry.id}
    if is_too_many(len(gone), len(known)) and not allow:
        return True
    return looks_cut_off(entry, store.items.get([entry.id]).get(entry.id), gone)


def cut_off(entry: Entry) -> Damaged:
    """Return the problem to report for a line for which ``is_cut_off`` is true."""
    return Damaged(
        path=entry.line or entry.path,
        reason="the file ends in this line, without a line break, and seems to be cut off; if it "
        "is whole, end it with a line break",
    )


def settle(
    store: Store,
    root: Path,
    gone: Mapping[str, str],
    known: int,
    *,
    place: str,
    new: Iterable[str] = (),
    followed: Collection[str] = (),
    in_folders: bool = True,
    malformed: Sequence[Skipped] = (),
    allow: bool = False,
) -> Removals:
    """Collect what ``decide`` needs, decide, and leave the removal to the caller.

    ``gone`` maps ids to paths below ``root``; ``new`` are the ids that this run saw for the first
    time; ``followed`` are those of ``gone`` that are known under another id. ``in_folders`` means
    that images are listed because their file exists, not because a list names them.
    """
    left = emptied(root, gone) if in_folders and not allow else {}
    # Items that may be removed anyway need not be searched for under another id.
    look = (left or is_too_many(len(gone), known)) and not malformed and not allow
    return decide(
        gone,
        known,
        place=place,
        moved={*followed, *moved(store, gone, new)} if look else followed,
        emptied=left,
        malformed=malformed,
        allow=allow,
    )


def problems(places: Iterable[Skipped], going: Removals) -> tuple[str, ...]:
    """Return a sentence for each damaged place of a catalogue, and the problems of ``going``."""
    damage = (f"{one.path}: {one.reason}" for one in places if isinstance(one, Damaged))
    new = [one for one in damage if not any(one in problem for problem in going.problems)]
    return (*new, *going.problems)


def moved(store: Store, gone: Iterable[str], new: Iterable[str]) -> set[str]:
    """Return those of the ``gone`` items whose bytes one of the ``new`` items has."""
    there = {digest for _, digest in _digests(store, new)}
    return {one for one, digest in _digests(store, gone) if digest in there} if there else set()


def emptied(root: Path, paths: Mapping[str, str]) -> dict[str, str]:
    """Return the ids of vanished items whose folder still exists but is now empty.

    ``paths`` maps ids to paths below ``root``; the result maps ids to the emptied folder, also
    below ``root``. A folder that no longer exists was deleted by somebody; the mount point of a
    disk stays, with nothing in it.
    """
    known: dict[str, str | None] = {"": None}  # the root itself: then every item has vanished

    def nearest(folder: str) -> str | None:
        """Return the innermost folder that still exists, if it is empty."""
        if folder not in known:
            try:
                known[folder] = None if holds_anything(root / folder) else folder
            except (FileNotFoundError, NotADirectoryError):
                known[folder] = nearest(os.path.dirname(folder))  # noqa: PTH120 - text, not a place
            except OSError:
                known[folder] = None
        return known[folder]

    found = ((one, nearest(path.rpartition("/")[0])) for one, path in paths.items())
    return {one: folder for one, folder in found if folder is not None}


def _digests(store: Store, ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    waiting = iter(ids)
    while some := list(islice(waiting, _BATCH)):
        for item in store.items.get(some).values():
            yield item.id, item.digest


# -- messages -----------------------------------------------------------------------------------

_ALLOW = f"if the images are really gone, pass {ALLOW}"


def _too_many(place: str, gone: int, known: int) -> str:
    what = (
        f"none of its {known:,} items is there any more, so all of them stay"
        if gone >= known
        else f"{gone:,} of its {known:,} items are no longer there, more than one in {ONE_IN}, "
        "so all of them stay"
    )
    return (
        f"{place}: {what}. If a disk is not mounted or a file is cut off, put that right and run "
        f"again; {_ALLOW}"
    )


def _emptied(folders: Mapping[str, int], place: str) -> Iterator[str]:
    for folder, count in islice(folders.items(), _FOLDERS):
        yield (
            f"{place}: the folder {folder} is there, but empty, and had "
            f"{count_noun(count, 'item')}, so they "
            "stay. If a disk belongs there, mount it and run again; if the images are really gone, "
            f"delete the folder too, or pass {ALLOW}"
        )
    if len(folders) > _FOLDERS:
        rest = [*folders.values()][_FOLDERS:]
        yield (
            f"{place}: {count_noun(len(rest), 'more folder is', 'more folders are')} there, but "
            f"empty, and had {sum(rest):,} "
            "items, which stay too"
        )


def _malformed(place: str, gone: int, malformed: Sequence[Skipped]) -> str:
    first, more = malformed[0], len(malformed) - 1
    others = f" (and {more:,} more like it)" if more else ""
    return (
        f"{place}: {count_noun(gone, 'item is', 'items are')} no longer named but not removed, "
        "because a part of it cannot be "
        f"understood and may name them: {first.path}: {first.reason}{others}. Correct that and run "
        "again"
    )
