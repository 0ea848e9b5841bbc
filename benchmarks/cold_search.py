"""What a search costs from a cold process, against the least that such a process must do.

    python -m benchmarks.cold_search [--quick] [--large] [--profile] [--json]

The whole time of ``lookalike search IMAGE`` as a person's shell sees it, and of a bare Python
process that imports numpy, ONNX Runtime and Pillow, opens the same model, decodes the same
image and encodes it. Files are in the system's cache for both. ``--large`` adds a collection of
44,442 items, which are indexed at the first time. ``--profile`` shows which imports take long.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import (
    Json,
    Report,
    alternate,
    arguments,
    caltech,
    compared,
    indexed,
    myntra,
)
from lookalike.config import DEFAULT_ENCODER, settings
from lookalike.encoders import find_card, load_encoder
from lookalike.encoders.weights import network

# What anybody would write by hand, with the defaults of each library.
BARE = """
import sys
import numpy as np
import onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = Image.open(sys.argv[2])
image.draft("RGB", (448, 448))
image = image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
pixels = (np.asarray(image, np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
vector = session.run(["features"], {"image": pixels})[0][0]
vector /= np.linalg.norm(vector)
"""
IMPORTS = "import numpy, onnxruntime, PIL.Image"


def process(command: Sequence[str]) -> float:
    """Seconds of a whole process. Its output is read and thrown away, as a pipe would."""
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True)
    took = time.perf_counter() - began
    assert not done.stderr or b"arning" not in done.stderr, done.stderr.decode()
    return took


def lookalike_command() -> list[str]:
    script = Path(sys.executable).with_name("lookalike")
    return [str(script)] if script.exists() else [sys.executable, "-m", "lookalike"]


def steps(rounds: int) -> list[dict[str, Json]]:
    """How long ever larger beginnings of the same process take."""
    commands = {
        "python, doing nothing": [sys.executable, "-c", "pass"],
        "the bare imports": [sys.executable, "-c", IMPORTS],
        "lookalike version": [*lookalike_command(), "version"],
        "import lookalike.cli.search": [sys.executable, "-c", "import lookalike.cli.search"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(process(command) * 1000)
    return [
        {"process": name, "ms": round(statistics.median(some), 1)} for name, some in times.items()
    ]


def profile(command: Sequence[str]) -> None:
    """Print what the imports of a command cost: the dearest by themselves, and with theirs."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lookalike", *command],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [
        (int(found[1]) / 1000, int(found[2]) / 1000, len(found[3]) // 2, found[4])
        for line in done.stderr.splitlines()
        if (found := re.match(r"import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)", line))
    ]
    print(f"{len(rows)} modules, {sum(row[0] for row in rows):.0f} ms (tracing slows them)")
    print("\n   self ms  module")
    for own, _, _, name in sorted(rows, reverse=True)[:25]:
        print(f"{own:10.1f}  {name}")
    print("\n  whole ms  module and what it brings, three levels")
    for _, whole, depth, name in reversed(rows):
        if whole >= 2 and depth <= 2:
            print(f"{whole:10.1f}  {'  ' * depth}{name}")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--large", action="store_true", help="also over 44,442 items")
    parser.add_argument("--profile", action="store_true", help="print import times and stop")
    parser.add_argument("--rounds", type=int, help="default: 21; quick: 5")
    options = parser.parse_args()
    rounds = options.rounds or (5 if options.quick else 21)

    load_encoder()  # builds the model, if that has not been done
    found = network(find_card(DEFAULT_ENCODER), cache=settings().cache)
    if not isinstance(found, Path):
        sys.exit(f"the cache folder {settings().cache} cannot be written")
    image_set = caltech()
    query = str(image_set.paths()[len(image_set) // 2])
    sets = [myntra(640)] if options.quick else [image_set]
    if options.large:
        sets.append(myntra())
    report = Report(
        name="cold_search",
        question="What does a search cost from a cold process?",
        notes=[
            "bare: what a dozen lines by hand would do, with the defaults of each library",
            f"medians of {rounds} rounds in turn, {os.cpu_count()} cores, files in memory",
            *{one.source for one in sets},
        ],
    )
    bare = [sys.executable, "-c", BARE, str(found), query]
    for one in sets:
        with indexed(one) as collection:
            items, address = len(collection), collection.info().address
        for output in ("--json", "--paths"):
            search = ["search", query, "-c", address, output]
            if options.profile:
                profile(search)
                return
            command = [*lookalike_command(), *search]
            process(bare)
            process(command)
            reference, measured = alternate(
                rounds,
                lambda: process(bare) * 1000,
                lambda command=command: process(command) * 1000,  # type: ignore[misc]
            )
            report.figures.append(
                compared(
                    f"search {output}, {items:,} items",
                    reference,
                    measured,
                    unit="ms",
                    what="lookalike search / bare process",
                    goal=1.5,
                )
            )
    report.tables["beginnings of a process"] = steps(rounds)
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
