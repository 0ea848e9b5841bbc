"""Search in 10,000, 100,000 and a million items: time, recall, memory, size on disk.

    python -m benchmarks.search_scale [--quick] [--sizes 10000x1280 ...] [--json]

The embedded store is compared with exact search in numpy, and with the bare graphs of USearch and
FAISS, which return only keys where the store returns items. One query at a time, ten
results; the ways take turns over the same queries, which are further draws of the same process.

The vectors are drawn so that they resemble an encoder's: clusters of very unequal size in a space
of 24 dimensions, mapped at random into all dimensions, negative values cut off as in networks, and
a little noise. Their intrinsic dimension (TwoNN) is printed; that of EfficientNet-Lite0's vectors
is 19 on Caltech-101 and 17 on Myntra. Independent random vectors would make any graph look bad:
each is as far from all others as from its nearest.

Each size is filled, opened and measured by processes of their own, so that memory is the store's.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.machine import Figure, Json, Report, arguments, scratch, seconds
from lookalike import Collection, Item
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import Stamp
from lookalike.core.vectors import Matrix, Vector
from lookalike.errors import EncoderError
from lookalike.stores.embedded.store import EmbeddedStore

K = 10
BLOCK = 10_000  # rows drawn at a time
BATCH = 1000  # items an upsert
DEFAULT_SIZES = ("10000x1280", "100000x1280", "1000000x256")
QUICK_SIZES = ("10000x1280", "30000x1280")
LATENT, WITHIN, NOISE = 24, 0.6, 0.1

# A fresh process: what the imports cost, then opening, the first search and some more.
OPEN = """
import json, resource, sys, time
import numpy as np
began = time.perf_counter()
from pathlib import Path
from lookalike.stores.embedded.store import EmbeddedStore
imported = time.perf_counter()
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
queries = np.load(sys.argv[2])
start = time.perf_counter()
store = EmbeddedStore.open(Path(sys.argv[1]))
opened = time.perf_counter()
store.search.nearest(queries[:1], k=10)
first = time.perf_counter()
for row in queries[1:]:
    store.search.nearest(row[None], k=10)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"import ms": (imported - began) * 1e3, "open ms": (opened - start) * 1e3,
                  "first search ms": (first - opened) * 1e3, "grown MB": (peak - base) / 1024}))
