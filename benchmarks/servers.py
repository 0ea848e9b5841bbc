"""The stores on servers beside the embedded one: filling, searching, what of the time is ours.

    python -m benchmarks.servers [--quick] [--items 44442] [--collection FOLDER] [--dim N] [--json]

Vectors as in ``server_recall``: of a collection in a folder (44,442 products), else drawn ones of
``--dim`` values (``--items 200000 --dim 256``). One query at a time, ten results; the stores take
turns of twenty. Means over all queries: "server ms" is what a server says that a search took
(``took``), "ours ms" the rest. Of that, "trip ms" is what the smallest request takes in the same
turn, there and back through the official client; "cpu ms" what the thread that asks computes, which
a busy machine changes least.
Servers: ``LOOKALIKE_TEST_ELASTICSEARCH``, ``LOOKALIKE_TEST_OPENSEARCH``; start them with
``scripts/engines --fast up``.
"""

import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import Figure, Json, Report, arguments, scratch, seconds
from benchmarks.search_scale import item
from benchmarks.server_recall import (
    BATCH,
    K,
    begun,
    drawn_vectors,
    enough,
    kept_vectors,
    places,
)
from lookalike.core.filters import Condition, parse
from lookalike.core.records import Item
from lookalike.core.vectors import Matrix
from lookalike.stores.embedded.store import EmbeddedStore
from lookalike.stores.servers.server import Response, Wire
from lookalike.stores.servers.store import ServerStore

QUERIES = 200
KINDS = 10  # a filter on one of them leaves a tenth
TURN = 20  # queries to one store before the next has its turn
PAUSE_S = 0.1  # before a turn: the threads of numpy's last product go on spinning for a while


