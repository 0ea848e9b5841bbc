"""How good the results are, through the real pipeline: indexed images, stored vectors.

    python -m benchmarks.quality [--quick] [--all] [--json]

Leave-one-out: every image is a query, its own item is not a result, and a result is right if
it has the query's label. R@1 is the share of queries whose first result is right, P@10 the share
of right results among ten. Micro is the mean over queries, macro the mean over labels of their
means. Labels that only one image has are not queries, but their images are results.

Then what decoding at a reduced scale does to vectors, and whether a large image of a product
finds its small image.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import (
    SHARED,
    Figure,
    ImageSet,
    Json,
    Report,
    arguments,
    caltech,
    indexed,
    large_images,
    myntra,
    workplace,
)
from lookalike import Collection, images
from lookalike.core.vectors import Matrix
from lookalike.encoders import OnnxEncoder, load_encoder

K = 10
_NOT_A_CLASS = "BACKGROUND_Google"  # Caltech-101's images of anything
_BLOCK = 2048  # queries at a time: their scores over 44,442 items are 360 MB

CARD = """\
name = {name}
title = {title}
licence = "Apache-2.0"
source = "../shared/weights"

[weights]
builder = "onnx"
file = {file}
sha256 = "{sha256}"

[input]
name = "image"
width = 224
height = 224
layout = "nchw"
channels = "rgb"
resize = "squash"
interpolation = "bilinear"
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]

