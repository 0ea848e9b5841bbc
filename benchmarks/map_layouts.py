"""How many neighbours a map keeps, and how long it takes: our layouts, and others if installed.

    python benchmarks/map_layouts.py COLLECTION [--made 40000] [--others]

Without ``--made`` the items of the collection are laid out. With it, so many embeddings are made
from them: each between an item and one of its ten nearest neighbours, with some noise. ``--others``
also runs those of UMAP, openTSNE and pacmap that are installed.
"""

import argparse
import resource
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike.analysis.mapping.clusters import choose_count, cluster_rows
from lookalike.analysis.mapping.layout import lay_out_by_components, lay_out_by_neighbours
from lookalike.analysis.mapping.nearest import NearestItems, find_nearest_items
from lookalike.core.vectors import Matrix, unit_rows

K = 10
CHECKED = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("collection")
    parser.add_argument("--made", type=int, default=0)
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--save", help="write the embeddings to this .npy file and stop")
    chosen = parser.parse_args()
    if chosen.collection.endswith(".npy"):
        rows: Matrix = np.load(chosen.collection)
    else:
        with lookalike.open(chosen.collection) as shop:
            rows = shop.vectors([item.id for item in shop])
    if chosen.made:
        rows = make_rows(rows, chosen.made)
    if chosen.save:
        np.save(chosen.save, rows)
        return
    print(f"{len(rows):,} items of {rows.shape[1]} dimensions")
    near = timed("nearest neighbours", lambda: find_nearest_items(rows, 15))
    start = timed("components", lambda: lay_out_by_components(rows), near)
    timed("neighbours", lambda: lay_out_by_neighbours(near, start), near)
    timed("clusters", lambda: cluster_rows(rows, choose_count(len(rows))))
    for name, run in OTHERS.items() if chosen.others else ():
        try:
            began = time.monotonic()
            module = import_module(name)
            print(f"import {name}: {time.monotonic() - began:.1f} s")
        except ImportError:
            print(f"{name} is not installed")
            continue
        timed(name, lambda run=run, module=module: run(module, rows), near)  # type: ignore[misc]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


OTHERS: dict[str, Callable[[Any, Matrix], Any]] = {
    "openTSNE": lambda module, rows: module.TSNE(metric="cosine", random_state=0, n_jobs=2).fit(
        rows
    ),
    "pacmap": lambda module, rows: module.PaCMAP(distance="angular", random_state=0).fit_transform(
        rows
    ),
    "umap": lambda module, rows: module.UMAP(metric="cosine", random_state=0).fit_transform(rows),
}


def make_rows(rows: Matrix, count: int) -> Matrix:
    """Return embeddings between neighbours, (count, dim): as many kinds of them as there are."""
    generator = np.random.default_rng(0)
    near = find_nearest_items(rows, K)
    one = generator.integers(len(rows), size=count)
    other = near.places[one, generator.integers(K, size=count)]
    share = generator.uniform(0, 0.5, size=(count, 1)).astype(np.float32)
    noise = generator.normal(scale=0.3 / rows.shape[1] ** 0.5, size=(count, rows.shape[1]))
    return unit_rows(rows[one] * (1 - share) + rows[other] * share + noise.astype(np.float32))


def timed(name: str, work: Callable[[], Any], near: NearestItems | None = None) -> Any:  # noqa: ANN401 - of any layout
    began = time.monotonic()
    found = work()
    line = f"{name}: {time.monotonic() - began:.1f} s"
    if near is not None:
        line += f", keeps {share_kept(np.asarray(found), near):.3f} of the {K} nearest"
    print(line, flush=True)
    return found


def share_kept(points: NDArray[np.floating], near: NearestItems) -> float:
    """Return the share of the ten nearest neighbours that are among the ten nearest points."""
    asked = np.random.default_rng(0).choice(len(points), min(CHECKED, len(points)), replace=False)
    same = 0
    for one in asked.tolist():
        apart = ((points - points[one]) ** 2).sum(axis=1)
        apart[one] = np.inf
        same += len(np.intersect1d(np.argpartition(apart, K)[:K], near.places[one, :K]))
    return same / (len(asked) * K)


if __name__ == "__main__":
    main()
