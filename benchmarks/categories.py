"""What searching in two steps does to the results and to the time.

    python -m benchmarks.categories [--quick] [--all] [--json]

Some images are queries; they and their duplicates are not in the collection. A classifier is
trained on the labels of the rest. A result is right if it has the query's label. Each query is
asked three ways, from its vector, so that no encoding is measured:

- global: the ten most alike of all;
- two steps: the label is predicted, and the ten most alike of the labels that together have 0.9;
- post-filter: the global ten, of which those of the predicted label stay, five at most (as seed
  004 does): there may be none.

P@10 divides by ten whatever came back, P@5 by five.
"""

import statistics
import time
from collections.abc import Sequence

import numpy as np

import lookalike
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
)
from lookalike import Hit
from lookalike.analysis import categories
from lookalike.collection import Collection
from lookalike.core.records import Item
from lookalike.search import Encoded

K, FEW = 10, 5
_NOT_A_CLASS = "BACKGROUND_Google"


def right(hits: Sequence[Hit], label: str, k: int) -> float:
    return sum(hit.item.label == label for hit in hits[:k]) / k


def measured(
    shop: Collection, title: str, queries: Sequence[tuple[str, Encoded]]
) -> list[dict[str, Json]]:
    shares: dict[str, list[tuple[float, float]]] = {}
    took: dict[str, list[float]] = {}
    counts: dict[str, list[int]] = {}
    scopes: list[str] = []
    for number, (label, image) in enumerate(queries):
        ways = ["global", "two steps", "post-filter"]
        for way in ways[number % 3 :] + ways[: number % 3]:
            began = time.perf_counter()
            if way == "two steps":
                found = categories.search(shop, image, k=K)
                hits = list(found.hits)
                scopes.append("all" if not found.scope.labels else "category")
            elif way == "global":
                hits = shop.search(image, k=K)
            else:
                first = categories.predict(shop, image)[0].label
                hits = [hit for hit in shop.search(image, k=K) if hit.item.label == first][:FEW]
            took.setdefault(way, []).append(time.perf_counter() - began)
            shares.setdefault(way, []).append((right(hits, label, K), right(hits, label, FEW)))
            counts.setdefault(way, []).append(len(hits))
    return [
        {
            "images": title,
            "way": way,
            "queries": len(queries),
            "P@10": None if way == "post-filter" else round(float(np.mean(shares[way], 0)[0]), 4),
            "P@5": round(float(np.mean(shares[way], 0)[1]), 4),
            "median ms": round(1000 * statistics.median(took[way]), 2),
            "nothing": sum(count == 0 for count in counts[way]),
            "fewer than 5": sum(count < FEW for count in counts[way]),
            "whole collection": scopes.count("all") if way == "two steps" else None,
        }
        for way in ("global", "two steps", "post-filter")
    ]


def compare(image_set: ImageSet, count: int, report: Report) -> None:
    ids = [
        path
        for path, label in image_set.labels.items()
        if label and not path.startswith(f"{_NOT_A_CLASS}/")
    ]
    with indexed(image_set, graph=False) as source:
        vectors = source.vectors(ids)
        known = {item.id: item for item in source}
        bound = source.store.bound()
    assert bound is not None
    is_query = np.zeros(len(ids), dtype=bool)
    is_query[np.random.default_rng(7).permutation(len(ids))[:count]] = True
    queries = [
        (image_set.labels[ids[one]], Encoded(vector=vectors[one]))
        for one in np.flatnonzero(is_query).tolist()
    ]
    asked = {known[ids[one]].digest for one in np.flatnonzero(is_query).tolist()}
    kept = [
        one for one in np.flatnonzero(~is_query).tolist() if known[ids[one]].digest not in asked
    ]
    with (
        scratch() as folder,
        lookalike.open(folder / "shop", encoder=bound[0], create=True) as shop,
    ):
        shop.store.bind(encoder=bound[0], fingerprint=bound[1], dim=bound[2])
        for start in range(0, len(kept), 4096):
            some = kept[start : start + 4096]
            items = [
                Item(
                    id=ids[one],
                    digest=known[ids[one]].digest,
                    width=1,
                    height=1,
                    label=image_set.labels[ids[one]],
                )
                for one in some
            ]
            shop.store.items.upsert(items, vectors[some])
        shop.optimize()
        trained = categories.train(shop)
        rows = measured(shop, image_set.name, queries)
    report.tables.setdefault("training", []).append(
        {
            "images": image_set.name,
            "items": trained.items,
            "labels": trained.classes,
            "held out": trained.held_out,
            "seconds": round(trained.seconds, 2),
            "accuracy": trained.accuracy,
            "top 5": trained.top5,
            "macro": trained.macro_accuracy,
            "log-loss": trained.log_loss,
            "ECE": trained.ece,
            "ECE before": trained.ece_before,
        }
    )
    report.tables.setdefault("searching", []).extend(rows)
    reference, ours = rows[0]["P@10"], rows[1]["P@10"]
    assert isinstance(reference, float)
    assert isinstance(ours, float)
    report.figures.append(
        Figure(
            name=f"P@10, {image_set.name}",
            ratio=ours / reference,
            reference=reference,
            measured=ours,
            unit="P@10",
            what="two steps / global",
        )
    )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--all", action="store_true", help="Myntra: all 44,442, not 3,000")
    options = parser.parse_args()
    shop = myntra(1000 if options.quick else None if options.all else 3000)
    sets = [shop] if options.quick else [caltech(), shop]
    if len(sets) > 1 and sets[0].folder == sets[1].folder:  # drawn images
        sets.pop()
    report = Report(name="categories", question="What does searching in two steps do?")
    for image_set in sets:
        compare(image_set, min(100 if options.quick else 600, len(image_set) // 5), report)
    report.notes = sorted({one.source for one in sets})
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
