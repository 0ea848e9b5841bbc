"""Routes of jobs: index a known folder or uploaded images, follow, cancel."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, StreamingResponse

from lookalike.core.progress import Progress, ProgressCallback, ignore_progress
from lookalike.core.records import IndexReport, Json
from lookalike.indexing.differences import VerificationReport
from lookalike.indexing.removals import ALLOW
from lookalike.indexing.verification import verify
from lookalike.indexing.watching import SETTLE_S, WatchedSource, WatchEvent, watch
from lookalike.service import schemas, upload_files
from lookalike.service.additions import (
    AddedImage,
    SentImage,
    index_images,
    read_images,
    write_images,
)
from lookalike.service.collections import Opened
from lookalike.service.jobs import Job, JobKind, Work, events
from lookalike.service.keys import Writes
from lookalike.service.problems import Problem, validate
from lookalike.service.retry import RetryRoute
from lookalike.service.routes.items import OverwriteByHand
from lookalike.service.state import Served, State, in_thread
from lookalike.service.uploads import read_body

__all__ = ["router"]

_LOG = logging.getLogger("lookalike.service")

router = APIRouter(tags=["jobs"], route_class=RetryRoute)

JobId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="A job's id.")]
_JOB = {"model": schemas.JobResponse}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/NewJob"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "image": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    "items": {"type": "string", "description": "As for adding items."},
                },
            }
        },
    },
}


@router.post(
    "/jobs",
    status_code=202,
    responses={202: _JOB},
    dependencies=[Writes],
    openapi_extra={"requestBody": _BODY},
    summary="Start a job: index a known folder again, or uploaded images",
)
async def start_job(
    *,
    request: Request,
    opened: Served,
    service: State,
    overwrite_by_hand: OverwriteByHand = False,
) -> JSONResponse:
    """The folder must be one that the collection was indexed from: requests never contain paths.

    If more items have vanished than are removed without confirmation, the job fails with a reason,
    and its report counts them as `held_back`; `allow_removals` removes them.
    """
    body = await read_body(request, service.settings)
    kind: JobKind
    watched: str | None = None
    added: list[AddedImage] | None = None
    if body.document is not None and "items" not in body.document:
        wanted: schemas.NewJob = validate(schemas.NewJob, body.document)
        if overwrite_by_hand:
            wanted = wanted.model_copy(update={"overwrite_by_hand": True})
        kind, work = "folder", _plan_folder(opened, wanted, show_paths=service.settings.show_paths)
        if wanted.watch:
            kind, watched = "watch", wanted.root
            work = _plan_watch(opened, wanted, work, service.jobs.exclusive(opened.name))
    else:
        service.jobs.check(opened.name)  # before anything is written
        added = await _store_images(opened, read_images(body, service.settings))
        kind, work = "images", _plan_images(opened, added, overwrite_by_hand=overwrite_by_hand)
    job = service.jobs.begin(opened.name, kind, work, files=_report_files(added), watched=watched)
    return JSONResponse(job.document(), 202, {"Location": _make_address(opened, job)})


def _plan_folder(opened: Opened, wanted: schemas.NewJob, *, show_paths: bool) -> Work:
    """Return the work of indexing a root again. Raise ``Problem`` for an unknown root."""
    shop, name = opened.collection, wanted.root
    root = next((root for root in shop.roots() if root.name == name), None)
    if root is None or root == upload_files.find_root(shop, opened.place.uploads):
        raise Problem(404, "no-such-root", f"the collection has no folder called {name!r}")

    def compare(progress: ProgressCallback, stop: Callable[[], bool]) -> VerificationReport:
        return verify(opened.collection, root.path, progress=progress, stop=stop)

    def work(progress: ProgressCallback, stop: Callable[[], bool]) -> IndexReport:
        if stop():
            return IndexReport(interrupted=True)
        report = opened.collection.index(
            root.path,
            allow_removals=wanted.allow_removals,
            overwrite_by_hand=wanted.overwrite_by_hand,
            reread=wanted.reread,
            settle=wanted.settle or (SETTLE_S if wanted.watch else 0.0),
            regions=wanted.regions,
            progress=progress,
            stop=stop,
        )
        said = [one.replace(ALLOW, '"allow_removals": true') for one in report.problems]
        notes = [*report.notes]
        if not show_paths:
            said, notes = (
                [one.replace(str(root.path), name or "the folder") for one in some]
                for some in (said, notes)
            )
        return replace(report, problems=tuple(said), notes=tuple(notes))

    return compare if wanted.verify else work


def _plan_watch(
    opened: Opened,
    wanted: schemas.NewJob,
    index: Work,
    exclusive: Callable[[], AbstractContextManager[None]],
) -> Work:
    """Return the work of indexing a root whenever it changes."""
    if wanted.verify:
        raise Problem(422, "invalid-request", "give verify or watch, not both")
    (root,) = [one for one in opened.collection.roots() if one.name == wanted.root]
    folder = opened.collection.store.folder

    def work(progress: ProgressCallback, stop: Callable[[], bool]) -> IndexReport:
        done = 0

        def index_once() -> IndexReport:
            with exclusive():
                report = index(ignore_progress, stop)
            assert isinstance(report, IndexReport)  # noqa: S101 - a comparison is refused above
            return report

        def hear(event: WatchEvent) -> None:
            nonlocal done
            if event.report is not None:
                done += event.report.indexed + event.report.reused
                progress(Progress(done=done, skipped=len(event.report.skipped)))
            else:
                _LOG.warning("watching %s: %s", opened.name, event.message)

        source = WatchedSource(
            name=root.name,
            folders=[root.path],
            index=index_once,
            apart=[] if folder is None else [folder],
        )
        settle = wanted.settle or SETTLE_S
        return watch([source], stop=stop, settle=settle, on_event=hear)

    return work


async def _store_images(opened: Opened, sent: Sequence[SentImage]) -> list[AddedImage]:
    async with opened.writing:
        return await in_thread(write_images, opened, sent)


def _report_files(added: Sequence[AddedImage] | None) -> Callable[[], list[Json]] | None:
    return None if added is None else lambda: [one.document() for one in added]


def _plan_images(opened: Opened, added: Sequence[AddedImage], *, overwrite_by_hand: bool) -> Work:
    def work(progress: ProgressCallback, stop: Callable[[], bool]) -> IndexReport:
        return index_images(
            opened, added, overwrite_by_hand=overwrite_by_hand, progress=progress, stop=stop
        )

    return work


def _make_address(opened: Opened, job: Job) -> str:
    return f"{opened.address}/jobs/{job.id}"


@router.get("/jobs", responses={200: {"model": schemas.JobsResponse}}, summary="List recent jobs")
async def list_jobs(opened: Served, service: State) -> JSONResponse:
    return JSONResponse({"jobs": [job.document() for job in service.jobs.of(opened.name)]})


@router.get("/jobs/{job}", responses={200: _JOB}, summary="Get a job")
async def get_job(job: JobId, opened: Served, service: State) -> JSONResponse:
    return JSONResponse(service.jobs.get(opened.name, job).document())


@router.get(
    "/jobs/{job}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    summary="Follow a job",
)
async def follow_job(job: JobId, opened: Served, service: State) -> StreamingResponse:
    """Server-sent events: ``progress`` now and on each change, then ``end``."""
    stream = events(service.jobs.get(opened.name, job), service.closing)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # keeps nginx from buffering
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.delete("/jobs/{job}", responses={200: _JOB}, dependencies=[Writes], summary="Cancel a job")
async def cancel_job(job: JobId, opened: Served, service: State) -> JSONResponse:
    """The job ends after its current batch; what is stored stays."""
    found = service.jobs.get(opened.name, job)
    service.jobs.cancel(found)
    return JSONResponse(found.document())
