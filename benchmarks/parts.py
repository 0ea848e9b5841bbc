"""Products pasted into cluttered scenes: whole images against crops and region vectors.

    python -m benchmarks.parts [--quick] [--regions 4] [--json]

Small images of products (Myntra), their white background cut away, are pasted at random places
into images of Caltech-101 whose border is busy, at a quarter, a third and a half of the width.

First the scenes are the collection and a product is the query: is the scene with it found, by whole
images and with four region vectors of each item? Then the products are the collection and a scene
is the query: is the product found, by the whole scene, by the pasted box, by the first proposed
crop, and by the best of four? R@1 and R@10 are the shares of queries whose target comes first, or
among ten.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

import lookalike
from benchmarks.machine import Figure, Json, Report, arguments, caltech, myntra, scratch
from lookalike.core.records import Hit
from lookalike.images import Box
from lookalike.regions.proposals import overlap

if TYPE_CHECKING:
    from lookalike.search.regions import RegionMode

SCALES = {"quarter": 1 / 4, "third": 1 / 3, "half": 1 / 2}
_BUSY = 45  # standard deviation of a scene's border, of 255 greys
_WHITE = 40  # difference from white up to which a product's background goes
_K = 10


@dataclass(frozen=True)
class Product:
    """A product: its file, and its pixels with their mask."""

    path: Path
    image: Image.Image
    mask: Image.Image


def products(count: int) -> list[Product]:
    """Return products on white, in a fixed random order."""
    paths = myntra(3000).paths()
    random.Random(1).shuffle(paths)
    found = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        framed = Image.new("RGB", (image.width + 2, image.height + 2), "white")
        framed.paste(image, (1, 1))
        ImageDraw.floodfill(framed, (0, 0), (255, 0, 255), thresh=_WHITE)
        mask = (np.asarray(framed)[1:-1, 1:-1] != (255, 0, 255)).any(axis=-1)
        if 0.15 < mask.mean() < 0.85:
            rows, columns = np.nonzero(mask)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            drawn = Image.fromarray((mask * 255).astype(np.uint8))
            found.append(Product(path, image.crop(box), drawn.crop(box)))
        if len(found) == count:
            break
    return found


def scenes(count: int) -> list[Image.Image]:
    """Return images with a busy border, in a fixed random order."""
    paths = caltech().paths()
    random.Random(2).shuffle(paths)
    found = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        grey = np.asarray(image.convert("L").resize((64, 64)), float)
        border = np.concatenate([grey[:4], grey[-4:], grey[:, :4].T, grey[:, -4:].T])
        if border.std() > _BUSY and image.width >= 200:
            found.append(image)
        if len(found) == count:
            break
    return found


def paste(
    scene: Image.Image, product: Product, share: float, chance: random.Random
) -> tuple[Image.Image, Box]:
    """Return the scene with a product ``share`` as wide as it, and the product's box."""
    width = round(scene.width * share)
    height = round(width * product.image.height / product.image.width)
    if height > 0.9 * scene.height:
        height = int(0.9 * scene.height)
        width = max(round(height * product.image.width / product.image.height), 1)
    size = (width, height)
    left, top = (
        chance.randrange(scene.width - width + 1),
        chance.randrange(scene.height - height + 1),
    )
    made = scene.copy()
    made.paste(
        product.image.resize(size, Image.Resampling.LANCZOS),
        (left, top),
        product.mask.resize(size, Image.Resampling.LANCZOS),
    )
    right, bottom = left + width, top + height
    return made, (
        left / scene.width,
        top / scene.height,
        right / scene.width,
        bottom / scene.height,
    )


def rank_of(target: str, results: Sequence[Hit]) -> int:
    """Return the rank of an item, from 1; beyond the results, one more than them."""
    ids = [hit.item.id for hit in results]
    return ids.index(target) + 1 if target in ids else _K + 1


def row(way: str, scale: str, found: Sequence[int]) -> dict[str, Json]:
    return {
        "searched with": way,
        "width": scale,
        "R@1": round(statistics.mean(rank == 1 for rank in found), 3),
        "R@10": round(statistics.mean(rank <= _K for rank in found), 3),
    }


def median_ms(work: Callable[[], object], times: int = 15) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--regions", type=int, default=4, help="region vectors of each item")
    options = parser.parse_args(argv)
    count, plain = (12, 30) if options.quick else (60, 210)
    chance = random.Random(3)
    things, backgrounds = products(count), scenes(count + plain)
    report = Report(name="parts", question="Are products found that are part of an image?")
    made = {
        scale: [
            paste(scene, one, share, chance)
            for scene, one in zip(backgrounds, things, strict=False)
        ]
        for scale, share in SCALES.items()
    }
    with scratch() as folder:
        _search_scenes(report, folder, things, backgrounds[count:], made, regions=options.regions)
        _search_products(report, folder, things, made, others=40 if options.quick else 400)
    report.print(as_json=options.json)


