"""How often two different images would be removed as duplicates, and which copies are confirmed.

    python -m benchmarks.duplicates_in_detail [--pairs N] [--seed N] [--originals N] [--quick]

Hard pairs are drawn by ``examples/hard_pairs.py``: letters of one letterhead, tickets for two
seats and two dozen kinds more, half of them with a copy's change on the second. Each is compared
as before a file is removed, whatever vectors and hashes would say of it. Copies are made of real
images by the changes of the same module. Seeds below 100 were used to choose the limits: prove
with others.
"""

import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import ROOT, Figure, Json, Report, arguments, caltech, myntra
from lookalike.analysis.duplicates.confirming import SIDE_SURE, ImageView, Verdict, confirm


def view(image: Image.Image) -> ImageView:
    """The image on white and, if it has transparent parts, on black."""
    if image.mode != "RGBA":
        return ImageView(grounds=(image.convert("RGB"),))
    return ImageView(
        grounds=tuple(
            Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB")
            for ground in ("white", "black")
        )
    )


def different(pairs: int, seed: int) -> tuple[list[dict[str, Json]], float]:
    """A row for each kind of hard pair, and how many pairs were compared in a second."""
    import hard_pairs  # noqa: PLC0415 - examples/ is no package

    found: dict[str, list[Verdict]] = defaultdict(list)
    took = 0.0
    for pair in hard_pairs.hard_pairs(pairs, seed=seed):
        began = time.perf_counter()
        verdict = confirm(view(pair.first), view(pair.second), side=SIDE_SURE)
        took += time.perf_counter() - began
        found[pair.kind].append(verdict)
    rows: list[dict[str, Json]] = [
        {
            "kind": kind,
            "pairs": len(verdicts),
            "removed": sum(one.sure for one in verdicts),
            "shown as near": sum(one.same for one in verdicts),
        }
        for kind, verdicts in sorted(found.items())
    ]
    return rows, pairs / took


def copies(title: str, files: list[Path], count: int, seed: int) -> list[dict[str, Json]]:
    """A row for each change of a copy of real images."""
    import hard_pairs  # noqa: PLC0415 - examples/ is no package

    found: dict[str, Counter[str]] = defaultdict(Counter)
    order = np.random.default_rng(seed).permutation(len(files))[:count]
    for number in order.tolist():
        with Image.open(files[number]) as opened:
            whole = opened.convert("RGB")
        for change, made in hard_pairs.COPIES.items():
            verdict = confirm(view(whole), view(made(whole)), side=SIDE_SURE)
            found[change] += Counter(near=verdict.same, sure=verdict.sure)
    return [
        {
            "images": title,
            "copy": change,
            "shown as near": round(counts["near"] / len(order), 3),
            "sure": round(counts["sure"] / len(order), 3),
        }
        for change, counts in found.items()
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--pairs", type=int, help="hard pairs; 5200, or 260 with --quick")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--originals", type=int, help="of each set; 100, or 10 with --quick")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "examples"))
    pairs = options.pairs or (260 if options.quick else 5200)
    count = options.originals or (10 if options.quick else 100)
    rows, rate = different(pairs, options.seed)
    wrong = sum(int(str(row["removed"])) for row in rows)
    report = Report(
        name="duplicates_in_detail",
        question="Are different images ever removed as duplicates?",
        notes=[f"{pairs} hard pairs of seed {options.seed}, {rate:.1f} compared in a second"],
    )
    report.figures.append(
        Figure(
            name="different images that would be removed",
            ratio=wrong / pairs,
            reference=pairs,
            measured=wrong,
            unit="pairs",
            what="removed / hard pairs",
            goal=0.0,
            side="at most",
        )
    )
    report.tables = {
        "hard pairs": rows,
        "copies": [
            row
            for image_set in (caltech(), myntra())
            for row in copies(
                image_set.name,
                [image_set.folder / path for path in sorted(image_set.labels)],
                count,
                options.seed,
            )
        ],
    }
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
