"""How long reading a large catalogue takes, and whether its memory is flat.

    python -m benchmarks.catalogues [--quick] [--json]

Files in the shapes of iMaterialist are drawn up: Product 2019 with 1,011,532 entries, and
Furniture 2018 with 200,000 and their annotations. The references are ``json.load`` of the same
file, which makes no entries, and bare ``ijson.items``, which makes none either. Each reading is a
process of its own; its resident memory is read from outside.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.machine import (
    Figure,
    Json,
    Report,
    alternate,
    arguments,
    compared,
    scratch,
)

# Reads the file in argv[1] in one way, and says how many entries and seconds.
PROGRAM = """
import sys, time
from pathlib import Path
path = Path(sys.argv[1])
{imports}
start = time.perf_counter()
count = {work}
print(count, time.perf_counter() - start, flush=True)
"""
READER = PROGRAM.format(
    imports="from lookalike.sources.catalogues.imaterialist import IMaterialist\nimport ijson",
    work='sum(not hasattr(one, "reason") for one in IMaterialist(path).entries())',
)
JSON_LOAD = PROGRAM.format(
    imports="import json", work='len(json.loads(path.read_bytes())["images"])'
)
BARE = PROGRAM.format(
    imports="import ijson", work='sum(1 for _ in ijson.items(path.open("rb"), "images.item"))'
)
STEP_S = 0.01
PRODUCTS, FEW_PRODUCTS = 1_011_532, 100_000  # train.json of 2019 has as many
FURNITURE = 200_000
ROUNDS = 3


def products(count: int) -> Iterator[str]:
    """A file in the shape of Product 2019, in pieces."""
    yield '{"images":['
    for number in range(count):
        url = f"http://img.example.org/items/{number * 7919 % 1_000_003}/{number:x}.jpg"
        one = {"id": f"{number * 2_654_435_761:032x}.jpg", "url": url, "class": number % 2019}
        yield ("," if number else "") + json.dumps(one, separators=(",", ":"))
    yield "]}"


def furniture(count: int) -> Iterator[str]:
    """A file in the shape of Furniture 2018, in pieces."""
    yield '{"images":['
    for number in range(1, count + 1):
        one = {"image_id": number, "url": [f"https://img.example.org/jfs/t{number:x}/a.jpg"]}
        yield ("," if number > 1 else "") + json.dumps(one)
    yield '],"annotations":['
    for number in range(1, count + 1):
        yield ("," if number > 1 else "")
        yield json.dumps({"image_id": number, "label_id": number % 128 + 1})
    yield "]}"


def written(path: Path, pieces: Iterator[str]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(pieces)
    return path


@dataclass(slots=True, kw_only=True)
class Way:
    """A way to read a file, each time in a process of its own; the peak is that of all times."""

    name: str
    program: str
    path: Path
    count: int
    peak: float = 0.0  # MB of resident memory
    times: list[float] = field(default_factory=list)

    def read(self) -> float:
        """Seconds of one reading."""
        command = [sys.executable, "-c", self.program, str(self.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            memory = psutil.Process(child.pid)
            while True:
                try:
                    child.wait(STEP_S)
                except subprocess.TimeoutExpired:
                    self.peak = max(self.peak, memory.memory_info().rss / 2**20)
                else:
                    break
            found, took = child.stdout.read().split()
        assert int(found) == self.count, (found, self)
        self.times.append(float(took))
        return self.times[-1]

    def row(self, file: str) -> dict[str, Json]:
        return {
            "file": file,
            "MB": round(self.path.stat().st_size / 1e6, 1),
            "way": self.name,
            "s": round(statistics.median(self.times), 3),
            "entries/s": round(self.count / statistics.median(self.times)),
            "peak MB": round(self.peak, 1),
        }


def main() -> None:
    options = arguments(__doc__).parse_args()
    share = 10 if options.quick else 1
    rounds = 1 if options.quick else ROUNDS
    many, few, joined = PRODUCTS // share, FEW_PRODUCTS // share, FURNITURE // share
    report = Report(
        name="catalogues",
        question="How long does reading a large catalogue take, and is its memory flat?",
        notes=[
            "drawn-up files in the shapes of iMaterialist's; no images are looked at",
            "each reading is a process; its time is without starting Python and importing",
            f"resident memory, read every {STEP_S * 1000:.0f} ms from outside",
            "a file of 2018 is read twice: labels first, then images",
        ],
    )
    rows: list[dict[str, Json]] = []
    peaks: list[float] = []
    with scratch() as place:
        for name, pieces, count in (
            (f"2019, {few:,} entries", products(few), few),
            (f"2019, {many:,} entries", products(many), many),
            (f"2018, {joined:,} entries", furniture(joined), joined),
        ):
            path = written(place / "train.json", pieces)
            ours = Way(name="reader", program=READER, path=path, count=count)
            whole = Way(name="json.load", program=JSON_LOAD, path=path, count=count)
            bare = Way(name="ijson.items", program=BARE, path=path, count=count)
            for other in (whole, bare):
                reference, measured = alternate(rounds, other.read, ours.read)
                if count != few:
                    report.figures.append(
                        compared(
                            f"{name} against {other.name}",
                            reference,
                            measured,
                            unit="s",
                            what=f"reader / {other.name}",
                        )
                    )
            rows += [one.row(name) for one in (ours, whole, bare)]
            peaks.append(ours.peak)
    report.figures.append(
        Figure(
            name=f"memory, {many:,} against {few:,} entries",
            ratio=peaks[1] / peaks[0],
            reference=peaks[0],
            measured=peaks[1],
            unit="MB",
            what="peak of many / peak of few",
            goal=1.1,
        )
    )
    report.tables["reading"] = rows
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
