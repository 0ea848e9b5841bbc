"""Adding uploaded images to a collection: choose ids, store files, index, and report on each one.

An image with an id replaces the item that has this id. An image with only a file name never
replaces anything: if another image has the name as its id, it gets an id made of the name and of
its content.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lookalike import images
from lookalike.collection import Collection
from lookalike.core.ids import alternative, id_from_name, id_problem, is_text
from lookalike.core.progress import ProgressCallback
from lookalike.core.records import (
    Entry,
    IndexReport,
    Item,
    Json,
    Outcome,
    Skipped,
    together,
)
from lookalike.core.roots import Root
from lookalike.errors import StoreFullError
from lookalike.indexing import failures
from lookalike.indexing.batch import TAKEN
from lookalike.service import schemas, upload_files
from lookalike.service.collections import Opened
from lookalike.service.problems import Problem, validate
from lookalike.service.schemas import NewItem
from lookalike.service.settings import ServiceSettings
from lookalike.service.state import in_thread
from lookalike.service.uploads import Body, Upload, decode_base64, parse_json_field

__all__ = ["AddedImage", "SentImage", "add_images", "index_images", "read_images", "write_images"]

_AGAIN = "another image later in this request has the same id; the last one counts"
_STOPPED = "the job was stopped before this image"
_ATTEMPTS = 8  # to find a free id; the last attempt uses the whole digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SentImage:
    """An image that was sent, with its fields. ``name`` is the name that the client gave it."""

    said: NewItem
    upload: Upload

    @property
    def name(self) -> str:
        name = self.said.id or self.said.name or self.upload.name
        return name.encode("utf-8", "backslashreplace").decode()


@dataclass(slots=True, kw_only=True, eq=False)
class AddedImage:
    """What happens to an image: its ``id``, and its ``outcome`` or the ``reason`` for skipping it.

    ``entry`` is what is indexed. An image that repeats an earlier one of the request shares the
    outcome of that one, ``first``.
    """

    sent: SentImage
    digest: str
    id: str = ""
    attempt: int = 0
    entry: Entry | None = None
    first: "AddedImage | None" = None
    outcome: Outcome | None = None
    reason: str | None = None

    def document(self) -> dict[str, Json]:
        """Return its entry in ``files`` of the response."""
        return {
            "name": self.sent.name,
            "id": self.id if self.reason is None else None,
            "outcome": self.outcome if self.reason is None else "skipped",
            "reason": self.reason,
        }


def read_images(body: Body, settings: ServiceSettings) -> list[SentImage]:
    """Return the images of a body with the fields of each. Raise ``Problem``."""
    if body.document is not None:
        found: schemas.NewItems = validate(schemas.NewItems, body.document)
        if len(found.items) > settings.max_images:
            raise Problem(413, "too-many-parts", f"at most {settings.max_images} images")
        for place, one in enumerate(found.items, 1):
            if one.image_base64 is None:
                name = repr(one.id or one.name) if one.id or one.name else f"item {place}"
                raise Problem(422, "no-image", f"{name} has no image_base64")
        return [
            SentImage(said=one, upload=decode_base64(one.image_base64 or "", settings))
            for one in found.items
        ]
    if not body.images:
        raise Problem(422, "no-image", "send images, in a form or as JSON")
    said = _parse_items(body) or [NewItem() for _ in body.images]
    if len(said) != len(body.images):
        raise Problem(
            422,
            "items-and-images",
            f"items describes {len(said)} images, but {len(body.images)} were sent",
        )
    return [
        SentImage(said=one, upload=upload) for one, upload in zip(said, body.images, strict=True)
    ]


def _parse_items(body: Body) -> list[NewItem]:
    text = body.fields.get("items")
    if not text:
        return []
    found: schemas.NewItems = validate(
        schemas.NewItems, {"items": parse_json_field(text[-1], "items")}
    )
    return found.items


async def add_images(
    opened: Opened,
    sent_images: Sequence[SentImage],
    *,
    overwrite_by_hand: bool = True,
    remember: bool = True,
) -> tuple[IndexReport, list[AddedImage]]:
    """Store and index images, and return the report with what happened to each image.

    One request at a time writes to a collection.
    """

    def work() -> tuple[IndexReport, list[AddedImage]]:
        added = write_images(opened, sent_images)
        report = index_images(opened, added, overwrite_by_hand=overwrite_by_hand, remember=remember)
        return report, added

    async with opened.writing:
        return await in_thread(work)


def write_images(opened: Opened, sent_images: Sequence[SentImage]) -> list[AddedImage]:
    """Choose an id for each image, and write it to its file. Raise ``StoreFullError``."""
    shop = opened.collection
    added = [AddedImage(sent=one, digest=images.digest(one.upload.data)) for one in sent_images]
    there = _choose_ids(shop, added)
    root = upload_files.ensure_root(shop, opened.place.uploads)
    try:
        for one in added:
            if one.reason is None and one.first is None:
                said, data = one.sent.said, one.sent.upload.data
                entry = upload_files.write_image(root, one.id, data, said, before=there.get(one.id))
                one.entry = replace(entry, fresh=said.id is None)
    except StoreFullError:
        _remove_unused(shop, root, [], [one.entry for one in added if one.entry is not None])
        raise
    return added


def _choose_ids(shop: Collection, added: Sequence[AddedImage]) -> dict[str, Item]:
    """Choose an id for each image; return the items that have one of these ids now."""
    chosen = {one.sent.said.id: one for one in added if one.sent.said.id is not None}
    there = dict(shop.store.items.get([one for one in chosen if is_text(one)]))
    for one in added:
        given = one.sent.said.id
        if given is not None:
            one.id = given
            problem = None if given in there else id_problem(given)
            if problem is not None:
                one.reason = f"its id {problem}"
            elif chosen[given] is not one:
                one.reason = _AGAIN
    ours = {one.id: one for one in added if one.id and one.reason is None}
    there |= _name(shop, [one for one in added if one.sent.said.id is None], ours)
    return there


def _name(
    shop: Collection, unnamed: Sequence[AddedImage], ours: dict[str, AddedImage]
) -> dict[str, Item]:
    """Choose ids for images without one; ``ours`` are the ids of this request.

    Return the items that have one of these ids: each holds exactly the image that was sent.
    """
    same: dict[str, Item] = {}
    waiting = list(unnamed)
    while waiting:
        for one in waiting:
            suffix = upload_files.suffix_of(one.sent.upload.data)
            one.id = alternative(
                id_from_name(one.sent.name, suffix=suffix), one.digest, one.attempt
            )
        there = shop.store.items.get([one.id for one in waiting])
        later: list[AddedImage] = []
        for one in waiting:
            other, item = ours.get(one.id), there.get(one.id)
            digest = other.digest if other is not None else item.digest if item else one.digest
            if digest != one.digest and one.attempt < _ATTEMPTS:
                one.attempt += 1
                later.append(one)
            elif other is not None:
                one.first = other
            else:
                ours[one.id] = one
                if item is not None:
                    same[one.id] = item
        waiting = later
    return same


def index_images(
    opened: Opened,
    added: Sequence[AddedImage],
    *,
    overwrite_by_hand: bool = False,
    remember: bool = True,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Index stored images, and set in ``added`` what happened to each.

    The file of an image that cannot be used is deleted again; the item that it should have replaced
    stays. With ``remember``, the collection stores the reason (``info --skipped``). In the report,
    the ``path`` of a skipped image is its name.
    """
    shop = opened.collection
    root = upload_files.ensure_root(shop, opened.place.uploads)
    waiting = [one for one in added if one.entry is not None]
    before = dict(shop.store.items.get([one.id for one in waiting]))
    reports = []
    try:
        while waiting:
            # If another request took an id meanwhile, the image here gets another id.
            if stop():
                report = IndexReport(interrupted=True)
            else:
                report = shop.index(
                    [one.entry for one in waiting if one.entry is not None],
                    overwrite_by_hand=overwrite_by_hand,
                    progress=progress,
                    stop=stop,
                    optimize=False,
                )
            reports.append(report)
            waiting = _rename_taken(shop, waiting, report, added)
            before |= shop.store.items.get([one.id for one in waiting])
    finally:
        entries = [one.entry for one in added if one.entry is not None]
        _remove_unused(shop, root, list(before.values()), entries)
    report = together(reports)
    _note(shop, added, report, before)
    skipped = [Skipped(path=one.sent.name, reason=one.reason) for one in added if one.reason]
    # Their files are deleted, so they are listed by name. `put` of a single image raises instead.
    failed = [one for one in skipped if one.reason not in (_AGAIN, _STOPPED)]
    if remember:
        failures.remember(shop.store, "uploads", failed, whole=False, kind="id")
    again = sum(one.first is not None and one.reason is None for one in added)
    return replace(report, unchanged=report.unchanged + again, skipped=tuple(skipped))


