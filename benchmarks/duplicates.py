"""How many copies are found, and how many of those found are copies, against imagededup.

    python -m benchmarks.duplicates [--originals N] [--imagededup-python PATH] [--quick] [--json]

Originals are drawn from real images; of each, copies are made by stated changes, and all lie in
one folder. A copy is found when it is in its original's group. Precision is the share of the pairs
within groups that were made of one original; pairs that are copies already in the data count as
wrong ones, for both programs. imagededup runs in a process of its own, under a Python that has it
(not a dependency of ours), with its hashing methods at their default threshold of 10 bits.
"""

import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

import lookalike
from benchmarks.machine import Figure, ImageSet, Json, Report, arguments, caltech, myntra, scratch
from lookalike.analysis import duplicates

Change = Callable[[Image.Image], Image.Image]
Pair = tuple[str, str]
METHODS = ("PHash", "DHash", "WHash")
MARKED = "lookalike --marked"


def scaled(image: Image.Image, by: float) -> Image.Image:
    size = max(8, round(image.width * by)), max(8, round(image.height * by))
    return image.resize(size, Image.Resampling.LANCZOS)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Without ``share`` of the width and of the height, the same at all sides."""
    across, down = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((across, down, image.width - across, image.height - down))


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def marked(image: Image.Image) -> Image.Image:
    """A word over nine tenths of the width, white with a dark edge, seen through by two fifths."""
    over = Image.new("RGBA", image.size)
    pen = ImageDraw.Draw(over)
    size = image.height / 8
    length = pen.textlength("SAMPLE", font=ImageFont.load_default(size))
    size = min(size, size * 0.9 * image.width / length)
    font = ImageFont.load_default(size)
    at = ((image.width - pen.textlength("SAMPLE", font=font)) / 2, image.height * 0.45)
    edge = max(1, round(size / 16))
    pen.text(at, "SAMPLE", (255, 255, 255, 150), font, stroke_width=edge, stroke_fill="#00000096")
    return Image.alpha_composite(image.convert("RGBA"), over).convert("RGB")


CHANGES: dict[str, Change] = {
    "halved": lambda image: scaled(image, 0.5),
    "quality 35": lambda image: recompressed(image, 35),
    "cropped by 4 %": lambda image: cropped(image, 0.04),
    "cropped by 8 %": lambda image: cropped(image, 0.08),
    "mirrored": ImageOps.mirror,
    "turned by 90°": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 180°": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "watermarked": marked,
    "scaled, cropped, quality 60": lambda image: recompressed(
        cropped(scaled(image, 0.8), 0.06), 60
    ),
}


def make(image_set: ImageSet, count: int, folder: Path) -> int:
    """Write originals and changed duplicates as ``<original>-<change>.jpg``; return how many."""
    paths = sorted(image_set.labels)
    chosen = np.random.default_rng(11).permutation(len(paths))[:count]
    for number in chosen.tolist():
        with Image.open(image_set.folder / paths[number]) as opened:
            image = opened.convert("RGB")
        image.save(folder / f"{number:06d}-original.jpg", quality=92)
        for place, change in enumerate(CHANGES.values()):
            change(image).save(folder / f"{number:06d}-{place}.jpg", quality=92)
    return len(chosen) * (1 + len(CHANGES))


def row(
    title: str, program: str, pairs: Iterable[Pair], count: int, took: float
) -> dict[str, Json]:
    """What pairs of file names say about precision and recall."""
    every = {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}
    right = {pair for pair in every if pair[0][:6] == pair[1][:6]}
    found = Counter(
        other.split("-")[1]
        for pair in right
        for other in pair
        if any("orig" in one for one in pair)
    )
    shares: dict[str, Json] = {
        name: round(found[f"{place}.jpg"] / count, 3) for place, name in enumerate(CHANGES)
    }
    copies = sum(found[f"{place}.jpg"] for place in range(len(CHANGES)))
    return {
        "images": title,
        "program": program,
        "precision": round(len(right) / len(every), 4) if every else None,
        "recall": round(copies / (count * len(CHANGES)), 4),
        **shares,
        "s": round(took, 1),
    }


def ours(folder: Path, place: Path, *, title: str, count: int) -> list[dict[str, Json]]:
    with lookalike.open(place, create=True) as shop:
        began = time.perf_counter()
        shop.index(folder)
        indexing = time.perf_counter() - began
        plain, marked = (duplicates.find(shop, marked=marked) for marked in (False, True))
    rows = []
    for found, name in ((plain, f"lookalike (and {indexing:.0f} s to index)"), (marked, MARKED)):
        pairs = [
            pair
            for group in found.groups
            for pair in combinations(
                [group.kept.id, *(copy.item.id for copy in group.duplicates)], 2
            )
        ]
        rows.append(row(title, name, pairs, count, found.seconds))
    return rows


_THEIRS = """
import json, sys, time
from imagededup import methods
if __name__ == "__main__":
    began = time.perf_counter()
    found = getattr(methods, sys.argv[2])(verbose=False).find_duplicates(image_dir=sys.argv[1])
    print(json.dumps({"s": time.perf_counter() - began, "found": found}))
"""


def theirs(folder: Path, python: str, *, title: str, count: int) -> list[dict[str, Json]]:
    rows = []
    program = folder.parent / "theirs.py"
    program.write_text(_THEIRS, encoding="utf-8")
    for method in METHODS:
        done = subprocess.run(
            [python, str(program), str(folder), method],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
        )
        output = json.loads(done.stdout.splitlines()[-1])
        pairs = [(one, other) for one, others in output["found"].items() for other in others]
        rows.append(row(title, f"imagededup {method}", pairs, count, output["s"]))
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--originals", type=int, help="of each set; 500, or 40 with --quick")
    parser.add_argument("--imagededup-python", help="a Python that has imagededup")
    options = parser.parse_args()
    count = options.originals or (40 if options.quick else 500)
    python = options.imagededup_python or os.environ.get("IMAGEDEDUP_PYTHON")
    report = Report(
        name="duplicates",
        question="How many copies are found, and are those found copies?",
        notes=[
            f"{count} originals of each set and {len(CHANGES)} copies of each; saved at quality 92",
            "their seconds hold decoding; ours too, but not the vectors, which indexing makes",
        ],
    )
    rows: list[dict[str, Json]] = []
    for image_set in (caltech(), myntra()):
        title = image_set.name
        with scratch() as place:
            folder = place / "images"
            folder.mkdir()
            made = make(image_set, count, folder)
            print(f"{title}: {made} images", file=sys.stderr)
            mine = ours(folder, place / "shop", title=title, count=count)
            rows += mine
            if python is None:
                continue
            others = theirs(folder, python, title=title, count=count)
            rows += others
            for name in ("precision", "recall"):
                best = max(float(str(one[name])) for one in others)
                own = float(str(mine[0][name]))
                with_marks = float(str(mine[1][name]))
                report.figures.append(
                    Figure(
                        name=f"{name} on {title}",
                        ratio=own / best,
                        reference=best,
                        measured=own,
                        unit="share",
                        what="ours / the best of imagededup's",
                        goal=1.0,
                        side="at least",
                    )
                )
                report.figures.append(
                    Figure(
                        name=f"{name} on {title}, marked copies too",
                        ratio=with_marks / best,
                        reference=best,
                        measured=with_marks,
                        unit="share",
                        what="ours with --marked / the best of imagededup's",
                        goal=1.0,
                        side="at least",
                    )
                )
    report.notes.append(
        "imagededup was left out: give --imagededup-python"
        if python is None
        else "imagededup's CNN was left out: its weights are a download of their own"
    )
    report.tables = {"found": rows}
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
