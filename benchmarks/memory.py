"""Whether indexing takes more memory when there are more images, or larger ones.

    python -m benchmarks.memory [--quick] [--json]

Each case is a process of its own that indexes a folder; its resident memory is read from outside
every 50 ms. The ratio is the highest value for many images over that for few of the same kind:
1 means that memory is flat.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import (
    Figure,
    ImageSet,
    Json,
    Report,
    arguments,
    caltech,
    large_images,
    scratch,
)

# Says "ready" when all that does not depend on the images is in memory, and then "done".
PROGRAM = """
import sys
import lookalike
from PIL import Image
from lookalike.encoders import load_encoder
encoder = load_encoder()
encoder.encode([encoder.prepare(Image.new("RGB", (300, 300)))] * 64)
print("ready", flush=True)
with lookalike.open(sys.argv[1], encoder=encoder, create=True) as collection:
    report = collection.index(sys.argv[2])
assert report.indexed, report
print("done", report.indexed, report.seconds, flush=True)
"""
STEP_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Resident memory over one run, in MB: at the start of indexing, and then every 50 ms."""

    start: float
    values: list[float]
    images: int
    seconds: float

    @property
    def peak(self) -> float:
        return max(self.values)


def watched(folder: Path, collection: Path) -> Course:
    """Index ``folder`` in a process and watch its memory."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(collection), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        memory = psutil.Process(child.pid)
        values = [memory.memory_info().rss / 2**20]
        while True:
            try:
                child.wait(STEP_S)
            except subprocess.TimeoutExpired:
                values.append(memory.memory_info().rss / 2**20)
            else:
                break
        word, count, took = child.stdout.read().split()
    assert word == "done"
    return Course(
        start=values[0],
        # a process that is just ending may have given its memory back already
        values=[value for value in values if value],
        images=int(count),
        seconds=float(took),
    )


def part(image_set: ImageSet, count: int, folder: Path) -> Path:
    """Copies of ``count`` images, taken evenly from all of them."""
    paths = image_set.paths()
    for number in range(count):
        path = paths[number * len(paths) // count]
        shutil.copyfile(path, folder / f"{number}{path.suffix}")
    return folder


def variants(image_set: ImageSet, count: int, folder: Path) -> Path:
    """``count`` JPEG files of different content: the images again and again, with a comment."""
    paths = image_set.paths()
    for number in range(count):
        data = paths[number % len(paths)].read_bytes()
        text = f"copy {number}".encode()
        comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
        (folder / f"{number}.jpg").write_bytes(data[:2] + comment + data[2:])
    return folder


def main() -> None:
    options = arguments(__doc__).parse_args()
    small, large = caltech(), large_images()
    # Even the few fill the pipeline: batches of 64, cores + 3 of them ahead of the encoder.
    few, many = (448, 1344) if options.quick else (500, len(small))
    few_large, many_large = (384, 768) if options.quick else (384, 1536)
    many = min(many, len(small))
    report = Report(
        name="memory",
        question="Does indexing take more memory when there are more images?",
        notes=[
            f"resident memory, read every {STEP_S * 1000:.0f} ms from outside",
            "start: Python, the open encoder and one batch encoded",
            *{one.source for one in (small, large)},
        ],
    )
    rows: list[dict[str, Json]] = []
    for image_set, counts, make in (
        (small, (few, many), part),
        (large, (few_large, many_large), variants),
    ):
        courses = []
        for count in counts:
            with scratch() as place:
                folder = place / "images"
                folder.mkdir()
                course = watched(make(image_set, count, folder), place / "collection")
            courses.append(course)
            rows.append(
                {
                    "images": image_set.name,
                    "count": course.images,
                    "start MB": round(course.start, 1),
                    "at half MB": round(course.values[len(course.values) // 2], 1),
                    "peak MB": round(course.peak, 1),
                    "images/s": round(course.images / course.seconds, 1),
                }
            )
        report.figures.append(
            Figure(
                name=f"{image_set.name}: {counts[1]:,} against {counts[0]:,}",
                ratio=courses[1].peak / courses[0].peak,
                reference=courses[0].peak,
                measured=courses[1].peak,
                unit="MB",
                what="peak of many / peak of few",
                goal=1.1,
            )
        )
    report.tables["memory"] = rows
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
