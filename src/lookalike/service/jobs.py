"""Long indexing runs: start them, follow them by server-sent events, cancel them."""

import asyncio
import json
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Literal

from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.records import IndexReport, Json
from lookalike.errors import LookalikeError
from lookalike.indexing.differences import VerificationReport
from lookalike.output.json_documents import when
from lookalike.service.problems import Busy, Problem

__all__ = ["Job", "JobKind", "Jobs", "State"]

JobKind = Literal["folder", "images", "watch"]
State = Literal["waiting", "running", "done", "cancelled", "failed"]
_ENDED = frozenset[State]({"done", "cancelled", "failed"})
_AT_ONCE = 2  # of different collections
_KEPT = 100  # ended jobs that are still listed
_WAITING = 8  # jobs of one collection
_ALIVE_S = 15.0  # interval of comments that keep proxies from closing a quiet stream

_LOG = logging.getLogger("lookalike.service")
_NOTHING = Progress(done=0, total=None, skipped=0)

Work = Callable[[ProgressCallback, Callable[[], bool]], IndexReport | VerificationReport]


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """The current state of one indexing run. Written by its thread, read by any.

    ``files`` returns what happened to each image that was sent, once there is a report.
    """

    collection: str
    kind: JobKind
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "waiting"
    progress: Progress = _NOTHING
    started: float | None = None
    ended: float | None = None
    report: IndexReport | VerificationReport | None = None
    files: Callable[[], list[Json]] | None = None
    watched: str | None = None  # the name of the root
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def document(self) -> dict[str, Json]:
        """Return the job as a JSON document, with its rate and the time left."""
        done, total = self.progress.done, self.progress.total
        spent = 0.0 if self.started is None else (self.ended or time.time()) - self.started
        rate = done / spent if done and spent > 0 else None
        left = None if rate is None or total is None else (total - done) / rate
        return {
            "id": self.id,
            "collection": self.collection,
            "kind": self.kind,
            "state": self.state,
            "done": done,
            "total": total,
            "skipped": self.progress.skipped,
            "rate": None if rate is None else round(rate, 1),
            "eta_s": None if left is None or self.ended else round(left, 1),
            "started_at": when(self.started),
            "ended_at": when(self.ended),
            "report": None if self.report is None else self._report_json(self.report),
            "error": self.error,
        }

    def _report_json(self, report: IndexReport | VerificationReport) -> dict[str, Json]:
        if isinstance(report, VerificationReport):
            return {**asdict(report), "differences": [asdict(one) for one in report.differences]}
        skipped: list[Json] = [{"path": one.path, "reason": one.reason} for one in report.skipped]
        said: dict[str, Json] = {"notes": [*report.notes], "problems": [*report.problems]}
        document = {**asdict(report), **said, "skipped": skipped}
        return document if self.files is None else {**document, "files": self.files()}


def _explain_failure(report: IndexReport | VerificationReport) -> str | None:
    """Return the error of a run that held something back or could use no image, else ``None``."""
    if isinstance(report, VerificationReport):
        return None
    if report.problems:
        return " ".join(report.problems)
    if not report.nothing_usable:
        return None
    if not report.skipped:
        return "the folder has no images"
    first = report.skipped[0]
    more = f", and {len(report.skipped) - 1:,} more" if len(report.skipped) > 1 else ""
    return f"no image could be used: {first.path}: {first.reason}{more}"


