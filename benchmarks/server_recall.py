"""How many of the true nearest each kind of server index finds, by candidates and oversampling.

    python -m benchmarks.server_recall [--quick] [--collection FOLDER] [--items 20000] [--json]

``--collection`` is a folder that the embedded store made: its vectors are read, its last ones are
the queries and stay out. Without it, vectors as in ``search_scale``. Every index is merged into one
segment first, where a graph finds least: each segment more looks at as many candidates again.
Servers: ``LOOKALIKE_TEST_ELASTICSEARCH``, ``LOOKALIKE_TEST_OPENSEARCH``; start them with
``scripts/engines --fast up``. Recall does not depend on how busy the machine is.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.machine import Json, Report, arguments, seconds
from benchmarks.search_scale import Size, blocks, drawn, item
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.stores.embedded.store import EmbeddedStore
from lookalike.stores.servers.addresses import parse_address
from lookalike.stores.servers.elasticsearch import open_elasticsearch
from lookalike.stores.servers.opensearch import open_opensearch
from lookalike.stores.servers.store import ServerStore

__all__ = ["OPEN", "begun", "drawn_vectors", "enough", "kept_vectors", "places"]

K = 10
BATCH = 1000
CANDIDATES = (50, 100, 200)
VECTORS = {
    "elasticsearch": ("int8_hnsw", "hnsw", "bbq_hnsw", "flat"),
    "opensearch": ("int8_hnsw", "hnsw"),
}
# What is compared again by full vectors, by the server or here, for the coarse ones.
OVERSAMPLE = {
    ("opensearch", "int8_hnsw"): (1, 2, 3),
    ("elasticsearch", "int8_hnsw"): (1, 2, 3),
    ("elasticsearch", "bbq_hnsw"): (1, 2, 3),
}
OPEN = {"elasticsearch": open_elasticsearch, "opensearch": open_opensearch}


def places() -> dict[str, str]:
    """Kind of server → the start of an address on it, for the servers that the environment names.

    Ends the program where it names none.
    """
    found = {
        kind: f"{kind}://{urlsplit(url).netloc}"
        for kind in OPEN
        if (url := os.environ.get(f"LOOKALIKE_TEST_{kind.upper()}"))
    }
    if not found:
        sys.exit('no servers; start some: eval "$(scripts/engines --fast up)"')
    return found


@contextmanager
def begun(place: str, dim: int, options: str) -> Iterator[ServerStore]:
    """A new collection at a place, bound to vectors of ``dim``; gone afterwards."""
    address = parse_address(f"{place}/lookalike-benchmark-{os.urandom(6).hex()}?{options}")
    store = OPEN[address.kind](address, create=True)
    try:
        store.bind(encoder="drawn", fingerprint=f"drawn:{dim}", dim=dim)
        yield store
    finally:
        for name in (address.name, f"{address.name}.lookalike"):
            store.server.ask("DELETE", f"/{name}", allow=(404,))
        store.close()


def kept_vectors(folder: Path, count: int) -> Matrix:
    """Up to ``count`` vectors of a collection, shuffled, (n, dim)."""
    store = EmbeddedStore.open(folder)
    try:
        ids = [one.id for one in store.items.scan()]
        chosen = np.random.default_rng(7).permutation(len(ids))[:count]
        return store.items.vectors([ids[one] for one in chosen])
    finally:
        store.close()


def drawn_vectors(items: int, queries: int, *, dim: int = 1280) -> Matrix:
    """Vectors as in ``search_scale``; the last ``queries`` are its queries."""
    size = Size(items=items, dim=dim)
    return np.vstack([*(rows for _, rows in blocks(size)), drawn(size, -1, queries)])


def enough(matrix: Matrix, queries: Matrix) -> Matrix:
    """The tenth highest cosine of each query (q,), by all vectors as stores keep them.

    A hit is right when it reaches that: of equal images, it does not matter which are found.
    """
    best = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(matrix), 20_000):  # 200,000 at once are 5 GB on the way
        part = matrix[start : start + 20_000].astype(np.float16).astype(np.float32)
        scores = np.hstack([best, queries @ unit_rows(part).T])  # (q, K + n)
        best = np.partition(scores, -K, axis=1)[:, -K:]  # (q, K)
    lowest: Matrix = best[:, 0]
    return lowest - np.float32(1e-5)


def recalls(
    store: ServerStore, matrix: Matrix, queries: Matrix, right: Matrix
) -> Iterator[dict[str, Json]]:
    """Fill the store; a row for each number of candidates and each oversampling."""
    address = store.address
    kind, vectors = address.kind, address.vectors or ""
    took = 0.0
    for start in range(0, len(matrix), BATCH):
        rows = matrix[start : start + BATCH]
        items = [item(start + place) for place in range(len(rows))]
        took += seconds(lambda items=items, rows=rows: store.items.upsert(items, rows))  # type: ignore[misc]
    patient = parse_address(f"{kind}://{address.hosts[0]}/{address.name}?timeout=3600&retries=0")
    merging = OPEN[kind](patient)
    merging.server.ask("POST", f"/{address.name}/_forcemerge?max_num_segments=1")
    merging.close()
    print(f"{kind} {vectors}: filled in {took:.0f} s", file=sys.stderr)
    for candidates in (0,) if vectors == "flat" else CANDIDATES:
        for oversample in OVERSAMPLE.get((kind, vectors), (0,)):
            asked = replace(
                address, candidates=candidates or 200, oversample=float(oversample or 2)
            )
            searched = OPEN[kind](asked)
            found: list[float] = []
            for start in range(0, len(queries), 50):
                results = searched.search.nearest(queries[start : start + 50], k=K)
                for hits, wanted in zip(results, right[start : start + 50], strict=True):
                    found.append(sum(hit.score >= wanted for hit in hits) / K)
            searched.close()
            row: dict[str, Json] = {"server": kind, "vectors": vectors}
            row |= {"candidates": candidates or None, "oversample": oversample or None}
            row["recall@10"] = round(float(np.mean(found)), 4)
            print(row, file=sys.stderr)
            yield row


def chosen(options: argparse.Namespace) -> tuple[Matrix, Matrix]:
    """(items, queries)"""
    items = 2000 if options.quick else options.items
    queries = 50 if options.quick else 300
    if options.collection:
        every = kept_vectors(options.collection, items + queries)
    else:
        every = drawn_vectors(items, queries)
    return every[:-queries], every[-queries:]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--collection", type=Path, help="of these vectors")
    parser.add_argument("--items", type=int, default=20_000)
    options = parser.parse_args()
    where = places()
    matrix, queries = chosen(options)
    right = enough(matrix, queries)
    report = Report(
        name="server_recall",
        question=f"Of the 10 nearest among {len(matrix):,} vectors of {matrix.shape[1]} values, "
        f"how many are found? {len(queries)} queries.",
        notes=[
            "one shard, one segment; a hit is right if its true cosine reaches the tenth highest",
            "candidates and oversample are options of the address (docs/servers.md)",
        ],
    )
    table: list[dict[str, Json]] = []
    report.tables["recall"] = table
    for kind, place in where.items():
        for vectors in VECTORS[kind]:
            with begun(place, matrix.shape[1], f"vectors={vectors}&timeout=600") as store:
                table += recalls(store, matrix, queries, right)
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
