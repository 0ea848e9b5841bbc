"""Follow jobs of a service until they end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from lookalike.client.connection import ServiceConnection
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.records import IndexReport, Skipped
from lookalike.errors import ServiceError

__all__ = ["follow"]

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
    document = job["report"]
    if document is None:
        if job["state"] == "cancelled":
            return IndexReport(interrupted=True)
        raise ServiceError(f"the job failed: {job['error'] or 'the service does not say why'}")
    return _report(document)


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
