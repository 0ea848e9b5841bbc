"""The neighbour table: three ways to ten neighbours of an item, and what the table costs.

    python -m benchmarks.neighbours [--quick] [--json]

The three variants of an earlier system (VGG16, 1,000 to 5,000 images, means of 100 as it
published them): everything worked out again for each query (8.3 s; with its encoder, which is left
out here), saved vectors (9 ms), a saved table of all by all (4 ms). Here on 100 random items of one
collection in one run, wall time, loading apart; all three must name the same items. The vectors are
drawn as in `benchmarks.search_scale`.

That system left its labels unused. Here the lists of real images are evaluated by them: P@K is the
share of the first K neighbours that have the item's label.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.machine import (
    Figure,
    ImageSet,
    Json,
    Report,
    arguments,
    caltech,
    indexed,
    myntra,
    scratch,
    seconds,
)
from benchmarks.search_scale import Size, blocks, fill, id_of
from lookalike import Collection
from lookalike.analysis import neighbours
from lookalike.core.protocols import Encoder, Store
from lookalike.core.vectors import Matrix, cosines, unit_rows
from lookalike.errors import EncoderError
from lookalike.stores.embedded.store import EmbeddedStore

K, TABLE_K, QUERIES = 10, 50, 100
_NOT_A_CLASS = "BACKGROUND_Google"
PUBLISHED_MS = {"work out all": 8300.0, "saved vectors": 9.0, "saved table": 4.0}


def no_encoder(_store: Store) -> Encoder:
    raise EncoderError("nothing is encoded here")


def opened(folder: Path) -> Collection:
    return Collection(EmbeddedStore.open(folder), no_encoder)


def opened_new(folder: Path, dim: int) -> Collection:
    store = EmbeddedStore.open(folder, create=True)
    store.bind(encoder="copied", fingerprint="copied", dim=dim)
    return Collection(store, no_encoder)


def stored(shop: Collection) -> tuple[list[str], Matrix]:
    """All ids and vectors, read from the store."""
    some = list(shop.store.neighbours.keyed())
    rows: Matrix = np.concatenate([part.rows for part in some]).astype(np.float32)
    return [one for part in some for one in part.ids], rows


def ranked(ids: list[str], rows: Matrix, asked: str) -> list[str]:
    """The ten nearest by plain arithmetic: scores of all, ties by id, without itself."""
    scores = cosines(rows, unit_rows(rows[ids.index(asked)][None])[0])
    order = np.lexsort((np.array(ids), -scores))[: K + 1]
    return [ids[place] for place in order if ids[place] != asked][:K]


def timed(ask: Callable[[str], list[str]], asked: list[str]) -> tuple[list[float], list[list[str]]]:
    times, results = [], []
    for one in asked:
        began = time.perf_counter()
        results.append(ask(one))
        times.append((time.perf_counter() - began) * 1000)
    return times, results


def row(name: str, load_ms: float, times: list[float]) -> dict[str, Json]:
    return {
        "variant": name,
        "load ms": round(load_ms, 1),
        "mean ms": round(float(np.mean(times)), 4),
        "p50 ms": round(float(np.percentile(times, 50)), 4),
        "p95 ms": round(float(np.percentile(times, 95)), 4),
        "published ms": PUBLISHED_MS.get(name),
    }


def variants(folder: Path, asked: list[str]) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = []

    def anew(one: str) -> list[str]:
        with opened(folder) as shop:
            return ranked(*stored(shop), one)

    times, results = timed(anew, asked)
    found.append(row("work out all", 0.0, times))

    began = time.perf_counter()
    shop = opened(folder)
    shop.store.search.warm()
    load = (time.perf_counter() - began) * 1000
    table = list(shop.store.neighbours.lists(k=TABLE_K))
    shop.store.neighbours.clear()

    def by_search(one: str) -> list[str]:
        return [hit.item.id for hit in shop.similar(one, k=K, exact=True)]

    times, searched = timed(by_search, asked)
    found.append(row("saved vectors", load, times))
    times, through_graph = timed(lambda one: [hit.item.id for hit in shop.similar(one, k=K)], asked)
    found.append(row("saved vectors, graph", load, times))
    for lists in table:
        shop.store.neighbours.put(lists)
    shop.close()

    began = time.perf_counter()
    shop = opened(folder)
    shop.similar(asked[0], k=K)
    load = (time.perf_counter() - began) * 1000
    for name in ("saved table, first time", "saved table"):
        times, looked_up = timed(lambda one: [hit.item.id for hit in shop.similar(one, k=K)], asked)
        found.append(row(name, load, times))
    shop.close()

    assert results == searched, "the variants disagree"
    assert searched == looked_up, "table and exact search disagree"
    same = np.mean(
        [len(set(a) & set(b)) / K for a, b in zip(through_graph, looked_up, strict=True)]
    )
    print(f"graph against table: {same:.4f} of the ids", file=sys.stderr)
    return found


def precision(image_set: ImageSet) -> list[dict[str, Json]]:
    """P@K of the table's own lists, of all items and of the labels that do worst and best."""
    ids = [path for path, label in image_set.labels.items() if label not in (None, _NOT_A_CLASS)]
    with indexed(image_set, graph=False) as source:
        vectors, known = source.vectors(ids), source.store.items.get(ids)
    with scratch() as folder, opened_new(folder / "labelled", vectors.shape[1]) as shop:
        for start in range(0, len(ids), 4096):
            some = ids[start : start + 4096]
            items = [replace(known[one], label=image_set.labels[one]) for one in some]
            shop.store.items.upsert(items, vectors[start : start + 4096])
        neighbours.build(shop, k=TABLE_K)
        keys, labels = [0], [""]  # 0: where a list ends
        for part in shop.store.neighbours.keyed():
            keys += part.keys.tolist()
            labels += [image_set.labels[one] or "" for one in part.ids]
        names, number = np.unique(labels, return_inverse=True)
        lists = list(shop.store.neighbours.lists(k=TABLE_K))
        own = number[np.searchsorted(keys, np.concatenate([part.keys for part in lists]))]
        near = number[np.searchsorted(keys, np.concatenate([part.near for part in lists]))]
    right = (near == own[:, None]).astype(float)  # (n, K)
    by_label = {str(names[one]): right[own == one] for one in np.unique(own)}
    at = {f"P@{k}": k for k in (1, 5, 10)}
    ranked = sorted(by_label, key=lambda name: by_label[name][:, :K].mean())
    rows = [("all items", right), *((name, by_label[name]) for name in [*ranked[:3], *ranked[-3:]])]
    return [
        {
            "images": image_set.name,
            "label": name,
            "items": len(some),
            **{name: round(float(some[:, :k].mean()), 4) for name, k in at.items()},
        }
        for name, some in rows
    ]


