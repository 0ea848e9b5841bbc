"""``RemoteCollection``: the methods of a ``Collection``, carried out by a service."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from lookalike import images
from lookalike.analysis.explanation import Explanation, Method
from lookalike.client.connection import Document, ServiceConnection, segment
from lookalike.client.items import RemoteItems
from lookalike.client.jobs import follow, follow_verification
from lookalike.client.responses import (
    read_added,
    read_report,
    read_results,
)
from lookalike.client.uploads import (
    batches,
    crop_text,
    form,
    is_image,
    part_json,
    said_json,
    skipped,
    upload,
)
from lookalike.core.arguments import checked, checked_methods
from lookalike.core.ids import check_id, is_text
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.records import (
    Added,
    Entry,
    Hit,
    IndexReport,
    Json,
    together,
)
from lookalike.errors import (
    CollectionNotFoundError,
    ImageTooLargeError,
    ServiceError,
)
from lookalike.indexing.differences import VerificationReport
from lookalike.search import (
    ImageSource,
    ItemRef,
    Query,
    QueryLike,
    Results,
    SearchKeywords,
    SearchOptions,
    named_query,
)

__all__ = ["RemoteCollection", "connect"]

_SHOWN = 1024  # pixels of an item's image beside its explanation


@checked
def connect(
    url: str,
    *,
    collection: str | None = None,
    key: str | None = None,
    timeout_s: float = 30.0,
) -> "RemoteCollection":
    """Return a collection of the service at ``url``, the address that ``lookalike serve`` prints.

    ``collection`` may be omitted if the service has a default collection. ``key`` is the read or
    the write key; by default ``LOOKALIKE_API_KEY``. A response may take ``timeout_s``; requests to
    a busy service are repeated up to three times, after the time that it asks for.

    Raise ``ServiceError`` (``AccessDeniedError`` without the right key) and
    ``CollectionNotFoundError``.
    """
    service = ServiceConnection(url, key or os.environ.get("LOOKALIKE_API_KEY") or None, timeout_s)
    if collection is not None:
        name = service.ask("GET", f"/v1/collections/{segment(collection)}").get("name")
    else:
        known = service.ask("GET", "/v1/collections")
        name = known.get("default")
        if name is None and "collections" in known:
            there = ", ".join(str(one["name"]) for one in known["collections"]) or "none yet"
            raise CollectionNotFoundError(f"name one of the collections at {url}: {there}")
    if not isinstance(name, str):
        raise ServiceError(f"{url} does not respond as a lookalike service does")
    return RemoteCollection(service, name)


@checked_methods
class RemoteCollection(RemoteItems):
    """A collection of a service; ``connect`` opens one.

    It has the methods of a ``Collection``, except those that need its files or vectors, and is
    thread-safe. Three things differ: ``where`` is text, scores have six digits, and items have no
    file paths (``root``, ``path`` and ``stamp`` are empty); ``image`` and ``thumbnail`` return
    their bytes.

    Every method raises ``ServiceError`` when the service cannot be reached, ``ServiceBusyError``
    when it stays busy, ``AccessDeniedError`` without the right key, and ``ValueError`` for what the
    service does not accept, such as more than 1000 results.
    """

    # -- writing ------------------------------------------------------------------------

    def add(
        self,
        id: str,
        image: str | os.PathLike[str] | bytes,
        *,
        label: str | None = None,
        group: str | None = None,
        metadata: dict[str, Json] | None = None,
    ) -> Added:
        """Add one image under an id of your own, in place of the item that has this id, if any.

        As ``Collection.add``: the item that comes back has the ``outcome``. Raise ``ImageError``
        and ``InvalidIdError``.
        """
        if not id or not is_text(id):
            check_id(id)  # such ids cannot even be sent; the service checks the others
        data = image if isinstance(image, bytes) else images.read(image)
        said = {"label": label, "group": group}
        fields = {name: value for name, value in said.items() if value is not None}
        if metadata is not None:
            fields["metadata"] = json.dumps(metadata)
        body, kind = form([data], fields)
        return read_added(self._item("PUT", id, body=body, kind=kind, about=id))

    def index(
        self,
        entries: Iterable[Entry],
        *,
        overwrite_by_hand: bool = False,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> IndexReport:
        """Add many images with their label, group and metadata, in batches of fifty.

        As ``Collection.index`` of entries: an image that cannot be used is listed in the report
        and the rest goes on. When ``stop`` returns true, the run ends after the current batch.
        What was set by hand stays, unless ``overwrite_by_hand``. Folders are indexed where they
        lie, on the service's own machine: ``reindex``.
        """
        report, done, began = IndexReport(), 0, time.monotonic()
        for batch, unread in batches(entries):
            left_out = IndexReport(skipped=tuple(unread))
            sent = self._send(batch, overwrite_by_hand=overwrite_by_hand)
            report = together([report, left_out, sent])
            done += len(batch) + len(unread)
            if progress is not None:
                progress(Progress(done=done, total=None, skipped=len(report.skipped)))
            if stop():
                report = replace(report, interrupted=True)
                break
        return replace(report, seconds=time.monotonic() - began)

    def reindex(
        self,
        root: str = "",
        *,
        allow_removals: bool = False,
        overwrite_by_hand: bool = False,
        reread: bool = False,
        settle: float = 0.0,
        regions: int | None = None,
        watch: bool = False,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> IndexReport:
        """Sync the collection with a folder that the service knows, on its machine.

        ``root`` is the folder's name, as ``info`` tells it; the first has none. The report is that
        of ``Collection.index``: too many removals are held back, unless ``allow_removals``. What
        was set by hand stays, unless ``overwrite_by_hand``. ``reread`` reads unchanged files too;
        those that changed less than ``settle`` seconds ago are left for later. ``regions`` is that
        of ``Collection.index``. With ``watch``, the service goes on and indexes what changes, until
        ``stop`` returns true. Raise ``SourceError`` for a folder that the service does not know,
        and ``ServiceError`` when the job fails.
        """
        asked = {
            "root": root,
            "allow_removals": allow_removals,
            "overwrite_by_hand": overwrite_by_hand,
            **({"reread": True} if reread else {}),  # older services do not know them
            **({"settle": settle} if settle else {}),
            **({"watch": True} if watch else {}),
            **({} if regions is None else {"regions": regions}),
        }
        job = self._start_job(asked)
        return follow(self._service, self._path, job, progress=progress, stop=stop)

    def verify(
        self,
        root: str = "",
        *,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> VerificationReport:
        """Compare the files of a folder that the service knows with the items, by digest.

        Nothing is changed (``indexing.verification.verify``). Raise as ``reindex``.
        """
        job = self._start_job({"root": root, "verify": True})
        return follow_verification(self._service, self._path, job, progress=progress, stop=stop)

    def _start_job(self, asked: Mapping[str, object]) -> Document:
        body = json.dumps(asked).encode()
        # Not repeated after a broken connection: the job may have started.
        return self._ask("POST", "/jobs", body=body, kind="application/json", again=False)

    def _send(
        self, batch: Sequence[tuple[Entry, bytes]], *, overwrite_by_hand: bool
    ) -> IndexReport:
        if not batch:
            return IndexReport()
        body, kind = form([data for _, data in batch], {"items": json.dumps(said_json(batch))})
        try:
            query = {"overwrite_by_hand": True} if overwrite_by_hand else {}
            document = self._ask("POST", "/items", query=query, body=body, kind=kind)
        except ImageTooLargeError as error:
            if len(batch) == 1:  # it is this one
                return IndexReport(skipped=(skipped(batch[0][0], error.reason),))
            middle = len(batch) // 2
            return together(
                [
                    self._send(part, overwrite_by_hand=overwrite_by_hand)
                    for part in (batch[:middle], batch[middle:])
                ]
            )
        left_out = [
            skipped(entry, one["reason"])
            for (entry, _), one in zip(batch, document["files"], strict=True)
            if one["reason"] is not None
        ]
        return read_report(document, tuple(left_out))

    # -- reading ---------------------------------------------------------------------------

    def search(
        self,
        query: QueryLike,
        *,
        crop: images.Crop | None = None,
        options: SearchOptions | None = None,
        **keywords: Unpack[SearchKeywords],
    ) -> Results:
        """Return the ``k`` items most like an image, best first: ``Collection.search``.

        An image is sent as it is, so the service cannot know whether it is an item's file: nothing
        is left out. Raise as ``Collection.search``, and ``ValueError`` for a filter that is not
        text.
        """
        wanted = SearchOptions.of(options, keywords)
        made = named_query(Query.of(query, crop=crop))
        parts = made.parts
        if len(parts) == 1 and parts[0].weight > 0 and is_image(parts[0].source):
            data, about = upload(parts[0].source)
            asked = _query(wanted)
            if parts[0].crop is not None:
                asked["crop"] = crop_text(parts[0].crop)
            kind = "application/octet-stream"
            found = self._ask("POST", "/search", query=asked, body=data, kind=kind, about=about)
        else:
            body = {"parts": [part_json(one) for one in parts], **_query(wanted)}
            data = json.dumps(body).encode()
            found = self._ask("POST", "/search", body=data, kind="application/json")
        return self._results(found, made)

    def similar(
        self,
        id: str,
        *,
        options: SearchOptions | None = None,
        **keywords: Unpack[SearchKeywords],
    ) -> Results:
        """Return the ``k`` items most like an item, best first: ``Collection.similar``."""
        asked = _query(SearchOptions.of(options, keywords))
        found = self._item("GET", id, "/similar", query=asked)
        return self._results(found, Query.of(ItemRef(id)))

    def explain(
        self,
        query: QueryLike,
        id: str,
        *,
        crop: images.Crop | None = None,
        method: Method = "auto",
        any_orientation: bool = False,
    ) -> Explanation:
        """Return which regions make a query and an item alike: ``Collection.explain``.

        Images of items are fetched, as thumbnails. Raise as ``Collection.explain``.
        """
        parts = named_query(Query.of(query, crop=crop)).parts
        shown: bytes | None = None
        asked: dict[str, Any] = {"method": method, "format": "json"}
        if any_orientation:
            asked["any_orientation"] = True
        if len(parts) == 1 and parts[0].weight > 0 and is_image(parts[0].source):
            shown, about = upload(parts[0].source)
            if parts[0].crop is not None:
                asked["crop"] = crop_text(parts[0].crop)
            kind = "application/octet-stream"
            found = self._item(
                "POST", id, "/explain", query=asked, body=shown, kind=kind, about=about
            )
        else:
            data = json.dumps({"parts": [part_json(one) for one in parts]}).encode()
            found = self._item(
                "POST", id, "/explain", query=asked, body=data, kind="application/json"
            )
            if found["query"] is not None and isinstance(parts[0].source, ItemRef):
                shown = self.thumbnail(parts[0].source.id, side=_SHOWN)
        return Explanation.from_json(
            found,
            query=None if shown is None else images.decode(shown).image,
            item=images.decode(self.thumbnail(id, side=_SHOWN)).image,
        )

    def propose_crops(self, query: ImageSource | ItemRef, *, count: int = 4) -> list[images.Box]:
        """Return at most ``count`` parts of an image to search with, the most salient first:
        ``Collection.propose_crops``.
        """
        if isinstance(query, ItemRef):
            found = self._item("GET", query.id, "/crops", query={"count": count})
        else:
            data, about = upload(query)
            kind = "application/octet-stream"
            asked = {"count": count}
            found = self._ask("POST", "/crops", query=asked, body=data, kind=kind, about=about)
        return [(left, top, right, bottom) for left, top, right, bottom in found["crops"]]

    # -- inside --------------------------------------------------------------------------

    def _results(self, found: Document, query: Query) -> Results:
        best = found.get("best")
        hit = None if best is None else Hit(item=self.get(best["id"]), score=best["score"])
        return read_results(found, best=hit).shown_from(self, query)


def _query(options: SearchOptions) -> dict[str, Any]:
    """Return the options that are not the default, as the service takes them."""
    if options.where is not None and not isinstance(options.where, str):
        raise ValueError("a service takes a filter as text, such as 'label=mug and price<20'")
    default = SearchOptions()
    given = {name: getattr(options, name) for name in SearchOptions.names()}
    return {name: one for name, one in given.items() if one != getattr(default, name)}