class _CountingWire:
    """A wire that counts requests, and adds up what the server says that searches took."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.took_ms = 0.0
        self.requests = 0

    def request(self, method: str, path: str, *, body: bytes | None, lines: bool) -> Response:
        self.requests += 1
        response = self._wire.request(method, path, body=body, lines=lines)
        if path.partition("?")[0].endswith("search"):
            self.took_ms += response.body["took"]
        return response

    def close(self) -> None:
        self._wire.close()


def labelled(number: int) -> Item:
    return replace(item(number), label=f"kind-{number % KINDS}")


def trip(store: ServerStore) -> float:
    """Milliseconds that a request takes which asks for next to nothing."""
    return seconds(lambda: store.server.ask("HEAD", f"/{store.index}")) * 1000


def filled(store: EmbeddedStore | ServerStore, matrix: Matrix) -> float:
    """Seconds that it takes to store all rows and to make them ready for searches."""

    def fill() -> None:
        for start in range(0, len(matrix), BATCH):
            rows = matrix[start : start + BATCH]
            store.items.upsert([labelled(start + place) for place in range(len(rows))], rows)
        store.search.optimize()

    return seconds(fill)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--collection", type=Path, help="of these vectors")
    parser.add_argument("--items", type=int, default=44_442)
    parser.add_argument("--dim", type=int, default=1280, help="values of a drawn vector")
    options = parser.parse_args()
    count, queries_count = (2000, 40) if options.quick else (options.items, QUERIES)
    every = (
        kept_vectors(options.collection, count + queries_count)
        if options.collection
        else drawn_vectors(count, queries_count, dim=options.dim)
    )
    matrix, queries = every[:-queries_count], every[-queries_count:]
    report = Report(
        name="servers",
        question=f"What do servers cost with {len(matrix):,} vectors of {matrix.shape[1]} values?",
        notes=[f"{queries_count} queries; the filter leaves one item in {KINDS}"],
    )
    filling: list[dict[str, Json]] = []
    searching: list[dict[str, Json]] = []
    report.tables |= {"filling": filling, "searching": searching}
    where = places()
    with ExitStack() as stack:
        embedded = EmbeddedStore.open(stack.enter_context(scratch()) / "shop", create=True)
        stack.callback(embedded.close)
        embedded.bind(encoder="drawn", fingerprint="drawn", dim=matrix.shape[1])
        stores: dict[str, EmbeddedStore | ServerStore] = {"embedded": embedded}
        wires: dict[str, _CountingWire] = {}
        for kind, place in where.items():
            server = stack.enter_context(begun(place, matrix.shape[1], "timeout=600"))
            wires[kind] = _CountingWire(server.server._wire)  # noqa: SLF001 - to listen to it
            server.server._wire = wires[kind]  # noqa: SLF001
            stores[kind] = server
        for name, store in stores.items():
            took = filled(store, matrix)
            stamps = seconds(lambda store=store: store.items.stamps(""))  # type: ignore[misc]
            scan = seconds(lambda store=store: [*store.items.scan()])  # type: ignore[misc]
            row: dict[str, Json] = {"store": name, "items/s": round(len(matrix) / took)}
            filling.append({**row, "stamps s": round(stamps, 2), "scan s": round(scan, 2)})
            print(filling[-1], file=sys.stderr)
        medians: dict[str, float] = {}
        rights: dict[str, tuple[Condition | None, Matrix]] = {
            "all": (None, enough(matrix, queries)),
            "a tenth": (parse("label=kind-3"), enough(matrix[3::KINDS], queries)),
        }
        for among, (condition, right) in rights.items():
            rows = timed(stores, wires, queries, condition, right)
            for name, found in rows.items():
                searching.append({"store": name, "among": among, **found})
                if among == "all":
                    medians[name] = found["p50 ms"]
        report.figures += [
            Figure(
                name=f"search on {kind}",
                ratio=medians[kind] / medians["embedded"],
                reference=medians["embedded"],
                measured=medians[kind],
                unit="ms",
                what=f"{kind} / embedded",
            )
            for kind in where
        ]
    report.print(as_json=options.json)


def timed(
    stores: dict[str, EmbeddedStore | ServerStore],
    wires: dict[str, _CountingWire],
    queries: Matrix,
    where: Condition | None,
    right: Matrix,
) -> dict[str, dict[str, Any]]:
    """For each store the times of its searches, what of them is ours, and the recall."""
    times: dict[str, list[float]] = {name: [] for name in stores}
    cpu_s = dict.fromkeys(stores, 0.0)
    trips: dict[str, list[float]] = {name: [] for name in stores}
    found = dict.fromkeys(stores, 0)
    for store in stores.values():  # once before, for caches and compilers
        for query in queries[:20]:
            store.search.nearest(query[None], k=K, where=where)
    for one in wires.values():
        one.took_ms, one.requests = 0.0, 0
    for start in range(0, len(queries), TURN):
        turn = slice(start, start + TURN)
        for name, store in stores.items():
            time.sleep(PAUSE_S)
            for query, wanted in zip(queries[turn], right[turn], strict=True):
                worked, began = time.thread_time(), time.perf_counter()
                (hits,) = store.search.nearest(query[None], k=K, where=where)
                times[name].append((time.perf_counter() - began) * 1000)
                cpu_s[name] += time.thread_time() - worked
                found[name] += sum(hit.score >= wanted for hit in hits)
            if isinstance(store, ServerStore):
                asked = wires[name].requests
                trips[name] += [trip(store) for _ in range(TURN)]
                wires[name].requests = asked
    rows: dict[str, dict[str, Any]] = {}
    for name, some in times.items():
        p50, p95 = np.percentile(some, [50, 95])
        row: dict[str, Any] = {"p50 ms": round(float(p50), 2), "p95 ms": round(float(p95), 2)}
        row["recall@10"] = round(found[name] / (K * len(queries)), 4)
        if name in wires:
            ours = float(np.mean(some)) - wires[name].took_ms / len(queries)
            row["server ms"] = round(wires[name].took_ms / len(queries), 2)
            row["ours ms"] = round(ours, 2)
            row["trip ms"] = round(float(np.mean(trips[name])), 2)
            row["cpu ms"] = round(cpu_s[name] / len(queries) * 1000, 2)
            row["requests"] = round(wires[name].requests / len(queries), 2)
        rows[name] = row
    return rows


if __name__ == "__main__":
    main()
