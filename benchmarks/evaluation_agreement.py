"""Do the measures of ``lookalike evaluate`` agree with public implementations?

    pip install --target=FOLDER scikit-learn pytrec-eval-terrier
    PYTHONPATH=FOLDER python -m benchmarks.evaluation_agreement [--collection NAME] [--queries N]

Compares, query by query, with scikit-learn's ``average_precision_score`` and with trec_eval's
``map``, ``P``, ``recall``, ``success`` and ``Rprec``. Both get cosines that a plain product of
float64 vectors makes; trec_eval, which rounds scores and breaks ties its own way, gets them as
distinct ranks. Without ``--collection``, on drawn vectors. Neither package is a dependency.
"""

import argparse
import importlib
from collections.abc import Mapping

import numpy as np

from lookalike.analysis.evaluation import measures
from lookalike.config import open_collection
from lookalike.core.vectors import Matrix, unit_rows

KS = (1, 5, 10)


def drawn() -> tuple[Matrix, list[str]]:
    """2,000 vectors around 100 centres, of different spread."""
    rng = np.random.default_rng(0)
    of = rng.integers(0, 100, 2000)
    spread = rng.uniform(0.3, 2.0, (2000, 1))
    return unit_rows(rng.normal(size=(100, 64))[of] + spread * rng.normal(size=(2000, 64))), [
        str(one) for one in of
    ]


def trec_eval(
    right: Mapping[str, Mapping[str, int]], ranks: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """For each measure as we call it, query → value."""
    public = importlib.import_module("pytrec_eval")
    of = {"map": "mAP", "Rprec": "R-precision"}
    for theirs, ours in (("P", "P"), ("recall", "recall"), ("success", "R")):
        of |= {f"{theirs}_{k}": f"{ours}@{k}" for k in KS}
    upto = ",".join(map(str, KS))
    wanted = {"map", "Rprec", f"P.{upto}", f"recall.{upto}", f"success.{upto}"}
    found = public.RelevanceEvaluator(right, wanted).evaluate(ranks)
    return {
        ours: {query: values[theirs] for query, values in found.items()}
        for theirs, ours in of.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection")
    parser.add_argument("--queries", type=int, default=500)
    options = parser.parse_args()
    if options.collection:
        with open_collection(options.collection, create=False) as shop:
            labelled = [item for item in shop if item.label is not None]
            vectors = shop.vectors([item.id for item in labelled])
            labels = [item.label or "" for item in labelled]
    else:
        vectors, labels = drawn()
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    rows = np.arange(len(vectors))
    eligible = np.flatnonzero(sizes[classes] > 1)
    some = np.random.default_rng(0).permutation(eligible)[: options.queries]
    queries = np.sort(some)
    ours = measures(vectors, classes, queries, rows, ks=KS).values

    average_precision = importlib.import_module("sklearn.metrics").average_precision_score
    wide = vectors.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    sklearn: list[float] = []
    right: dict[str, dict[str, int]] = {}
    ranks: dict[str, dict[str, float]] = {}
    tied = 0
    for query in queries:
        others = np.delete(rows, query)
        scores = (wide[others] @ wide[query]).round(9)
        same = classes[others] == classes[query]
        tied += len(np.unique(scores)) < len(scores)
        sklearn.append(float(average_precision(same, scores)))
        place = np.empty(len(others))
        place[np.lexsort((others, -scores))] = np.arange(len(others), 0, -1)
        right[str(query)] = {str(one): int(is_so) for one, is_so in zip(others, same, strict=True)}
        ranks[str(query)] = {str(one): float(at) for one, at in zip(others, place, strict=True)}

    print(f"{len(queries)} queries among {len(rows)} items; equal scores in {tied} rankings")
    apart = np.abs(ours["mAP"] - sklearn)
    print(f"mAP  scikit-learn  largest difference {apart.max():.2e}")
    for name, values in trec_eval(right, ranks).items():
        theirs = np.array([values[str(query)] for query in queries])
        print(f"{name}  trec_eval  largest difference {np.abs(ours[name] - theirs).max():.2e}")


if __name__ == "__main__":
    main()
