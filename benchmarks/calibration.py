"""Whether a score can say that nothing here looks like an image.

    python -m benchmarks.calibration [--quick] [--all] [--json]

Collections are made without some images, which are then searched. *There*: their kind is in the
collection. *Not there*: classes of Caltech-101 that were held out whole, ten at a time; its
images of anything (BACKGROUND_Google); images of the other set; plain colours and noise.

- levels: how many of each reach weak, fair and strong, as `analysis.calibration` measures them.
  Of what is not there that is the false-accept rate; of what is there, 1 less it is the
  false-reject rate.
- scores: AUROC of five ways to score a query by its results, that is how often one that is there
  scores higher than one that is not.

The levels were chosen looking at the first two tens of classes; the figures are of the others.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import (
    Figure,
    ImageSet,
    Json,
    Report,
    arguments,
    caltech,
    indexed,
    large_images,
    myntra,
    scratch,
)
from benchmarks.quality import encoders
from lookalike import images
from lookalike.analysis import calibration
from lookalike.analysis.calibration import Calibration, Match
from lookalike.collection import Collection
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import Item
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.errors import EncoderError
from lookalike.stores.embedded.store import EmbeddedStore

Scores = NDArray[np.float64]

LEVELS: tuple[Match, ...] = get_args(Match)[::-1]  # weak first
_ANYTHING = "BACKGROUND_Google"
_HELD = 10  # classes at a time
_CHOSEN_ON = 2  # tens of classes that the levels were chosen on
_NEAR = 5
_SIZES = (5000, 500, 50)  # the levels of a part of the shop
_BLOCK = 500
_FEW = 5000  # items that are all compared with each other, for CSLS: 100 MB
_DRAWN = 40  # plain colours, and noises


class Gallery:
    """What is searched, with what the ways of scoring need of it."""

    def __init__(self, vectors: Matrix) -> None:
        self.vectors = vectors
        self.mean = vectors.mean(axis=0)
        self.centred = unit_rows(vectors - self.mean)
        self.nearest: Matrix | None = None  # (n,)
        if len(vectors) <= _FEW:
            alike = vectors @ vectors.T
            np.fill_diagonal(alike, -1)
            self.nearest = alike.max(axis=1)

    def scores(self, queries: Matrix) -> dict[str, Scores]:
        """Each way's score of each query, (q,)."""
        parts = [self._some(queries[n : n + _BLOCK]) for n in range(0, len(queries), _BLOCK)]
        return {way: np.concatenate([part[way] for part in parts]) for way in parts[0]}

    def _some(self, queries: Matrix) -> dict[str, Scores]:
        scores = (queries @ self.vectors.T).astype(np.float64)
        near = np.argpartition(-scores, _NEAR, axis=1)[:, :_NEAR]
        best = np.take_along_axis(scores, near, axis=1)
        centred = unit_rows(queries - self.mean) @ self.centred.T
        found = {
            "cosine": best.max(axis=1),
            "mean of five": best.mean(axis=1),
            "cosine of centred vectors": centred.max(axis=1).astype(np.float64),
            "z-score among the query's own": (best.max(axis=1) - scores.mean(axis=1))
            / scores.std(axis=1),
        }
        if self.nearest is not None:
            found["five, less the hits' own nearest (CSLS)"] = (2 * best - self.nearest[near]).mean(
                axis=1
            )
        return found


def auroc(there: Scores, apart: Scores) -> float:
    """How often one of ``there`` is higher than one of ``apart``; a tie is half."""
    below = np.searchsorted(np.sort(apart), there, side="left")
    up_to = np.searchsorted(np.sort(apart), there, side="right")
    return float((below + up_to).mean() / 2 / len(apart))


def calibrated(
    vectors: Matrix, labels: NDArray[np.str_]
) -> tuple[Calibration, tuple[float, float]]:
    """The levels of a collection of these vectors; seconds it took, by the clock and processor."""

    def none(_store: Store) -> Encoder:
        raise EncoderError("nothing is encoded here")

    with scratch() as folder:
        store = EmbeddedStore.open(folder / "shop", create=True)
        store.bind(encoder="given", fingerprint="given", dim=vectors.shape[1])
        with Collection(store, none) as shop:
            for start in range(0, len(vectors), 4096):
                some = range(start, min(start + 4096, len(vectors)))
                # vectors of copies are equal, for the encoder is the same
                store.items.upsert(
                    [
                        Item(
                            id=f"{one:06d}",
                            digest=hashlib.sha256(vectors[one].tobytes()).hexdigest(),
                            width=1,
                            height=1,
                            label=str(labels[one]),
                        )
                        for one in some
                    ],
                    vectors[some.start : some.stop],
                )
            shop.optimize()
            began, busy = time.perf_counter(), time.process_time()
            scale = calibration.calibrate(shop)
            return scale, (time.perf_counter() - began, time.process_time() - busy)