class Jobs:
    """The jobs of one app, one at a time for each collection. Use it on one event loop.

    Without ``tell_why``, the error of a failed job has no reason, which might contain a path.
    """

    def __init__(self, *, tell_why: bool = True) -> None:
        self._tell_why = tell_why
        self._jobs: dict[str, Job] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Their own threads: jobs of minutes must not delay requests of milliseconds.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="lookalike-job")
        self._closing = False

    def begin(
        self,
        collection: str,
        kind: JobKind,
        work: Work,
        *,
        files: Callable[[], list[Json]] | None = None,
        watched: str | None = None,
    ) -> Job:
        """Queue a job and return it. ``work`` runs on a thread, like ``Collection.index``. It is
        called even if the job was cancelled before, so that it can clean up.

        A job that watches root ``watched`` does not wait for its turn, but its work does
        (``exclusive``), so others get theirs. Raise ``Busy`` as ``check`` does, and ``Problem`` 409
        for a root that is watched already.
        """
        self.check(collection)
        for other in self.of(collection) if watched is not None else ():
            if other.watched == watched and other.state not in _ENDED:
                raise Problem(409, "already-watched", f"job {other.id} watches this folder already")
        job = Job(collection=collection, kind=kind, files=files, watched=watched)
        self._jobs[job.id] = job
        task = asyncio.get_running_loop().create_task(self._run(job, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ended = [one for one in self._jobs.values() if one.state in _ENDED]
        for old in ended[: len(ended) - _KEPT]:
            del self._jobs[old.id]
        return job

    def check(self, collection: str) -> None:
        """Raise ``Busy`` when too many jobs are waiting, or during shutdown."""
        waiting = [one for one in self.of(collection) if one.state not in _ENDED]
        if self._closing:
            raise Busy("the service is shutting down", retry_s=10)
        if len(waiting) >= _WAITING:
            raise Busy(f"{len(waiting)} jobs of {collection} are waiting already", retry_s=30)

    def of(self, collection: str) -> list[Job]:
        """Return the jobs of a collection, oldest first."""
        return [job for job in self._jobs.values() if job.collection == collection]

    def get(self, collection: str, job_id: str) -> Job:
        """Return a job. Raise ``Problem`` 404."""
        job = self._jobs.get(job_id)
        if job is None or job.collection != collection:
            raise Problem(404, "no-such-job", "there is no such job, or it ended long ago")
        return job

    def cancel(self, job: Job) -> None:
        """End a job after its current batch; what is stored stays."""
        job.stop.set()
        if job.state == "waiting":
            self._end(job, "cancelled")

    async def close(self) -> None:
        """End all jobs after their current batch."""
        self._closing = True
        for job in self._jobs.values():
            if job.state not in _ENDED:
                self.cancel(job)
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()

    def exclusive(self, collection: str) -> Callable[[], AbstractContextManager[None]]:
        """Return what waits, on a thread, for the turn of a collection, and holds it for a block.

        Call it on the event loop.
        """
        loop = asyncio.get_running_loop()
        turn = self._turns.setdefault(collection, asyncio.Lock())

        @contextmanager
        def hold() -> Iterator[None]:
            asyncio.run_coroutine_threadsafe(turn.acquire(), loop).result()
            try:
                yield
            finally:
                loop.call_soon_threadsafe(turn.release)

        return hold

    async def _run(self, job: Job, work: Work) -> None:
        if job.watched is not None:  # it goes on for long, so it must not take a thread of others
            with ThreadPoolExecutor(1, thread_name_prefix="lookalike-watch") as thread:
                await self._carry_out(job, work, thread)
        else:
            async with self._turns.setdefault(job.collection, asyncio.Lock()):
                await self._carry_out(job, work, self._threads)

    async def _carry_out(self, job: Job, work: Work, threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()

        def on_progress(progress: Progress) -> None:
            job.progress = progress
            loop.call_soon_threadsafe(_notify, job)

        if job.state == "waiting":
            job.state, job.started = "running", time.time()
            _notify(job)
        try:
            report = await loop.run_in_executor(threads, work, on_progress, job.stop.is_set)
        except LookalikeError as error:
            _LOG.error("job %s of %s: %s", job.id, job.collection, error)
            job.error = (
                str(error) if self._tell_why else "the job failed; see the log of the service"
            )
            self._end(job, "failed")
        except BaseException:
            job.error = "internal error; see the log of the service"
            self._end(job, "failed")
            raise
        else:
            if job.state == "running":
                job.report = report
                job.error = _explain_failure(report)
                ended: State = "done" if job.error is None else "failed"
                stopped = report.interrupted or job.watched is not None
                self._end(job, "cancelled" if stopped else ended)

    def _end(self, job: Job, state: State) -> None:
        job.state, job.ended = state, time.time()
        _notify(job)


def _notify(job: Job) -> None:
    """Wake the listeners; the next change uses a new event."""
    job.changed.set()
    job.changed = asyncio.Event()


async def events(job: Job, closing: asyncio.Event) -> AsyncIterator[str]:
    """Yield a job as server-sent events: ``progress`` now and on every change, then ``end``."""
    shutdown = asyncio.ensure_future(closing.wait())
    try:
        while True:
            changed = job.changed
            name = "end" if job.state in _ENDED else "progress"
            yield f"event: {name}\ndata: {json.dumps(job.document(), ensure_ascii=False)}\n\n"
            if name == "end" or shutdown.done():
                return
            waits = asyncio.ensure_future(changed.wait())
            while True:
                done, _ = await asyncio.wait(
                    {waits, shutdown}, timeout=_ALIVE_S, return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    break
                yield ": still here\n\n"
            waits.cancel()
    finally:
        shutdown.cancel()
