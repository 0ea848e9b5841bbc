"""Decode a folder of foreign images and list where independent decoders disagree.

    python scripts/compare_decoders.py FOLDER [--first N] [--shuffle] [--least DIFFERENCE]

Every file is decoded by lookalike and by libvips (`vipsthumbnail`); where these two disagree, or
one of them refuses the file, ImageMagick (`convert`) is asked too. Needs the packages libvips-tools
and imagemagick. Prints a line for each disagreement, tab-separated: what, by how much, the file and
lookalike's reason or notes. At the end, a count of each.

`refused`: lookalike refuses what another decoder reads. `accepted`: it reads what both others
refuse. `shape`: the proportions differ. `pixels`: the mean difference at 64 x 64, in levels of 255.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.decoding import decode
from lookalike.images.reading import read
from lookalike.images.records import DecodedImage

_SIDE = 64
_BATCH = 64
_TIMEOUT_S = 60
_MOST_STRETCH = 0.05  # of the proportions; a thumbnail's are rounded


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare lookalike with independent decoders.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, help="only the first N files")
    parser.add_argument("--shuffle", action="store_true", help="in a mixed order, always the same")
    parser.add_argument("--least", type=float, default=12, help="difference that is listed [12]")
    wanted = parser.parse_args()
    for program in ("vipsthumbnail", "convert"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed; try: apt install libvips-tools imagemagick")
    found = sorted(path for path in wanted.folder.rglob("*") if path.is_file())
    if wanted.shuffle:
        random.Random(1).shuffle(found)
    files = iter(found)
    counts: Counter[str] = Counter()
    for batch in _batches(islice(files, wanted.first)):
        for what, by, path, words in _compare(batch, wanted.least):
            counts[what] += 1
            if what not in {"same", "none reads it"}:
                print(
                    what, f"{by:.1f}", path.relative_to(wanted.folder), words, sep="\t", flush=True
                )
        print(f"{sum(counts.values()):,} files", end="\r", file=sys.stderr)
    print(", ".join(f"{count:,} {what}" for what, count in counts.most_common()))
    return 0


def _batches(files: Iterator[Path]) -> Iterator[list[Path]]:
    while batch := list(islice(files, _BATCH)):
        yield batch


def _compare(batch: Sequence[Path], least: float) -> Iterator[tuple[str, float, Path, str]]:
    """Yield what comes of each file, by how much, and lookalike's words."""
    with tempfile.TemporaryDirectory() as folder:
        others = _ask_vips(batch, Path(folder))
        for path, other in zip(batch, others, strict=True):
            reason, decoded = "", None
            try:
                decoded = decode(read(path), at_least=(4 * _SIDE, 4 * _SIDE))
                reason = "; ".join(decoded.notes)
            except ImageError as error:
                reason = error.reason
            if decoded is None:
                seen = other if other is not None else _ask_imagemagick(path, Path(folder))
                yield "none reads it" if seen is None else "refused", 0, path, reason
                continue
            found = [] if other is None else [_difference(decoded, other)]
            if not found or found[0][1] >= least:
                again = _ask_imagemagick(path, Path(folder))
                found += [] if again is None else [_difference(decoded, again)]
            if not found:
                yield "accepted", 0, path, reason
                continue
            what, by = min(found, key=lambda one: one[1])
            yield "same" if by < least else what, by, path, reason


def _ask_vips(batch: Sequence[Path], folder: Path) -> list[Image.Image | None]:
    """Return what libvips reads of each file, upright and in sRGB."""
    links = []
    for number, path in enumerate(batch):
        link = folder / f"{number}{path.suffix}"
        link.symlink_to(path.resolve())
        links.append(link)
    done = _run_vips(links, folder)
    found = [_load(folder / f"vips-{number}.png") for number in range(len(batch))]
    if done < 0:  # it crashed at a file, so those after it have not been asked
        for number, link in enumerate(links):
            if found[number] is None:
                _run_vips([link], folder)
                found[number] = _load(folder / f"vips-{number}.png")
    return found


def _run_vips(links: Sequence[Path], folder: Path) -> int:
    done = subprocess.run(
        [
            *("vipsthumbnail", "--size", f"{_SIDE * 4}x{_SIDE * 4}>", "--export-profile", "srgb"),
            *("-o", f"{folder}/vips-%s.png[strip]", *map(str, links)),
        ],
        capture_output=True,
        timeout=_TIMEOUT_S * len(links),
        check=False,
    )
    return done.returncode


def _ask_imagemagick(path: Path, folder: Path) -> Image.Image | None:
    """Return what ImageMagick reads of the first image of a file, upright and in sRGB."""
    target = folder / "imagemagick.png"
    target.unlink(missing_ok=True)
    try:
        subprocess.run(
            [
                *("convert", f"{path}[0]", "-auto-orient", "-colorspace", "sRGB", "-strip"),
                *("-resize", f"{_SIDE * 4}x{_SIDE * 4}>", "-depth", "8", f"png32:{target}"),
            ],
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return _load(target)


def _load(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return image.convert("RGBA")
    except (OSError, ValueError):
        return None


def _difference(decoded: DecodedImage, other: Image.Image) -> tuple[str, float]:
    """Return the kind and size of the difference; of other proportions, 255."""
    width, height = decoded.width, decoded.height
    ratio = (other.width * height) / (other.height * width)
    rounding = 1 / min(other.size)
    if abs(ratio - 1) > _MOST_STRETCH + rounding:
        return "shape", 255.0
    mine = _small(decoded.image)
    grounds = ["black" if any("black" in note for note in decoded.notes) else "white"]
    if any("alpha" in note for note in decoded.notes):
        found = _small(other.convert("RGB"))
    else:
        flat = Image.new("RGB", other.size, grounds[0])
        flat.paste(other.convert("RGB"), mask=other.getchannel("A"))
        found = _small(flat)
    by = float(np.abs(mine - found).mean())
    return "pixels", by


def _small(image: Image.Image) -> NDArray[np.float64]:
    small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64)


if __name__ == "__main__":
    sys.exit(main())
