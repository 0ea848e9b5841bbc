"""Follow jobs of a service until they end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from lookalike.client.connection import ServiceConnection
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.records import IndexReport, Skipped
from lookalike.errors import ServiceError
from lookalike.indexing.differences import FileDifference, VerificationReport

__all__ = ["follow", "follow_verification"]

_EVERY_S = 0.3
_ENDED = frozenset({"done", "cancelled", "failed"})


def follow(
    service: ServiceConnection,
    collection: str,
    job: Mapping[str, Any],
    *,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Wait until a job of the collection at path ``collection`` has ended, and return its report.

    When ``stop`` returns true, the job is cancelled. Raise ``ServiceError`` for a job that failed
    without doing anything; one that only held removals back has a report that says so.
    """
    document = _wait(service, collection, job, progress, stop)
    return IndexReport(interrupted=True) if document is None else _report(document)


def follow_verification(
    service: ServiceConnection,
    collection: str,
    job: Mapping[str, Any],
    *,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> VerificationReport:
    """Wait for a job that compares files with items, as ``follow``, and return its report."""
    document = _wait(service, collection, job, progress, stop)
    if document is None:
        return VerificationReport(interrupted=True)
    differences = tuple(FileDifference(**one) for one in document["differences"])
    return VerificationReport(**{**document, "differences": differences})


def _wait(
    service: ServiceConnection,
    collection: str,
    job: Mapping[str, Any],
    progress: ProgressCallback | None,
    stop: Callable[[], bool],
) -> Mapping[str, Any] | None:
    """Return the report of a job when it has ended; ``None`` if it was cancelled before."""
    place = f"{collection}/jobs/{job['id']}"
    cancelled = False
    while job["state"] not in _ENDED:
        if stop() and not cancelled:
            job, cancelled = service.ask("DELETE", place), True
            continue
        time.sleep(_EVERY_S)
        job = service.ask("GET", place)
        if progress is not None:
            progress(Progress(done=job["done"], total=job["total"], skipped=job["skipped"]))
    document: Mapping[str, Any] | None = job["report"]
    if document is None and job["state"] != "cancelled":
        raise ServiceError(f"the job failed: {job['error'] or 'the service does not say why'}")
    return document


def _report(document: Mapping[str, Any]) -> IndexReport:
    """Return a report as the service tells it; what an older one leaves out is as in an empty
    report.
    """
    known = {one.name for one in fields(IndexReport)}
    said = {name: value for name, value in document.items() if name in known}
    for name in ("notes", "problems"):
        said[name] = tuple(said.get(name, ()))
    skipped = tuple(Skipped(path=one["path"], reason=one["reason"]) for one in document["skipped"])
    return IndexReport(**{**said, "skipped": skipped})
