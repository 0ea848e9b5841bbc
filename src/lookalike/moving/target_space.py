"""The space that a migration leads to: which encoder, and whether its embeddings are projected."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import Entry, IndexReport
from lookalike.core.sampling import sample
from lookalike.encoders.projection import ProjectedEncoder, is_projected
from lookalike.errors import CollectionError, EncoderError
from lookalike.indexing.fitting import (
    DEFAULT_DIM,
    LEAST_FOLD,
    ProjectionDim,
    check_dim,
    fit_to,
    projected,
    sample_size,
)
from lookalike.regions.table import project_regions

__all__ = ["TargetSpace", "bind_from_stored", "choose_space", "project_items"]

_BATCH = 1000  # items in a transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpace:
    """Where a migration leads.

    ``dim`` is the number of dimensions to project to, or ``off``. With ``from_stored`` the stored
    embeddings are projected; otherwise the images are encoded, by the ``same_encoder`` or another.
    ``key`` is the same for the same
    migration, so that an interrupted one is found again.
    """

    dim: ProjectionDim
    from_stored: bool
    same_encoder: bool
    key: str


def choose_space(store: Store, encoder: Encoder, dim: ProjectionDim) -> TargetSpace:
    """Return the space that a collection is migrated to.

    Raise ``CollectionError`` for an empty collection and where there is nothing to do, and
    ``EncoderError`` where a projection cannot be fitted.
    """
    dim = check_dim(dim)
    bound, items = store.bound(), store.search.count()
    if bound is None or not items:
        raise CollectionError("the collection is empty; index into it with the other encoder")
    same = bound[1] == encoder.fingerprint
    fitted = is_projected(bound[1]) and bound[1].startswith(f"{encoder.fingerprint}+")
    wanted = DEFAULT_DIM if dim == "auto" else dim
    if wanted != "off" and (wanted >= encoder.dim or items < LEAST_FOLD * wanted):
        if dim != "auto":
            raise EncoderError(_why_not(wanted, encoder.dim, items))
        wanted = "off"
    if (same and wanted == "off") or (fitted and dim == "auto"):
        raise CollectionError(f"the collection already uses {bound[0]}; there is nothing to do")
    key = encoder.fingerprint if wanted == "off" else f"{encoder.fingerprint} {wanted} {bound[1]}"
    return TargetSpace(dim=wanted, from_stored=same, same_encoder=same or fitted, key=key)


def _why_not(dim: int, width: int, items: int) -> str:
    if dim >= width:
        return f"the encoder's embeddings have {width:,} dimensions; choose fewer than that"
    return (
        f"{dim:,} dimensions are fitted on at least {LEAST_FOLD * dim:,} images, and the "
        f"collection has {items:,}; choose fewer dimensions"
    )


def bind_from_stored(live: Store, new: Store, encoder: Encoder, space: TargetSpace) -> Encoder:
    """Bind ``new`` to the encoder with a projection fitted to embeddings that ``live`` has."""
    bound = projected(new, encoder)
    if new.bound() is None and bound is encoder:
        assert isinstance(space.dim, int)  # noqa: S101 - stored embeddings are only ever projected
        drawn = sample(live, sample_size(space.dim))
        rows = live.items.vectors([item.id for item in drawn])
        if len(rows) < LEAST_FOLD * space.dim:
            raise EncoderError(_why_not(space.dim, encoder.dim, len(rows)))
        bound = fit_to(new, encoder, rows, space.dim)
    new.bind(encoder=bound.name, fingerprint=bound.fingerprint, dim=bound.dim)
    return bound


def project_items(
    live: Store,
    new: Store,
    encoder: Encoder,
    entries: Iterable[Entry],
    *,
    total: int,
    progress: ProgressCallback | None,
    stop: Callable[[], bool],
) -> IndexReport:
    """Copy items into ``new`` with their projected embeddings and their thumbnails."""
    assert isinstance(encoder, ProjectedEncoder)  # noqa: S101 - see `bind_from_stored`
    began = time.monotonic()
    done = 0
    waiting = iter(entries)
    while ids := [entry.id for entry in islice(waiting, _BATCH)]:
        if stop():
            return IndexReport(interrupted=True, seconds=time.monotonic() - began)
        there = live.items.get(ids)  # one may have been removed meanwhile
        items = list(there.values())
        if items:
            rows = encoder.projection.apply(live.items.vectors([item.id for item in items]))
            small = live.thumbnails.get([item.id for item in items])
            new.items.upsert(items, rows, [small.get(item.id) for item in items])
            project_regions(live, new, [item.digest for item in items], encoder.projection.apply)
        done += len(items)
        if progress is not None:
            progress(Progress(done=done, total=total))
    return IndexReport(reused=done, seconds=time.monotonic() - began)
