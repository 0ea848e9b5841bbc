"""A map of a collection: where each item lies, its cluster, and how alike its neighbours are."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.mapping.clusters import (
    MOST_CLUSTERS,
    choose_count,
    cluster_rows,
    name_clusters,
)
from lookalike.analysis.mapping.layout import (
    Points,
    fit_box,
    lay_out_by_components,
    lay_out_by_neighbours,
)
from lookalike.analysis.mapping.nearest import NearestItems, find_nearest_items
from lookalike.core.arguments import check_whole, checked
from lookalike.core.filters import Condition, to_condition
from lookalike.core.progress import Progress, ProgressCallback, ignore_progress
from lookalike.core.records import Item, Note
from lookalike.core.vectors import Matrix
from lookalike.errors import ItemNotFoundError

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = [
    "LAYOUTS",
    "SAMPLE",
    "CollectionMap",
    "Layout",
    "MapCluster",
    "MapOptions",
    "MapPoint",
    "map_collection",
]

Layout: TypeAlias = Literal["neighbours", "components"]
LAYOUTS: tuple[Layout, ...] = ("neighbours", "components")
SAMPLE = 10_000
"""Items on a map, at most, unless asked otherwise."""

_FLOATS = 128_000_000  # of embeddings that are held in memory: 0.5 GB
_BATCH = 4096  # embeddings read at a time
_NEAR = 15  # neighbours that the layout joins, and …
_UNIQUE = 5  # … those that say how unique an item is
_ALIKE = 0.97  # cosine from which two items are near-identical on a map
_KEPT = 10  # neighbours that are compared to say how many a layout keeps …
_KEPT_SAMPLE = 1000  # … of so many items


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint:
    """An item on a map, by its ``id``, with its ``label``.

    ``x`` and ``y`` are in [0, 1], from the top left. ``nearest`` is the id of the most similar
    other item on the map, with its ``score`` (``None`` where there is no other). ``uniqueness`` in
    [0, 1] is 1 - the mean cosine of the five nearest; an ``outlier`` has far more of it than most.
    ``alike`` says that the nearest is an exact duplicate or has a cosine of at least 0.97.
    """

    id: str
    label: str | None
    x: float
    y: float
    cluster: int
    nearest: str | None
    score: float | None
    uniqueness: float
    outlier: bool
    alike: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCluster:
    """A cluster: its ``name`` from labels or words, how many ``items`` it has, and its middle."""

    name: str
    items: int
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionMap:
    """A map of a collection.

    ``items`` are those that meet the filter; where they are more than ``points``, these are a
    random sample without exact duplicates. ``kept`` is the share of an item's ten nearest
    neighbours that are among its ten nearest on the map (measured on up to 1,000 items); ``None``
    for fewer than 12 items. ``notes`` say why there are no items.
    """

    points: tuple[MapPoint, ...]
    clusters: tuple[MapCluster, ...]
    layout: Layout
    items: int
    kept: float | None
    seconds: float
    notes: tuple[Note, ...] = ()

    @property
    def sampled(self) -> bool:
        """Whether there are more items than points."""
        return self.items > len(self.points)


class MapOptions(TypedDict, total=False):
    """What a map is made with, beside the filter: see ``map_collection``."""

    sample: int
    clusters: int | None
    layout: Layout
    seed: int


@checked
def map_collection(
    collection: "Collection",
    *,
    where: str | Condition | None = None,
    sample: int = SAMPLE,
    clusters: int | None = None,
    layout: Layout = "neighbours",
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> CollectionMap:
    """Lay out the items of a collection, all or those that meet a filter, in two dimensions.

    More than ``sample`` items are sampled, and so are more than fit in half a gigabyte of
    embeddings. ``clusters`` is their number (1 to 24), by default the root of half the items.
    ``layout`` keeps neighbours together, or shows the two principal ``components``. The same
    ``seed`` gives the same map. Raise ``FilterError``, ``StoreError``, and ``ValueError`` for a
    number out of range.
    """
    began = time.monotonic()
    tell = ignore_progress if progress is None else progress
    check_whole("sample", sample, least=1)
    if clusters is not None:
        check_whole("clusters", clusters, least=1)
        if clusters > MOST_CLUSTERS:
            raise ValueError(f"clusters is {clusters}, but must be from 1 to {MOST_CLUSTERS}")
    condition = to_condition(where)
    total = collection.count(condition)
    bound = collection.store.bound()
    most = min(sample, max(_FLOATS // (bound[2] if bound else 1), 1))
    if not total:
        notes = collection.notes(condition)
        seconds = time.monotonic() - began
        return CollectionMap(
            points=(), clusters=(), layout=layout, items=0, kept=None, seconds=seconds, notes=notes
        )
    chosen = (
        [*collection.items(condition)]
        if total <= most
        else collection.sample(most, seed=seed, where=condition)
    )
    items, rows = _read(collection, chosen, tell)
    near = find_nearest_items(rows, _NEAR, progress=_stage(tell, "comparing", len(items)))
    start = lay_out_by_components(rows)
    points = start
    if layout == "neighbours":
        report = _stage(tell, "laying out", 100)
        points = lay_out_by_neighbours(
            near, start, seed=seed, progress=lambda share: report(round(100 * share))
        )
    points = fit_box(points)
    groups = cluster_rows(rows, clusters or choose_count(len(items)), seed=seed)
    return CollectionMap(
        points=tuple(_make_points(items, points, groups, near)),
        clusters=_make_clusters(items, points, groups),
        layout=layout,
        items=total,
        kept=_share_kept(points, near, seed),
        seconds=time.monotonic() - began,
    )


def _stage(tell: ProgressCallback, stage: str, total: int) -> Callable[[int], None]:
    return lambda done: tell(Progress(done=done, total=total, stage=stage))


def _read(
    collection: "Collection", items: Iterable[Item], tell: ProgressCallback
) -> tuple[list[Item], Matrix]:
    """Return the items that are still there, and their embeddings (n, dim)."""
    waiting = [*items]
    total = len(waiting)
    there: list[Item] = []
    parts: list[Matrix] = []
    source: Iterator[Item] = iter(waiting)
    while batch := [*islice(source, _BATCH)]:
        while batch:
            try:
                parts.append(collection.vectors([item.id for item in batch]))
                break
            except ItemNotFoundError:  # removed meanwhile
                batch = [item for item in batch if item.id in collection]
        there += batch
        tell(Progress(done=len(there), total=total, stage="reading"))
    dim = parts[0].shape[1] if parts else 1
    return there, np.concatenate(parts) if parts else np.zeros((0, dim), dtype=np.float32)


def _make_points(
    items: Sequence[Item], points: Points, groups: NDArray[np.int32], near: NearestItems
) -> Iterator[MapPoint]:
    k = near.places.shape[1]
    alone = k == 0
    mean = near.cosines[:, :_UNIQUE].mean(axis=1) if not alone else np.zeros(len(items))
    uniqueness = np.clip(1 - mean, 0, 1)
    outliers = _find_outliers(uniqueness)
    for place, item in enumerate(items):
        other = None if alone else items[int(near.places[place, 0])]
        score = None if alone else float(near.cosines[place, 0])
        yield MapPoint(
            id=item.id,
            label=item.label,
            x=float(points[place, 0]),
            y=float(points[place, 1]),
            cluster=int(groups[place]),
            nearest=None if other is None else other.id,
            score=score,
            uniqueness=float(uniqueness[place]),
            outlier=bool(outliers[place]),
            alike=other is not None
            and score is not None
            and (score >= _ALIKE or other.digest == item.digest),
        )


def _find_outliers(uniqueness: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which values lie far above the others: by Tukey's outer fence, Q3 + 1.5 IQR."""
    if len(uniqueness) < 4:  # noqa: PLR2004 - no quartiles
        return np.zeros(len(uniqueness), dtype=np.bool_)
    low, high = np.quantile(uniqueness, [0.25, 0.75])
    found: NDArray[np.bool_] = uniqueness > high + 1.5 * max(high - low, 0.01)
    return found


def _make_clusters(
    items: Sequence[Item], points: Points, groups: NDArray[np.int32]
) -> tuple[MapCluster, ...]:
    made = []
    for number, name in enumerate(name_clusters(items, groups)):
        own = points[groups == number]
        # The median lies among the items, also where a cluster has parts far away.
        x, y = np.median(own, axis=0) if len(own) else (0.5, 0.5)
        made.append(MapCluster(name=name, items=len(own), x=float(x), y=float(y)))
    return tuple(made)


def _share_kept(points: Points, near: NearestItems, seed: int) -> float | None:
    """Return the share of nearest neighbours that are nearest on the map, too."""
    count = len(points)
    if count < _KEPT + 2 or near.places.shape[1] < _KEPT:
        return None
    generator = np.random.default_rng(seed)
    asked = generator.choice(count, min(count, _KEPT_SAMPLE), replace=False)
    same = 0
    for one in asked.tolist():
        apart = ((points - points[one]) ** 2).sum(axis=1)
        apart[one] = np.inf
        on_map = np.argpartition(apart, _KEPT)[:_KEPT]
        same += len(np.intersect1d(on_map, near.places[one, :_KEPT]))
    return same / (len(asked) * _KEPT)
