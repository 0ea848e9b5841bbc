"""Whether `lookalike explain` names the regions that count.

    python -m benchmarks.explanations [--quick] [--json] [--pairs N]

For pairs of an image and its nearest neighbour among others, regions of the query are blurred in
several orders, a tenth, a quarter and half of them ("deletion"; Petsiuk, Das and Saenko, "RISE",
2018), or are all that is not blurred ("insertion"). An order is the truer the faster the score
falls, or rises. "named" is the order of the contributions of the encoder's map, "least" that order
reversed, "occlusion" that of the losses when each region is hidden alone; "random" is the mean of
several draws. "centre" begins in the middle, where most images have their object.
"""

import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.machine import Figure, ImageSet, Json, Report, arguments, caltech, myntra
from lookalike.analysis.explanation import Divided, explain_pair
from lookalike.analysis.explanation.contributions import settle
from lookalike.analysis.explanation.occlusion import blur, divide_by_occlusion, hide
from lookalike.core.protocols import Prepared
from lookalike.core.vectors import Vector
from lookalike.encoders import load_encoder
from lookalike.encoders.projection import ProjectedEncoder, fit_projection

SEED = 9
IMAGES = 500  # among which the nearest neighbour is sought, and on which the projection is fitted
DIM = 128
SHARES = (0.1, 0.25, 0.5)  # of the regions
DRAWS = 2  # random orders
RESAMPLES = 10_000
ORDERS = ("named", "random", "centre", "least", "occlusion")
DELETED, INSERTED = "deletion", "insertion"


@dataclass(slots=True)
class Curves:
    """Scores of all pairs: (what is done, order) → a row of scores at ``SHARES`` for each pair."""

    whole: list[float] = field(default_factory=list)
    rows: dict[tuple[str, str], list[NDArray[np.float64]]] = field(default_factory=dict)
    sums: list[float] = field(default_factory=list)  # of contributions, less the score
    encode_s: list[float] = field(default_factory=list)
    divide_s: list[float] = field(default_factory=list)


def measure(image_set: ImageSet, pairs: int) -> Curves:
    """Blur regions of ``pairs`` queries in every order, and compare with the nearest neighbour."""
    drawn = random.Random(SEED)
    paths = drawn.sample(sorted(image_set.paths()), min(IMAGES, len(image_set)))
    base = load_encoder(threads=1)
    prepared = []
    for path in paths:
        with Image.open(path) as image:
            prepared.append(base.prepare(image.convert("RGB")))
    raw = np.concatenate([base.encode(prepared[at : at + 32]) for at in range(0, len(paths), 32)])
    dim = min(DIM, len(paths) // 3)
    encoder = ProjectedEncoder(base, fit_projection(raw, dim, base=base.fingerprint))
    vectors = encoder.projection.apply(raw)
    scores = vectors @ vectors.T - 2 * np.eye(len(paths))
    curves = Curves()
    for query in drawn.sample(range(len(paths)), min(pairs, len(paths))):
        item = vectors[int(scores[query].argmax())]
        _measure_pair(encoder, prepared[query], (vectors[query], item), drawn, curves)
    return curves


def _measure_pair(
    encoder: ProjectedEncoder,
    image: Prepared,
    vectors: tuple[Vector, Vector],
    drawn: random.Random,
    curves: Curves,
) -> None:
    vector, item = vectors
    patches = encoder.patch_encoder
    assert patches is not None
    began = time.perf_counter()
    encoder.encode([image])
    middle = time.perf_counter()
    shares = patches.shares([image])[0]
    curves.divide_s.append(time.perf_counter() - middle)
    curves.encode_s.append(middle - began)
    pair = explain_pair(Divided(vector=vector, shares=settle(shares, vector)), Divided(vector=item))
    assert pair.query is not None
    curves.whole.append(pair.score)
    curves.sums.append(abs(float(pair.query.sum()) - pair.score))
    grid = pair.query.shape[0]
    count = grid * grid
    lost = divide_by_occlusion(image, encoder.encode, grid) @ item
    places = np.indices((grid, grid)).reshape(2, -1).T - (grid - 1) / 2
    named = np.argsort(-pair.query.ravel())
    orders: list[tuple[str, Sequence[int]]] = [
        ("named", named.tolist()),
        ("least", named[::-1].tolist()),
        ("occlusion", np.argsort(-lost.ravel()).tolist()),
        ("centre", sorted(range(count), key=lambda one: (np.hypot(*places[one]), drawn.random()))),
        *(("random", drawn.sample(range(count), count)) for _ in range(DRAWS)),
    ]
    blurred = blur(image)
    at = [round(share * count) for share in SHARES]
    found: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for name, order in orders:
        regions = [[divmod(place, grid) for place in order[:many]] for many in at]
        for what, whole, other in ((DELETED, image, blurred), (INSERTED, blurred, image)):
            changed = [hide(whole, other, some, grid) for some in regions]
            scores = (encoder.encode(changed) @ item).astype(np.float64)
            found.setdefault((what, name), []).append(scores)
    for key, rows in found.items():
        curves.rows.setdefault(key, []).append(np.mean(rows, axis=0, dtype=np.float64))


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by resampling the pairs."""
    chosen = np.random.default_rng(SEED).integers(
        len(differences), size=(RESAMPLES, len(differences))
    )
    low, high = np.quantile(differences[chosen].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def add(report: Report, image_set: ImageSet, curves: Curves) -> None:
    """Add what was measured on one set of images."""
    rows: list[dict[str, Json]] = []
    for what in (DELETED, INSERTED):
        random_rows = np.array(curves.rows[what, "random"])
        for name in ORDERS:
            scores = np.array(curves.rows[what, name])
            low, high = interval((scores - random_rows).mean(axis=1))
            values = dict(
                zip((f"{share:.0%}" for share in SHARES), scores.mean(axis=0).tolist(), strict=True)
            )
            rows.append(
                {
                    "what": what,
                    "order": name,
                    **{key: round(value, 3) for key, value in values.items()},
                    "against random": round(float((scores - random_rows).mean()), 3),
                    "from": round(low, 3),
                    "to": round(high, 3),
                }
            )
    report.tables[f"{image_set.name}: {len(curves.whole)} pairs"] = rows
    whole = statistics.fmean(curves.whole)
    # Both as what the score loses when a quarter of the regions is blurred.
    middle = SHARES.index(0.25)
    lost = {
        name: whole - float(np.array(curves.rows[DELETED, name])[:, middle].mean())
        for name in ("named", "random")
    }
    report.figures.append(
        Figure(
            name=f"{image_set.name}: loss by a quarter of the regions",
            ratio=lost["named"] / lost["random"],
            reference=lost["random"],
            measured=lost["named"],
            unit="of the score",
            what="named / random",
            goal=1.5,
            side="at least",
        )
    )
    report.notes.append(
        f"{image_set.name}: mean score {whole:.3f}; contributions differ from the score by at most "
        f"{max(curves.sums):.1e}; dividing an image takes "
        f"{statistics.median(curves.divide_s) / statistics.median(curves.encode_s):.2f} times as "
        "long as encoding it"
    )


def main(words: Sequence[str] | None = None) -> int:
    parser = arguments(__doc__)
    parser.add_argument("--pairs", type=int, default=40, help="pairs of each set of images")
    asked = parser.parse_args(words)
    pairs = 4 if asked.quick else asked.pairs
    report = Report(
        name="explanations", question="Does blurring the regions that are named lower the score?"
    )
    for image_set in {one.key: one for one in (caltech(), myntra(6666))}.values():
        add(report, image_set, measure(image_set, pairs))
    report.print(as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
