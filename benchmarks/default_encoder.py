"""What the default encoders find as they are indexed, and what training them further gained.

    python -m benchmarks.default_encoder [--quick] [--part report] [--json]

Images are those of classes that no training sees (``benchmarks/encoders.py``). Embeddings are
centred and projected as a new collection does it: on 128 components fitted to 1,000 of the images
(``efficientnet-lite2`` on 256, ``efficientnet-lite0`` not at all: it was the default before).
Quality is leave-one-out, with 95 % bootstrap intervals over queries; ``gain`` is the difference to
the encoder before training, on the same queries, with its interval. Time is processor time per
image on one thread, all encoders in alternation, as a ratio to ``efficientnet-lite0``.
"""

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.encoders import Images, held_out, times, vectors
from benchmarks.machine import Json, Report, arguments
from lookalike.core.vectors import Matrix
from lookalike.encoders import OnnxEncoder, find_card
from lookalike.encoders.projection import fit_projection
from lookalike.encoders.qualities import QUALITIES
from lookalike.indexing.fitting import DEFAULT_DIM, SAMPLE
from training.retrieval import PROJECTED_DIM, Score, difference, evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

_REFERENCE = "efficientnet-lite0"
_PLAIN = "efficientnet-lite2"  # at 260 px, projected to 256 dimensions
_UNTRAINED = {
    QUALITIES["balanced"]: "efficientnet-lite2-pooled",
    QUALITIES["best"]: "efficientnet-lite2-pooled-260",
}
_SMALLER = "lookalike-v1-192"  # the trained weights at the size that they were trained at
_SHOWN = 6  # results of an example
_TIMED = 8  # images in each encoder's turn


def as_indexed(rows: Matrix, *, base: str) -> Matrix:
    """Return embeddings as a new collection stores them: projected, fitted to a sample."""
    if base.startswith(f"{_REFERENCE}:"):
        return rows  # the default before there was a projection
    dim = PROJECTED_DIM if base.startswith(f"{_PLAIN}:") else DEFAULT_DIM
    sample = np.random.default_rng(0).permutation(len(rows))[:SAMPLE]
    return fit_projection(rows[sample], dim, base=base).apply(rows)


def rows_of(
    encoders: dict[str, OnnxEncoder], sets: "Sequence[Images]", time: dict[str, float]
) -> list[dict[str, Json]]:
    """Return a row of figures for each encoder and set."""
    scores: dict[tuple[str, str], Score] = {}
    for name, encoder in encoders.items():
        for one in sets:
            stored = as_indexed(vectors(encoder, one), base=encoder.fingerprint)
            scores[name, one.name] = evaluate(stored, one.labels)
    quality = {name: choice for choice, name in QUALITIES.items()}
    found: list[dict[str, Json]] = []
    for (name, images), score in scores.items():
        row: dict[str, Json] = {
            "encoder": name,
            "quality": quality.get(name, ""),
            "time": round(time[name] / time[_REFERENCE], 2),
            "images": images,
            "P@1": round(score.mean["P@1"], 4),
            "P@10": round(score.mean["P@10"], 4),
            "mAP": round(score.mean["mAP"], 4),
            "mAP from": round(score.interval["mAP"][0], 4),
            "mAP to": round(score.interval["mAP"][1], 4),
        }
        if name in _UNTRAINED and _UNTRAINED[name] != name:
            gain = difference(score, scores[_UNTRAINED[name], images])
            for key, value in zip(("gain", "gain from", "gain to"), gain, strict=True):
                row[key] = round(value, 4)
        found.append(row)
    return found


def examples_of(encoders: dict[str, OnnxEncoder], one: Images, count: int) -> list[dict[str, Json]]:
    """Return the classes of the first results of some queries, drawn at random, then and now."""
    names = (_REFERENCE, QUALITIES["balanced"])
    spaces = [
        as_indexed(vectors(encoders[name], one), base=encoders[name].fingerprint) for name in names
    ]
    found: list[dict[str, Json]] = []
    for query in np.random.default_rng(4).choice(len(one.labels), count, replace=False):
        row: dict[str, Json] = {"images": one.name, "query": one.labels[query]}
        for name, rows in zip(names, spaces, strict=True):
            best = np.argsort(-(rows @ rows[query]), kind="stable")
            hits = [one.labels[place] for place in best if place != query][:_SHOWN]
            row[name] = ", ".join(hits)
        found.append(row)
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--part", choices=("choose", "report"), default="report")
    options = parser.parse_args()
    sets = held_out(options.part, quick=options.quick)
    names = dict.fromkeys([_REFERENCE, _PLAIN, _SMALLER, *QUALITIES.values(), *_UNTRAINED.values()])
    encoders = {name: OnnxEncoder(find_card(name), device="cpu", threads=1) for name in names}
    time = times(encoders, sets[0].loaded[:_TIMED])
    report = Report(
        name="default_encoder",
        question="What do the default encoders find, and what did training gain?",
        tables={
            "as indexed": rows_of(encoders, sets, time),
            "examples": [row for one in sets for row in examples_of(encoders, one, 6)],
        },
    )
    report.notes = [
        f"{one.name}: {len(one.loaded):,} images of {len(set(one.labels))} classes" for one in sets
    ]
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