def vectors_of(
    image_set: ImageSet, encoder: str | Path | None = None
) -> tuple[Matrix, NDArray[np.str_]]:
    """Vectors (n, dim) and labels (n,) of the images that have a label."""
    with indexed(image_set, encoder=encoder, graph=False) as collection:
        known = {item.id for item in collection}
        ids = [path for path, label in image_set.labels.items() if label and path in known]
        return collection.vectors(ids), np.array([image_set.labels[one] for one in ids])


def drawn(encoder: OnnxEncoder) -> dict[str, Matrix]:
    """Vectors of plain colours and of noise."""
    rng = np.random.default_rng(0)
    made = {
        "plain colours": [
            np.full((224, 224, 3), rng.integers(0, 256, 3), dtype=np.uint8) for _ in range(_DRAWN)
        ],
        "noise": [
            rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            for side in (8, 224)
            for _ in range(_DRAWN // 2)
        ],
    }
    return {
        name: encoder.encode([encoder.prepare(images.from_array(one).image) for one in arrays])
        for name, arrays in made.items()
    }


def encode_large(large: ImageSet, encoder: OnnxEncoder) -> Matrix:
    return encoder.encode(
        [
            encoder.prepare(images.decode(images.read(path), at_least=encoder.decode_size).image)
            for path in large.paths()
        ]
    )


class Trials:
    """Queries of several kinds against several collections, and what became of them."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.scales: list[Calibration] = []
        self.passed: dict[tuple[str, bool], list[NDArray[np.bool_]]] = {}  # (q, 3)
        self.scores: dict[tuple[str, bool], list[dict[str, Scores]]] = {}

    def run(
        self, scale: Calibration, gallery: Gallery, queries: Mapping[tuple[str, bool], Matrix]
    ) -> None:
        """``queries``: (their name, whether their kind is there) → vectors."""
        self.scales.append(scale)
        least = np.array([scale.least(match) for match in LEVELS])
        for kind, vectors in queries.items():
            scores = gallery.scores(vectors)
            self.passed.setdefault(kind, []).append(scores["cosine"][:, None] >= least)
            self.scores.setdefault(kind, []).append(scores)

    def level_rows(self) -> list[dict[str, Json]]:
        rows: list[dict[str, Json]] = []
        for (name, there), parts in self.passed.items():
            passed = np.concatenate(parts)
            rows.append(
                {
                    "collection": self.title,
                    "queries": name,
                    "there": "yes" if there else "no",
                    "count": len(passed),
                    **{
                        match: round(float(share), 4)
                        for match, share in zip(LEVELS, passed.mean(axis=0), strict=True)
                    },
                }
            )
        return rows

    def score_rows(self) -> list[dict[str, Json]]:
        """AUROC within each collection, then the mean: a cosine may mean less in another one."""
        rows: list[dict[str, Json]] = []
        ways = list(next(iter(self.scores.values()))[0])
        apart = [kind for kind in self.scores if not kind[1]]
        for there in (kind for kind in self.scores if kind[1]):
            for way in ways:
                row: dict[str, Json] = {
                    "collection": self.title,
                    "there": there[0],
                    "score": way,
                }
                for other in apart:
                    parts = zip(self.scores[there], self.scores[other], strict=True)
                    row[other[0]] = round(
                        float(np.mean([auroc(yes[way], no[way]) for yes, no in parts])), 4
                    )
                rows.append(row)
        return rows

    def scale_row(self) -> dict[str, Json]:
        row: dict[str, Json] = {
            "collection": self.title,
            "collections": len(self.scales),
            "items": round(float(np.mean([scale.items for scale in self.scales]))),
        }
        for match in LEVELS:
            row[match] = round(float(np.mean([scale.least(match) for scale in self.scales])), 3)
        return row


def by_class(
    title: str,
    vectors: Matrix,
    labels: NDArray[np.str_],
    others: Mapping[tuple[str, bool], Matrix],
    folds: int,
) -> Trials:
    """Ten classes are held out whole; a fifth of the rest are queries whose kind is there."""
    trials = Trials(title)
    names = np.random.default_rng(3).permutation(np.unique(labels[labels != _ANYTHING]))
    first = _HELD * _CHOSEN_ON if len(names) >= 2 * _HELD * _CHOSEN_ON else 0
    size = min(_HELD, len(names) // 2)
    rng = np.random.default_rng(5)
    for fold in range(folds):
        held = np.isin(labels, names[first + fold * size : first + (fold + 1) * size])
        if not held.any():
            break
        rest = rng.permutation(np.flatnonzero(~held & (labels != _ANYTHING)))
        asked, kept = rest[: len(rest) // 5], np.sort(rest[len(rest) // 5 :])
        scale, _ = calibrated(vectors[kept], labels[kept])
        queries = {
            ("the classes", True): vectors[asked],
            ("held-out classes", False): vectors[held],
        }
        if (labels == _ANYTHING).any():
            queries["anything (Google)", False] = vectors[labels == _ANYTHING]
        trials.run(scale, Gallery(vectors[kept]), {**queries, **others})
    return trials


def shop_of(
    title: str,
    vectors: Matrix,
    labels: NDArray[np.str_],
    others: Mapping[tuple[str, bool], Matrix],
    report: Report,
    *,
    size: int | None,
) -> Trials:
    """A shop, or ``size`` products of it; a thousand others are queries."""
    trials = Trials(title if size is None else f"{title}: {size:,} of them")
    rest = np.random.default_rng(5).permutation(len(vectors))
    count = min(1000, len(rest) // 5)
    asked, kept = rest[:count], np.sort(rest[count:][:size])
    scale, took = calibrated(vectors[kept], labels[kept])
    trials.run(scale, Gallery(vectors[kept]), {("other products", True): vectors[asked], **others})
    report.notes.append(
        f"measuring {len(kept):,} items took {took[0]:.2f} s, {took[1]:.2f} s of processor time"
    )
    return trials


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--all", action="store_true", help="Myntra: all 44,442, not 3,000")
    options = parser.parse_args()
    report = Report(
        name="calibration", question="Can a score say that nothing here looks like an image?"
    )
    began = time.perf_counter()
    classes = caltech()
    shop = myntra(1000 if options.quick else None if options.all else 3000)
    encoder = load_encoder("efficientnet-lite0")
    odd = {(name, False): vectors for name, vectors in drawn(encoder).items()}
    vectors, labels = vectors_of(classes)
    products, kinds = vectors_of(shop)
    some = np.random.default_rng(1).permutation(len(products))[:1000]
    folds = 2 if options.quick else 8
    real = shop.folder != classes.folder  # else drawn images, the same twice
    trials = [
        by_class(
            f"{classes.name}, EfficientNet-Lite0",
            vectors,
            labels,
            {("products", False): products[some], **odd} if real else odd,
            folds,
        )
    ]
    if real:
        large = encode_large(large_images(), encoder)
        others = {
            ("large images of its products", True): large,
            ("Caltech-101", False): vectors,
            **odd,
        }
        trials += [
            shop_of(shop.name, products, kinds, others, report, size=size)
            for size in (None, *(one for one in _SIZES if one < len(products) // 2))
        ]
        if not options.quick:
            trials += [
                by_class(f"{classes.name}, {title}", *vectors_of(classes, name), {}, folds)
                for title, name in encoders().items()
                if title != "EfficientNet-Lite0"
            ]
    report.tables = {
        "levels": [one.scale_row() for one in trials],
        "share of the queries that reach a level": [
            row for one in trials for row in one.level_rows()
        ],
        "AUROC": [row for one in trials for row in one.score_rows()],
    }
    rows = trials[0].score_rows()
    cosine = rows[0]["held-out classes"]
    assert isinstance(cosine, float)
    for row in rows[1:]:
        other = row["held-out classes"]
        assert isinstance(other, float)
        report.figures.append(
            Figure(
                name=f"telling held-out classes: {row['score']}",
                ratio=other / cosine,
                reference=cosine,
                measured=other,
                unit="AUROC",
                what="this score / cosine",
            )
        )
    report.notes += sorted({classes.source, shop.source})
    report.notes.append(f"{time.perf_counter() - began:.0f} s")
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