[output]
name = "features"
dim = 1280
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Shares from 0 to 1 over ``queries``."""

    queries: int
    labels: int
    r1: float
    p10: float
    r1_macro: float
    p10_macro: float


def encoders() -> dict[str, str | Path]:
    """The default encoder, and the models in ``../shared/weights`` with cards made for them."""
    found: dict[str, str | Path] = {"EfficientNet-Lite0": "efficientnet-lite0"}
    for title, file in (
        ("MobileNetV2", "mobilenetv2_imagenet"),
        ("MobileNet-EdgeTPU", "mobilenet_edgetpu_imagenet"),
    ):
        weights = SHARED / "weights" / f"{file}.onnx"
        if weights.exists():
            card = workplace() / "cards" / f"{file}.toml"
            card.parent.mkdir(exist_ok=True)
            card.write_text(
                CARD.format(
                    name=json.dumps(file),
                    title=json.dumps(title),
                    file=json.dumps(str(weights)),
                    sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
                ),
                encoding="utf-8",
            )
            found[title] = card
    return found


def nearest(vectors: Matrix, queries: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """Rows of the ``k`` items nearest to each query but itself, best first: (q, k)."""
    results = []
    for start in range(0, len(queries), _BLOCK):
        block = queries[start : start + _BLOCK]
        scores = vectors[block] @ vectors.T  # (q, n) cosine
        scores[np.arange(len(block)), block] = -2
        some = np.argpartition(-scores, k, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
        results.append(np.take_along_axis(some, order, axis=1))
    return np.concatenate(results)


def quality(vectors: Matrix, labels: Sequence[str]) -> Quality:
    names, number, sizes = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    queries = np.flatnonzero((sizes[number] >= 2) & (names[number] != ""))
    right = number[nearest(vectors, queries, K)] == number[queries][:, None]  # (q, k)
    first, share = right[:, 0].astype(float), right.mean(axis=1)
    of = number[queries]
    present = np.unique(of)
    return Quality(
        queries=len(queries),
        labels=len(present),
        r1=float(first.mean()),
        p10=float(share.mean()),
        r1_macro=float(np.mean([first[of == one].mean() for one in present])),
        p10_macro=float(np.mean([share[of == one].mean() for one in present])),
    )


def row_of(title: str, image_set: ImageSet, collection: Collection) -> dict[str, Json]:
    ids = [path for path in image_set.labels if not path.startswith(f"{_NOT_A_CLASS}/")]
    found = quality(collection.vectors(ids), [image_set.labels[one] for one in ids])
    return {
        "images": image_set.name,
        "encoder": title,
        "queries": found.queries,
        "labels": found.labels,
        "P@10": round(found.p10, 4),
        "R@1": round(found.r1, 4),
        "P@10 macro": round(found.p10_macro, 4),
        "R@1 macro": round(found.r1_macro, 4),
    }


def reduced_decoding(large: ImageSet, title: str, encoder: OnnxEncoder) -> dict[str, Json]:
    """Cosines between vectors of large JPEGs decoded at full and at reduced scale."""
    datas = [images.read(path) for path in large.paths()]

    def vectors(at_least: tuple[int, int] | None) -> Matrix:
        return encoder.encode(
            [encoder.prepare(images.decode(data, at_least=at_least).image) for data in datas]
        )

    full, reduced = vectors(None), vectors(encoder.decode_size)
    alike = (full * reduced).sum(axis=1)
    others = (full @ full.T)[~np.eye(len(full), dtype=bool)]
    return {
        "encoder": title,
        "images": len(datas),
        "mean cosine": round(float(alike.mean()), 5),
        "least cosine": round(float(alike.min()), 5),
        "cosine of two different images": round(float(others.mean()), 3),
    }


def across_sizes(
    large: ImageSet, title: str, small: ImageSet, collection: Collection, encoder: OnnxEncoder
) -> dict[str, Json]:
    """Where the true product comes, when a large image is searched among small images."""
    ids = list(small.labels)
    vectors = collection.vectors(ids)
    ranks = []
    for path in large.paths():
        image = images.decode(images.read(path), at_least=encoder.decode_size)
        scores = vectors @ encoder.encode([encoder.prepare(image.image)])[0]
        true = scores[ids.index(f"{large.labels[path.name]}.jpg")]
        ranks.append(1 + int((scores > true).sum()))
    return {
        "encoder": title,
        "large images": len(ranks),
        "items": len(ids),
        "first": sum(rank == 1 for rank in ranks),
        "in ten": sum(rank <= K for rank in ranks),
        "median rank": float(np.median(ranks)),
        "worst rank": max(ranks),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--all", action="store_true", help="Myntra: all 44,442, not 3,000")
    options = parser.parse_args()
    began = time.perf_counter()
    shop = myntra(1000 if options.quick else None if options.all else 3000)
    sets = [shop] if options.quick else [shop, caltech()]
    if len(sets) > 1 and sets[0].folder == sets[1].folder:  # drawn images
        sets.pop()
    large = large_images()
    real = "shared" not in shop.source
    report = Report(name="quality", question="How good are the results?")
    rows, decoding, sizes = [], [], []
    for title, encoder_name in encoders().items():
        encoder = load_encoder(encoder_name)
        for image_set in sets:
            with indexed(image_set, encoder=encoder_name, graph=False) as collection:
                rows.append(row_of(title, image_set, collection))
                if image_set is shop and real:
                    sizes.append(across_sizes(large, title, shop, collection, encoder))
        decoding.append(reduced_decoding(large, title, encoder))
    for row in rows:
        base = next(
            (
                one
                for one in rows
                if one["images"] == row["images"] and one["encoder"] == "MobileNetV2"
            ),
            None,
        )
        if base is not None and row is not base:
            ours, reference = row["P@10"], base["P@10"]
            assert isinstance(ours, float)
            assert isinstance(reference, float)
            report.figures.append(
                Figure(
                    name=f"P@10 of {row['encoder']}, {row['image_set']}",
                    ratio=ours / reference,
                    reference=reference,
                    measured=ours,
                    unit="P@10",
                    what="encoder / MobileNetV2",
                )
            )
    first = decoding[0]["least cosine"]
    assert isinstance(first, float)
    report.figures.append(
        Figure(
            name="decoding at a reduced scale, the least alike of the large images",
            ratio=first,
            reference=1.0,
            measured=first,
            unit="cosine",
            what="reduced / full scale",
        )
    )
    report.tables = {"leave one out": rows, "decoding at a reduced scale": decoding}
    if sizes:
        report.tables["large images among small images"] = sizes
    report.notes = [
        *sorted({one.source for one in (*sets, large)}),
        f"{time.perf_counter() - began:.0f} s, indexing included where it was not done before",
    ]
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
