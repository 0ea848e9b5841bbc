"""Carry out one step of a run file: decide whether it is due, do it, record it."""

import json
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lookalike.analysis import categories, neighbours
from lookalike.analysis.categories import CategoryReport
from lookalike.analysis.evaluation import Comparison, compare
from lookalike.analysis.neighbours import BuildReport
from lookalike.collection import Collection as Items
from lookalike.core.atomic_files import write_file
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Catalogue
from lookalike.core.records import IndexReport, Json, together
from lookalike.display.outputs import check_output
from lookalike.errors import ExportError, LookalikeError, SourceError
from lookalike.images.limits import Limits
from lookalike.indexing.differences import VerificationReport, merge_reports
from lookalike.indexing.unfinished import abandon
from lookalike.indexing.verification import verify
from lookalike.output.export import ExportReport, export
from lookalike.output.result_files import document, write_report
from lookalike.runfile.known_state import (
    get_classifier_id,
    open_run_collection,
    read_state,
    record_step,
    stamp_files,
)
from lookalike.runfile.plan import KnownState, PlannedStep, decide, outputs_of
from lookalike.runfile.reading import LoadedRunFile
from lookalike.runfile.sections import IndexSection
from lookalike.runfile.step_inputs import (
    list_inputs,
    make_politeness,
    open_sources,
    scan_options,
    settle_of,
    split_of,
    table_options,
)
from lookalike.runfile.step_results import (
    Result,
    StepOutcome,
    describe_fault,
    has_changed,
    name_keys,
)
from lookalike.runfile.steps import Step
from lookalike.sources.catalogues import IMAGES_ALONE, open_catalogue, recognise
from lookalike.sources.scan import ScanOptions

if TYPE_CHECKING:
    from lookalike.sources.download.report import DownloadReport

__all__ = ["StepRunner"]


class _StopRequested(Exception):  # noqa: N818 - no error
    """Raised by a progress callback to stop work that takes no ``stop`` argument."""


