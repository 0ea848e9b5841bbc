"""Compare encoders on a sample of a collection's own images, before it is migrated to one of them.

found = compare_encoders(shop, [load_encoder("efficientnet-lite2")])
found.trials[1].images_per_second, found.quality.evaluations[1].scores["mAP"].micro
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lookalike.analysis import evaluation
from lookalike.analysis.evaluation import Comparison
from lookalike.analysis.evaluation.query_plan import plan_queries
from lookalike.collection import Collection
from lookalike.core.arguments import checked
from lookalike.core.filters import Exists, all_of, to_condition
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import Entry, Item, Skipped
from lookalike.errors import CollectionError
from lookalike.images.limits import Limits
from lookalike.stores.embedded.store import EmbeddedStore

__all__ = ["EncoderComparison", "EncoderTrial", "compare_encoders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderTrial:
    """What an encoder costs on this machine.

    ``images_per_second`` is the rate of indexing the sample: reading, decoding and encoding.
    ``bytes_per_item`` is the size of a stored embedding of ``dim`` values.
    """

    encoder: str
    fingerprint: str
    dim: int
    images_per_second: float
    bytes_per_item: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderComparison:
    """Encoders on the same sample of ``images``: the cost and the quality of each, in one order.

    ``without_file`` items were drawn but have no file that could be encoded again. ``skipped``
    could not be used. ``interrupted`` means that ``stop`` ended it; then there is no ``quality``.
    """

    trials: tuple[EncoderTrial, ...]
    quality: Comparison | None
    images: int
    without_file: int
    skipped: tuple[Skipped, ...]
    interrupted: bool = False


@checked
def compare_encoders(
    collection: Collection,
    encoders: Sequence[Encoder],
    *,
    by: str = "label",
    where: str | None = None,
    sample: int = 1000,
    ks: Sequence[int] = (1, 5, 10),
    seed: int = 0,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> EncoderComparison:
    """Index a random sample of a collection with each encoder, and evaluate the results.

    The sample has at most ``sample`` items that have a value of ``by`` and meet ``where``. Each
    encoder indexes it into a temporary collection, with the defaults of a new one; the collection
    itself is not changed. Every image of the sample is a query. ``progress`` counts images.

    Raise ``ValueError`` without encoders or for a ``sample`` below 2, ``FilterError``,
    ``EncoderError``, and ``CollectionError`` where nothing can be evaluated.
    """
    if not encoders:
        raise ValueError("there is no encoder to compare; give one or more")
    if sample < 2:  # noqa: PLR2004 - a query and a result
        raise ValueError(f"sample is {sample}, but must be at least 2")
    condition = all_of(to_condition(where), Exists(by))
    drawn = collection.sample(sample, seed=seed, where=condition)
    if not drawn:  # says why there is nothing to evaluate
        plan_queries(
            [collection], by=by, where=where, split=None, queries=1, seed=seed, distractors=False
        )
    files = collection.files_of(drawn)
    entries = [
        _entry(item, file)
        for item, file in zip(drawn, files, strict=True)
        if file is not None and file.is_file()
    ]
    if not entries:
        raise CollectionError(
            f"none of the items with a {by} has a file that could be encoded again; "
            "encoders are compared on the images themselves"
        )
    trials: list[EncoderTrial] = []
    skipped: dict[str, Skipped] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lookalike-")))
        indexed: list[Collection] = []
        for number, encoder in enumerate(encoders):
            store = EmbeddedStore.open(folder / str(number), create=True)
            one = stack.enter_context(_collection(store, encoder, collection.limits))
            trial, bad = _try(
                one,
                encoder,
                entries,
                progress=_shifted(progress, number * len(entries), len(encoders) * len(entries)),
                stop=stop,
            )
            skipped |= {each.path: each for each in bad}
            if stop():
                break
            trials.append(trial)
            indexed.append(one)
        whole = len(indexed) == len(encoders)
        quality = (
            evaluation.compare(indexed, by=by, ks=ks, queries=None, seed=seed) if whole else None
        )
    return EncoderComparison(
        trials=tuple(trials),
        quality=quality,
        images=len(entries),
        without_file=len(drawn) - len(entries),
        skipped=tuple(skipped.values()),
        interrupted=not whole,
    )


def _collection(store: Store, encoder: Encoder, limits: Limits) -> Collection:
    return Collection(store, lambda _: encoder, limits=limits)


def _entry(item: Item, file: Path) -> Entry:
    return Entry(id=item.id, image=file, label=item.label, group=item.group, metadata=item.metadata)


def _try(
    collection: Collection,
    encoder: Encoder,
    entries: Sequence[Entry],
    *,
    progress: ProgressCallback | None,
    stop: Callable[[], bool],
) -> tuple[EncoderTrial, list[Skipped]]:
    """Index the sample, and return what that took and what could not be used."""
    blank = Image.new("RGB", (64, 64))
    encoder.encode([encoder.prepare(blank)])  # opening the encoder is not part of its rate
    began = time.perf_counter()
    report = collection.index(entries, optimize=False, progress=progress, stop=stop)
    seconds = time.perf_counter() - began
    ids = [item.id for item in collection.store.items.scan(limit=1)]
    row = collection.store.items.rows(ids)
    trial = EncoderTrial(
        encoder=encoder.name,
        fingerprint=collection.info().fingerprint or encoder.fingerprint,
        dim=int(row.shape[1]) if ids else encoder.dim,
        images_per_second=(report.indexed + report.reused) / seconds,
        bytes_per_item=row.nbytes,
    )
    return trial, list(report.skipped)


def _shifted(progress: ProgressCallback | None, before: int, total: int) -> ProgressCallback | None:
    """Return a callback that counts one encoder's images as part of all."""
    if progress is None:
        return None
    return lambda now: progress(Progress(done=before + now.done, total=total))