def _search_scenes(
    report: Report,
    folder: Path,
    things: Sequence[Product],
    plain: Sequence[Image.Image],
    made: dict[str, list[tuple[Image.Image, Box]]],
    *,
    regions: int,
) -> None:
    """The scenes are the collection, a product is the query."""
    for scale, pasted in made.items():
        for number, (image, _) in enumerate(pasted):
            _save(image, folder / "scenes" / scale / f"{number}.png")
    for number, image in enumerate(plain):
        _save(image, folder / "scenes" / "plain" / f"{number}.png")
    with lookalike.open(folder / "shop", create=True) as shop:
        began = time.perf_counter()
        shop.index(folder / "scenes")
        without_s, bytes_without = time.perf_counter() - began, shop.info().bytes or 0
        query = shop.encode(things[0].path)
        without_ms = median_ms(lambda: shop.search(query, k=_K))
        began = time.perf_counter()
        shop.index(folder / "scenes", regions=regions)
        regions_s, bytes_with = time.perf_counter() - began, shop.info().bytes or 0
        for label in (*made, "plain"):
            ids = [item.id for item in shop.items() if item.id.startswith(f"{label}/")]
            shop.label(ids, label)
        shop.search(query, k=_K)  # reads the regions
        with_ms = median_ms(lambda: shop.search(query, k=_K))
        for scale in made:
            where = f"label in ({scale}, plain)"
            targets = [f"{scale}/{number}.png" for number in range(len(things))]
            modes: dict[str, RegionMode] = {"whole images": "off", f"{regions} regions": "on"}
            for way, mode in modes.items():
                found = [
                    rank_of(target, shop.search(one.path, k=_K, where=where, regions=mode))
                    for one, target in zip(things, targets, strict=True)
                ]
                report.tables.setdefault("scenes", []).append(row(way, scale, found))
        items, info = len(shop), shop.info()
        report.notes.append(
            f"{items} scenes, {info.dim} dimensions. Each image takes "
            f"{1000 * without_s / items:.0f} ms to index and {1000 * regions_s / items:.0f} ms "
            f"more for {regions} regions; {bytes_without / items:,.0f} bytes, and "
            f"{(bytes_with - bytes_without) / items:,.0f} more. A search by a vector takes "
            f"{without_ms:.2f} ms without and {with_ms:.2f} ms with regions."
        )
        report.figures.append(
            Figure(
                name="indexing with regions",
                ratio=(without_s + regions_s) / without_s,
                reference=1000 * without_s / items,
                measured=1000 * (without_s + regions_s) / items,
                unit="ms",
                what="with / without",
            )
        )


def _search_products(
    report: Report,
    folder: Path,
    things: Sequence[Product],
    made: dict[str, list[tuple[Image.Image, Box]]],
    *,
    others: int,
) -> None:
    """The products are the collection, a scene is the query."""
    own = {one.path for one in things}
    more = [path for path in myntra(3000).paths() if path not in own][:others]
    for path in (*own, *more):
        target = folder / "products" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    targets = [one.path.name for one in things]
    with lookalike.open(folder / "products-shop", create=True) as shop:
        shop.index(folder / "products")
        for scale, pasted in made.items():
            images = [image for image, _ in pasted]
            proposed = [shop.propose_crops(image, count=4) for image in images]
            places = [box for _, box in pasted]
            by: dict[str, list[list[Box | None]]] = {
                "the whole scene": [[None] for _ in images],
                "the box of the product": [[box] for box in places],
                "the first proposed crop": [[*boxes[:1]] for boxes in proposed],
                "the best of four proposed": [[*boxes] for boxes in proposed],
            }
            for way, boxes in by.items():
                found = [
                    min(rank_of(target, shop.search(image, crop=box, k=_K)) for box in some)
                    for image, target, some in zip(images, targets, boxes, strict=True)
                ]
                report.tables.setdefault("products", []).append(row(way, scale, found))
            best = [
                max(overlap(one, place) for one in some)
                for some, place in zip(proposed, places, strict=True)
            ]
            report.tables.setdefault("proposals", []).append(
                {
                    "width": scale,
                    "mean overlap of the best of four": round(statistics.mean(best), 3),
                    "at least 0.3": round(statistics.mean(one >= 0.3 for one in best), 3),
                    "at least 0.5": round(statistics.mean(one >= 0.5 for one in best), 3),
                }
            )
        image = made["quarter"][0][0]
        report.notes.append(
            f"{len(shop)} products, {shop.info().dim} dimensions. Proposing crops of an image "
            f"takes {median_ms(lambda: shop.propose_crops(image)):.0f} ms."
        )


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


if __name__ == "__main__":
    main()