def main() -> None:
    options = arguments(__doc__).parse_args()
    size = Size(items=10_000 if options.quick else 44_442, dim=1280)
    report = Report(
        name="neighbours",
        question="What does a table of neighbours save, and what does it cost?",
        notes=[
            f"{size} drawn vectors, ten nearest of {QUERIES} random items, {os.cpu_count()} cores",
            "published: 1,000 to 5,000 images of 4,096 values; the first with its encoder",
        ],
    )
    with scratch() as place:
        folder = place / "collection"
        fill(size, folder)
        with opened(folder) as shop:
            shop.optimize()
            build_s = seconds(lambda: neighbours.build(shop, k=TABLE_K))
            state = shop.store.neighbours.state()
            assert state.current == state.exact == size.items
            gone = [id_of(number) for number in range(0, 1000, 10)]
            _, rows = next(iter(blocks(Size(items=100, dim=1280))))
            items = [shop.get(id_of(number)) for number in range(1000, 1100)]
            shop.store.items.delete(gone)
            shop.store.items.upsert(items, rows)
            changes: list[neighbours.BuildReport] = []
            update_s = seconds(lambda: changes.append(neighbours.build(shop)))
        dice = np.random.default_rng(3)
        numbers = dice.choice(np.arange(1000, size.items), QUERIES, replace=False)
        found = variants(folder, [id_of(int(number)) for number in numbers])
    report.tables = {
        "variants": found,
        "precision by label": precision(myntra(1000) if options.quick else caltech()),
        "table": [
            {
                "items": size.items,
                "K": TABLE_K,
                "build s": round(build_s, 1),
                "MB": round(state.bytes / 1e6, 1),
                "100 removed, 100 changed: update s": round(update_s, 2),
                "lists made": changes[0].built,
                "lists changed": changes[0].merged,
            }
        ],
    }
    by_name = {str(one["variant"]): one["mean ms"] for one in found}
    for name, published in PUBLISHED_MS.items():
        ours = float(str(by_name[name]))
        report.figures.append(
            Figure(
                name=f"{name}, mean of the queries",
                ratio=published / ours,
                reference=published,
                measured=ours,
                unit="ms",
                what="published / ours",
            )
        )
    report.figures.append(
        Figure(
            name=f"building {size.items:,} x {TABLE_K}",
            ratio=build_s / 60,
            reference=60.0,
            measured=build_s,
            unit="s",
            what="ours / a minute",
            goal=1.0,
        )
    )
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
