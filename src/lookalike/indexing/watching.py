"""Watch sources, and index them again when something in them changes."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, Unpack

from lookalike.core.protocols import Catalogue
from lookalike.core.records import IndexReport, together
from lookalike.errors import SourceError, StoreError
from lookalike.indexing.fitting import ProjectionDim
from lookalike.sources.catalogues import open_catalogue, recognise
from lookalike.sources.catalogues.object_folder import ObjectFolder
from lookalike.sources.folder_events import FolderEvents
from lookalike.sources.object_storage import is_object_url
from lookalike.sources.scan import ScanOptions

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = [
    "SETTLE_S",
    "IndexKeywords",
    "WatchEvent",
    "WatchedSource",
    "list_watched_folders",
    "watch",
    "watch_sources",
]

SETTLE_S = 2.0  # files that changed less long ago wait

_QUIET_S = 0.3  # without a change, before a source is looked at
_LONGEST_S = 5.0  # after the first of many changes
_TICK_S = 0.5  # how often a stop and the folders themselves are looked at
_RESCAN_S = 300.0  # without any event
_DEAF_S = 10.0  # the same, where no events can be received
_REST = 5  # a source rests for so many times the time of its last pass, so others get the disk
_RETRY_S = (5.0, 60.0)  # after the first and after later failures of the store

WatchEventKind: TypeAlias = Literal["indexed", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """What happened: a source was ``indexed``, or there is a ``problem``.

    ``report`` is that of the pass, ``message`` says what the problem is.
    """

    kind: WatchEventKind
    source: str
    report: IndexReport | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSource:
    """A source: the ``folders`` in which its files lie, and what indexes it.

    Nothing that happens below the folders ``apart`` is a change.
    """

    name: str
    folders: Sequence[Path]
    index: Callable[[], IndexReport]
    apart: Sequence[Path] = ()


@dataclass(slots=True, kw_only=True)
class _Turn:
    """When a source is due. All times are seconds of one clock that the caller reads."""

    rescan: float
    first: float | None = None  # of the changes since the last pass began
    last: float = 0.0
    rest_until: float = 0.0
    look_at: float = 0.0  # without an event; at once for the first time
    failures: int = 0

    def change(self, now: float) -> None:
        self.first = now if self.first is None else self.first
        self.last = now

    def due_at(self) -> float:
        due = self.look_at
        if self.first is not None:
            due = min(due, self.last + _QUIET_S, self.first + _LONGEST_S)
            due = min(self.look_at, max(due, self.rest_until))
        return due

    def begin(self) -> None:
        self.first = None

    def end(self, now: float, seconds: float, *, again_in: float | None) -> None:
        self.rest_until = now + _REST * seconds
        self.look_at = now + (
            max(self.rescan, 2 * _REST * seconds) if again_in is None else again_in
        )

    def fail(self, now: float) -> None:
        first, later = _RETRY_S
        self.look_at = now + (later if self.failures else first)
        self.failures += 1


def list_watched_folders(source: Path | Catalogue) -> list[Path]:
    """Return the folders in which a change may change a source, outermost only.

    Object storage has none.
    """
    if isinstance(source, Path):
        return [source]
    if isinstance(source, ObjectFolder):
        return []
    path = getattr(source, "path", None)
    files = (path,) if isinstance(path, Path) else getattr(source, "files", ())
    folders = {source.root.resolve()}
    folders |= {one.resolve() if one.is_dir() else one.resolve().parent for one in files}
    return sorted(one for one in folders if not any(up in folders for up in one.parents))


class IndexKeywords(TypedDict, total=False):
    """Keywords of ``Collection.index`` that make sense for a source that is watched."""

    format: str
    options: ScanOptions | None
    keep_missing: bool
    allow_removals: bool
    retry: bool
    overwrite_by_hand: bool
    as_new: bool
    thumbnails: int | None
    dim: ProjectionDim


def watch_sources(
    collection: "Collection",
    sources: Sequence[str | os.PathLike[str]],
    *,
    stop: Callable[[], bool],
    settle: float = SETTLE_S,
    poll: float | None = None,
    on_event: Callable[[WatchEvent], None] = lambda _: None,
    **keywords: Unpack[IndexKeywords],
) -> IndexReport:
    """Index folders and catalogues into a collection, and again when they change; see ``watch``.

    The keywords are those of ``Collection.index``.
    """
    return watch(
        [
            WatchedSource(
                name=str(one),
                folders=_find_folders(one, keywords.get("format", "auto")),
                apart=[] if collection.store.folder is None else [collection.store.folder],
                index=partial(collection.index, one, settle=settle, stop=stop, **keywords),
            )
            for one in sources
        ],
        stop=stop,
        settle=settle,
        poll=poll,
        on_event=on_event,
    )


def _find_folders(source: str | os.PathLike[str], format: str) -> list[Path]:
    if is_object_url(os.fspath(source)):
        return []
    path = Path(source).expanduser()
    format = recognise(path) if format == "auto" else format
    return list_watched_folders(path if format == "folder" else open_catalogue(path, format))


def watch(
    sources: Sequence[WatchedSource],
    *,
    stop: Callable[[], bool],
    settle: float = SETTLE_S,
    poll: float | None = None,
    on_event: Callable[[WatchEvent], None] = lambda _: None,
) -> IndexReport:
    """Index the sources, and each of them again when it changes, until ``stop`` returns true.

    ``settle`` is that with which the sources are indexed (``Collection.index``): where a file has
    not settled, its source is indexed again so many seconds later. With ``poll``, the operating
    system is not listened to, and every source is looked at so often; without, that is done every
    five minutes, in case events are lost. ``on_event`` is called for each pass that changed
    something, and for each new problem: a source that is not there is waited for, and a store that
    does not work is tried again. A source that is not there at first is an error.

    Return one report of all passes; ``unchanged`` and ``skipped`` are those of the last pass of
    each source. Raise ``EncoderError`` and other errors that waiting does not repair.
    """
    woken = threading.Event()
    with ExitStack() as stack:
        watchers = [
            _Watcher(source=one, settle=settle, poll=poll, woken=woken, on_event=on_event)
            for one in sources
        ]
        for one in watchers:
            stack.callback(one.close)
        while not stop():
            for one in watchers:
                one.listen()
                if one.turn.due_at() <= time.monotonic() and not stop():
                    one.run()
            now = time.monotonic()
            woken.wait(min(_TICK_S, *(max(one.turn.due_at() - now, 0.01) for one in watchers)))
            woken.clear()
    return together([one.total() for one in watchers])


class _Watcher:
    """Watches one source; memory stays flat for any number of passes."""

    def __init__(
        self,
        *,
        source: WatchedSource,
        settle: float,
        poll: float | None,
        woken: threading.Event,
        on_event: Callable[[WatchEvent], None],
    ) -> None:
        self.turn = _Turn(rescan=_RESCAN_S if poll is None else poll)
        self._source = source
        self._settle = settle
        self._woken = woken
        self._on_event = on_event
        self._lock = threading.Lock()
        self._events: FolderEvents | None = None
        if poll is None:
            self._events = FolderEvents(source.folders, self._hear, apart=source.apart)
        self._last: IndexReport | None = None
        self._settled: tuple[object, ...] = ()  # what the last pass said of files that it left
        self._sum = IndexReport()
        self._warned: set[str] = set()
        self._deaf = False

    def _hear(self) -> None:
        with self._lock:
            self.turn.change(time.monotonic())
        self._woken.set()

    def listen(self) -> None:
        """Listen to the folders that are there now."""
        if self._events is None:
            return
        if self._events.refresh():
            self._hear()
        if self._events.problem is not None and not self._deaf:
            self._deaf = True
            self.turn.rescan = min(self.turn.rescan, _DEAF_S)
            self._warn(
                f"changes cannot be listened to ({self._events.problem}), so the source is looked "
                f"at every {_DEAF_S:g} s"
            )

    def run(self) -> None:
        """Index the source once. Raise what waiting does not repair."""
        with self._lock:
            self.turn.begin()
        began = time.monotonic()
        try:
            report = self._source.index()
        except (SourceError, StoreError) as error:
            if self._last is None and isinstance(error, SourceError):
                raise
            self._warn(str(error))
            with self._lock:
                self.turn.fail(time.monotonic())
            return
        self._note(report)
        now = time.monotonic()
        with self._lock:
            again = self._settle if report.being_written else None
            self.turn.end(now, now - began, again_in=again)

    def _note(self, report: IndexReport) -> None:
        news = self._last is None or _has_changed(report) or bool(self._warned)
        if not report.being_written:  # otherwise the next pass will know better
            left = (report.problems, len(report.skipped))
            news = news or left != self._settled
            self._settled = left
            self._warned = set()
        self._last = report
        self._sum = together([self._sum, replace(report, skipped=(), notes=(), problems=())])
        if news:
            self._on_event(WatchEvent(kind="indexed", source=self._source.name, report=report))

    def _warn(self, message: str) -> None:
        """Report a problem, unless it has been reported since the last good pass."""
        if message not in self._warned:
            self._warned.add(message)
            self._on_event(WatchEvent(kind="problem", source=self._source.name, message=message))

    def total(self) -> IndexReport:
        """Return one report of all passes."""
        last = self._last or IndexReport()
        return replace(
            self._sum,
            unchanged=last.unchanged,
            kept=last.kept,
            held_back=last.held_back,
            kept_by_hand=last.kept_by_hand,
            being_written=last.being_written,
            skipped=last.skipped,
            problems=last.problems,
            passed=last.passed,
        )

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


def _has_changed(report: IndexReport) -> bool:
    """Return whether a pass has changed an item."""
    names = ("indexed", "reused", "removed", "moved", "restored", "relabelled", "thumbnails")
    return any(getattr(report, name) for name in names)
