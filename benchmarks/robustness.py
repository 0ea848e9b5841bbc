"""What an image may go through and still be found: curves by distortion, and products by size.

    python -m benchmarks.robustness [--quick] [--card CARD.toml …] [--plot FILE] [--json]

Images of held-out classes (``benchmarks/encoders.py``) are the gallery. Some of them are distorted,
step by step, and searched with: the figure is the share whose own original comes first, with
vectors centred on the gallery's mean. Then 18 large product images are searched among the
small images of the same products and 3,000 others: the share of products that come first.
"""

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.encoders import Images, held_out, vectors
from benchmarks.machine import Json, Report, arguments, large_images, myntra
from lookalike import images
from lookalike.core.vectors import Matrix
from lookalike.encoders import OnnxEncoder, find_card
from training.retrieval import unit

_QUERIES = 100  # of each set


def crop(image: Image.Image, share: float) -> Image.Image:
    """Keep a part of the sides, off the middle: its upper left corner is at a third of the rest."""
    width, height = round(image.width * share), round(image.height * share)
    left, top = (image.width - width) // 3, (image.height - height) // 3
    return image.crop((left, top, left + width, top + height))


def rotate(image: Image.Image, degrees: float) -> Image.Image:
    """Rotate about the middle; corners are filled with the colour of the upper left one."""
    corner = image.getpixel((0, 0))
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=corner)


def mirror(image: Image.Image, times: float) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if times else image


def blur(image: Image.Image, share: float) -> Image.Image:
    """Gaussian, its deviation a share of the shorter side."""
    return image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def compress(image: Image.Image, quality: float) -> Image.Image:
    """Write as JPEG and read again."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(quality))
    with Image.open(stream) as again:
        return again.convert("RGB")


def light(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def background(image: Image.Image, strength: float) -> Image.Image:
    """Replace nearly white pixels by a colour between white and brown."""
    pixels = np.asarray(image, np.float32)
    white = pixels.min(axis=2, keepdims=True) > 230
    colour = 255 + strength * (np.array([120, 85, 60], np.float32) - 255)
    changed = np.where(white, colour, pixels)
    return Image.fromarray(changed.round().astype(np.uint8))


DISTORTIONS: dict[str, tuple[Callable[[Image.Image, float], Image.Image], tuple[float, ...]]] = {
    "crop": (crop, (0.85, 0.7, 0.55, 0.4)),
    "rotation": (rotate, (5, 15, 45, 90)),
    "mirror": (mirror, (1,)),
    "blur": (blur, (0.01, 0.02, 0.04)),
    "JPEG": (compress, (40, 15, 5)),
    "light": (light, (0.3, 0.6, 1.5, 2)),
    "background": (background, (0.3, 0.6, 1)),
}


def first(gallery: Matrix, queries: Matrix, rows: NDArray[np.intp]) -> float:
    """Return the share of queries whose own row of the gallery scores highest, both centred."""
    mean = gallery.mean(axis=0)
    scores = unit(queries - mean) @ unit(gallery - mean).T
    return float((scores.argmax(axis=1) == rows).mean())


def curves(encoder: OnnxEncoder, sets: Sequence[Images]) -> list[dict[str, Json]]:
    made: list[dict[str, Json]] = []
    for one in sets:
        gallery = vectors(encoder, one)
        count = min(_QUERIES, len(one.loaded))
        rows = np.array(random.Random(3).sample(range(len(one.loaded)), count), np.intp)
        for name, (distort, steps) in DISTORTIONS.items():
            for step in steps:
                prepared = [encoder.prepare(distort(one.loaded[row], step)) for row in rows]
                made.append(
                    {
                        "images": one.name,
                        "encoder": encoder.name,
                        "distortion": name,
                        "strength": step,
                        "first": round(first(gallery, encoder.encode(prepared), rows), 3),
                        "queries": count,
                    }
                )
    return made


def products(encoder: OnnxEncoder) -> dict[str, Json]:
    """Large images among the small images of the same products and others."""
    large, small = large_images(), myntra(3018)
    loaded = [Image.open(path).convert("RGB") for path in small.paths()]
    gallery = vectors(
        encoder, Images(name="products", loaded=loaded, labels=list(small.labels.values()))
    )
    ids = [Path(path).stem for path in small.labels]
    wanted = [large.labels[path.name] for path in large.paths()]
    known = [name in ids for name in wanted]  # not with drawn images
    rows = np.array([ids.index(name) for name in wanted if name in ids], np.intp)
    queries = encoder.encode(
        [
            encoder.prepare(images.decode(images.read(path), at_least=encoder.decode_size).image)
            for path, there in zip(large.paths(), known, strict=True)
            if there
        ]
    )
    mean = gallery.mean(axis=0)
    found: dict[str, Json] = {"encoder": encoder.name, "products": len(rows), "among": len(ids)}
    for space, taken in (("raw", 0.0), ("centred", 1.0)):
        scores = unit(queries - taken * mean) @ unit(gallery - taken * mean).T
        ranks = (scores > scores[np.arange(len(rows)), rows][:, None]).sum(axis=1)
        found[f"first, {space}"] = int((ranks == 0).sum())
        found[f"in ten, {space}"] = int((ranks < 10).sum())
    return found


def draw(rows: Sequence[dict[str, Json]], path: Path) -> None:
    """Plot the curves: a panel for each distortion, a line for each set and encoder."""
    import matplotlib as mpl  # noqa: PLC0415 - only for the plot

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, panels = plt.subplots(1, len(DISTORTIONS), figsize=(22, 4), sharey=True)
    lines = sorted({(str(row["images"]), str(row["encoder"])) for row in rows})
    colours = {name: f"C{at}" for at, name in enumerate(sorted({name for _, name in lines}))}
    for panel, name in zip(panels, DISTORTIONS, strict=True):
        for images_, encoder in lines:
            some = [
                row
                for row in rows
                if (row["distortion"], row["images"], row["encoder"]) == (name, images_, encoder)
            ]
            panel.plot(
                [str(row["strength"]) for row in some],
                [row["first"] for row in some],
                marker="o",
                color=colours[encoder],
                linestyle="-" if images_ == lines[0][0] else "--",
                label=f"{encoder}, {images_}",
            )
        panel.set(title=name)
        panel.grid(alpha=0.3)
    panels[0].set(ylabel="own original first", ylim=(0, 1.02))
    panels[0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--card", type=Path, action="append", default=[], help="also this card")
    parser.add_argument("--plot", type=Path, help="write a plot (PNG) there")
    options = parser.parse_args()
    names = ["efficientnet-lite0", *([] if options.quick else ["efficientnet-lite2"])]
    encoders = [
        OnnxEncoder(find_card(name), device="cpu", threads=1) for name in (*names, *options.card)
    ]
    sets = held_out("report", quick=options.quick)
    rows = [row for encoder in encoders for row in curves(encoder, sets)]
    report = Report(name="robustness", question="What may an image go through and be found?")
    report.tables = {
        "share whose own original comes first": rows,
        "large images among small images": [products(encoder) for encoder in encoders],
    }
    if options.plot:
        draw(rows, options.plot)
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
