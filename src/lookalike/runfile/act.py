"""Do what a run file says: step by step, each decided when those before it are done."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from lookalike.analysis import categories, neighbours
from lookalike.analysis.categories import CategoryReport
from lookalike.analysis.evaluation import Comparison, compare
from lookalike.analysis.neighbours import BuildReport
from lookalike.collection import Collection as Items
from lookalike.core.protocols import Catalogue
from lookalike.core.records import IndexReport, Json, Progress, together
from lookalike.errors import ExportError, LookalikeError, SourceError
from lookalike.images.decoding import Limits
from lookalike.indexing.unfinished import abandon
from lookalike.output.export import ExportReport, export
from lookalike.output.outputs import check_output
from lookalike.output.result_files import document, write_report
from lookalike.runfile.model import Columns, Download, Evaluate, Index, RunFile
from lookalike.runfile.plan import NEEDS, Known, Planned, decide, outputs_of, selected
from lookalike.runfile.reading import Loaded
from lookalike.runfile.state import keep, look, model_of, opened, stamps
from lookalike.runfile.steps import Step
from lookalike.sources.catalogues import open_catalogue, recognise
from lookalike.sources.download.politeness import Politeness
from lookalike.sources.scan import ScanOptions, check_folder

if TYPE_CHECKING:
    from lookalike.sources.download.run import DownloadReport

__all__ = ["Outcome", "Result", "Shown", "act"]

Result: TypeAlias = (
    "DownloadReport | IndexReport | CategoryReport | BuildReport | Comparison | ExportReport | None"
)


class Shown(Protocol):
    """Something that shows how far a piece of work is."""

    def show(self, done: int, total: int | None, note: str = "") -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a step.

    ``done``; ``current``, because it was up to date; ``failed``, with ``why``; ``left``, because
    a step that it needs failed; ``interrupted``: the next run goes on. ``result`` is the report of
    what was done, ``notes`` say what looks like a slip.
    """

    step: Step
    status: Literal["done", "current", "failed", "left", "interrupted"]
    why: str
    seconds: float = 0.0
    result: Result = None
    notes: tuple[str, ...] = ()


class _Stopped(Exception):  # noqa: N818 - no error
    """The wish to stop, out of work that cannot be asked to."""