"""


# --- vectors -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    items: int
    dim: int

    @classmethod
    def of(cls, text: str) -> "Size":
        items, _, dim = text.partition("x")
        return cls(items=int(items), dim=int(dim or 1280))

    def __str__(self) -> str:
        return f"{self.items:,} x {self.dim}"


def drawn(size: Size, block: int, count: int) -> Matrix:
    """Rows of block number ``block``: the same in every process. Queries are block -1."""
    fixed = np.random.default_rng(size.dim)
    clusters = max(50, size.items // 100)
    middles = fixed.standard_normal((clusters, LATENT), dtype=np.float32)
    mapping = fixed.standard_normal((LATENT, size.dim), dtype=np.float32) / np.float32(LATENT**0.5)
    weights = 1 / np.arange(1, clusters + 1) ** 0.8
    dice = np.random.default_rng([size.dim, size.items, block + 1])
    chosen = dice.choice(clusters, count, p=weights / weights.sum())
    places = middles[chosen] + WITHIN * dice.standard_normal((count, LATENT), dtype=np.float32)
    rows: Matrix = np.maximum(places @ mapping - np.float32(0.5), 0)
    rows += NOISE * dice.standard_normal((count, size.dim), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def blocks(size: Size) -> Iterator[tuple[int, Matrix]]:
    for number, start in enumerate(range(0, size.items, BLOCK)):
        yield start, drawn(size, number, min(BLOCK, size.items - start))


def id_of(number: int) -> str:
    return f"shelf/{number:08d}.jpg"


def item(number: int) -> Item:
    return Item(
        id=id_of(number),
        digest=f"{number:064x}",
        width=600,
        height=800,
        path=id_of(number),
        stamp=Stamp(size=40_000 + number, mtime_ns=number),
    )


def intrinsic_dimension(queries: Matrix, scores: NDArray[np.floating]) -> float:
    """TwoNN (Facco and others, 2017) from the two best cosines of each query, (q, >= 2)."""
    near = np.sqrt(np.maximum(2 - 2 * scores[:, :2], 1e-9))
    ratios = np.sort(near[:, 1] / near[:, 0])
    kept = int(0.9 * len(queries))
    x = np.log(ratios[:kept])
    y = -np.log(1 - np.arange(1, kept + 1) / len(queries))
    return float((x * y).sum() / (x * x).sum())


# --- filling -----------------------------------------------------------------------------------


def memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def peak_mb() -> float:
    """The most that this process has taken so far."""
    unit = 1024 if sys.platform == "linux" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def fill(size: Size, folder: Path) -> dict[str, Json]:
    """Fill the collection; return the rate, and by how much memory grew from the first rows on."""
    store = EmbeddedStore.open(folder, create=True)
    store.bind(encoder="drawn", fingerprint=f"drawn:{size.dim}", dim=size.dim)
    took = 0.0
    before, most = 0.0, 0.0
    for start, rows in blocks(size):
        items = [item(start + number) for number in range(len(rows))]
        before = before or memory_mb()
        for part in range(0, len(rows), BATCH):
            took += seconds(
                lambda part=part, items=items, rows=rows: store.items.upsert(  # type: ignore[misc]
                    items[part : part + BATCH], rows[part : part + BATCH]
                )
            )
            most = max(most, memory_mb())
    store.close()
    return {
        "inserted/s": round(size.items / took),
        "insert s": round(took, 1),
        "inserting grew MB": round(most - before, 1),
    }


def optimize(folder: Path) -> dict[str, Json]:
    """Build the graph, in a process that has done nothing else; return time, memory and sizes."""
    store = EmbeddedStore.open(folder)
    before = peak_mb()
    took = seconds(store.search.optimize)
    grown = peak_mb() - before
    ann_index_rows = store.facts()["ann_index_rows"]
    store.close()
    sizes = {"database MB": 0.0, "graph MB": 0.0}
    for file in folder.iterdir():
        kind = "graph MB" if file.suffix == ".usearch" else "database MB"
        sizes[kind] += file.stat().st_size / 1e6
    return {
        "graph rows": ann_index_rows,
        "optimize s": round(took, 1),
        "optimizing grew MB": round(grown, 1),
        **{name: round(value, 1) for name, value in sizes.items()},
    }


# --- measuring ---------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Way:
    """A way to search: ``ask`` returns row numbers. ``share`` of the queries are asked."""

    name: str
    ask: Callable[[Vector], Sequence[int]]
    share: float = 1.0
    build_s: float | None = None


def truth(size: Size, matrix: Matrix, queries: Matrix) -> tuple[NDArray[np.intp], Matrix]:
    """Rows of the ``K`` highest cosines and those cosines, (q, K), by blocks in numpy alone."""
    found = np.empty((len(queries), 0), np.intp)
    scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, size.items, 100_000):
        block = queries @ matrix[start : start + 100_000].T  # (q, n)
        best = np.argpartition(-block, K, axis=1)[:, :K]
        found = np.hstack([found, best + start])
        scores = np.hstack([scores, np.take_along_axis(block, best, axis=1)])
    order = np.argsort(-scores, axis=1)[:, :K]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(scores, order, axis=1)


def store_ways(size: Size, store: EmbeddedStore, queries: Matrix) -> list[Way]:
    def numbers(hits: Sequence[Any]) -> list[int]:
        return [int(hit.item.id[6:14]) for hit in hits]

    def no_encoder(_store: Store) -> Encoder:
        raise EncoderError("nothing is encoded here")

    collection = Collection(store, no_encoder)
    # `similar` asks by id: for each query some item, the same in each round
    turns = {
        row.tobytes(): id_of(int(number))
        for row, number in zip(
            queries,
            np.random.default_rng(5).integers(0, size.items, len(queries)),
            strict=True,
        )
    }
    return [
        Way(name="store.search", ask=lambda row: numbers(store.search.nearest(row[None], k=K)[0])),
        Way(
            name="collection.similar",
            ask=lambda row: numbers(collection.similar(turns[row.tobytes()], k=K)),
        ),
        Way(
            name="store.search, exact",
            ask=lambda row: numbers(store.search.nearest(row[None], k=K, exact=True)[0]),
            share=1.0 if size.items * size.dim <= 16_000_000 else 0.1,
        ),
    ]


def numpy_way(size: Size, matrix: Matrix) -> Way:
    def ask(row: Vector) -> Sequence[int]:
        scores = matrix @ row  # (n,)
        best = np.argpartition(scores, -K)[-K:]
        result: list[int] = best[np.argsort(-scores[best])].tolist()
        return result

    return Way(name="numpy, exact", ask=ask, share=1.0 if size.items <= 10_000 else 0.2)


def usearch_way(size: Size, matrix: Matrix, dtype: str) -> Way:
    from usearch.index import Index  # noqa: PLC0415 - one process of three needs it

    index: Any = Index(ndim=size.dim, metric="ip", dtype=dtype, connectivity=16, expansion_add=128)
    index.expansion_search = 128
    threads = os.cpu_count() or 1

    def build() -> None:
        for start in range(0, size.items, BLOCK):
            part = matrix[start : start + BLOCK]
            index.add(np.arange(start, start + len(part), dtype=np.uint64), part, threads=threads)

    took = seconds(build)
    return Way(
        name=f"USearch {dtype}",
        ask=lambda row: index.search(row, K).keys.astype(int).tolist(),
        build_s=took,
    )


def usearch_of_the_store(store: EmbeddedStore) -> Way:
    """The store's own graph without the store, in memory. Its keys count rows from 1."""
    from usearch.index import Index  # noqa: PLC0415 - as above

    (file,) = store.folder.glob("graph-*.usearch")
    index: Any = Index.restore(str(file))
    index.expansion_search = 128
    return Way(
        name="USearch f16",  # the same file
        ask=lambda row: (index.search(row, K).keys.astype(int) - 1).tolist(),
    )


