"""What a plan needs to know: read from the collection and the files, nothing is written."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lookalike.analysis import categories, neighbours
from lookalike.collection import Collection
from lookalike.config import open_collection
from lookalike.core import settings_keys
from lookalike.core.filters import value_of
from lookalike.core.records import Item, Json
from lookalike.errors import (
    CollectionNotFoundError,
    EncoderMismatchError,
    StoreDamagedError,
)
from lookalike.runfile.plan import (
    ItemsView,
    KnownState,
    StepRecord,
    options_of,
    outputs_of,
    view_of,
)
from lookalike.runfile.reading import LoadedRunFile
from lookalike.runfile.steps import STEPS, Step
from lookalike.sources.download.record import NAME
from lookalike.sources.scan import stamp_of

__all__ = [
    "address_of",
    "get_classifier_id",
    "is_card",
    "open_run_collection",
    "read_state",
    "record_step",
    "stamp_files",
]


def address_of(loaded: LoadedRunFile) -> str:
    """Return the collection as a run opens it: a path is below the run file's folder."""
    text = loaded.file.collection
    is_path = "://" not in text and (any(mark in text for mark in "/\\") or text[0] in ".~")
    return str(loaded.place(text).resolve()) if is_path else text


def is_card(encoder: str) -> bool:
    """Return whether a run file's encoder is the path of a card, and not a name."""
    return encoder.endswith(".toml") or "/" in encoder or "\\" in encoder


def open_run_collection(loaded: LoadedRunFile, *, create: bool) -> Collection:
    """Return the file's collection. Raise as ``config.open_collection``."""
    name = loaded.file.encoder
    return open_collection(
        address_of(loaded),
        encoder=loaded.place(name) if name is not None and is_card(name) else name,
        create=create,
        device=loaded.file.device,
        threads=loaded.file.threads,
    )


@contextmanager
def _open_existing(loaded: LoadedRunFile) -> Iterator[Collection | None]:
    try:
        shop = open_run_collection(loaded, create=False)
    except CollectionNotFoundError:
        yield None
        return
    with shop:
        yield shop


def read_state(
    loaded: LoadedRunFile, shop: Collection | None = None, *, items: bool = True
) -> KnownState:
    """Return what there is now, in ``shop`` or the file's collection if that exists.

    Reads every item once (2.6 s for 88,883) where a step depends on them; without ``items`` none,
    which is enough for ``download`` and ``index``.
    """
    if shop is None:
        with _open_existing(loaded) as found:
            return _look(loaded, found, items=items)
    return _look(loaded, shop, items=items)


def _look(loaded: LoadedRunFile, shop: Collection | None, *, items: bool) -> KnownState:
    fetch = loaded.file.download
    downloaded = fetch is not None and (loaded.place(fetch.to) / NAME).is_file()
    if shop is None or shop.store.bound() is None:
        return KnownState(downloaded=downloaded)
    if not items:
        return KnownState(exists=True, downloaded=downloaded)
    views = {step: view for step in STEPS if (view := view_of(loaded.file, step)) is not None}
    written = [name for step in STEPS for name in outputs_of(loaded.file, step)]
    return KnownState(
        exists=True,
        downloaded=downloaded,
        declared=tuple(shop.declared()),
        model=get_classifier_id(shop),
        neighbours=_read_neighbours(shop),
        states=_hash_views(shop, views),
        files=stamp_files(loaded, written),
        done=_read_done(shop.store.settings.get(settings_keys.RUN)),
    )


def record_step(
    loaded: LoadedRunFile, shop: Collection, step: Step, *, state: str, made: Json
) -> None:
    """Remember that a step was done, with the digest of what it saw and what it made."""
    document: Json = {"options": options_of(loaded.file, step), "state": state, "made": made}

    def change(before: Json) -> Json:
        return {**(before if isinstance(before, dict) else {}), step: document}

    shop.store.settings.change(settings_keys.RUN, change)


def stamp_files(loaded: LoadedRunFile, names: Iterable[str]) -> dict[str, Json]:
    """Return size and modification time of files, ``None`` for those that are not there."""
    found: dict[str, Json] = {}
    for name in names:
        stamp = stamp_of(loaded.place(name))
        found[name] = None if stamp is None else [stamp.size, stamp.mtime_ns]
    return found


def get_classifier_id(shop: Collection) -> str | None:
    """Return the classifier's fingerprint and training time; ``None`` without a usable one."""
    try:
        found = categories.get_classifier_info(shop)
    except (EncoderMismatchError, StoreDamagedError):
        return None
    return None if found is None else f"{found.fingerprint} {found.trained_at}"


def _read_neighbours(shop: Collection) -> int:
    state = shop.store.neighbours.state()
    kept = neighbours.read_k(shop)
    whole = state.items == state.rows == state.current
    return kept if kept is not None and kept == state.k and whole else 0


def _read_done(document: Json) -> dict[Step, StepRecord]:
    """Return what runs have kept; what cannot be understood is as if it were not there."""
    found: dict[Step, StepRecord] = {}
    for step in STEPS:
        match document.get(step) if isinstance(document, dict) else None:
            case {"options": str(options), "state": str(state), "made": made}:
                found[step] = StepRecord(options=options, state=state, made=made)
    return found


def _hash_views(shop: Collection, views: Mapping[Step, ItemsView]) -> dict[Step, str]:
    """Return a digest for each view of the items; one scan for all with the same filter."""
    bound = shop.store.bound()
    begun = json.dumps(bound).encode()
    digests = {step: hashlib.sha256(begun) for step in views}
    for where in dict.fromkeys(view.where for view in views.values()):
        seeing = [(digests[step], view) for step, view in views.items() if view.where == where]
        for item in shop.items(where):
            for digest, view in seeing:
                digest.update(_serialise(item, view))
    return {step: digest.hexdigest()[:32] for step, digest in digests.items()}


def _serialise(item: Item, view: ItemsView) -> bytes:
    own = [item.id, item.digest, item.group]
    if view.fields is None:
        said: list[Any] = [item.label, dict(item.metadata), item.root, item.path]
    else:
        said = [value_of(item, name) for name in view.fields]
    return json.dumps(own + said, sort_keys=True).encode()
