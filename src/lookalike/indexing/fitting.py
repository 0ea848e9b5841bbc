"""Bind a collection to its encoder; a new one with a projection that fits its own images.

A projection is fitted before the first item is stored, on a random sample of what is about to be
indexed. The collection keeps it, and every process that opens the collection applies it. How much
it gains, and from which size on: docs/decisions/0029-projection.md.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from lookalike import images
from lookalike.core import settings_keys
from lookalike.core.cpus import usable_cores
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Encoder, Prepared, Store
from lookalike.core.records import Entry
from lookalike.core.vectors import Matrix, Vector
from lookalike.encoders.projection import ProjectedEncoder, Projection, fit_projection
from lookalike.errors import EncoderError, ImageError, StoreDamagedError

__all__ = [
    "DEFAULT_DIM",
    "LEAST_FOLD",
    "EncoderBinding",
    "ProjectionDim",
    "check_dim",
    "draw",
    "fit_to",
    "parse_dim",
    "projected",
    "sample_size",
    "stored_projection",
]

ProjectionDim: TypeAlias = int | Literal["auto", "off"]

DEFAULT_DIM = 128
LEAST_FOLD = 3
"""A projection is fitted on at least so many images for each dimension."""
SAMPLE = 1000
"""Images that a projection is fitted on, or ``LEAST_FOLD`` for each dimension if that is more."""
_BATCH = 64
_SAME = 1e-5  # difference in any value below which embeddings are one


def check_dim(dim: object) -> ProjectionDim:
    """Return a valid ``dim``. Raise ``ValueError`` for anything else."""
    if dim in ("auto", "off"):
        return dim
    if type(dim) is int and dim >= 1:
        return dim
    raise ValueError(f"dim is {dim!r}, but must be auto, off, or a whole number of at least 1")


def parse_dim(text: object) -> ProjectionDim:
    """Return a ``dim`` that may be written as text. Raise ``ValueError``."""
    return check_dim(int(text) if isinstance(text, str) and text.isdecimal() else text)


def sample_size(dim: int) -> int:
    """Return the number of images that a projection to ``dim`` dimensions is fitted on."""
    return max(SAMPLE, LEAST_FOLD * dim)


def stored_projection(store: Store) -> Projection | None:
    """Return the projection of a collection, if it has one. Raise ``StoreDamagedError``."""
    document = store.settings.get(settings_keys.PROJECTION)
    if document is None:
        return None
    try:
        return Projection.from_json(document)
    except ValueError as error:
        raise StoreDamagedError(
            "the projection of the collection is damaged; restore a backup, or index the images "
            "into a new collection"
        ) from error


def projected(store: Store, encoder: Encoder) -> Encoder:
    """Return the encoder as the collection uses it: with its projection, if it has one."""
    bound = store.bound()
    if bound is not None and bound[1] == encoder.fingerprint:
        return encoder
    projection = stored_projection(store)
    if projection is None or projection.base != encoder.fingerprint:
        return encoder
    return ProjectedEncoder(encoder, projection)


def fit_to(store: Store, encoder: Encoder, embeddings: Matrix, dim: int) -> Encoder:
    """Fit a projection to embeddings, store it, and return the projected encoder.

    If another process has stored one meanwhile, that one counts.
    """
    fitted = fit_projection(embeddings, dim, base=encoder.fingerprint).to_json()
    store.settings.change(settings_keys.PROJECTION, lambda old: old or fitted)
    return projected(store, encoder)


@dataclass(slots=True, kw_only=True)
class EncoderBinding:
    """Binds a store to its encoder when the first image must be encoded.

    ``open_encoder`` returns the encoder without a projection. ``dim`` is how many dimensions a new
    collection's embeddings are projected to: ``auto`` is ``DEFAULT_DIM`` where there are images
    enough to fit it on, ``off`` none. ``known`` holds, by digest, the embeddings of images that
    were encoded to fit it.
    """

    store: Store
    open_encoder: Callable[[], Encoder]
    dim: ProjectionDim = "auto"
    limits: images.Limits = field(default_factory=images.Limits)
    progress: ProgressCallback | None = None
    stop: Callable[[], bool] = lambda: False
    known: dict[str, Vector] = field(default_factory=dict)

    def bind(self, sample: Callable[[int], Sequence[Entry]] | None = None) -> Encoder | None:
        """Return the encoder, bound; ``None`` if ``stop`` ended it before.

        ``sample`` returns at most so many random entries of what is about to be indexed. Raise
        ``EncoderError``, ``EncoderMismatchError``, and for a ``dim`` other than the collection's.
        """
        base = self.open_encoder()
        encoder = projected(self.store, base)
        if self.store.bound() is None and encoder is base:
            fitted = self._fit(encoder, sample)
            if fitted is None:
                return None
            encoder = fitted
        self.store.bind(encoder=encoder.name, fingerprint=encoder.fingerprint, dim=encoder.dim)
        self._check(encoder)
        return encoder

    def _fit(
        self, encoder: Encoder, sample: Callable[[int], Sequence[Entry]] | None
    ) -> Encoder | None:
        dim = DEFAULT_DIM if self.dim == "auto" else self.dim
        if dim == "off" or sample is None:
            return encoder
        if dim >= encoder.dim:
            if dim > encoder.dim and self.dim != "auto":
                raise EncoderError(
                    f"{encoder.name} makes embeddings of {encoder.dim:,} dimensions, which cannot "
                    f"be projected to {dim:,}; choose fewer, or --dim off"
                )
            return encoder
        least = LEAST_FOLD * dim
        entries = sample(sample_size(dim))
        if len(entries) < least and not self.stop():
            self._check_enough(dim, len(entries))
            return encoder
        found = self._encode(encoder, entries)
        if found is None or self.stop():
            return None
        if len(found) < least:
            self._check_enough(dim, len(found))
            self.known = found
            return encoder
        rows = np.stack(list(found.values()))
        if np.abs(rows - rows[0]).max() < _SAME:
            raise EncoderError(
                f"{encoder.name} gives all of {len(rows):,} different images the same embedding; "
                "`lookalike encoder check` tries its card"
            )
        fitted = fit_to(self.store, encoder, rows, dim)
        assert isinstance(fitted, ProjectedEncoder)  # noqa: S101 - the store has a projection now
        self.known = dict(zip(found, fitted.projection.apply(rows), strict=True))
        return fitted

    def _check_enough(self, dim: int, count: int) -> None:
        if self.dim != "auto":
            raise EncoderError(
                f"{dim} dimensions are fitted on at least {LEAST_FOLD * dim:,} different images, "
                f"and there are {count:,}; choose fewer dimensions, or --dim off"
            )

    def _check(self, encoder: Encoder) -> None:
        """Raise ``EncoderError`` if ``dim`` is not that of the collection."""
        has = encoder.dim if isinstance(encoder, ProjectedEncoder) else "off"
        if self.dim not in ("auto", has) and self.dim != encoder.dim:
            raise EncoderError(
                f"the embeddings of this collection have {encoder.dim:,} dimensions"
                f"{'' if has == 'off' else ' (projected)'}; `lookalike migrate --dim {self.dim}` "
                "changes that"
            )

    def _encode(self, encoder: Encoder, entries: Sequence[Entry]) -> dict[str, Vector] | None:
        """Return the embeddings of the images that can be used, by digest."""
        found: dict[str, Vector] = {}
        with ThreadPoolExecutor(usable_cores(), thread_name_prefix="lookalike-sample") as pool:
            for start in range(0, len(entries), _BATCH):
                if self.stop():
                    return None
                load = lambda entry: _prepare(entry, encoder, self.limits)  # noqa: E731
                batch = dict(one for one in pool.map(load, entries[start : start + _BATCH]) if one)
                if batch:
                    found.update(zip(batch, encoder.encode(list(batch.values())), strict=True))
                if self.progress is not None:
                    done = min(start + _BATCH, len(entries))
                    self.progress(
                        Progress(done=done, total=len(entries), stage="measuring a sample first")
                    )
        return found


def draw(entries: Iterable[object], count: int, *, seed: int = 0) -> list[Entry]:
    """Return at most ``count`` random entries that have a file or bytes, each equally likely.

    Reservoir sampling (Vitter, Random Sampling with a Reservoir, 1985, algorithm R).
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    chosen: list[Entry] = []
    seen = 0
    for entry in entries:
        if not isinstance(entry, Entry) or not isinstance(entry.image, Path | bytes):
            continue
        seen += 1
        if len(chosen) < count:
            chosen.append(entry)
        elif (place := rng.randrange(seen)) < count:
            chosen[place] = entry
    return chosen


def _prepare(entry: Entry, encoder: Encoder, limits: images.Limits) -> tuple[str, Prepared] | None:
    """Return an image's digest and what the encoder takes; ``None`` if it cannot be used."""
    try:
        data = (
            entry.image
            if isinstance(entry.image, bytes)
            else images.read(entry.image, limits=limits)  # type: ignore[arg-type] # `draw` chose it
        )
        decoded = images.decode(data, limits=limits, at_least=encoder.decode_size)
    except ImageError:
        return None  # indexing reports it
    return images.digest(data), encoder.prepare(decoded.image)
