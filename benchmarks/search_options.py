"""What any orientation, query expansion, diversity and re-ranking gain, and what they cost.

    python -m benchmarks.search_options [--encoder NAME] [--quick] [--json]

The collections are indexed with the defaults. A query is an item, left out of its own results, or a
distorted image of one, whose original is to come first (R@1, R@10). mAP is over the whole ranking;
right is what has the query's label. Query expansion and diversity are computed with the code's own
functions from the stored embeddings, orientations are encoded as a search encodes them, and times
are those of whole searches by a file, in alternation.

Re-ranking is not an option of lookalike (docs/decisions/0041-search-options.md). It is measured on
a sample: the positions of the encoder's last map (7 x 7), centred and projected on 128 components,
compared in both ways, and added to the score of the best 100.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import Figure, Json, Report, arguments, caltech, indexed, myntra
from benchmarks.reranking import reranking
from benchmarks.retrieval import Indexed, Quality, Scores, prepare, rank_of, ranked, recall
from benchmarks.robustness import blur, compress, crop, light, mirror
from lookalike import QueryPart
from lookalike.core.vectors import Matrix, Vector
from lookalike.encoders.qualities import DEFAULT_ENCODER
from lookalike.images.turning import ORIENTATIONS, turn
from lookalike.search import encode_turned
from lookalike.search.directions import Directions
from lookalike.search.diversity import diversify, pool_size
from lookalike.search.expansion import expand

_TEN = 10
_QUERIES = 1000  # of query expansion, at most twice as many
_NEIGHBOURS = (1, 3, 5, 10)
_DIVERSITIES = (0.0, 0.1, 0.2, 0.3, 0.5)
Change = Callable[[Image.Image], Image.Image]
DISTORTIONS: Mapping[str, Change] = {
    "cropped to 55 %": lambda image: crop(image, 0.55),
    "blurred": lambda image: blur(image, 0.02),
    "quality 15": lambda image: compress(image, 15),
}
VIEWS: Mapping[str, Change] = {
    "cropped": lambda image: crop(image, 0.85),
    "quality 40": lambda image: compress(image, 40),
    "lighter": lambda image: light(image, 1.5),
    "mirrored": lambda image: mirror(image, 1),
}


# --- options -------------------------------------------------------------------------------------


def expansion(of: Indexed, distorted: Mapping[str, Matrix]) -> list[dict[str, Json]]:
    def scores(query: Vector, count: int, own: int | None) -> Scores:
        plain = Directions.of(query)
        first = plain.scores(of.vectors)
        if not count:
            return first
        near = [one for one in ranked(first)[: count + 1].tolist() if one != own][:count]
        return expand(plain, of.vectors[near]).scores(of.vectors)

    rows: list[dict[str, Json]] = []
    base = Quality.empty()
    for count in (0, *_NEIGHBOURS):
        found = Quality.empty() if count else base
        for place in of.queries[:: max(len(of.queries) // _QUERIES, 1)]:
            order = ranked(scores(of.vectors[place], count, place))
            found.add(order, place, of.labels)
        ranks = {
            name: [
                rank_of(scores(query, count, None), place)
                for query, place in zip(queries, of.sample, strict=True)
            ]
            for name, queries in distorted.items()
        }
        rows.append(
            {"images": of.title, "expand": count, **found.row(base)}
            | {f"R@1 {name}": recall(each)["R@1"] for name, each in ranks.items()}
        )
    return rows


def orientations(of: Indexed) -> list[dict[str, Json]]:
    """Queries upright, and turned or mirrored, one of the seven after the other."""
    plain = {True: Quality.empty(), False: Quality.empty()}
    every = {True: Quality.empty(), False: Quality.empty()}
    ranks: dict[tuple[bool, bool], list[int]] = {}
    for number, place in enumerate(of.sample):
        image = of.load(place)
        for upright in (True, False):
            shown = image if upright else turn(image, ORIENTATIONS[1 + number % 7])
            encoded = encode_turned(of.shop, QueryPart(source=shown))
            assert encoded.orientations is not None
            one = Directions.of(encoded.vector)
            eight = Directions(encoded.orientations, (1.0,) * len(ORIENTATIONS))
            for found, directions in ((plain, one), (every, eight)):
                scores = directions.scores(of.vectors)
                found[upright].add(ranked(scores), place, of.labels)
                ranks.setdefault((found is every, upright), []).append(rank_of(scores, place))
    return [
        {
            "images": of.title,
            "queries": "upright" if upright else "turned, mirrored",
            "any_orientation": any_orientation,
            **(every if any_orientation else plain)[upright].row(plain[upright]),
            **recall(ranks[any_orientation, upright]),
        }
        for upright in (True, False)
        for any_orientation in (False, True)
    ]


def diversity(of: Indexed) -> list[dict[str, Json]]:
    """Each image of the sample five times in the collection: how many differ among ten?"""
    loaded = [of.load(place) for place in of.sample]
    views = [of.encode([change(image) for image in loaded]) for change in VIEWS.values()]
    vectors = np.concatenate([of.vectors, *views])
    origins = np.concatenate([np.arange(len(of.ids)), *[np.array(of.sample)] * len(views)])
    labels = of.labels[origins]
    rows: list[dict[str, Json]] = []
    for share in _DIVERSITIES:
        distinct, right, alike = [], [], []
        for place in of.sample:
            scores = Directions.of(vectors[place]).scores(vectors)
            order = ranked(scores)
            pool = order[order != place][: pool_size(_TEN)]
            chosen = pool[diversify(vectors[pool], scores[pool], share, _TEN)]
            distinct.append(len({*origins[chosen].tolist()}))
            right.append(float((labels[chosen] == of.labels[place]).mean()))
            cosines = vectors[chosen] @ vectors[chosen].T
            alike.append(float((cosines.sum() - _TEN) / (_TEN * (_TEN - 1))))
        rows.append(
            {
                "images": of.title,
                "diversity": share,
                "different images among ten": round(statistics.mean(distinct), 2),
                "P@10": round(statistics.mean(right), 4),
                "mean cosine among ten": round(statistics.mean(alike), 3),
            }
        )
    return rows


def times(of: Indexed, rounds: int) -> list[dict[str, Json]]:
    """Milliseconds of a whole search by a file, ten results; medians, in alternation."""
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "any_orientation": {"any_orientation": True},
        "expand=5": {"expand": 5},
        "diversity=0.3": {"diversity": 0.3},
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first one warms up
        path = of.folder.folder / of.ids[of.sample[number % len(of.sample)]]
        for name, options in ways.items():
            began = time.perf_counter()
            of.shop.search(path, k=_TEN, **options)
            if number:
                took[name].append(1000 * (time.perf_counter() - began))
    base = statistics.median(took["plain"])
    return [
        {
            "images": of.title,
            "search": name,
            "ms": round(statistics.median(each), 2),
            "ratio": round(statistics.median(each) / base, 2),
        }
        for name, each in took.items()
    ]


# --- all of it -----------------------------------------------------------------------------------


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--encoder", help="a name; that of a new collection if none is given")
    options = parser.parse_args()
    count = 30 if options.quick else 120
    sets = [myntra(1000)] if options.quick else [caltech(), myntra(3000)]
    if len(sets) > 1 and sets[0].folder == sets[1].folder:  # drawn images
        sets.pop()
    report = Report(name="search_options", question="What do search options gain, at what cost?")
    tables: dict[str, list[dict[str, Json]]] = {}
    for image_set in sets:
        with indexed(image_set, encoder=options.encoder, graph=False) as shop:
            of = prepare(image_set, shop, count)
            loaded = [of.load(place) for place in of.sample]
            distorted = {
                name: of.encode([change(image) for image in loaded])
                for name, change in DISTORTIONS.items()
            }
            for name, rows in {
                "any_orientation": orientations(of),
                "expand": expansion(of, distorted),
                "diversity": diversity(of),
                "time of a search": times(of, count // 6),
                "re-ranking, not an option": reranking(
                    of, options.encoder or DEFAULT_ENCODER, distorted, DISTORTIONS, 5 * count
                ),
            }.items():
                tables.setdefault(name, []).extend(rows)
    for name, chosen in (("any_orientation", True), ("expand", 5)):
        for row in tables[name]:
            if row[name] == chosen and row.get("queries") != "upright":
                before = float(str(row["mAP"])) - float(str(row["gain"]))
                title = f"{name}={chosen}, {row['images']}"
                report.figures.append(_figure(title, before, row["mAP"]))
    report.tables = tables
    report.notes = [
        *sorted({one.source for one in sets}),
        f"encoder {options.encoder or DEFAULT_ENCODER}; {count} images of each set distorted",
    ]
    report.print(as_json=options.json)


def _figure(name: str, before: float, after: Json) -> Figure:
    measured = float(str(after))
    return Figure(
        name=name,
        ratio=measured / before,
        reference=before,
        measured=measured,
        unit="mAP",
        what="with the option / without",
    )


if __name__ == "__main__":
    main()