@dataclass(slots=True, kw_only=True)
class StepRunner:
    """A run in progress: the collection once it is open, and the state known until it changes."""

    loaded: LoadedRunFile
    steps: Collection[Step]
    force: Collection[Step]
    shown: Callable[[str], AbstractContextManager[ProgressCallback]]
    stop: Callable[[], bool]
    _shop: Items | None = None
    _known: KnownState | None = field(default=None)
    _notes: tuple[str, ...] = ()  # of the fields that were declared

    def step(self, step: Step, begins: Callable[[PlannedStep], None]) -> StepOutcome:
        began = time.monotonic()

        def outcome(
            status: Literal["done", "current", "failed", "interrupted"],
            why: str,
            result: Result = None,
        ) -> StepOutcome:
            seconds = time.monotonic() - began
            notes = self._notes if step == "declare" else tuple(getattr(result, "notes", ()))
            return StepOutcome(
                step=step, status=status, why=why, seconds=seconds, result=result, notes=notes
            )

        try:
            known = self._look(items=step not in ("download", "index"))
            planned = decide(self.loaded.file, step, known, forced=step in self.force)
            if planned.status == "current":
                return outcome("current", planned.why)
            begins(planned)
            result = getattr(self, f"_{step}")()
        except _StopRequested:
            self._abandon()
            return outcome("interrupted", "stopped")
        except LookalikeError as error:
            self._abandon()
            return outcome("failed", name_keys(step, self.loaded.file, str(error)))
        if getattr(result, "interrupted", False):
            self._abandon()
            return outcome("interrupted", "stopped", result)
        if fault := describe_fault(result):
            self._abandon()
            return outcome("failed", name_keys(step, self.loaded.file, fault), result)
        nothing_new = planned.status == "look" and not has_changed(result)
        return outcome("current" if nothing_new else "done", planned.why, result)

    def close(self, *, failed: bool = False) -> None:
        if failed:
            self._abandon()
        if self._shop is not None:
            self._shop.close()

    def _abandon(self) -> None:
        """Abandon a collection that this run has created and that is still empty."""
        if self._shop is not None and abandon(self._shop.store):
            self._shop = self._known = None

    def _look(self, *, items: bool = True) -> KnownState:
        if not items:
            return read_state(self.loaded, self._shop, items=False)
        if self._known is None:
            self._known = read_state(self.loaded, self._shop)
        return self._known

    def _items(self, *, create: bool = False) -> Items:
        if self._shop is None:
            self._shop = open_run_collection(self.loaded, create=create)
        return self._shop

    def _keep(self, step: Step, made: Json) -> None:
        state = self._look().states[step]
        record_step(self.loaded, self._items(), step, state=state, made=made)

    def _make_stopping(self, shown: ProgressCallback) -> ProgressCallback:
        """Return the progress callback of work that can be stopped in no other way."""

        def show(progress: Progress) -> None:
            if self.stop():
                raise _StopRequested
            shown(progress)

        return show

    # -- steps, each called as its section ---------------------------------------------------

    def _download(self) -> "DownloadReport":
        from lookalike.sources.download.run import download  # noqa: PLC0415 - aiohttp, for this step only

        wanted = self.loaded.file.download
        assert wanted is not None  # noqa: S101 - the step is selected
        path = self.loaded.place(wanted.catalogue)
        kind = recognise(path) if wanted.format == "auto" else wanted.format
        if kind in IMAGES_ALONE:
            raise SourceError(f"{path} holds images alone; there is nothing to download")
        catalogue = open_catalogue(path, kind, **table_options(wanted))
        self._known = None
        with self.shown("download") as shown:
            return download(
                catalogue.entries(),
                self.loaded.place(wanted.to),
                labels=wanted.labels or None,
                limit=wanted.limit,
                politeness=make_politeness(wanted),
                retry=wanted.retry_failed or "download" in self.force,
                progress=shown,
                stop=self.stop,
            )

    def _index(self) -> IndexReport | VerificationReport:
        wanted = self.loaded.file.index
        assert wanted is not None  # noqa: S101 - as above
        sources = open_sources(self.loaded, wanted)  # before a collection is made
        shop = self._items(create=not wanted.verify)
        shop.limits = Limits(
            max_pixels=int(wanted.max_megapixels * 1e6), max_bytes=int(wanted.max_megabytes * 1e6)
        )
        if wanted.verify:
            return self._verify(shop, sources, scan_options(wanted))
        self._known = None
        reports = [
            self._index_one(shop, name, kind, source, wanted)
            for name, kind, source in sources
            if not self.stop()
        ]
        if not self.stop():
            with self.shown("ANN index") as shown:
                shop.optimize(progress=shown)
        if "neighbours" not in self.steps and neighbours.read_k(shop) is not None:
            with self.shown("neighbours") as shown:  # an existing table follows the items
                neighbours.build(shop, progress=shown, stop=self.stop)
        report = together(reports)
        return replace(report, interrupted=report.interrupted or len(reports) < len(sources))

    def _verify(
        self,
        shop: Items,
        sources: Sequence[tuple[str, str, Path | Catalogue]],
        options: ScanOptions,
    ) -> VerificationReport:
        reports = []
        for name, kind, source in sources:
            if not self.stop():
                with self.shown(name) as shown:
                    reports.append(
                        verify(
                            shop,
                            source,
                            format=kind,
                            options=options,
                            progress=shown,
                            stop=self.stop,
                        )
                    )
        return replace(merge_reports(reports), interrupted=self.stop())

    def _index_one(
        self, shop: Items, name: str, kind: str, source: Path | Catalogue, wanted: IndexSection
    ) -> IndexReport:
        with self.shown(name) as shown:
            return shop.index(
                source,
                format=kind,
                options=scan_options(wanted),
                keep_missing=wanted.keep_missing,
                allow_removals=wanted.allow_removals,
                retry=wanted.retry_skipped or "index" in self.force,
                reread=wanted.reread,
                settle=settle_of(wanted),
                overwrite_by_hand=wanted.overwrite_by_hand,
                as_new=wanted.as_new,
                thumbnails=wanted.thumbnails,
                regions=wanted.regions,
                dim=wanted.dim,
                progress=shown,
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
        with self.shown("training") as shown:
            report = categories.train(
                shop,
                wanted.by,
                where=wanted.where,
                levels=wanted.levels,
                seed=wanted.seed,
                progress=self._make_stopping(shown),
            )
        self._keep("categories", get_classifier_id(shop))
        return report

    def _neighbours(self) -> BuildReport:
        wanted = self.loaded.file.neighbours
        assert wanted is not None  # noqa: S101 - as above
        with self.shown("neighbours") as shown:
            report = neighbours.build(
                self._items(),
                k=wanted.k,
                rebuild="neighbours" in self.force,
                progress=shown,
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
                split=split_of(wanted),
                distractors=wanted.distractors,
                worst=wanted.worst,
                seed=wanted.seed,
                progress=self._make_stopping(shown),
            )
        for name in (wanted.report, wanted.json_):
            if name is not None:
                check_output(self.loaded.place(name), [shop], inputs=list_inputs(self.loaded))
        if wanted.report is not None:
            write_report([shop], found, self.loaded.place(wanted.report))
        if wanted.json_ is not None:
            _write_json(self.loaded.place(wanted.json_), document(found))
        self._keep_files("evaluate")
        return found

    def _export(self) -> ExportReport:
        wanted = self.loaded.file.export
        assert wanted is not None  # noqa: S101 - as above
        check_output(
            self.loaded.place(wanted.file), [self._items()], inputs=list_inputs(self.loaded)
        )
        with self.shown("export") as shown:
            report = export(
                self._items(),
                self.loaded.place(wanted.file),
                format=wanted.format,
                where=wanted.where,
                vectors=wanted.vectors,
                facts=wanted.facts,
                force="export" in self.force or self._is_ours("export"),
                progress=self._make_stopping(shown),
            )
        self._keep_files("export")
        return report

    def _is_ours(self, step: Step) -> bool:
        """Return whether the files that a step is about to write are those that it wrote last."""
        known = self._look()
        done = known.done.get(step)
        made = done.made if done is not None and isinstance(done.made, dict) else {}
        files = {name: known.files.get(name) for name in outputs_of(self.loaded.file, step)}
        return all(stamp is None or stamp == made.get(name) for name, stamp in files.items())

    def _keep_files(self, step: Step) -> None:
        self._keep(step, stamp_files(self.loaded, outputs_of(self.loaded.file, step)))


def _write_json(target: Path, value: Json) -> None:
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        write_file(target, text)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror}") from error
