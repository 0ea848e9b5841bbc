"""Quality against time per image: encoders, input sizes, and encoders side by side.

    python -m benchmarks.encoders [--quick] [--part report] [--card CARD.toml …] [--plot FILE]

Images are those of the classes of Caltech-101 and Myntra that no training sees and nothing is
chosen by (``training/sources.py``); where the archives are absent, drawn ones. Quality is
leave-one-out mAP and P@10 with 95 % bootstrap intervals over queries, of vectors as they are
(raw), centred, and projected on 256 components fitted on the set itself
(``training/retrieval.py``). Encoders side by side are each centred before.

Time is processor time per image on one thread, from prepared pixels to vector, as a ratio to the
default encoder at its own size: all encoders take turns on the same few images, and the median of
the rounds counts. So the figures stand on a machine that others use too, but for what shared caches
cost. Time of several encoders is the sum of theirs.

Vectors are kept in the workplace by fingerprint, so a second run only measures time again.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.machine import ROOT, SHARED, Json, Report, arguments, caltech, workplace
from lookalike.encoders import OnnxEncoder, find_card
from training.config import read_config
from training.retrieval import SPACES, Score, difference, evaluate, in_space, side_by_side
from training.sources import Reader, list_entries

if TYPE_CHECKING:
    from lookalike.core.protocols import Prepared

_REFERENCE = "lite0@224"
_SINGLE = {0: (160, 192, 224), 1: (192, 240), 2: (192, 208, 224, 260)}
_TOGETHER = (
    ("lite0@160", "lite2@192"),
    ("lite0@224", "lite1@240"),
    ("lite0@224", "lite2@224"),
    ("lite0@224", "lite2@260"),
    ("lite0@224", "lite1@240", "lite2@260"),
)
_TIMED = 8  # images in each encoder's turn
_ROUNDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """A set with labels. ``load`` is called for one image after the other."""

    name: str
    loaded: Sequence[Image.Image]
    labels: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """An encoder or several: time as a ratio to the reference, quality by set and space."""

    name: str
    time: float
    dim: int
    scores: dict[str, dict[str, Score]]


def held_out(part: str, *, quick: bool) -> list[Images]:
    """Return the sets: images of held-out classes, or drawn ones where there are no archives."""
    if not (SHARED / "data" / "myntra-small.zip").exists():
        drawn = caltech()
        loaded = [Image.open(path).convert("RGB") for path in drawn.paths()]
        return [Images(name=drawn.name, loaded=loaded, labels=list(drawn.labels.values()))]
    config = read_config(ROOT / "training" / "lite0.toml", workplace())
    data = replace(config.data, archives=str(SHARED / "data"))
    parts = ("choose", "report") if part == "both" else (part,)
    entries = [entry for entry in list_entries(data) if entry.part in parts]
    reader = Reader(SHARED / "data")
    sets = []
    for name, archive in (("Caltech", "caltech-101-sample.zip"), ("Myntra", "myntra-small.zip")):
        some = [entry for entry in entries if entry.archive == archive]
        if quick:
            some = some[:300]
        sets.append(
            Images(
                name=name,
                loaded=[reader.image(entry) for entry in some],
                labels=[entry.label for entry in some],
            )
        )
    return sets


def open_all(cards: Sequence[Path]) -> dict[str, OnnxEncoder]:
    """Return the encoders by name, ``lite0@224`` and so on, each on one thread."""
    found = {}
    for variant, sides in _SINGLE.items():
        for side in sides:
            card = find_card(f"efficientnet-lite{variant}")
            card = replace(card, input=replace(card.input, width=side, height=side))
            found[f"lite{variant}@{side}"] = OnnxEncoder(card, device="cpu", threads=1)
    for path in cards:
        card = find_card(path)
        found[card.name] = OnnxEncoder(card, device="cpu", threads=1)
    return found


def vectors(encoder: OnnxEncoder, images: Images) -> NDArray[np.float32]:
    """Return (n, dim) unit rows, from the workplace if they were computed before."""
    name = f"{encoder.fingerprint.replace(':', '-')}-{images.name}-{len(images.loaded)}.npy"
    path = workplace() / "encoders" / name
    if path.exists():
        kept: NDArray[np.float32] = np.load(path)
        return kept
    began = time.monotonic()
    rows = [encoder.encode([encoder.prepare(image)]) for image in images.loaded]
    made = np.concatenate(rows)
    path.parent.mkdir(exist_ok=True)
    np.save(path, made)
    print(f"{path.name}: {len(made) / (time.monotonic() - began):.0f} images/s", file=sys.stderr)
    return made


def times(encoders: dict[str, OnnxEncoder], sample: Sequence[Image.Image]) -> dict[str, float]:
    """Return processor seconds per image of each encoder, the median of rounds in turn."""
    prepared: dict[str, list[Prepared]] = {
        name: [encoder.prepare(image) for image in sample] for name, encoder in encoders.items()
    }
    taken: dict[str, list[float]] = {name: [] for name in encoders}
    for number in range(_ROUNDS + 1):  # the first one warms up
        for name, encoder in encoders.items():
            began = time.process_time()
            encoder.encode(prepared[name])
            if number:
                taken[name].append((time.process_time() - began) / len(sample))
    return {name: statistics.median(values) for name, values in taken.items()}


def scores_of(rows: NDArray[np.float32], labels: Sequence[str]) -> dict[str, Score]:
    return {space: evaluate(in_space(rows, space), labels) for space in SPACES}


def measure(
    encoders: dict[str, OnnxEncoder], sets: Sequence[Images], together: Sequence[Sequence[str]]
) -> list[Point]:
    made = {
        name: {images.name: vectors(encoder, images) for images in sets}
        for name, encoder in encoders.items()
    }
    seconds = times(encoders, sets[0].loaded[:_TIMED])
    print({name: f"{value * 1e3:.2f} ms" for name, value in seconds.items()}, file=sys.stderr)
    points = []
    for names in [*((name,) for name in encoders), *together]:
        rows = {
            images.name: made[names[0]][images.name]
            if len(names) == 1
            else side_by_side([made[name][images.name] for name in names], [1.0] * len(names))
            for images in sets
        }
        points.append(
            Point(
                name=" + ".join(names),
                time=sum(seconds[name] for name in names) / seconds[_REFERENCE],
                dim=sum(encoders[name].dim for name in names),
                scores={
                    images.name: scores_of(rows[images.name], images.labels) for images in sets
                },
            )
        )
        print(points[-1].name, f"{points[-1].time:.2f}", file=sys.stderr)
    return sorted(points, key=lambda point: point.time)


def read_rows(point: Point, reference: Point) -> list[dict[str, Json]]:
    """Return a row for each set and space; ``gain`` is on the same queries, with its interval."""
    return [
        {
            "images": images,
            "encoder": point.name,
            "time": round(point.time, 2),
            "dim": point.dim if space != "projected" else min(256, point.dim),
            "space": space,
            "mAP": round(score.mean["mAP"], 4),
            "mAP from": round(score.interval["mAP"][0], 4),
            "mAP to": round(score.interval["mAP"][1], 4),
            "P@10": round(score.mean["P@10"], 4),
            "P@10 from": round(score.interval["P@10"][0], 4),
            "P@10 to": round(score.interval["P@10"][1], 4),
            "P@1": round(score.mean["P@1"], 4),
            **dict(
                zip(
                    ("gain", "gain from", "gain to"),
                    (
                        round(value, 4)
                        for value in difference(score, reference.scores[images][space])
                    ),
                    strict=True,
                )
            ),
            "queries": score.queries,
            "classes": score.classes,
        }
        for images, spaces in point.scores.items()
        for space, score in spaces.items()
    ]


def frontier(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that no other beats in time and in mAP, by time."""
    best: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row["time"], -row["mAP"])):
        if not best or row["mAP"] > best[-1]["mAP"]:
            best.append(row)
    return best


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot projected mAP against time per image, a panel for each set; name the frontier."""
    import matplotlib as mpl  # noqa: PLC0415 - only for the plot

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    rows = [row for row in rows if row["space"] == "projected"]
    names = sorted({row["images"] for row in rows})
    figure, panels = plt.subplots(1, len(names), figsize=(7 * len(names), 6), squeeze=False)
    for panel, name in zip(panels[0], names, strict=True):
        some = [row for row in rows if row["images"] == name]
        for row in some:
            panel.errorbar(
                row["time"],
                row["mAP"],
                yerr=[[row["mAP"] - row["mAP from"]], [row["mAP to"] - row["mAP"]]],
                fmt="s" if "+" in row["encoder"] else "o",
                color="tab:orange" if "+" in row["encoder"] else "tab:blue",
                elinewidth=0.7,
                alpha=0.7,
            )
        best = frontier(some)
        panel.plot([row["time"] for row in best], [row["mAP"] for row in best], "k--", lw=0.8)
        for row in best:
            place = (row["time"], row["mAP"])
            panel.annotate(
                row["encoder"], place, xytext=(-6, 6), textcoords="offset points", ha="right"
            )
        panel.set(
            title=name,
            xscale="log",
            xlabel=f"processor time per image, {_REFERENCE} = 1",
            ylabel="mAP, centred and projected to 256, 95 % intervals",
        )
        panel.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
        panel.minorticks_off()
        panel.margins(x=0.25)
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--part", choices=("choose", "report", "both"), default="report")
    parser.add_argument("--card", type=Path, action="append", default=[], help="also this card")
    parser.add_argument(
        "--together", action="append", default=[], help="also these side by side: lite0@224+NAME"
    )
    parser.add_argument("--plot", type=Path, help="write a plot (PNG) there")
    options = parser.parse_args()
    sets = held_out(options.part, quick=options.quick)
    together = [*_TOGETHER, *(names.split("+") for names in options.together)]
    points = measure(open_all(options.card), sets, together)
    report = Report(
        name="encoders", question="What does better quality cost?", tables={"frontier": []}
    )
    reference = next(point for point in points if point.name == _REFERENCE)
    for point in points:
        report.tables["frontier"] += read_rows(point, reference)
    if options.plot:
        draw(report.tables["frontier"], options.plot)
    report.notes = [
        f"{images.name}: {len(images.loaded):,} images of {len(set(images.labels))} classes"
        for images in sets
    ]
    report.notes.append("time: processor time per image on one thread, ratio to " + _REFERENCE)
    report.notes.append("gain: mAP on the same queries, less that of " + _REFERENCE)
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
