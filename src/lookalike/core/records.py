"""The small frozen records that all layers exchange."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:
    from lookalike.core.protocols.viewing import ItemViewer

__all__ = [
    "Added",
    "BeingWritten",
    "Damaged",
    "Entry",
    "Field",
    "Hit",
    "IndexReport",
    "Item",
    "Json",
    "Leftover",
    "Missing",
    "NeighbourState",
    "Neighbours",
    "Note",
    "Outcome",
    "Remote",
    "SideRow",
    "Skipped",
    "Stamp",
    "Thumbnail",
    "ThumbnailState",
    "id_of",
    "together",
]

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

_EMPTY: Mapping[str, Json] = MappingProxyType({})


class Stamp(NamedTuple):
    """Size in bytes and modification time: says whether a file has changed without opening it.

    A tuple, for a scan makes one for every file: a frozen dataclass takes four times as long.
    """

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A folder that stays after its collection was removed, as it holds ``count`` other entries.

    ``files`` are the first of them; none where the folder is empty and could not be removed.
    """

    folder: str
    files: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An image in a collection; the store keeps its vector beside it.

    ``id`` is the key. ``digest`` is the SHA-256 of the file's bytes, in hex: two items with one
    digest are exact duplicates. ``root`` and ``path`` say where the file lies (``path`` below the
    root, ``/``-separated); both are empty for an image that came as bytes. ``width`` and
    ``height`` are pixels after the EXIF turn.
    """

    id: str
    digest: str
    width: int
    height: int
    root: str = ""
    path: str = ""
    stamp: Stamp | None = None
    label: str | None = None
    group: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An item whose file has gone: ``item`` as it was, and ``since`` when (Unix time)."""

    item: Item
    since: float


Outcome: TypeAlias = Literal["created", "replaced", "unchanged"]
"""What adding an image did: made a new item, gave an item another image, or nothing, because the
item had the same bytes already."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Added(Item):
    """The item of an image that was added, and the ``outcome``. It equals its ``Item``."""

    outcome: Outcome

    @classmethod
    def of(cls, item: Item, report: "IndexReport") -> Self:
        """Return an item with its outcome, from the report of indexing it alone."""
        outcome: Outcome = "replaced" if report.replaced else "created"
        if not report.indexed + report.reused:
            outcome = "unchanged"
        return cls(**{name: getattr(item, name) for name in Item.__slots__}, outcome=outcome)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and all(
            getattr(self, name) == getattr(other, name) for name in Item.__slots__
        )

    __hash__ = Item.__hash__


@dataclass(frozen=True, slots=True)
class Remote:
    """An image that must be downloaded: its URLs, best first.

    ``reason`` says why it has not been, if that is known.
    """

    urls: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small image of an item, kept beside it: ``jpeg`` is upright and RGB.

    Its longer side has ``side`` pixels, or those of the image where that is smaller.
    """

    jpeg: bytes
    side: int

    def shows(self, item: Item, side: int) -> bool:
        """Return whether it shows ``item`` at ``side`` pixels as well as the image itself would."""
        return self.side >= min(side, max(item.width, item.height))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailState:
    """How many ``items`` have a thumbnail, and the total ``bytes``."""

    items: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An image to be indexed: where its bytes are, and its label, group and metadata.

    ``image`` is a file, the bytes of one, or ``Remote``: then it must be downloaded before it can
    be indexed. ``None`` for label, group or metadata says nothing
    about them: an item that is there already keeps its own. ``line`` is the place in a catalogue
    that says so (``products.csv:12``), for messages. It is not ``ended`` where the file ends with
    it and without a line break: then it may be cut off. It is ``partial`` where a file that says
    more is damaged: an item that has words already keeps those.
    With ``fresh``, nobody chose the id: an item with another image is never replaced, and the entry
    is skipped.
    """

    id: str
    image: Path | bytes | Remote
    root: str = ""
    path: str = ""
    stamp: Stamp | None = None
    label: str | None = None
    group: str | None = None
    metadata: Mapping[str, Json] | None = None
    line: str = ""
    ended: bool = True
    partial: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Hit:
    """An item with its score: the cosine with the query, in [-1, 1], higher is more alike.

    ``box`` (left, top, right, bottom), each in [0, 1], is the part of the image that the score is
    of, where a region was more alike than the whole. ``collection`` is the one that was searched,
    where a collection's own methods return the hit.
    """

    item: Item
    score: float
    box: tuple[float, float, float, float] | None = None
    collection: "ItemViewer | None" = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """The id of the item."""
        return self.item.id

    @property
    def path(self) -> Path | None:
        """The file of the item; ``None`` where it has none, or where a service keeps it."""
        return None if self.collection is None else self.collection.file_of(self.item)

    def __repr__(self) -> str:
        label = "" if self.item.label is None else f", label={self.item.label!r}"
        return f"Hit({self.item.id!r}, score={self.score:.3f}{label})"

    def _repr_html_(self) -> str | None:
        """Return the hit with its thumbnail, for notebooks."""
        return None if self.collection is None else self.collection.render([self])


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRow:
    """A row of a table beside the items: ``value`` is any JSON, ``id`` its key in the table.

    ``id`` need not be the id of an item that exists. ``digest`` (SHA-256 in hex, or empty) is what
    the row can also be found by.
    """

    id: str
    value: Json
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark on results that they do not show themselves: for example, why there are none.

    ``code`` is for programs (docs/filters.md lists them), ``message`` for people, and ``details``
    has the code's own members, such as ``field``.
    """

    code: str
    message: str
    details: Mapping[str, Json] = field(default_factory=lambda: _EMPTY)


