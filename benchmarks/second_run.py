"""What it costs to index a folder again in which nothing has changed.

    python -m benchmarks.second_run [--quick] [--json]

Compared with walking it: ``os.scandir`` down the folders in plain Python, asking for size and
modification time of every file. Once in one process (``Collection.index`` against the walk), once
as whole processes (``lookalike index`` against a Python that does nothing but walk).
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import lookalike
from benchmarks.machine import (
    Json,
    Report,
    alternate,
    arguments,
    compared,
    myntra,
    scratch,
    seconds,
    workplace,
)
from lookalike.core.protocols import Prepared
from lookalike.core.vectors import Matrix, unit_rows

# Also run as a program of its own, with the folder as its argument.
WALK = """
import os

def walk(folder):
    found = {}
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    stat = entry.stat()
                    found[entry.path] = (stat.st_size, stat.st_mtime_ns)
    return found
"""


class Stand:
    """An encoder that costs next to nothing: the second run never calls it anyway."""

    name = "stand-in"
    fingerprint = "stand-in:1"
    dim = 256
    decode_size = (16, 16)

    def prepare(self, image: Image.Image, /) -> Prepared:
        return np.asarray(image.resize((16, 16)), dtype=np.uint8)

    def encode(self, batch: Sequence[Prepared], /) -> Matrix:
        rows = np.stack(batch).astype(np.float32).mean(axis=3).reshape(len(batch), -1)
        return unit_rows(rows + 1)


def deep_tree(files: int) -> Path:
    """``files`` images of a few pixels, ten to a folder, six folders deep, all different."""
    folder = workplace() / f"deep-{files}"
    if folder.exists():
        return folder
    draft = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    for number in range(files):
        place = draft.joinpath(*f"{number // 10:05d}")
        if number % 10 == 0:
            place.mkdir(parents=True, exist_ok=True)
        colour = (number & 255, number >> 8 & 255, number >> 16 & 255)
        Image.new("RGB", (2, 2), colour).save(place / f"image-{number}.bmp")
    draft.rename(folder)
    return folder


def process(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def measure(name: str, folder: Path, rounds: int, report: Report) -> dict[str, Json]:
    """Add the two ratios of a folder to the report; return a row about it."""
    program: dict[str, object] = {}
    exec(WALK, program)  # noqa: S102 - one text, so that both ways walk alike
    walk = program["walk"]
    assert callable(walk)
    with scratch() as place:
        address = place / "collection"
        with lookalike.open(address, encoder=Stand(), create=True) as collection:
            first = collection.index(folder, format="folder")
            collection.optimize()
            count = len(collection)

            def again() -> float:
                # a new object each time: nothing is remembered but what is on disk
                with lookalike.open(address, encoder=Stand(), create=True) as fresh:
                    done = fresh.index(folder, format="folder")
                assert done.unchanged == count, done
                return done.seconds * 1000

            again()
            reference, measured = alternate(
                rounds, lambda: seconds(lambda: walk(str(folder))) * 1000, again
            )
        report.figures.append(
            compared(
                f"{name}: Collection.index",
                reference,
                measured,
                unit="ms",
                what="second index / walk",
                goal=2.0,
            )
        )
        script = Path(sys.executable).with_name("lookalike")
        ours = [str(script), "index", str(folder), "-c", f"{address}", "-q"]
        bare = [sys.executable, "-c", f"{WALK}\nimport sys\nwalk(sys.argv[1])", str(folder)]
        process(ours)
        whole_reference, whole = alternate(
            rounds, lambda: process(bare) * 1000, lambda: process(ours) * 1000
        )
        report.figures.append(
            compared(
                f"{name}: whole process",
                whole_reference,
                whole,
                unit="ms",
                what="lookalike index / python that walks",
                goal=2.0,
            )
        )
    return {
        "folder": name,
        "files": count + len(first.skipped),
        "folders": 1 + sum(len(folders) for _, folders, _ in os.walk(folder)),
        "first run s": round(first.seconds, 2),
        "µs per file": round(report.figures[-2].measured * 1000 / max(count, 1), 2),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, help="default: 11; quick: 5")
    options = parser.parse_args()
    rounds = options.rounds or (5 if options.quick else 11)
    flat = myntra(3000 if options.quick else None)
    deep = 2000 if options.quick else 20_000
    report = Report(
        name="second_run",
        question="What does indexing a folder again cost, when nothing has changed?",
        notes=[
            f"medians of {rounds} rounds in turn; files and folders in the system's cache",
            "the first run used a stand-in for the encoder, vectors of 256 values",
            flat.source,
        ],
    )
    report.tables["folders"] = [
        measure(f"{len(flat):,} files in one folder", flat.folder, rounds, report),
        measure(f"{deep:,} files, six folders deep", deep_tree(deep), rounds, report),
    ]
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
