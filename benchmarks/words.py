"""Search by words without a text encoder: by the direction of a label, and by keywords.

    python -m benchmarks.words [--quick] [--json]

Half of the items keep their label, the other half has none: neither label nor id nor path. The
query is the name of a label. P@10 counts, of the first ten items without a label, those that had
it. It is at most ``possible``, for some labels have fewer than ten such items. ``labels`` is the
product's direction (Fisher's discriminant); ``mean`` is the plain mean of the label's items. Of the
labels that are called like a class of the encoder, ``classes`` is the class's row of weights, which
needs no label at all. Exact duplicates are left out.
"""

import statistics
import time
from collections.abc import Sequence

import numpy as np

import lookalike
from benchmarks.machine import ImageSet, Json, Report, arguments, caltech, indexed, myntra, scratch
from lookalike.analysis.label_directions import named_by
from lookalike.collection import Collection
from lookalike.core import settings_keys
from lookalike.core.filters import Exists, Not
from lookalike.core.records import Item
from lookalike.core.vectors import Matrix, Vector, unit_rows

K = 10
LEAST = 2  # items of a label, with it and without
_NOT_A_CLASS = "BACKGROUND_Google"
_HIDDEN = Not(Exists("label"))


def precision(shop: Collection, vector: Vector, wanted: set[str]) -> float:
    (hits,) = shop.store.search.nearest(vector[None], k=K, where=_HIDDEN)
    return sum(hit.item.id in wanted for hit in hits) / K


def name_of(label: str) -> str:
    """A label as a person would type it."""
    return label.replace("_", " ").lower()


def compare(images: ImageSet) -> list[dict[str, Json]]:
    with indexed(images, graph=False) as source:
        items = list({item.digest: item for item in source}.values())
        items = [one for one in items if images.labels.get(one.id) not in ("", None, _NOT_A_CLASS)]
        vectors = source.vectors([item.id for item in items])
        bound = source.store.bound()
        projection = source.store.settings.get(settings_keys.PROJECTION)
    assert bound is not None
    labels = [images.labels[item.id] for item in items]
    shown = np.random.default_rng(0).random(len(items)) < 0.5
    with (
        scratch() as folder,
        lookalike.open(folder / "shop", encoder=bound[0], create=True) as shop,
    ):
        if projection is not None:
            shop.store.settings.set(settings_keys.PROJECTION, projection)
        shop.store.bind(encoder=bound[0], fingerprint=bound[1], dim=bound[2])
        kept = [
            Item(
                id=f"{place:06}",
                digest=item.digest,
                width=1,
                height=1,
                label=labels[place] if shown[place] else None,
            )
            for place, item in enumerate(items)
        ]
        shop.store.items.upsert(kept, vectors)
        hidden = {
            label: {kept[one].id for one in np.flatnonzero(~shown) if labels[one] == label}
            for label in sorted(set(labels))
        }
        own = {label: np.flatnonzero(shown & (np.array(labels) == label)) for label in hidden}
        queries = [one for one in hidden if min(len(hidden[one]), len(own[one])) >= LEAST]
        return measured(
            shop,
            images.name,
            queries,
            hidden,
            {label: unit_rows(vectors[own[label]].mean(axis=0)[None])[0] for label in queries},
        )


def measured(
    shop: Collection,
    title: str,
    queries: Sequence[str],
    hidden: dict[str, set[str]],
    means: dict[str, Matrix],
) -> list[dict[str, Json]]:
    by_label: dict[str, float] = {}
    took: list[float] = []
    for label in queries:
        began = time.perf_counter()
        hits = shop.search(lookalike.Words(name_of(label)), k=K, where=_HIDDEN, text_mode="labels")
        took.append(time.perf_counter() - began)
        by_label[label] = sum(hit.item.id in hidden[label] for hit in hits) / K
    by_mean = {label: precision(shop, means[label], hidden[label]) for label in queries}
    classes = shop.class_encoder
    assert classes is not None
    by_class: dict[str, float] = {}
    for label in queries:
        named = named_by(name_of(label), classes.names, whole=True)
        if named:
            rows = classes.vectors()[[classes.names.index(one) for one in named]]
            vector = unit_rows(rows.sum(axis=0)[None])[0]
            by_class[label] = precision(shop, vector, hidden[label])

    def row(among: str, chosen: Sequence[str]) -> dict[str, Json]:
        def mean(scores: dict[str, float]) -> float | None:
            found = [scores[one] for one in chosen if one in scores]
            return round(float(np.mean(found)), 4) if len(found) == len(chosen) else None

        return {
            "images": title,
            "labels": len(chosen),
            "among": among,
            "possible": mean({one: min(len(hidden[one]), K) / K for one in chosen}),
            "P@10 labels": mean(by_label),
            "P@10 mean": mean(by_mean),
            "P@10 classes": mean(by_class),
            "median ms": round(1000 * statistics.median(took), 1),
        }

    return [row("all labels", queries), row("called like a class", [*by_class])]


def main() -> None:
    options = arguments(__doc__).parse_args()
    report = Report(
        name="words",
        question="Does a search by the name of a label find its images that have no label?",
        notes=["half of the labels hidden, by seed 0; the network is EfficientNet-Lite0"],
    )
    rows = compare(caltech())
    if not options.quick:
        rows += compare(myntra(6000))
    report.tables["P@10 by the name of a label"] = rows
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