class Neighbours(NamedTuple):
    """The nearest items of an item, best first; ``complete`` when there are no others."""

    hits: list[Hit]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourState:
    """What the neighbour table holds: ``rows`` of ``items`` have a list of ``k`` (0: no table).

    ``current`` rows know every current item, so they can be used; ``exact`` ones were
    compared with every item, not only with those that the graph proposed.
    """

    items: int
    rows: int
    current: int
    exact: int
    k: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A metadata field and how it is used, counted in items.

    ``name`` is as filters have it: members of an object stand after a dot, one level deep.
    ``types`` are JSON's (``string``, ``integer``, ``number``, ``boolean``, ``array``, ``object``,
    ``null``), most first. ``filled`` items have something in it: not null, nor an empty text,
    list or object.
    """

    name: str
    types: Mapping[str, int]
    filled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that could not be used, with the reason.

    ``stamp`` is that of the file then (``None`` if it could not be read); while the file has this
    stamp, it is not tried again.
    """

    path: str
    reason: str
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged(Skipped):
    """A place after which a catalogue cannot be read, so entries may be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeingWritten(Skipped):
    """A file that is left for later, because it is still being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What was really done, counted as it happened.

    ``indexed`` were encoded, ``reused`` took the vector of an exact duplicate; ``replaced`` of
    these are items that had another image before. ``unchanged`` were left as they are, ``removed``
    had vanished, ``kept`` had vanished or could not be looked for and stay. ``held_back`` have
    vanished too, and stay because they are too many to be removed without being asked, or because
    the source is malformed; ``problems`` are sentences that say why and what to do. ``removed``
    items leave the results, and what was said of them is kept (``missing``). ``moved`` files were
    found at another path and took their words along, ``restored`` ones are back and have theirs
    again. The source changed label, group or metadata of ``relabelled`` items; ``kept_by_hand``
    have words set by hand, of which it says something else. ``thumbnails`` were made for items that
    are there already and lacked them. ``skipped`` lists every file left out in this run, known or
    new; ``being_written`` of these are still being written, so a later run reads them. ``notes``
    are sentences on what was done but looks like a slip. ``passed`` counts what was passed over by
    kind (``.pdf``, ``links`` …) in folders without any image. ``interrupted`` says that the run was
    stopped early: what was done is stored, the next run goes on.
    """

    indexed: int = 0
    reused: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    kept: int = 0
    held_back: int = 0
    moved: int = 0
    restored: int = 0
    relabelled: int = 0
    kept_by_hand: int = 0
    thumbnails: int = 0
    being_written: int = 0
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    passed: Mapping[str, int] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def nothing_usable(self) -> bool:
        """Return whether the source held something, and nothing of it could be used."""
        items = self.indexed + self.reused + self.unchanged + self.kept + self.held_back
        done = items + self.removed + self.moved + self.restored
        return not done and not self.interrupted and bool(self.skipped or self.passed)


def id_of(root: str, path: str) -> str:
    """Return the id of the file at ``path`` below a root; the name of the first root is empty."""
    return f"{root}:{path}" if root else path


def together(reports: Sequence[IndexReport]) -> IndexReport:
    """Return one report of several runs."""
    return IndexReport(
        indexed=sum(one.indexed for one in reports),
        reused=sum(one.reused for one in reports),
        replaced=sum(one.replaced for one in reports),
        unchanged=sum(one.unchanged for one in reports),
        removed=sum(one.removed for one in reports),
        kept=sum(one.kept for one in reports),
        held_back=sum(one.held_back for one in reports),
        moved=sum(one.moved for one in reports),
        restored=sum(one.restored for one in reports),
        relabelled=sum(one.relabelled for one in reports),
        kept_by_hand=sum(one.kept_by_hand for one in reports),
        thumbnails=sum(one.thumbnails for one in reports),
        being_written=sum(one.being_written for one in reports),
        skipped=tuple(skip for one in reports for skip in one.skipped),
        notes=tuple(note for one in reports for note in one.notes),
        problems=tuple(problem for one in reports for problem in one.problems),
        passed=dict(sum((Counter(one.passed) for one in reports), Counter())),
        interrupted=any(one.interrupted for one in reports),
        seconds=sum(one.seconds for one in reports),
    )
