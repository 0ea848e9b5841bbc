"""What a filter costs: 1 %, 10 % and 50 % of 100,000 items, against searching all of them.

    python -m benchmarks.filters [--quick] [--json]

Vectors as in ``search_scale``. A third of the metadata's fields are what shops have: a price, a
colour, a list of tags. The first query of a filter is measured separately: it asks SQLite for the
rows that meet it, which the next queries of the same filter need not; and again with the field
declared. Recall is against an exact search through the same filter by numpy.
"""

import statistics
from dataclasses import replace

import numpy as np

from benchmarks.machine import Figure, Report, arguments, scratch, seconds
from benchmarks.search_scale import BATCH, K, Size, blocks, drawn, item
from lookalike.core.filters import parse
from lookalike.core.records import Item
from lookalike.stores.embedded.store import EmbeddedStore

COLOURS = ("red", "green", "blue", "black", "white", "grey", "pink", "navy", "beige", "brown")
# `price` runs through 0 … 99 evenly, so a bound is a percentage.
FILTERS = {1: "price<1", 10: "price<10", 50: "price<50"}


def product(number: int) -> Item:
    return replace(
        item(number),
        label=f"kind-{number % 40}",
        metadata={
            "price": number * 37 % 100,
            "colour": COLOURS[number % 10],
            "tags": ["new"] if number % 5 else ["new", "sale"],
            "name": f"product {number}",
        },
    )


def main() -> None:
    parser = arguments(__doc__)
    options = parser.parse_args()
    size = Size(items=30_000 if options.quick else 100_000, dim=1280)
    report = Report(
        name="filters",
        question=f"What does a filter cost in {size.items:,} items of {size.dim} values?",
        notes=["medians of 200 queries, one at a time; the first query of each filter apart"],
    )
    rows: list[dict[str, bool | int | float | str | None]] = []
    with scratch() as folder:
        store = EmbeddedStore.open(folder / "collection", create=True)
        store.bind(encoder="drawn", fingerprint="drawn", dim=size.dim)
        for start, block in blocks(size):
            for part in range(0, len(block), BATCH):
                items = [product(start + part + n) for n in range(len(block[part : part + BATCH]))]
                store.items.upsert(items, block[part : part + BATCH])
        store.search.optimize()
        queries = drawn(size, -1, 200)
        price = np.arange(size.items) * 37 % 100
        best = {share: np.zeros((len(queries), 0)) for share in FILTERS}
        for start, block in blocks(size):
            scores = queries @ block.T  # (q, n)
            for share in FILTERS:
                meets = scores[:, price[start : start + len(block)] < share]
                best[share] = -np.sort(-np.hstack([best[share], meets]), axis=1)[:, :K]

        def ask(query: np.ndarray, text: str | None) -> list[float]:
            where = None if text is None else parse(text)
            (hits,) = store.search.nearest(query[None, :], k=K, where=where)
            return [hit.score for hit in hits]

        for _ in range(20):
            ask(queries[0], None)
        plain = statistics.median(seconds(lambda q=q: ask(q, None)) for q in queries) * 1000  # type: ignore[misc]
        for share, text in FILTERS.items():
            first = seconds(lambda text=text: ask(queries[0], text)) * 1000  # type: ignore[misc]
            took = [seconds(lambda q=q, text=text: ask(q, text)) * 1000 for q in queries]  # type: ignore[misc]
            # stored half floats move a cosine by less than 0.001
            found = [
                float(np.mean(np.array(ask(q, text)) >= best[share][n][-1] - 1e-3))
                for n, q in enumerate(queries)
            ]
            middle = statistics.median(took)
            rows.append(
                {
                    "filter": text,
                    "share %": share,
                    "first query ms": round(first, 1),
                    "p50 ms": round(middle, 3),
                    "p95 ms": round(float(np.percentile(took, 95)), 3),
                    "recall@10": round(float(np.mean(found)), 4),
                }
            )
            report.figures.append(
                Figure(
                    name=f"{share} % of the items",
                    ratio=middle / plain,
                    reference=plain,
                    measured=middle,
                    unit="ms",
                    what="filtered / unfiltered",
                    goal=3.0,
                )
            )
        # A declared field has its values in an index; a write forgets the remembered rows.
        store.search.declare("price")
        for row, text in zip(rows, FILTERS.values(), strict=True):
            took_s = seconds(lambda text=text: ask(queries[0], text))  # type: ignore[misc]
            row["first query, declared ms"] = round(took_s * 1000, 1)
        store.close()
    report.tables["filters"] = rows  # type: ignore[assignment]
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