def faiss_way(size: Size, matrix: Matrix) -> Way | None:
    try:
        import faiss  # noqa: PLC0415 - may be absent
    except ImportError:
        return None
    index = faiss.IndexHNSWFlat(size.dim, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 128
    index.hnsw.efSearch = 128
    took = seconds(lambda: index.add(matrix))
    return Way(
        name="FAISS HNSW f32",
        ask=lambda row: index.search(row[None], K)[1][0].tolist(),
        build_s=took,
    )


def timed(ways: Sequence[Way], queries: Matrix, rounds: int) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of every query in every round, by way."""
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(-1, rounds):  # the first does not count
        for way in ways[:: 1 if number % 2 else -1]:
            asked = queries[: max(10, round(way.share * len(queries)))]
            for row in asked if number >= 0 else asked[:20]:
                began = time.perf_counter()
                way.ask(row)
                if number >= 0:
                    times[way.name].append((time.perf_counter() - began) * 1000)
    return {name: np.array(some) for name, some in times.items()}


def measure(size: Size, folder: Path, *, quick: bool) -> dict[str, Json]:
    matrix = np.empty((size.items, size.dim), np.float32)
    for start, rows in blocks(size):
        matrix[start : start + len(rows)] = rows
    queries = drawn(size, -1, 100 if quick else 300)
    right, cosines = truth(size, matrix, queries)
    store = EmbeddedStore.open(folder)
    million = size.items >= 1_000_000
    ways = [*store_ways(size, store, queries), numpy_way(size, matrix)]
    if million:
        ways.append(usearch_of_the_store(store))
    else:
        ways.append(usearch_way(size, matrix, "f16"))
    if not (million and quick):
        ways.append(usearch_way(size, matrix, "f32"))
        faiss = faiss_way(size, matrix)
        ways += [faiss] if faiss else []
    times = timed(ways, queries, 2 if quick else 5)
    rows_: list[Json] = []
    for way in ways:
        asked = max(10, round(way.share * len(queries)))
        recall = None
        if way.name != "collection.similar":
            found = [
                set(way.ask(row)) & set(best)
                for row, best in zip(queries[:asked], right[:asked].tolist(), strict=True)
            ]
            recall = round(sum(map(len, found)) / (K * asked), 4)
        took = times[way.name]
        rows_.append(
            {
                "items": str(size),
                "way": way.name,
                "p50 ms": round(float(np.percentile(took, 50)), 4),
                "p95 ms": round(float(np.percentile(took, 95)), 4),
                "recall@10": recall,
                "build s": None if way.build_s is None else round(way.build_s, 1),
            }
        )
    store.close()
    return {
        "ways": rows_,
        "intrinsic dimension": round(intrinsic_dimension(queries, cosines), 1),
        "nearest cosine": round(float(np.median(cosines[:, 0])), 3),
    }


# --- all of it ---------------------------------------------------------------------------------


def child(*words: str) -> dict[str, Json]:
    """What another process of this program prints."""
    output = subprocess.check_output([sys.executable, "-m", "benchmarks.search_scale", *words])
    result: dict[str, Json] = json.loads(output)
    return result


def opening(size: Size, folder: Path) -> dict[str, Json]:
    """Medians of five fresh processes that open the collection and search it a hundred times."""
    queries = folder.parent / "queries.npy"
    np.save(queries, drawn(size, -1, 100))
    runs = [
        json.loads(subprocess.check_output([sys.executable, "-c", OPEN, folder, queries]))
        for _ in range(5)
    ]
    return {name: round(float(np.median([run[name] for run in runs])), 1) for name in runs[0]}


def figures(size: Size, ways: dict[str, dict[str, Any]], filled: dict[str, Any]) -> list[Figure]:
    ours, similar = ways["store.search"], ways["collection.similar"]
    found = [
        Figure(
            name=f"{size}: search, against {name}",
            ratio=ours["p50 ms"] / ways[name]["p50 ms"],
            reference=ways[name]["p50 ms"],
            measured=ours["p50 ms"],
            unit="ms",
            what=f"store.search / {name}",
        )
        for name in ("USearch f16", "numpy, exact")
    ]
    found.append(
        Figure(
            name=f"{size}: recall@10",
            ratio=ours["recall@10"],
            reference=1.0,
            measured=ours["recall@10"],
            unit="recall",
            what="store.search / exact",
            goal=0.99,
            side="at least",
        )
    )
    found.append(
        Figure(
            name=f"{size}: similar to an item, median",
            ratio=similar["p50 ms"],
            reference=1.0,
            measured=similar["p50 ms"],
            unit="ms",
            what="collection.similar / 1 ms",
            goal=1.0 if size.items == 100_000 else None,
        )
    )
    if filled["graph rows"] and ways["USearch f16"]["build s"]:
        found.append(
            Figure(
                name=f"{size}: building the graph",
                ratio=filled["optimize s"] / ways["USearch f16"]["build s"],
                reference=ways["USearch f16"]["build s"],
                measured=filled["optimize s"],
                unit="s",
                what="store.optimize / USearch f16 add",
            )
        )
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--sizes", nargs="+", metavar="ITEMSxDIM", type=Size.of)
    parser.add_argument("--fill", nargs=2, metavar=("SIZE", "FOLDER"), help="one step, for itself")
    parser.add_argument("--optimize", metavar="FOLDER", help="likewise")
    parser.add_argument("--measure", nargs=2, metavar=("SIZE", "FOLDER"), help="likewise")
    options = parser.parse_args()
    if options.fill:
        print(json.dumps(fill(Size.of(options.fill[0]), Path(options.fill[1]))))
        return
    if options.optimize:
        print(json.dumps(optimize(Path(options.optimize))))
        return
    if options.measure:
        size, folder = Size.of(options.measure[0]), Path(options.measure[1])
        print(json.dumps(measure(size, folder, quick=options.quick)))
        return
    default = QUICK_SIZES if options.quick else DEFAULT_SIZES
    report = Report(
        name="search_scale",
        question="How does search grow with the collection?",
        notes=[
            f"drawn vectors: {LATENT} latent dimensions, clusters of power-law sizes, some noise",
            f"one query at a time, k = {K}, files in memory, {os.cpu_count()} cores",
            "graphs: connectivity 16, 128 candidates when adding and when searching",
            "USearch and FAISS return keys, the store items and exact cosines",
        ],
    )
    every: list[dict[str, Json]] = []
    collections: list[dict[str, Json]] = []
    for size in options.sizes or [Size.of(text) for text in default]:
        with scratch() as place:
            folder = place / "collection"
            words = f"{size.items}x{size.dim}", str(folder)
            print(f"{size}: filling", file=sys.stderr)
            filled = child("--fill", *words)
            filled |= child("--optimize", str(folder))
            print(f"{size}: measuring", file=sys.stderr)
            opened = opening(size, folder)
            found = child(*(["--quick"] if options.quick else []), "--measure", *words)
        rows: Any = found.pop("ways")
        every += rows
        collections.append({"items": str(size), **filled, **opened, **found})
        report.figures += figures(size, {row["way"]: row for row in rows}, filled)
    report.tables = {"searching": every, "collections": collections}
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
