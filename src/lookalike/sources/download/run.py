"""Download entries with URLs to files, and record the outcome of each.

    entries → (known? skip) → wait, per host → fetch → check the image → write → record

Requests run in one event loop; expensive work (decoding, hashing, writing) runs on threads.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from lookalike import images
from lookalike.core.cpus import usable_cores
from lookalike.core.progress import ProgressCallback
from lookalike.core.records import Entry, Remote, Skipped
from lookalike.errors import DownloadError
from lookalike.sources.download import names
from lookalike.sources.download.entries import (
    CHUNK,
    find_problem,
    make_entry,
    merge_entries,
    read_chunk,
    select_entries,
    update_row,
)
from lookalike.sources.download.fetch import (
    OK,
    FetchOutcome,
    check_image,
    fetch,
    find_url_problem,
    open_session,
)
from lookalike.sources.download.job import DownloadJob
from lookalike.sources.download.keep import Own, is_there, keep, lock_folder, remove_partial_files
from lookalike.sources.download.politeness import Politeness, compute_delay, is_temporary
from lookalike.sources.download.record import DownloadRecord, RecordRow
from lookalike.sources.download.report import DownloadReport
from lookalike.sources.download.retrying import is_reason_gone
from lookalike.sources.download.waiting import Waiting

__all__ = ["download"]

_READ_AHEAD = 2000  # waiting entries: enough that a slow host does not delay the others
_MOST_SKIPS = 1000  # that a report lists
_TICK_S = 0.1  # between two checks of ``stop``; and two commits
_PROGRESS_S = 0.2


def download(
    entries: Iterable[Entry | Skipped | None],
    to: Path,
    *,
    labels: Collection[str] | None = None,
    limit: int | None = None,
    politeness: Politeness = Politeness(),  # noqa: B008 - frozen
    limits: images.Limits = images.Limits(),
    retry: bool = False,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> DownloadReport:
    """Fetch the images of entries into ``to`` and record the outcome of each.

    ``labels`` selects entries with one of these labels; ``limit`` the first so many of each label,
    or of all if no labels are given. Files that exist with their recorded size are not requested
    again; failures are requested again with ``retry``, when the catalogue gives other URLs, or when
    their reason is gone: private addresses or larger files are allowed now.
    ``stop`` is called ten times a second. Existing files in ``to`` are never removed.

    Memory stays flat for any number of entries. Raise ``DownloadError`` if ``to`` cannot be written
    (what was downloaded stays), and what ``entries`` raises. Must not be called while an event loop
    is running.
    """
    if limit is not None and limit < 1:
        raise ValueError("a limit must be at least 1")
    with lock_folder(to):
        remove_partial_files(to)
        with (
            DownloadRecord(to, create=True) as record,
            ThreadPoolExecutor(usable_cores(), "download") as pool,
            ThreadPoolExecutor(1, "catalogue") as reader,
        ):
            chosen = select_entries(entries, labels, limit)
            run = _Run(to, record, pool, reader, politeness=politeness, limits=limits, retry=retry)
            asyncio.run(run.run(chosen, progress, stop))
            return run.report()


class _Run:
    def __init__(
        self,
        to: Path,
        record: DownloadRecord,
        pool: ThreadPoolExecutor,
        reader: ThreadPoolExecutor,
        *,
        politeness: Politeness,
        limits: images.Limits,
        retry: bool,
    ) -> None:
        self._to = to
        self._record = record
        self._pool = pool
        self._reader = reader  # one thread: catalogues read files and databases
        self._politeness = politeness
        self._limits = limits
        self._retry = retry
        self._waiting: Waiting[DownloadJob] = Waiting(politeness)
        self._active: dict[str, DownloadJob] = {}  # by id
        self._claims: dict[str, str] = {}  # key of a place → id
        self._tasks: set[asyncio.Task[None]] = set()
        self._storing: set[asyncio.Task[Any]] = set()  # these finish even after a stop
        self._wake = asyncio.Event()
        self._fault: BaseException | None = None
        self._began = self._flushed = self._shown = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._skips: list[Skipped] = []
        self._interrupted = False
        self._reading = False
        self._more = True  # in the catalogue

    def report(self) -> DownloadReport:
        counts = self._counts
        return DownloadReport(
            downloaded=counts["downloaded"],
            already=counts["already"],
            updated=counts["updated"],
            failed=dict(self._failed.most_common()),
            failed_before=counts["failed before"],
            local=counts["local"],
            skipped=counts["skipped"],
            skips=tuple(self._skips),
            interrupted=self._interrupted,
            seconds=time.monotonic() - self._began,
            bytes=counts["bytes"],
        )

    # --- the loop ------------------------------------------------------------------------------

    async def run(
        self,
        entries: Iterator[Entry | Skipped | None],
        progress: ProgressCallback | None,
        stop: Callable[[], bool],
    ) -> None:
        async with open_session(self._politeness) as session:
            try:
                await self._process_all(session, entries, progress, stop)
            finally:
                for task in self._tasks - self._storing:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._fault is not None:
            raise self._fault
        if progress is not None:
            progress(self.report().progress())

    async def _process_all(
        self,
        session: aiohttp.ClientSession,
        entries: Iterator[Entry | Skipped | None],
        progress: ProgressCallback | None,
        stop: Callable[[], bool],
    ) -> None:
        while self._fault is None:
            if stop():
                self._interrupted = True
                return
            room = len(self._waiting) <= _READ_AHEAD - CHUNK
            if self._more and not self._reading and room:
                self._reading = True
                self._start_task(self._take(entries))
            while (job := self._waiting.start(time.monotonic())) is not None:
                self._start_task(self._request(session, job))
            if not self._more and not self._waiting and not self._tasks:
                return
            wait = self._waiting.wait(time.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S if wait is None else min(wait, _TICK_S)):
                    await self._wake.wait()
            self._wake.clear()
            self._run_ticks(progress)

    def _run_ticks(self, progress: ProgressCallback | None) -> None:
        now = time.monotonic()
        if now - self._flushed >= _TICK_S:
            self._flushed = now
            self._record.flush()
        if progress is not None and now - self._shown >= _PROGRESS_S:
            self._shown = now
            progress(self.report().progress())

    def _start_task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_end)

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._storing.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None and self._fault is None:
            self._fault = task.exception()

    # --- from the catalogue --------------------------------------------------------------------

    async def _take(self, entries: Iterator[Entry | Skipped | None]) -> None:
        """Read more of the catalogue and queue what is to be requested."""
        loop = asyncio.get_running_loop()
        chunk, self._more = await loop.run_in_executor(self._reader, read_chunk, entries)
        wanted = (one for one in chunk if isinstance(one, Entry))
        known = self._record.known([one.id for one in wanted if find_problem(one) is None])

        def look() -> set[str]:
            rows = (row for row in known.values() if row.status == OK)
            return {row.id for row in rows if is_there(self._to, row.file, row.bytes)}

        there = await loop.run_in_executor(self._reader, look)
        for one in chunk:
            if isinstance(one, Skipped):
                self._skip(one)
            elif not isinstance(one.image, Remote):
                self._counts["local"] += 1
            elif reason := find_problem(one):
                self._skip(Skipped(path=one.line or one.id, reason=reason))
            elif one.id in self._active:
                reason = f"id {one.id!r} appears again; its fields are used, its URLs are not"
                self._skip(Skipped(path=one.line or one.id, reason=reason))
                job = self._active[one.id]
                job.entry = merge_entries(job.entry, one)
            else:
                self._decide(one, tuple(one.image.urls), known.get(one.id), there=one.id in there)
        self._reading = False

    def _skip(self, one: Skipped) -> None:
        self._counts["skipped"] += 1
        if len(self._skips) < _MOST_SKIPS:
            self._skips.append(one)

    def _decide(
        self, entry: Entry, urls: tuple[str, ...], row: RecordRow | None, *, there: bool
    ) -> None:
        if row is not None and row.status == OK:
            if there:
                self._counts["already"] += 1
                renewed = update_row(row, entry)
                if renewed != row:
                    self._record.put(renewed)
                    self._counts["updated"] += 1
                return
        elif row is not None and row.urls == urls and not self._wants_again(row):
            self._counts["failed before"] += 1
            return
        if row is not None:  # fields that this catalogue does not give keep their earlier values
            entry = merge_entries(make_entry(row), entry)
        stem, key = self._claim(entry)
        own, digest = (None, None) if row is None else (row.file, row.digest)
        job = DownloadJob(entry=entry, urls=urls, stem=stem, key=key, own=own, digest=digest)
        self._active[entry.id] = job
        self._queue(job)

    def _wants_again(self, row: RecordRow) -> bool:
        return self._retry or is_reason_gone(row, self._politeness)

    def _claim(self, entry: Entry) -> tuple[str, str]:
        """Return a place (path without suffix, and its key) that no other id has."""
        for stem in names.propose_paths(entry.label, entry.id):
            key = names.key_of(stem)
            if (self._claims.get(key) or self._record.owner(key)) in {None, entry.id}:
                self._claims[key] = entry.id
                return stem, key
        raise DownloadError(f"there is no name left for {entry.id}")

    def _queue(self, job: DownloadJob, failed: FetchOutcome | None = None) -> None:
        """Queue the job's next usable URL; settle the job if there is none.

        ``failed`` is the outcome of the previous URL.
        """
        while job.at < len(job.urls):
            reason = find_url_problem(job.urls[job.at])
            if reason is not None:
                failed = FetchOutcome(status="bad-url", url=job.urls[job.at], reason=reason)
            elif self._waiting.add(job, job.host, now=time.monotonic()):
                return
            else:
                failed = _describe_given_up(job)
            job.at += 1
        self._settle(job, failed or FetchOutcome(status="bad-url", url="", reason="it has no URL"))

    # --- one request ---------------------------------------------------------------------------

    async def _request(self, session: aiohttp.ClientSession, job: DownloadJob) -> None:
        job.attempt += 1
        job.requests += 1
        host = job.host
        outcome = await fetch(session, job.urls[job.at], self._politeness)
        row: RecordRow | None = None
        if outcome.status == OK:
            loop = asyncio.get_running_loop()
            if (task := asyncio.current_task()) is not None:
                self._storing.add(task)
            outcome, row = await loop.run_in_executor(self._pool, self._store, outcome, job)
        wait: float | None = None
        if is_temporary(outcome.status) and job.attempt < self._politeness.attempts:
            wait = compute_delay(
                job.attempt,
                outcome.retry_after,
                politeness=self._politeness,
                now=time.time(),
                chance=random.random(),  # noqa: S311 - spreads requests, keeps no secret
            )
        # A requested wait applies to all requests to the host.
        pause = wait if outcome.retry_after and wait is not None else 0.0
        now = time.monotonic()
        given_up = self._waiting.end(host, now=now, reached=outcome.reached, pause=pause)
        if row is not None:
            self._settle(job, outcome, row)
        elif wait is None or not self._waiting.add(job, host, now=now, wait=wait):
            self._next_url(job, outcome)
        for other in given_up:
            self._next_url(other, _describe_given_up(other))

    def _next_url(self, job: DownloadJob, failed: FetchOutcome) -> None:
        job.at += 1
        job.attempt = 0
        self._queue(job, failed)

    def _store(
        self, outcome: FetchOutcome, job: DownloadJob
    ) -> tuple[FetchOutcome, RecordRow | None]:
        """Write the image to its place, if it is one. Runs on a thread."""
        outcome = check_image(outcome, self._limits)
        if outcome.kind is None:
            return outcome, None
        suffix = names.suffix_of(outcome.kind)
        own = None if job.own is None else Own(path=job.own, digest=job.digest)
        row = RecordRow(
            id=job.entry.id,
            urls=job.urls,
            url=outcome.url,
            status=OK,
            file=keep(self._to, job.stem, suffix, outcome.data, own=own),
            kind=outcome.kind,
            bytes=len(outcome.data),
            digest=images.digest(outcome.data),
        )
        return outcome, row

    def _settle(
        self, job: DownloadJob, outcome: FetchOutcome, row: RecordRow | None = None
    ) -> None:
        if row is None:
            row = RecordRow(
                id=job.entry.id,
                urls=job.urls,
                url=outcome.url,
                status=outcome.status,
                reason=outcome.reason,
            )
            self._failed[outcome.status] += 1
        else:
            self._counts["downloaded"] += 1
            self._counts["bytes"] += row.bytes or 0
        row = replace(
            update_row(row, job.entry),
            url=row.url.encode("utf-8", "replace").decode(),  # an invalid URL may contain anything
            http_status=outcome.http_status,
            attempts=job.requests,
            tried_at=time.time(),
        )
        self._record.put(row)
        del self._active[job.entry.id]
        self._claims.pop(job.key, None)


def _describe_given_up(job: DownloadJob) -> FetchOutcome:
    reason = "its host could not be reached repeatedly and was given up"
    return FetchOutcome(status="unreachable", url=job.urls[job.at], reason=reason, reached=False)
