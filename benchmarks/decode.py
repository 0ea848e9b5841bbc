"""What decoding at a reduced scale saves, and what it changes of an encoder's input.

    python benchmarks/decode.py [--json] [--side 224] [--repeat 5]

Takes the 18 product images of 1800 x 2400. An encoder of 224 px sees each as 224 x 224
pixels; ``at_least`` of once, twice and three times that lets libjpeg decode at a fraction.
"""

import argparse
import json
import statistics
import sys
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.decoding import decode

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "product-photos-hires.zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``ms`` and ``prepare_ms``: medians over images of the best of the repeats, for decoding and
    for the resize after it. ``ratio``: how often both go into those of the full scale. ``mean``
    and ``worst``: differences of 8-bit values from what the full scale leads to, over all pixels
    and of the image with the greatest mean.
    """

    factor: int | None
    size: tuple[int, int]
    ms: float
    prepare_ms: float
    ratio: float
    mean: float
    worst: float


def prepared(image: Image.Image, side: int) -> NDArray[np.float32]:
    """(side, side, 3): squashed with an antialiasing bicubic filter."""
    small = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.float32)


def measure(files: list[bytes], *, side: int, repeat: int) -> list[Row]:
    full = [prepared(decode(data).image, side) for data in files]
    rows: list[Row] = []
    for factor in (None, 3, 2, 1):
        at_least = None if factor is None else (side * factor, side * factor)
        times, prepares, differences = [], [], []
        size = (0, 0)
        for data, reference in zip(files, full, strict=True):
            best = best_prepare = float("inf")
            for _ in range(repeat):
                start = time.perf_counter()
                image = decode(data, at_least=at_least).image
                decoded = time.perf_counter()
                values = prepared(image, side)
                end = time.perf_counter()
                best = min(best, decoded - start)
                best_prepare = min(best_prepare, end - decoded)
            size = image.size
            times.append(best * 1000)
            prepares.append(best_prepare * 1000)
            differences.append(float(np.abs(values - reference).mean()))
        ms, prepare_ms = statistics.median(times), statistics.median(prepares)
        first = rows[0].ms + rows[0].prepare_ms if rows else ms + prepare_ms
        rows.append(
            Row(
                factor=factor,
                size=size,
                ms=ms,
                prepare_ms=prepare_ms,
                ratio=first / (ms + prepare_ms),
                mean=statistics.fmean(differences),
                worst=max(differences),
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--side", type=int, default=224, help="pixels that the encoder takes")
    parser.add_argument("--repeat", type=int, default=5, help="times each image is decoded")
    options = parser.parse_args()
    if not ARCHIVE.exists():
        sys.exit(f"{ARCHIVE} is not there; this benchmark needs the images in it")
    with zipfile.ZipFile(ARCHIVE) as archive:
        files = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    rows = measure(files, side=options.side, repeat=options.repeat)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(f"{len(files)} images, for an encoder of {options.side} px")
    print("at least   decoded at  decode ms  resize ms   ratio  mean diff  worst image")
    for row in rows:
        name = "full" if row.factor is None else f"{row.factor} x {options.side}"
        decoded = f"{row.size[0]}x{row.size[1]}"
        print(
            f"{name:<9}  {decoded:>10}  {row.ms:>9.1f}  {row.prepare_ms:>9.1f}  "
            f"{row.ratio:>5.1f}x  {row.mean:>9.2f}  {row.worst:>13.2f}"
        )


if __name__ == "__main__":
    main()