def _rename_taken(
    shop: Collection, tried: Sequence[AddedImage], report: IndexReport, added: Sequence[AddedImage]
) -> list[AddedImage]:
    """Return the images whose id was taken meanwhile, with new ids; set why others were skipped."""
    reasons = {one.path: one.reason for one in report.skipped}
    again = []
    for one in tried:
        reason = reasons.get(one.entry.path) if one.entry is not None else None
        if reason == TAKEN and one.attempt < _ATTEMPTS:
            again.append(one)
        else:
            one.reason = reason
    if again:
        ours = {one.id: one for one in added if one.entry is not None and one not in again}
        _name(shop, again, ours)
        for one in again:
            one.entry = replace(one.entry, id=one.id) if one.entry is not None else None
    return [one for one in again if one.first is None]


def _note(
    shop: Collection, added: Sequence[AddedImage], report: IndexReport, before: dict[str, Item]
) -> None:
    now = shop.store.items.get([one.id for one in added if one.entry is not None]) if added else {}
    for one in added:
        if one.entry is None or one.reason is not None or one.first is not None:
            continue
        old = before.get(one.id)
        if report.interrupted and (one.id not in now or now[one.id].digest != one.digest):
            one.reason = _STOPPED
        elif old is None:
            one.outcome = "created"
        else:
            one.outcome = "unchanged" if old.digest == one.digest else "replaced"
    for one in added:
        if one.first is not None:
            one.id, one.reason, one.outcome = one.first.id, one.first.reason, "unchanged"


def _remove_unused(
    shop: Collection, root: Root, before: Sequence[Item], entries: Sequence[Entry]
) -> None:
    """Delete stored files that no item uses: of failed and of replaced images."""
    ids = {entry.id for entry in entries} | {item.id for item in before}
    now = shop.store.items.get(sorted(ids))
    used = {item.path for item in now.values()}
    files = {entry.path for entry in entries}
    files |= {item.path for item in before if item.root == root.name and item.path}
    upload_files.delete_images(root, files - used)
    # A failed upload has no file for another try.
    shop.store.skips.delete(root.name, sorted(files - used))
