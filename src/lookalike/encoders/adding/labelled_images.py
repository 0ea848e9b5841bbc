"""Images whose look-alikes are known: drawn, or in a folder with a folder for each label."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lookalike.errors import EncoderError, ImageError
from lookalike.images import SUFFIXES, decode, read

__all__ = ["LabelledImage", "drawn_images", "images_for", "images_in"]

_SIDE = 256  # pixels of a drawn image
_VIEWS = 5
_COLOURS = ((196, 62, 48), (40, 92, 170), (46, 140, 80), (226, 176, 52), (120, 70, 140))
_SHAPES = ("mug", "bottle", "chair", "lamp", "shoe")
_LABELS = 15
_MOST = 240  # images: enough to see what is wrong, few enough to wait for
_MOST_OF_ONE = 12
_LARGEST_SIDE = 1024  # pixels to decode at least; no model here sees more


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An RGB image and what it shows."""

    image: Image.Image
    label: str


def drawn_images(
    seed: int = 0, *, labels: int = _LABELS, views: int = _VIEWS
) -> list[LabelledImage]:
    """Return images of things that differ in shape or in colour, each in several views.

    Views of one thing differ in place, size, tilt, mirroring, light, background and proportions,
    so a model recognises them only by what matters.
    """
    random = np.random.default_rng(seed)
    things = [(shape, colour) for shape in _SHAPES for colour in range(len(_COLOURS))]
    found = []
    for number in sorted(random.permutation(len(things))[:labels]):
        shape, colour = things[number]
        seen = [_view(shape, _COLOURS[colour], random) for _ in range(views)]
        found += [LabelledImage(one, f"{shape}-{colour}") for one in seen]
    return found


def images_for(folder: Path | None, *, comparing: bool) -> list[LabelledImage]:
    """Return the images of ``folder``, or drawn ones: a few if nothing is compared on them."""
    if folder is not None:
        return images_in(folder)
    return drawn_images() if comparing else drawn_images(labels=6, views=1)


def _view(shape: str, colour: tuple[int, int, int], random: np.random.Generator) -> Image.Image:
    ground = tuple(int(one) for one in random.integers(150, 250, 3))
    image = Image.new("RGB", (_SIDE, _SIDE), ground)
    pen = ImageDraw.Draw(image)
    floor = int(_SIDE * random.uniform(0.6, 0.8))
    pen.rectangle((0, floor, _SIDE, _SIDE), fill=tuple(int(one * 0.85) for one in ground))
    layer = Image.new("RGBA", (_SIDE, _SIDE))
    _draw(ImageDraw.Draw(layer), shape, colour)
    if random.integers(2):
        layer = layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    size = int(_SIDE * random.uniform(0.55, 0.9))
    layer = layer.rotate(float(random.uniform(-12, 12)), Image.Resampling.BICUBIC)
    layer = layer.resize((size, size), Image.Resampling.LANCZOS)
    left, top = (int(one) for one in random.integers(0, _SIDE - size + 1, 2))
    image.paste(layer, (left, top), layer)
    light = random.uniform(0.7, 1.15, (1, 1, 1)) * random.uniform(0.93, 1.07, (1, 1, 3))
    noise = random.normal(0, 4, (_SIDE, _SIDE, 3))
    pixels = np.clip(np.asarray(image, dtype=np.float64) * light + noise, 0, 255)
    soft = Image.fromarray(pixels.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    cut = int(random.integers(0, 40))
    return soft.crop((0, cut, _SIDE, _SIDE) if random.integers(2) else (cut, 0, _SIDE, _SIDE))


def _draw(pen: ImageDraw.ImageDraw, shape: str, colour: tuple[int, int, int]) -> None:
    dark = tuple(int(one * 0.6) for one in colour)
    match shape:
        case "mug":
            pen.arc((150, 90, 230, 180), -80, 80, fill=dark, width=16)
            pen.rounded_rectangle((60, 60, 180, 210), 22, fill=colour)
            pen.ellipse((60, 48, 180, 78), fill=dark)
        case "bottle":
            pen.rectangle((112, 20, 144, 90), fill=dark)
            pen.rounded_rectangle((88, 80, 168, 236), 26, fill=colour)
            pen.rectangle((88, 130, 168, 180), fill=(240, 236, 225))
        case "chair":
            for left in (70, 170):
                pen.rectangle((left, 140, left + 14, 240), fill=dark)
            pen.rectangle((60, 128, 196, 150), fill=colour)
            pen.rounded_rectangle((60, 20, 86, 140), 8, fill=colour)
        case "lamp":
            pen.polygon([(90, 30), (166, 30), (206, 120), (50, 120)], fill=colour)
            pen.rectangle((122, 120, 134, 220), fill=dark)
            pen.ellipse((84, 208, 172, 236), fill=dark)
        case _:
            pen.polygon(
                [(30, 190), (40, 120), (90, 110), (140, 150), (215, 168), (230, 200)], fill=colour
            )
            pen.rectangle((28, 194, 232, 212), fill=(245, 245, 240))


def images_in(folder: Path, *, seed: int = 0) -> list[LabelledImage]:
    """Return images of a folder, which has a folder for each label: some of each.

    Files that are no images are passed over. Raise ``EncoderError`` unless there are two labels
    with two images each.
    """
    if not folder.is_dir():
        raise EncoderError(
            f"{folder}: is no folder; give one with a folder of images for each label"
        )
    random = np.random.default_rng(seed)
    by_label: dict[str, list[LabelledImage]] = {}
    labels = sorted(one for one in folder.iterdir() if one.is_dir() and one.name[0] != ".")
    most = max(2, min(_MOST_OF_ONE, _MOST // max(len(labels), 1)))
    for place in random.permutation(len(labels)):
        read_ = _some(_files(labels[place]), most, random)
        if len(read_) > 1:
            by_label[labels[place].name] = [LabelledImage(one, labels[place].name) for one in read_]
        if sum(map(len, by_label.values())) >= _MOST:
            break
    if len(by_label) < 2:  # noqa: PLR2004 - a single label has nothing to be distinguished from
        raise EncoderError(
            f"{folder}: has {len(by_label)} folders with two images or more; to compare, it must "
            "have a folder for each label, with images in it, and two labels at least"
        )
    return [one for images in by_label.values() for one in images]


def _files(folder: Path) -> list[Path]:
    return sorted(
        Path(above) / name
        for above, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES
    )


def _some(files: Sequence[Path], most: int, random: np.random.Generator) -> list[Image.Image]:
    found: list[Image.Image] = []
    for place in random.permutation(len(files)):
        try:
            data = read(files[place])
            found.append(decode(data, at_least=(_LARGEST_SIDE, _LARGEST_SIDE)).image)
        except ImageError:
            continue
        if len(found) == most:
            break
    return found