def act(
    loaded: Loaded,
    *,
    only: Collection[Step] = (),
    force: Collection[Step] = (),
    begins: Callable[[Planned], None] = lambda planned: None,  # noqa: ARG005 - says nothing
    shown: Callable[[str], AbstractContextManager[Shown]],
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Run the steps that are out of date; answers what became of each, as it happens.

    ``begins`` hears of a step before it is done, ``shown(what)`` gives what shows its progress.
    A step that fails stops those that need it, and no other. When ``stop`` answers true the step
    in hand ends early and no other begins; what was done is stored, and the next run goes on.
    """
    steps = selected(loaded.file, only)
    run = _Run(loaded=loaded, steps=steps, force=force, shown=shown, stop=stop)
    failed: set[Step] = set()
    try:
        for step in steps:
            if stop():
                return
            if missing := NEEDS[step] & failed:
                failed.add(step)
                yield Outcome(step=step, status="left", why=f"{', '.join(missing)} failed")
                continue
            outcome = run.step(step, begins)
            if outcome.status == "failed":
                failed.add(step)
            yield outcome
            if outcome.status == "interrupted":
                return
    except BaseException:
        run.close(failed=True)
        raise
    finally:
        run.close()


@dataclass(slots=True, kw_only=True)
class _Run:
    """A run under way: the collection once it is open, and what is known until it changes."""

    loaded: Loaded
    steps: Collection[Step]
    force: Collection[Step]
    shown: Callable[[str], AbstractContextManager[Shown]]
    stop: Callable[[], bool]
    _shop: Items | None = None
    _known: Known | None = field(default=None)
    _notes: tuple[str, ...] = ()  # of the fields that were declared

    def step(self, step: Step, begins: Callable[[Planned], None]) -> Outcome:
        began = time.monotonic()

        def outcome(
            status: Literal["done", "current", "failed", "interrupted"],
            why: str,
            result: Result = None,
        ) -> Outcome:
            seconds = time.monotonic() - began
            notes = self._notes if step == "declare" else tuple(getattr(result, "notes", ()))
            return Outcome(
                step=step, status=status, why=why, seconds=seconds, result=result, notes=notes
            )

        try:
            known = self._look(items=step not in ("download", "index"))
            planned = decide(self.loaded.file, step, known, forced=step in self.force)
            if planned.status == "current":
                return outcome("current", planned.why)
            begins(planned)
            result = getattr(self, f"_{step}")()
        except _Stopped:
            self._abandon()
            return outcome("interrupted", "stopped")
        except LookalikeError as error:
            self._abandon()
            return outcome("failed", _in_keys(step, self.loaded.file, str(error)))
        if getattr(result, "interrupted", False):
            self._abandon()
            return outcome("interrupted", "stopped", result)
        if fault := _fault(result):
            self._abandon()
            return outcome("failed", _in_keys(step, self.loaded.file, fault), result)
        nothing_new = planned.status == "look" and not _changed(result)
        return outcome("current" if nothing_new else "done", planned.why, result)

    def close(self, *, failed: bool = False) -> None:
        if failed:
            self._abandon()
        if self._shop is not None:
            self._shop.close()

    def _abandon(self) -> None:
        """Let a collection go that this run has begun, and that is still empty."""
        if self._shop is not None and abandon(self._shop.store):
            self._shop = self._known = None

    def _look(self, *, items: bool = True) -> Known:
        if not items:
            return look(self.loaded, self._shop, items=False)
        if self._known is None:
            self._known = look(self.loaded, self._shop)
        return self._known

    def _items(self, *, create: bool = False) -> Items:
        if self._shop is None:
            self._shop = opened(self.loaded, create=create)
        return self._shop

    def _keep(self, step: Step, made: Json) -> None:
        state = self._look().states[step]
        keep(self.loaded, self._items(), step, state=state, made=made)

    def _heard(self, shown: Shown) -> Callable[[int, int | None], None]:
        """Progress of work that has no other way to be stopped."""

        def hear(done: int, total: int | None) -> None:
            if self.stop():
                raise _Stopped
            shown.show(done, total)

        return hear

    # -- steps, each called as its section ---------------------------------------------------

    def _download(self) -> "DownloadReport":
        from lookalike.sources.download.run import download  # noqa: PLC0415 - aiohttp, for this step only

        wanted = self.loaded.file.download
        assert wanted is not None  # noqa: S101 - the step is selected
        path = self.loaded.place(wanted.catalogue)
        kind = recognise(path) if wanted.format == "auto" else wanted.format
        if kind == "folder":
            raise SourceError(f"{path} is a folder of pictures; there is nothing to download")
        catalogue = open_catalogue(
            path, kind, columns=wanted.columns.given(), encoding=wanted.encoding
        )
        self._known = None
        with self.shown("download") as shown:
            return download(
                catalogue.entries(),
                self.loaded.place(wanted.to),
                labels=wanted.labels or None,
                limit=wanted.limit,
                politeness=_politeness(wanted),
                retry=wanted.retry_failed or "download" in self.force,
                progress=lambda report: shown.show(report.done, None),
                stop=self.stop,
            )

    def _index(self) -> IndexReport:
        wanted = self.loaded.file.index
        assert wanted is not None  # noqa: S101 - as above
        sources = self._sources(wanted)  # before a collection is made
        shop = self._items(create=True)
        shop.limits = Limits(
            max_pixels=int(wanted.max_megapixels * 1e6), max_bytes=int(wanted.max_megabytes * 1e6)
        )
        self._known = None
        reports = [
            self._index_one(shop, name, kind, source, wanted)
            for name, kind, source in sources
            if not self.stop()
        ]
        if not self.stop():
            with self.shown("search graph") as shown:
                shop.optimize(progress=shown.show)
        if "neighbours" not in self.steps and neighbours.kept_k(shop) is not None:
            with self.shown("neighbours") as shown:  # a table that is there follows the items
                neighbours.build(shop, progress=shown.show, stop=self.stop)
        report = together(reports)
        return replace(report, interrupted=report.interrupted or len(reports) < len(sources))

    def _sources(self, wanted: Index) -> list[tuple[str, str, Path | Catalogue]]:
        """Name, format and what is indexed, of each source."""
        download = self.loaded.file.download
        words = wanted.source or ((download.to,) if download is not None else ())
        found: list[tuple[str, str, Path | Catalogue]] = []
        for word in words:
            path = self.loaded.place(word)
            if not path.exists():
                raise SourceError(f"{path} does not exist; index.source names it")
            kind = recognise(path) if wanted.format == "auto" else wanted.format
            columns = wanted.columns.given()
            if kind != "folder":
                pictures = self.loaded.place(wanted.root) if wanted.root else None
                catalogue = open_catalogue(
                    path, kind, pictures=pictures, columns=columns, encoding=wanted.encoding
                )
                found.append((word, kind, catalogue))
            elif wanted.root or columns or wanted.encoding:
                raise SourceError(
                    f"index.root, columns and encoding are for catalogues; {path} is read as a "
                    "folder of pictures (index.format says otherwise)"
                )
            else:
                check_folder(path)
                found.append((word, kind, path))
        return found

    def _index_one(
        self, shop: Items, name: str, kind: str, source: Path | Catalogue, wanted: Index
    ) -> IndexReport:
        with self.shown(name) as shown:

            def hear(now: Progress) -> None:
                shown.show(now.done, now.total, f"{now.skipped} skipped" if now.skipped else "")

            return shop.index(
                source,
                format=kind,
                options=ScanOptions(
                    include=wanted.include,
                    exclude=wanted.exclude,
                    hidden=wanted.hidden,
                    follow_links=wanted.follow_links,
                ),
                keep_missing=wanted.keep_missing,
                allow_removals=wanted.allow_removals,
                retry=wanted.retry_skipped or "index" in self.force,
                overwrite_by_hand=wanted.overwrite_by_hand,
                as_new=wanted.as_new,
                thumbnails=wanted.thumbnails,
                progress=hear,
                stop=self.stop,
                optimize=False,  # once, at the end
            )

    def _declare(self) -> None:
        shop = self._items()
        for name in self.loaded.file.declare:
            shop.declare(name)
        found = [note for name in self.loaded.file.declare for note in shop.notes(field=name)]
        self._notes = tuple(dict.fromkeys(note.message for note in found))

    def _categories(self) -> CategoryReport:
        wanted = self.loaded.file.categories
        assert wanted is not None  # noqa: S101 - as above
        shop = self._items()
        with self.shown("learning") as shown:
            hear = self._heard(shown)
            report = categories.train(
                shop,
                wanted.by,
                where=wanted.where,
                levels=wanted.levels,
                seed=wanted.seed,
                progress=lambda now: hear(now.done, now.total),
            )
        self._keep("categories", model_of(shop))
        return report

    def _neighbours(self) -> BuildReport:
        wanted = self.loaded.file.neighbours
        assert wanted is not None  # noqa: S101 - as above
        with self.shown("neighbours") as shown:
            report = neighbours.build(
                self._items(),
                k=wanted.k,
                rebuild="neighbours" in self.force,
                progress=shown.show,
                stop=self.stop,
            )
        if not report.waiting:
            self._keep("neighbours", wanted.k)
        return report

    def _evaluate(self) -> Comparison:
        wanted = self.loaded.file.evaluate
        assert wanted is not None  # noqa: S101 - as above
        shop = self._items()
        with self.shown("queries") as shown:
            found = compare(
                [shop],
                by=wanted.by,
                where=wanted.where,
                ks=wanted.k,
                queries=wanted.queries,
                split=_split(wanted),
                distractors=wanted.distractors,
                worst=wanted.worst,
                seed=wanted.seed,
                progress=self._heard(shown),
            )
        for name in (wanted.report, wanted.json_):
            if name is not None:
                check_output(self.loaded.place(name), [shop], inputs=self._inputs())
        if wanted.report is not None:
            write_report([shop], found, self.loaded.place(wanted.report))
        if wanted.json_ is not None:
            _write_json(self.loaded.place(wanted.json_), document(found))
        self._keep_files("evaluate")
        return found

    def _export(self) -> ExportReport:
        wanted = self.loaded.file.export
        assert wanted is not None  # noqa: S101 - as above
        check_output(self.loaded.place(wanted.file), [self._items()], inputs=self._inputs())
        with self.shown("export") as shown:
            hear = self._heard(shown)
            report = export(
                self._items(),
                self.loaded.place(wanted.file),
                format=wanted.format,
                where=wanted.where,
                vectors=wanted.vectors,
                facts=wanted.facts,
                force="export" in self.force or self._is_ours("export"),
                progress=lambda done, total, _: hear(done, total),
            )
        self._keep_files("export")
        return report

    def _inputs(self) -> list[Path]:
        """The files that the run reads."""
        wanted, fetch = self.loaded.file.index, self.loaded.file.download
        words = [*(wanted.source or () if wanted else ()), *([fetch.catalogue] if fetch else ())]
        return [self.loaded.path, *map(self.loaded.place, words)]

    def _is_ours(self, step: Step) -> bool:
        """Whether the files that a step is about to write are those that it wrote last."""
        known = self._look()
        done = known.done.get(step)
        made = done.made if done is not None and isinstance(done.made, dict) else {}
        files = {name: known.files.get(name) for name in outputs_of(self.loaded.file, step)}
        return all(stamp is None or stamp == made.get(name) for name, stamp in files.items())

    def _keep_files(self, step: Step) -> None:
        self._keep(step, stamps(self.loaded, outputs_of(self.loaded.file, step)))


def _changed(result: Result) -> bool:
    """Whether a step that only looked has found something to do."""
    counts = ("indexed", "reused", "removed", "downloaded", "updated")
    return any(getattr(result, name, 0) for name in counts)


def _fault(result: Result) -> str:
    """What is wrong with a step that came to its end, or nothing."""
    if problems := getattr(result, "problems", ()):
        return "; ".join(problems)
    if not getattr(result, "nothing_usable", False):
        return ""
    if isinstance(result, IndexReport):
        notes = [note for note in result.notes if note.startswith("no usable images in ")]
        counts = Counter(one.reason for one in result.skipped)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common(5))
        return "; ".join([*notes, *([f"nothing could be used: {reasons}"] if reasons else [])])
    return "nothing could be downloaded; `lookalike download --failures` lists why"


def _in_keys(step: Step, file: RunFile, text: str) -> str:
    """A message that tells of the command's flags, with the file's keys instead."""
    section = getattr(file, step)

    def key(found: re.Match[str]) -> str:
        name, column, _ = found[1].partition("-column")
        if name == "force":
            return f"--force {step}"
        if column and name in Columns.model_fields:
            return f"{step}.columns.{name}"
        name = name.replace("-", "_")
        return f"{step}.{name}" if hasattr(section, name) else found[0]

    return re.sub(r"(?<![\w/.-])--([a-z][a-z-]*)(?: \([a-z_]+=True\))?", key, text)


def _politeness(wanted: Download) -> Politeness:
    plain = Politeness()
    return Politeness(
        concurrent=wanted.concurrent,
        per_host=wanted.per_host,
        rate=wanted.rate or None,
        total_s=wanted.timeout,
        connect_s=min(wanted.timeout, plain.connect_s),
        read_s=min(wanted.timeout, plain.read_s),
        attempts=wanted.attempts,
        user_agent=wanted.user_agent,
        max_bytes=max(int(wanted.max_megabytes * 1e6), 1),
        allow_private=wanted.allow_private,
    )


def _split(wanted: Evaluate) -> tuple[str | None, str | None] | None:
    if wanted.query_where is None and wanted.gallery_where is None:
        return None
    return wanted.query_where, wanted.gallery_where


def _write_json(target: Path, value: Json) -> None:
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror}") from error
