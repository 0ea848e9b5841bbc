"""How near indexing comes to the bare work it is made of.

    python -m benchmarks.indexing [--quick] [--json]

The work itself is measured in the same process on all cores, one part after the other: read,
digest, decode and prepare every image on as many threads as there are cores, then encode all of
them. Both parts use every core, so the two times together are what a perfect overlap would take.
``Collection.index`` into a fresh collection does the same and scans, plans and stores besides.
"""

import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import lookalike
from benchmarks.machine import (
    Figure,
    ImageSet,
    Json,
    Report,
    alternate,
    arguments,
    caltech,
    compared,
    large_images,
    myntra,
    scratch,
    seconds,
)
from lookalike import images
from lookalike.core.protocols import Prepared
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.indexing.pipeline import BATCH


@dataclass(slots=True)
class Parts:
    """Seconds of each round."""

    decode: list[float]
    encode: list[float]


def loaded(path: Path, encoder: OnnxEncoder) -> Prepared:
    data = images.read(path)
    images.digest(data)
    return encoder.prepare(images.decode(data, at_least=encoder.decode_size).image)


def bare_work(paths: Sequence[Path], encoder: OnnxEncoder, parts: Parts) -> float:
    """Seconds that decoding and encoding take, one after the other, with nothing around them."""
    prepared: list[Prepared] = []
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]

    def decode() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for batch in pool.map(lambda some: [loaded(path, encoder) for path in some], batches):
                prepared.extend(batch)

    def encode() -> None:
        for start in range(0, len(prepared), BATCH):
            encoder.encode(prepared[start : start + BATCH])

    parts.decode.append(seconds(decode))
    parts.encode.append(seconds(encode))
    return parts.decode[-1] + parts.encode[-1]


def indexing(image_set: ImageSet, encoder: OnnxEncoder) -> float:
    """Seconds that a fresh collection takes to index them all."""
    with (
        scratch() as folder,
        lookalike.open(folder / "collection", encoder=encoder, create=True) as collection,
    ):
        report = collection.index(image_set.folder, format="folder")
    done = report.indexed + report.reused
    assert done == len(image_set), f"{done} of {len(image_set)} were indexed"
    return report.seconds


def measure(
    image_set: ImageSet, encoder: OnnxEncoder, rounds: int
) -> tuple[Figure, dict[str, Json]]:
    parts = Parts([], [])
    paths = image_set.paths()
    bare_work(paths[: 4 * BATCH], encoder, parts)  # threads, caches, the model's first run
    parts = Parts([], [])
    reference, measured = alternate(
        rounds,
        lambda: bare_work(paths, encoder, parts),
        lambda: indexing(image_set, encoder),
    )
    figure = compared(
        f"indexing {image_set.name}",
        reference,
        measured,
        unit="s",
        what="bare work / Collection.index",
        invert=True,
        goal=0.9,
        side="at least",
    )
    decode, encode = statistics.median(parts.decode), statistics.median(parts.encode)
    return figure, {
        "images": image_set.name,
        "count": len(image_set),
        "decode s": round(decode, 3),
        "encode s": round(encode, 3),
        "index s": round(figure.measured, 3),
        "images/s": round(len(image_set) / figure.measured, 1),
        "decode alone/s": round(len(image_set) / decode, 1),
        "encode alone/s": round(len(image_set) / encode, 1),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--encoder", default="efficientnet-lite0", help="name or card")
    parser.add_argument("--rounds", type=int, help="default: 5; quick: 2")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.quick else 5)
    encoder = load_encoder(options.encoder)
    sets = [myntra(640)] if options.quick else [caltech(), myntra(3000)]
    if not options.quick and sets[0].folder == sets[1].folder:  # drawn images
        sets.pop()
    report = Report(
        name="indexing",
        question="How near does indexing come to decoding and encoding alone?",
        notes=[
            f"{encoder.name} on {encoder.device}, {os.cpu_count()} cores, opened before",
            f"medians of {rounds} rounds in turn",
            *{one.source for one in sets},
        ],
    )
    rows = []
    for image_set in sets if options.quick else [*sets, large_images()]:
        figure, row = measure(image_set, encoder, rounds)
        report.figures.append(figure)
        rows.append(row)
    report.tables["parts"] = rows
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
