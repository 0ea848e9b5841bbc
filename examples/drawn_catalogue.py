"""A shop's catalogue drawn by a program: images to try lookalike with, free of third-party rights.

    python examples/drawn_catalogue.py OUT [--seed N] [--products N] [--query FILE]

Every image's kind, product, colour, pattern and background are known because we chose them;
images of one product differ in background, placement, crop and light, as a shop's photos do.
They lie at ``OUT/<kind>/<product>-<n>.jpg``, and ``OUT/catalogue.csv`` says what each shows.

How an image is made: a product is drawn on a transparent layer, in its own coordinates
(x and y from -1 to 1, y down, standing on y = 1), part by part. Outlines are drawn at three times
the size and reduced, which smooths their edges; patterns and light are computed per pixel. Its
shadow is its own silhouette, laid on the floor. One light, from the upper left, for all.
"""

import argparse
import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["BACKGROUNDS", "KINDS", "QUERY_BACKGROUND", "Drawn", "draw", "draw_query"]

Field = NDArray[np.float32]  # one number per pixel, (height, width)
Paint = NDArray[np.float32]  # colours in 0..1: (3,) or (height, width, 3)
Outline = NDArray[np.float64]  # (n, 2) points of a closed line, in the product's coordinates
Point = tuple[float, float]
Dice = Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An image and everything that is known of it. ``price`` is in no particular currency."""

    path: Path
    kind: str
    product: str
    colour: str
    pattern: str
    background: str
    title: str
    price: str


def ink(code: str) -> Paint:
    return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], dtype=np.float32)


# name: the product's colour, what patterns it, and a small accent
PALETTES = {
    "terracotta": (ink("c4623f"), ink("f3dfc6"), ink("3d4a57")),
    "mustard": (ink("dda32f"), ink("fbf0d6"), ink("7a4a2b")),
    "sage": (ink("93a887"), ink("f1efe2"), ink("c9745a")),
    "teal": (ink("2f7f86"), ink("f0e4cc"), ink("e9a14d")),
    "navy": (ink("2b3f68"), ink("eee6d8"), ink("d9603f")),
    "sky": (ink("8db9d6"), ink("fbf7ee"), ink("e6836b")),
    "blush": (ink("e6b0a8"), ink("fbf1ea"), ink("8c4a55")),
    "plum": (ink("6f3f5f"), ink("ecc9c5"), ink("e0a83f")),
    "cream": (ink("efe3cb"), ink("b98a63"), ink("55705f")),
    "charcoal": (ink("43464d"), ink("d9d4cb"), ink("e2b04a")),
    "olive": (ink("7d7a3c"), ink("efe6bf"), ink("b5512e")),
    "coral": (ink("ea7a62"), ink("fde9d9"), ink("2f6d73")),
    "lilac": (ink("b3a1cf"), ink("f6f1f7"), ink("5c5187")),
    "forest": (ink("2f5a46"), ink("e3d9b8"), ink("d98f6c")),
}
WOODS = (ink("c99a6b"), ink("8a5a3c"), ink("3a2f2b"), ink("e0c49c"))
METALS = (ink("c9a45c"), ink("b9bcc0"), ink("4a4a4e"))
IVORY = ink("f7f1e6")
WHITE = ink("fbfaf7")
COAL = ink("33312f")
SHADE = np.array([0.94, 1.0, 0.97], dtype=np.float32)  # shadows keep a little warmth

COLUMNS = ("file", "label", "group", "colour", "pattern", "background", "title", "price")
SUPERSAMPLING = 3
QUALITY = 88


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a product wears; ``size`` and ``turn`` (degrees) are those of its pattern."""

    pattern: str
    main: Paint
    second: Paint
    accent: Paint
    size: float
    turn: float


# --- outlines ----------------------------------------------------------------------------------


def oval(  # noqa: PLR0917 - reads like a pen's arc
    x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360
) -> Outline:
    angles = np.radians(np.linspace(start, end, 72))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def rounded(corners: Sequence[Point], radius: float | Sequence[float]) -> Outline:
    """A polygon with its corners rounded off, by at most half of the shorter side there."""
    radii = [radius] * len(corners) if isinstance(radius, int | float) else radius
    points = np.array(corners, dtype=np.float64)
    steps = np.linspace(0, 1, 9)[:, None]
    pieces = []
    for here, before, after, reach in zip(
        points, np.roll(points, 1, axis=0), np.roll(points, -1, axis=0), radii, strict=True
    ):
        to_before, to_after = before - here, after - here
        far_before, far_after = np.hypot(*to_before), np.hypot(*to_after)
        cut = min(reach, far_before / 2, far_after / 2)
        start = here + to_before / far_before * cut
        end = here + to_after / far_after * cut
        pieces.append((1 - steps) ** 2 * start + 2 * steps * (1 - steps) * here + steps**2 * end)
    return np.concatenate(pieces)


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Outline:
    return rounded([(left, top), (right, top), (right, bottom), (left, bottom)], radius)


def smooth(points: Sequence[Point], *, closed: bool = True) -> Outline:
    """A curve through all the points (Catmull-Rom)."""
    knots = np.array(points, dtype=np.float64)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([knots[:1], knots, knots[-1:]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False)
    ]
    return np.concatenate([*pieces, knots[-2:-1]])


def mirrored(points: Iterable[Point]) -> list[Point]:
    return [(-x, y) for x, y in points]


def symmetric(right: Sequence[Point]) -> list[Point]:
    """Both halves of a shape from its right half, given from top to bottom."""
    return [*right, *reversed(mirrored(right))]


def stroke(line: Outline, width: float) -> list[Outline]:
    """A line's outline, and its two round ends."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    aside = np.stack([-along[:, 1], along[:, 0]], axis=1) * (width / 2)
    ends = [oval(x, y, width / 2, width / 2) for x, y in (line[0], line[-1])]
    return [np.concatenate([line + aside, (line - aside)[::-1]]), *ends]


def soften(field: Field, radius: float) -> Field:
    """A Gaussian blur in floating point: eight bits would show as contour lines in the light."""
    height, width = field.shape
    step = max(1, int(radius / 2))
    small = Image.fromarray(field)
    if step > 1:
        small = small.resize((-(-width // step), -(-height // step)), Image.Resampling.BOX)
    spread = max(0.5, radius / step)
    reach = math.ceil(2.6 * spread)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / spread) ** 2)
    weights /= weights.sum()
    soft = np.asarray(small)
    for _ in range(2):
        padded = np.pad(soft, ((reach, reach), (0, 0)), mode="edge")
        rows = soft.shape[0]
        soft = sum(weight * padded[n : n + rows] for n, weight in enumerate(weights)).T
    if step == 1:
        return np.ascontiguousarray(soft)
    full = Image.fromarray(np.ascontiguousarray(soft))
    return np.asarray(full.resize((width, height), Image.Resampling.BICUBIC))


def moved(field: Field, *, right: float, down: float) -> Field:
    """The field shifted by whole pixels; nothing comes in from outside."""
    dx, dy = round(right), round(down)
    height, width = field.shape
    away = np.zeros_like(field)
    away[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = field[
        max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)
    ]
    return away


# --- the stage ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cut:
    """A part's place on the stage: how much of each pixel it covers, and where that is."""

    rows: slice
    cols: slice
    cover: Field
    x: Field
    y: Field


class Stage:
    """A transparent layer on which one product is drawn, placed and turned as in one photo.

    ``rgb`` is premultiplied by ``alpha``.
    """

    def __init__(
        self, size: tuple[int, int], *, origin: Point, scale: float, turn: float, mirror: bool
    ) -> None:
        width, height = size
        self.rgb = np.zeros((height, width, 3), dtype=np.float32)
        self.alpha = np.zeros((height, width), dtype=np.float32)
        self.scale = scale
        angle = math.radians(turn)
        self.sunny = (
            -1.0 if mirror else 1.0
        )  # on which side, in the product's own x, the light is not
        self._turn = np.array(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
        if mirror:
            self._turn = self._turn @ np.diag([-1.0, 1.0])
        self._origin = np.array(origin)
        down, across = np.mgrid[0:height, 0:width].astype(np.float32) + np.float32(0.5)
        dx, dy = (across - origin[0]) / scale, (down - origin[1]) / scale
        back = self._turn.T.astype(np.float32)
        self._x: Field = back[0, 0] * dx + back[0, 1] * dy
        self._y: Field = back[1, 0] * dx + back[1, 1] * dy

    def on_image(self, points: Outline) -> Outline:
        return np.asarray(self._origin + self.scale * (points @ self._turn.T))

    def cut(
        self,
        *outlines: Outline,
        holes: Sequence[Outline] = (),
        lines: Sequence[tuple[Outline, float]] = (),
    ) -> Cut:
        """Where these outlines and lines (points, width; round ends) lie, without the holes."""
        filled = [self.on_image(outline) for outline in outlines]
        filled += [self.on_image(piece) for line, width in lines for piece in stroke(line, width)]
        around = np.concatenate(filled)
        height, width = self.alpha.shape
        left, top = np.clip(
            np.floor(around.min(axis=0)).astype(int) - 2, 0, [width - 1, height - 1]
        )
        right, bottom = np.clip(np.ceil(around.max(axis=0)).astype(int) + 3, 1, [width, height])
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        n = SUPERSAMPLING
        mask = Image.new("L", ((right - left) * n, (bottom - top) * n))
        pen = ImageDraw.Draw(mask)

        def enlarged(points: Outline) -> list[Point]:
            return [(float(x), float(y)) for x, y in (points - (left, top)) * n - 0.5]

        for outline in filled:
            pen.polygon(enlarged(outline), fill=255)
        for hole in holes:
            pen.polygon(enlarged(self.on_image(hole)), fill=0)
        rows, cols = slice(int(top), int(bottom)), slice(int(left), int(right))
        cover = np.asarray(mask.reduce(n), dtype=np.float32) / np.float32(255)
        return Cut(rows, cols, cover, self._x[rows, cols], self._y[rows, cols])

    def paint(
        self,
        part: Cut,
        fill: Paint,
        *,
        light: Field | float = 1.0,
        gloss: Field | float = 0.0,
        opacity: float = 1.0,
    ) -> None:
        """Lay a part over what is there. ``light`` multiplies its colour, ``gloss`` whitens it."""
        cover = part.cover * np.float32(opacity)
        colour = np.broadcast_to(fill, (*cover.shape, 3)).astype(np.float32)
        if not isinstance(light, float) or light != 1.0:
            dim = np.asarray(light, dtype=np.float32)[..., None]
            colour = colour * (1 - (1 - dim) * SHADE)
        if not isinstance(gloss, float) or gloss != 0.0:
            colour = colour + (1 - colour) * np.asarray(gloss, dtype=np.float32)[..., None]
        here = self.rgb[part.rows, part.cols]
        here += (np.clip(colour, 0, 1) - here) * cover[..., None]
        alpha = self.alpha[part.rows, part.cols]
        alpha += (1 - alpha) * cover

    def tint(self, part: Cut, strength: float, colour: Paint = COAL) -> None:
        """Darken (or colour) what is already drawn there, and nothing beside it."""
        alpha = self.alpha[part.rows, part.cols]
        cover = (part.cover * np.float32(strength))[..., None]
        here = self.rgb[part.rows, part.cols]
        here += (colour * alpha[..., None] - here) * cover

    def within(self, part: Cut, other: Cut) -> Cut:
        """The part of ``part`` that lies in ``other``."""
        whole = np.zeros_like(self.alpha)
        whole[other.rows, other.cols] = other.cover
        cover = part.cover * whole[part.rows, part.cols]
        return Cut(part.rows, part.cols, cover, part.x, part.y)

    def puff(self, part: Cut, depth: float = 0.12, strength: float = 0.22) -> Field:
        """Light on a padded surface: bright towards the light, dark away from it."""
        radius = max(1.0, depth * self.scale)
        soft = soften(part.cover, radius)
        if min(soft.shape) < 2:
            return np.ones_like(soft)
        down, across = np.gradient(soft)
        slope = (0.55 * across + 0.83 * down) * np.float32(2.5 * radius)
        return np.asarray(1 + np.float32(strength) * slope - 0.05 * part.y, dtype=np.float32)

    def shade_below(self, part: Cut, depth: float = 0.06, strength: float = 0.35) -> None:
        """The soft shadow that a part about to be painted throws on what is under it."""
        height, width = self.alpha.shape
        reach = max(2, round(depth * self.scale * 2.2))
        top, left = max(0, part.rows.start - reach), max(0, part.cols.start - reach)
        bottom, right = min(height, part.rows.stop + reach), min(width, part.cols.stop + reach)
        cover = np.zeros((bottom - top, right - left), dtype=np.float32)
        rows = slice(part.rows.start - top, part.rows.stop - top)
        cols = slice(part.cols.start - left, part.cols.stop - left)
        cover[rows, cols] = part.cover
        soft = soften(cover, depth * self.scale / 2)
        shift = depth * self.scale / 2
        thrown = moved(soft, right=shift / 2, down=shift)
        where = (slice(top, bottom), slice(left, right))
        self.tint(Cut(*where, thrown, self._x[where], self._y[where]), strength)


# --- patterns ----------------------------------------------------------------------------------


def chance(across: Field, down: Field, salt: float) -> Field:
    """A number in 0..1 for each cell of a grid, the same each time."""
    mixed = np.sin(across * 12.9898 + down * 78.233 + salt * 37.719) * 43758.5453
    return np.asarray(mixed - np.floor(mixed), dtype=np.float32)


def edge(inside: Field, pixel: float) -> Field:
    """Coverage from a signed distance, positive inside, smoothed over one pixel."""
    return np.asarray(np.clip(inside / pixel + 0.5, 0, 1), dtype=np.float32)


def ripple(x: Field, period: float) -> Field:
    """Distance from the nearest of evenly spaced lines."""
    return np.asarray(np.abs((x / period) % 1 - 0.5) * period, dtype=np.float32)


def honeycomb(u: Field, v: Field, cell: float) -> tuple[Field, Field, Field, Field]:
    """Place within the nearest cell of a staggered grid, and the cell's column and row."""
    row = np.floor(v / (cell * 0.87))
    shifted = u / cell + 0.5 * (row % 2)
    column = np.floor(shifted)
    return (shifted - column - 0.5) * cell, v - (row + 0.5) * cell * 0.87, column, row


def between(a: Paint, b: Paint, share: Field) -> Paint:
    return np.asarray(a + (b - a) * share[..., None], dtype=np.float32)


def _stripes(look: Look, _u: Field, v: Field, pixel: float) -> Paint:
    lines = edge(look.size * 0.24 - ripple(v, look.size), pixel)
    return between(look.main, look.second, lines)


def _dots(look: Look, u: Field, v: Field, pixel: float) -> Paint:
    x, y, _, _ = honeycomb(u, v, look.size * 1.1)
    return between(
        look.main, look.second, edge(np.float32(look.size * 0.3) - np.hypot(x, y), pixel)
    )


def _checks(look: Look, u: Field, v: Field, pixel: float) -> Paint:
    size = look.size * 1.15
    across = edge(size / 4 - ripple(u, size), pixel)
    down = edge(size / 4 - ripple(v, size), pixel)
    return between(look.main, look.second, 0.46 * across + 0.46 * down)


def _zigzag(look: Look, u: Field, v: Field, pixel: float) -> Paint:
    wave = v + ripple(u, look.size * 1.5) * 0.9
    return between(look.main, look.second, edge(look.size * 0.23 - ripple(wave, look.size), pixel))


def _gradient(look: Look, _u: Field, v: Field, _pixel: float) -> Paint:
    share = np.clip(0.5 + 0.62 * v, 0, 1)
    return between(look.main, look.second, share * share * (3 - 2 * share) * 0.92)


def _floral(look: Look, u: Field, v: Field, pixel: float) -> Paint:
    cell = look.size * 1.9
    x, y, column, row = honeycomb(u, v, cell)
    spin = chance(column, row, 1.0) * 6.28
    x = x + (chance(column, row, 2.0) - 0.5) * cell * 0.2
    y = y + (chance(column, row, 3.0) - 0.5) * cell * 0.16
    reach, angle = np.hypot(x, y), np.arctan2(y, x)
    petals = cell * (0.25 + 0.09 * np.cos(5 * (angle + spin)))
    leaf_angle = angle - spin
    leaves = cell * 0.42 * np.clip(np.cos(leaf_angle), 0, 1) ** np.float32(14)
    colour = between(look.main, look.second * 0.62 + look.main * 0.38, edge(leaves - reach, pixel))
    colour = between(colour, look.second, edge(petals - reach, pixel))
    return between(colour, look.accent, edge(np.float32(cell * 0.095) - reach, pixel))


def _speckle(look: Look, u: Field, v: Field, pixel: float) -> Paint:
    colour: Paint = np.broadcast_to(look.main, (*u.shape, 3))
    for layer, chip in enumerate((look.second, look.accent, look.second)):
        cell = look.size * (0.95, 0.8, 0.5)[layer]
        x, y, column, row = honeycomb(u + 0.37 * layer, v + 0.23 * layer, cell)
        x = x + (chance(column, row, layer + 4.0) - 0.5) * cell * 0.4
        y = y + (chance(column, row, layer + 7.0) - 0.5) * cell * 0.3
        lean = chance(column, row, layer + 9.0) * 3.14
        a, b = x * np.cos(lean) + y * np.sin(lean), y * np.cos(lean) - x * np.sin(lean)
        radius = cell * (0.06 + 0.2 * chance(column, row, layer + 11.0))
        colour = between(colour, chip, edge(radius - np.hypot(a, b * 1.7), pixel))
    return colour


PATTERNS: dict[str, Callable[[Look, Field, Field, float], Paint] | None] = {
    "plain": None,
    "stripes": _stripes,
    "dots": _dots,
    "checks": _checks,
    "zigzag": _zigzag,
    "gradient": _gradient,
    "floral": _floral,
    "speckle": _speckle,
}


def cloth(stage: Stage, look: Look, u: Field, v: Field, *, turn: float = 0.0) -> Paint:
    """The look's pattern on a surface whose own coordinates are ``u`` and ``v``."""
    weave = PATTERNS[look.pattern]
    if weave is None:
        return look.main
    angle = math.radians(turn + (0 if look.pattern == "gradient" else look.turn))
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return weave(look, c * u + s * v, c * v - s * u, 1.0 / stage.scale)


def worn(
    stage: Stage,
    look: Look,
    part: Cut,
    *,
    depth: float = 0.12,
    strength: float = 0.22,
    turn: float = 0.0,
) -> None:
    """Paint a part with the look's pattern, padded."""
    fill = cloth(stage, look, part.x, part.y, turn=turn)
    stage.paint(part, fill, light=stage.puff(part, depth, strength))


# --- turned bodies -----------------------------------------------------------------------------


def turned(
    stage: Stage,
    profile: Sequence[tuple[float, float]],
    fill: Paint | Look,
    *,
    tilt: float = 0.1,
    gloss: float = 0.35,
    inside: Paint | None = None,
    wall: float = 0.06,
    curved: bool = True,
) -> None:
    """A body turned on a lathe, seen from a little above.

    ``profile`` goes down: (y, radius). ``inside`` is the colour of its hollow, seen through the
    opening at the top.
    """
    line = smooth(profile, closed=False) if curved else np.array(profile, dtype=np.float64)
    ys, radii = np.maximum.accumulate(line[:, 0]), np.maximum(line[:, 1], 0.01)
    top, bottom = float(ys[0]), float(ys[-1])
    head, foot = float(radii[0]), float(radii[-1])
    right = np.stack([radii, ys], axis=1)
    outline = np.concatenate(
        [
            oval(0, top, head, head * tilt, 180, 360),
            right,
            oval(0, bottom, foot, foot * tilt, 0, 180),
            right[::-1] * (-1, 1),
        ]
    )
    part = stage.cut(outline)
    radius = np.interp(part.y, ys, radii).astype(np.float32)
    t = np.clip(part.x / radius, -1, 1)
    bulge = np.sqrt(1 - t * t)
    if isinstance(fill, Look):
        # seen from above, what runs around the body sags towards us, and its sides crowd together
        widest = float(radii.max())
        fill = cloth(stage, fill, np.arcsin(t) * widest * 0.9, part.y - tilt * radius * bulge)
    t = t * np.float32(stage.sunny)
    facing = np.clip(0.79 * bulge - 0.61 * t, 0, 1)
    light = 0.66 + 0.42 * facing + 0.10 * np.clip(t - 0.72, 0, 1) - 0.04 * part.y
    shine = gloss * (
        np.exp(-(((t + 0.5) / 0.13) ** 2)) * 0.75 + np.exp(-(((t + 0.5) / 0.34) ** 2)) * 0.25
    )
    stage.paint(part, fill, light=light, gloss=shine)
    if inside is not None:
        rim = stage.cut(oval(0, top, head + 0.012, head * tilt + 0.012))
        stage.paint(rim, inside, light=1.08)
        hollow = stage.cut(oval(0, top + wall * 0.15, head - wall, (head - wall) * tilt))
        deep = 0.62 + 0.22 * np.clip(stage.sunny * hollow.x / head, -1, 1)
        stage.paint(hollow, inside, light=deep)


# --- the kinds ---------------------------------------------------------------------------------
# Unformatted: the formatter would give each of a thousand points a line of its own.
# fmt: off


def draw_mug(stage: Stage, look: Look, dice: Dice) -> None:
    style = dice.choice(["straight", "tapered", "barrel", "bowl"])
    tall, r = dice.uniform(1.15, 1.6), dice.uniform(0.56, 0.68)
    top, foot = 0.93 - tall, 0.93
    profile = {"straight": [(top, r), (foot - 0.12, r), (foot, r * 0.94)],
        "tapered": [(top, r * 1.05), (foot - 0.05, r * 0.76), (foot, r * 0.72)],
        "barrel": [(top, r * 0.9), (0.93 - tall / 2, r * 1.04), (foot, r * 0.82)],
        "bowl": [(top, r * 1.05), (foot - tall * 0.4, r), (foot - 0.1, r * 0.6),
        (foot, r * 0.5)]}[style]
    middle, reach = foot - tall * (0.6 if style in ("tapered", "bowl") else 0.52), tall * 0.29
    squarish = dice.random() < 0.35
    wide = dice.uniform(0.3, 0.4)
    if squarish:
        grip = rounded([(r - 0.1, middle - reach), (r + wide, middle - reach),
            (r + wide * 0.9, middle + reach), (r - 0.1, middle + reach)], [0.01, 0.2, 0.24, 0.01])
    else:
        grip = oval(r - 0.06, middle, wide + 0.06, reach, -105, 105)
    handle = stage.cut(lines=[(grip, dice.uniform(0.1, 0.14))])
    colour = look.accent if dice.random() < 0.2 else look.main
    stage.paint(handle, colour, light=stage.puff(handle, 0.05, 0.3) - 0.06)
    rim = IVORY if dice.random() < 0.6 else look.main
    turned(stage, profile, look, tilt=0.13, inside=rim, curved=style != "straight")
    if dice.random() < 0.5:
        drink = ink(dice.choice(["4a2c1d", "8a5a34", "7d8a4a"]))
        head = profile[0][1] - 0.1
        stage.paint(stage.cut(oval(0, top + 0.022, head, head * 0.105)), drink, light=0.95)


def draw_bottle(stage: Stage, look: Look, dice: Dice) -> None:
    style = dice.choice(["flask", "wine", "soap", "milk", "carafe"])
    r = dice.uniform(0.36, 0.46)
    metal, wood = dice.choice(METALS), dice.choice(WOODS)
    if style == "flask":
        neck = r * dice.uniform(0.55, 0.8)
        turned(stage, [(-0.7, neck), (-0.62, neck), (-0.42, r), (0.88, r), (0.95, r * 0.94)],
            look, curved=False)
        turned(stage, [(-0.97, neck * 0.95), (-0.93, neck * 1.04), (-0.68, neck * 1.04)],
            dice.choice([wood, look.accent, metal]), curved=False)
    elif style == "wine":
        turned(stage, [(-0.9, 0.13), (-0.45, 0.14), (-0.2, r * 0.75), (0.0, r * 0.9),
            (0.9, r * 0.9), (0.96, r * 0.84)], look, gloss=0.5)
        turned(stage, [(-0.98, 0.145), (-0.66, 0.15)], look.accent, curved=False)
    elif style == "soap":
        r *= 1.15
        pump = stage.cut(lines=[(np.array([(0.0, -0.35), (0.0, -0.8)]), 0.07),
            (smooth([(-0.06, -0.8), (0.2, -0.82), (0.36, -0.74)], closed=False), 0.09)])
        stage.paint(pump, metal, light=stage.puff(pump, 0.04, 0.4))
        turned(stage, [(-0.25, 0.2), (-0.2, r * 0.75), (-0.02, r), (0.88, r), (0.95, r * 0.92)],
            look)
        turned(stage, [(-0.42, 0.17), (-0.22, 0.17)], metal, curved=False)
    elif style == "milk":
        turned(stage, [(-0.72, 0.27), (-0.6, 0.22), (-0.3, 0.25), (0.0, r), (0.4, r * 1.03),
            (0.9, r), (0.96, r * 0.92)], look, gloss=0.5)
        turned(stage, [(-0.9, 0.2), (-0.88, 0.27), (-0.7, 0.28)], wood, curved=False, gloss=0.1)
    else:
        turned(stage, [(-0.8, 0.24), (-0.4, 0.15), (0.0, 0.26), (0.55, r * 1.35), (0.85, r * 1.3),
            (0.95, r)], look, gloss=0.5, inside=look.second, wall=0.05)
        cork = dice.random() < 0.6
        if cork:
            turned(stage, [(-0.98, 0.2), (-0.78, 0.17)], wood, curved=False, gloss=0.1)


def draw_vase(stage: Stage, look: Look, dice: Dice) -> None:
    style = dice.choice(["amphora", "gourd", "column", "drop", "bowl", "trumpet"])
    r, top = dice.uniform(0.42, 0.58), dice.uniform(-0.55, -0.25)
    profile = {"amphora": [(top, r * 0.62), (top + 0.14, r * 0.42), (0.15, r * 1.05),
        (0.6, r * 0.8), (0.94, r * 0.45)], "gourd": [(top, r * 0.42), (top + 0.2, r * 0.6),
        (0.06, r * 0.42), (0.5, r), (0.8, r * 0.94), (0.94, r * 0.6)], "column": [(top, r * 0.72),
        (top + 0.1, r * 0.7), (0.8, r * 0.7), (0.94, r * 0.64)], "drop": [(top, r * 0.2),
        (top + 0.35, r * 0.24), (0.3, r * 0.8), (0.62, r * 1.1), (0.86, r * 0.95),
        (0.95, r * 0.6)], "bowl": [(0.05, r * 0.75), (0.16, r * 0.72), (0.5, r * 1.25),
        (0.8, r * 1.05), (0.94, r * 0.6)], "trumpet": [(top, r * 0.95), (top + 0.3, r * 0.55),
        (0.3, r * 0.4), (0.75, r * 0.62), (0.94, r * 0.6)]}[style]
    bunch = dice.choice(["none", "none", "eucalyptus", "tulips", "pampas"])
    mouth, width = profile[0][0], profile[0][1] * 0.6
    if bunch != "none":
        green = ink(dice.choice(["6d8a63", "54775c", "8a9a6a"]))
        bloom = dice.choice([look.accent, ink("e9a9a0"), ink("e8c15a"), WHITE])
        for n in range(dice.choice([3, 5, 5])):
            lean = (n - 2) * 0.2 + dice.uniform(-0.08, 0.08)
            tip = (lean * 1.5, mouth - dice.uniform(0.45, 0.7) + abs(lean) * 0.4)
            stem = smooth([(lean * width, mouth + 0.3), (lean * width * 1.5, mouth - 0.1), tip],
                closed=False)
            stalk = stage.cut(lines=[(stem, 0.022)])
            stage.paint(stalk, green, light=0.8)
            if bunch == "eucalyptus":
                for k, (x, y) in enumerate(stem[10::3]):
                    side = 1 if k % 2 else -1
                    leaf = stage.cut(oval(x + side * 0.055, y, 0.06, 0.042))
                    stage.paint(leaf, green, light=stage.puff(leaf, 0.03, 0.2))
            elif bunch == "tulips":
                x, y = tip
                head = stage.cut(smooth([(x, y + 0.1), (x + 0.1, y + 0.02), (x + 0.08, y - 0.13),
                    (x + 0.03, y - 0.07), (x, y - 0.15), (x - 0.03, y - 0.07),
                    (x - 0.08, y - 0.13), (x - 0.1, y + 0.02)]))
                stage.paint(head, bloom, light=stage.puff(head, 0.06, 0.3))
            else:
                x, y = tip
                head = stage.cut(smooth([(x, y - 0.22), (x + 0.07, y), (x * 0.9, y + 0.26),
                    (x - 0.07, y)]))
                stage.paint(head, ink("e5d3b3"), light=stage.puff(head, 0.05, 0.25))
    turned(stage, profile, look, tilt=0.14, inside=look.main, gloss=dice.choice([0.12, 0.4]),
        wall=0.045)
    if style in ("amphora", "gourd") and dice.random() < 0.45:
        for side in (-1, 1):
            ear = smooth([(side * r * 0.42, top + 0.14), (side * r * 0.95, top + 0.12),
                (side * r * 0.88, top + 0.42)], closed=False)
            part = stage.cut(lines=[(ear, 0.075)])
            stage.paint(part, look.main, light=stage.puff(part, 0.04,
                0.3) - (0.12 if side > 0 else 0))


def draw_lamp(stage: Stage, look: Look, dice: Dice) -> None:
    metal = dice.choice([*METALS, *WOODS])
    base = dice.choice(["ball", "stem", "cone", "gourd", "tripod"])
    shade = dice.choice(["drum", "cone", "dome", "pleat"])
    stand = dice.choice([metal, look.accent, look.main])
    if base == "tripod":
        legs = stage.cut(lines=[(np.array([(0, 0.0), (x, 0.97)]),
            0.06) for x in (-0.42, 0.08, 0.42)])
        stage.paint(legs, metal, light=stage.puff(legs, 0.03, 0.3))
    elif base == "stem":
        turned(stage, [(-0.2, 0.035), (0.92, 0.035)], metal, curved=False)
        turned(stage, [(0.88, 0.3), (0.95, 0.36)], metal, curved=False, tilt=0.16)
        turned(stage, [(0.8, 0.03), (0.86, 0.06)], metal, curved=False)
    else:
        turned(stage, [(-0.2, 0.04), (0.3, 0.04)], metal, curved=False)
        profile = {"ball": [(0.24, 0.08), (0.32, 0.2), (0.6, 0.4), (0.86, 0.26), (0.95, 0.2)],
            "cone": [(0.1, 0.06), (0.9, 0.36), (0.95, 0.34)], "gourd": [(0.1, 0.08), (0.3, 0.2),
            (0.44, 0.14), (0.74, 0.34), (0.95, 0.22)]}[base]
        turned(stage, profile, stand, gloss=0.45, curved=base != "cone")
    low, wide = dice.uniform(-0.1, 0.08), dice.uniform(0.56, 0.7)
    glow = ink("fff0cf")
    profile = {"drum": [(-0.85, wide * 0.86), (low, wide)], "cone": [(-0.88, wide * 0.42),
        (low, wide * 1.05)], "dome": [(-0.84, wide * 0.12), (-0.78, wide * 0.42),
        (-0.5, wide * 0.86), (low, wide * 1.05)], "pleat": [(-0.86, wide * 0.55),
        (low, wide * 1.05)]}[shade]
    turned(stage, profile, look, gloss=0.06, inside=glow if shade != "dome" else None, wall=0.03,
        curved=shade == "dome", tilt=0.12)
    part = stage.cut(np.array([(-wide, -0.85), (wide, -0.85), (wide * 1.1, low + 0.1),
        (-wide * 1.1, low + 0.1)]))
    if shade == "pleat":
        fold = 0.09 * (0.5 + 0.5 * np.cos(part.x / (0.5 + 0.45 * (part.y + 0.9)) * 34))
        stage.tint(Cut(part.rows, part.cols, part.cover * fold.astype(np.float32), part.x, part.y),
            1.0)
    warmth = np.exp(-((part.x / (wide * 0.75)) ** 2) - ((part.y - low + 0.35) / 0.5) ** 2)
    stage.tint(Cut(part.rows, part.cols, (part.cover * warmth).astype(np.float32), part.x, part.y),
        0.38, ink("fff3d6"))


def draw_chair(stage: Stage, look: Look, dice: Dice) -> None:
    wood = dice.choice(WOODS)
    style = dice.choice(["panel", "slats", "spindles", "oval", "shell"])
    wide, seat, splay = dice.uniform(0.5, 0.58), dice.uniform(0.12, 0.24), dice.uniform(0.02, 0.12)

    def leg(x: float, y: float, foot: Point, light: float) -> None:
        part = stage.cut(np.array([(x - 0.05, y), (x + 0.05, y), (foot[0] + 0.03, foot[1]),
            (foot[0] - 0.03, foot[1])]))
        stage.paint(part, wood, light=light + 0.12 * np.clip(-(part.x - (x + foot[0]) / 2) / 0.05,
            -1, 1))

    for side in (-1, 1):
        leg(side * wide * 0.8, seat, (side * (wide * 0.82 + splay * 0.6), 0.88), 0.68)
    lean = wide * 0.92
    if style in ("slats", "spindles"):
        posts = stage.cut(lines=[(np.array([(s * lean * 0.92, seat), (s * lean, -0.93)]),
            0.075) for s in (-1, 1)])
        stage.paint(posts, wood, light=stage.puff(posts, 0.03, 0.35))
        if style == "slats":
            bars = stage.cut(*(box(-lean, y, lean, y + 0.17, 0.06) for y in (-0.88, -0.58, -0.28)))
            worn(stage, look, bars, depth=0.05)
        else:
            rods = stage.cut(lines=[(np.array([(x * 0.85, seat), (x, -0.8)]),
                0.035) for x in np.linspace(-lean * 0.7, lean * 0.7, 6)])
            stage.paint(rods, wood, light=stage.puff(rods, 0.02, 0.3))
            rail = stage.cut(rounded([(-lean * 1.1, -0.95), (lean * 1.1, -0.95),
                (lean * 1.04, -0.7), (-lean * 1.04, -0.7)], 0.08))
            stage.paint(rail, wood, light=stage.puff(rail, 0.06, 0.3))
    elif style == "panel":
        props = stage.cut(lines=[(np.array([(s * lean * 0.7, seat), (s * lean * 0.7, -0.3)]),
            0.07) for s in (-1, 1)])
        stage.paint(props, wood, light=0.85)
        back = stage.cut(rounded([(-lean, -0.95), (lean, -0.95), (lean * 0.92, -0.1),
            (-lean * 0.92, -0.1)], dice.choice([0.1, 0.3])))
        worn(stage, look, back)
    elif style == "oval":
        props = stage.cut(lines=[(np.array([(s * lean * 0.5, seat), (s * lean * 0.55, -0.2)]),
            0.06) for s in (-1, 1)])
        stage.paint(props, wood, light=0.85)
        frame = stage.cut(oval(0, -0.47, lean, 0.48))
        stage.paint(frame, wood, light=stage.puff(frame, 0.06, 0.3))
        worn(stage, look, stage.cut(oval(0, -0.47, lean - 0.07, 0.41)))
    else:
        back = stage.cut(smooth([(0, -0.93), (lean * 0.8, -0.8), (lean * 1.06, -0.3),
            (lean * 1.12, seat + 0.02), (0, seat + 0.1), (-lean * 1.12, seat + 0.02),
            (-lean * 1.06, -0.3), (-lean * 0.8, -0.8)]))
        worn(stage, look, back, depth=0.16, strength=0.3)
    top = rounded([(-wide * 0.88, seat - 0.12), (wide * 0.88, seat - 0.12),
        (wide * 1.12, seat + 0.12), (-wide * 1.12, seat + 0.12)], 0.09)
    for side in (-1, 1):
        leg(side * wide * 0.98, seat + 0.1, (side * (wide * 1.02 + splay), 0.99), 0.95)
    board = stage.cut(rounded([(-wide * 1.08, seat + 0.06), (wide * 1.08, seat + 0.06),
        (wide * 1.04, seat + 0.24), (-wide * 1.04, seat + 0.24)], 0.04))
    stage.paint(board, wood, light=stage.puff(board, 0.05, 0.2) - 0.08)
    cushion = stage.cut(top)
    stage.shade_below(cushion, 0.05, 0.4)
    worn(stage, look, cushion, depth=0.07, strength=0.28)
    front = stage.cut(rounded([(-wide * 1.12, seat + 0.08), (wide * 1.12, seat + 0.08),
        (wide * 1.1, seat + 0.2), (-wide * 1.1, seat + 0.2)], 0.06))
    fill = cloth(stage, look, front.x, front.y)
    stage.paint(front, fill, light=stage.puff(front, 0.04, 0.16) - 0.14)


def draw_sofa(stage: Stage, look: Look, dice: Dice) -> None:
    wood = dice.choice(WOODS)
    seats, arm = dice.choice([1, 2, 2, 3]), dice.choice(["round", "square", "slim"])
    wide = {1: 0.72, 2: 0.95, 3: 1.08}[seats]
    thick = {"round": 0.24, "square": 0.18, "slim": 0.1}[arm]
    back, soft = dice.uniform(-0.22, 0.0), dice.choice([0.05, 0.12, 0.2])
    legs = stage.cut(*(np.array([(s * x - 0.04, 0.8), (s * x + 0.04, 0.8),
        (s * x + 0.025 + s * 0.03, 1.0), (s * x - 0.025 + s * 0.03, 1.0)]) for s in (-1,
        1) for x in (wide * 0.86,)))
    stage.paint(legs, wood, light=0.9)
    frame = stage.cut(box(-wide + 0.05, back + 0.02, wide - 0.05, 0.86, soft))
    worn(stage, look, frame, depth=0.1)
    inner = wide - thick
    each = 2 * inner / seats
    for n in range(seats):
        left = -inner + n * each
        rest = stage.cut(box(left + 0.012, back - 0.04, left + each - 0.012, 0.5, 0.14))
        stage.shade_below(rest, 0.06, 0.4)
        worn(stage, look, rest, depth=0.13, strength=0.3)
    for n in range(seats):
        left = -inner + n * each
        seat = stage.cut(box(left + 0.006, 0.4, left + each - 0.006, 0.66, 0.09))
        stage.shade_below(seat, 0.08, 0.45)
        worn(stage, look, seat, depth=0.08, strength=0.3)
    base = stage.cut(box(-wide + 0.06, 0.64, wide - 0.06, 0.88, 0.05))
    stage.paint(base, cloth(stage, look, base.x, base.y), light=stage.puff(base, 0.06, 0.14) - 0.12)
    for side in (-1, 1):
        top = {"round": 0.16, "square": 0.2, "slim": 0.12}[arm]
        near, far = side * (wide - thick - 0.02), side * (wide + 0.02)
        shape = box(min(near, far), top, max(near, far), 0.88, 0.12 if arm == "round" else 0.04)
        part = stage.cut(shape)
        stage.shade_below(part, 0.07, 0.42)
        worn(stage, look, part, depth=0.09, strength=0.3)
        if arm == "round":
            roll = stage.cut(oval(side * (wide - thick / 2), top + 0.1, thick * 0.6, thick * 0.55))
            worn(stage, look, roll, depth=0.08, strength=0.3)
    for n in range(dice.choice([0, 1, 2 if seats > 1 else 1])):
        x, size = (-1, 1)[n] * inner * 0.68 if seats > 1 else 0.0, 0.19
        tilt = math.radians(dice.uniform(-14, 14))
        corners = np.array([(-size, -size), (size, -size), (size, size), (-size, size)])
        spun = corners @ np.array([[math.cos(tilt), math.sin(tilt)], [-math.sin(tilt),
            math.cos(tilt)]])
        pillow = stage.cut(rounded([(float(a) + x, float(b) + 0.26) for a, b in spun], 0.06))
        stage.shade_below(pillow, 0.06, 0.35)
        stage.paint(pillow, look.accent, light=stage.puff(pillow, 0.09, 0.3))


def draw_shirt(stage: Stage, look: Look, dice: Dice) -> None:  # noqa: PLR0915 - part by part
    style = dice.choice(["tee", "sweater", "polo", "button", "hoodie"])
    long = style in ("sweater", "hoodie") or (style == "button" and dice.random() < 0.6)
    wide, hem = dice.uniform(0.5, 0.57), dice.uniform(0.82, 0.95)
    neck, deep = dice.uniform(0.19, 0.24), dice.uniform(0.07, 0.16)
    inside = stage.cut(oval(0, -0.8, neck, 0.07))
    stage.paint(inside, look.main, light=0.62)
    for side in (-1, 1):
        if long:
            arm = [(0.4, -0.74), (0.62, -0.66), (0.76, -0.3), (0.93, 0.62), (0.72, 0.66),
                (0.56, 0.0), (0.42, -0.24)]
            radii = [0.1, 0.18, 0.3, 0.03, 0.03, 0.3, 0.1]
        else:
            arm = [(0.4, -0.74), (0.6, -0.68), (0.98, -0.2), (0.76, -0.02), (0.42, -0.28)]
            radii = [0.1, 0.2, 0.03, 0.03, 0.1]
        sleeve = stage.cut(rounded(arm if side > 0 else mirrored(arm), radii))
        worn(stage, look, sleeve, depth=0.1, strength=0.26, turn=side * (-14 if long else -38))
        cuff = ([(0.945, 0.6), (0.95, 0.7), (0.72, 0.74),
            (0.7, 0.63)] if long else [(0.945, -0.24), (0.985, -0.19), (0.765, -0.005),
            (0.725, -0.05)])
        edge_part = stage.cut(rounded(cuff if side > 0 else mirrored(cuff), 0.02))
        trim = look.accent if style == "polo" else look.main
        stage.paint(edge_part, trim, light=stage.puff(edge_part, 0.04, 0.2) - 0.05)
    half = [(neck, -0.82), (0.46, -0.74), (0.53, -0.62), (wide - 0.02, -0.25), (wide, 0.3),
        (wide + 0.015, hem)]
    half_radii = [0.01, 0.14, 0.1, 0.2, 0.3, 0.06]
    collar = [(-neck, -0.82), (-neck * 0.75, -0.82 + deep * 0.8), (0, -0.82 + deep * 1.25),
        (neck * 0.75, -0.82 + deep * 0.8)]
    body = stage.cut(rounded([*half, *reversed(mirrored(half)), *collar[1:]],
        [*half_radii, *reversed(half_radii), 0.1, 0.14, 0.1]))
    stage.shade_below(body, 0.05, 0.3)
    folds = 0.035 * np.sin(part_wave(body, dice)) * np.clip(body.y + 0.4, 0, 1)
    light = stage.puff(body, 0.14, 0.24) + folds.astype(np.float32)
    stage.paint(body, cloth(stage, look, body.x, body.y), light=light)
    ring = smooth([(-neck, -0.83), *collar[1:], (neck, -0.83)], closed=False)
    if style in ("tee", "sweater"):
        band = stage.cut(lines=[(ring, 0.055)])
        stage.paint(band, look.second if dice.random() < 0.4 else look.main, light=stage.puff(band,
            0.03, 0.25) - 0.05)
    if style == "sweater":
        rib = stage.cut(box(-wide - 0.005, hem - 0.06, wide + 0.005, hem + 0.04, 0.03))
        stripes = 0.06 * np.sin(rib.x * 90)
        stage.paint(rib, look.main, light=stage.puff(rib, 0.04,
            0.2) - 0.05 + stripes.astype(np.float32))
    if style in ("polo", "button"):
        length = -0.35 if style == "polo" else hem
        seam = stage.cut(box(-0.05, -0.74, 0.05, length, 0.01))
        stage.shade_below(seam, 0.02, 0.25)
        stage.paint(seam, cloth(stage, look, seam.x, seam.y), light=1.03)
        for y in np.arange(-0.64, length - 0.06, 0.13 if style == "polo" else 0.24):
            button = stage.cut(oval(0, float(y), 0.024, 0.024))
            stage.shade_below(button, 0.012, 0.4)
            stage.paint(button, IVORY)
        for side in (-1, 1):
            flap = [(0.02, -0.72), (neck + 0.03, -0.88), (neck + 0.09, -0.68), (0.13, -0.56)]
            wing = stage.cut(rounded(flap if side > 0 else mirrored(flap), 0.03))
            stage.shade_below(wing, 0.03, 0.3)
            trim = look.accent if style == "polo" else look.main
            stage.paint(wing, trim, light=stage.puff(wing, 0.04, 0.2))
    if style == "hoodie":
        hood = stage.cut(smooth([(-neck - 0.1, -0.76), (-neck, -0.95), (0, -1.0), (neck, -0.95),
            (neck + 0.1, -0.76), (0.1, -0.62), (-0.1, -0.62)]))
        stage.shade_below(hood, 0.05, 0.3)
        stage.paint(hood, look.main, light=stage.puff(hood, 0.08, 0.3))
        stage.paint(stage.cut(oval(0, -0.83, neck * 0.72, 0.1)), look.main, light=0.55)
        cords = stage.cut(lines=[(np.array([(s * 0.07, -0.66), (s * 0.08, -0.36)]),
            0.02) for s in (-1, 1)])
        stage.paint(cords, IVORY)
        pocket = stage.cut(rounded([(-0.22, 0.26), (0.22, 0.26), (0.36, 0.5), (0.34, 0.72),
            (-0.34, 0.72), (-0.36, 0.5)], 0.03))
        stage.shade_below(pocket, 0.03, 0.3)
        stage.paint(pocket, cloth(stage, look, pocket.x, pocket.y),
            light=stage.puff(pocket, 0.05, 0.12))


def part_wave(part: Cut, dice: Dice) -> Field:
    """The phase of soft folds that run down a garment, a little aslant."""
    return np.asarray(part.x * dice.uniform(7, 10) + part.y * dice.uniform(-2.5,
        2.5) + dice.uniform(0, 6), dtype=np.float32)


def draw_bag(stage: Stage, look: Look, dice: Dice) -> None:  # noqa: PLR0915 - part by part
    style = dice.choice(["tote", "handbag", "backpack", "bucket"])
    leather, metal = dice.choice([*WOODS[:2], look.accent]), dice.choice(METALS[:2])
    if style == "tote":
        wide, top = dice.uniform(0.56, 0.68), dice.uniform(-0.3, -0.1)
        rise = dice.uniform(0.55, 0.72)
        for light, shift in ((0.66, -0.03), (1.0, 0.0)):
            loop = oval(0, top + 0.06 + shift, wide * 0.5, rise + shift, 180, 360)
            strap = stage.cut(lines=[(loop, 0.07)])
            if light < 1:
                stage.paint(strap, leather, light=light)
        body = stage.cut(rounded([(-wide, top), (wide, top), (wide * 1.06, 1), (-wide * 1.06, 1)],
            [0.03, 0.03, 0.12, 0.12]))
        worn(stage, look, body, depth=0.14)
        front = oval(0, top + 0.2, wide * 0.5, rise + 0.16, 180, 360)
        handle = stage.cut(lines=[(front, 0.07)])
        stage.shade_below(handle, 0.04, 0.3)
        stage.paint(handle, leather, light=stage.puff(handle, 0.03, 0.3))
        for side in (-1, 1):
            tab = stage.cut(box(side * wide * 0.5 - 0.055, top + 0.16, side * wide * 0.5 + 0.055,
                top + 0.32, 0.02))
            stage.paint(tab, leather, light=stage.puff(tab, 0.03, 0.2))
    elif style == "handbag":
        wide, top = dice.uniform(0.72, 0.86), dice.uniform(0.0, 0.15)
        handle = stage.cut(lines=[(oval(0, top + 0.05, wide * 0.52, 0.55, 180, 360), 0.075)])
        stage.paint(handle, leather, light=stage.puff(handle, 0.03, 0.3))
        body = stage.cut(rounded([(-wide * 0.88, top), (wide * 0.88, top), (wide, 1), (-wide, 1)],
            [0.1, 0.1, 0.2, 0.2]))
        worn(stage, look, body, depth=0.14, strength=0.26)
        drop = top + (1 - top) * dice.uniform(0.45, 0.62)
        flap = stage.cut(rounded([(-wide * 0.9, top - 0.03), (wide * 0.9, top - 0.03),
            (wide * 0.9, drop * 0.7 + top * 0.3), (0, drop + 0.12),
            (-wide * 0.9, drop * 0.7 + top * 0.3)], [0.1, 0.1, 0.25, 0.4, 0.25]))
        stage.shade_below(flap, 0.06, 0.4)
        fill = look.main if look.pattern != "plain" else look.main * np.float32(0.92)
        stage.paint(flap, fill, light=stage.puff(flap, 0.08, 0.25))
        clasp = stage.cut(oval(0, drop - 0.02, 0.065, 0.065))
        stage.shade_below(clasp, 0.03, 0.4)
        stage.paint(clasp, metal, light=stage.puff(clasp, 0.03, 0.4))
    elif style == "backpack":
        wide = dice.uniform(0.54, 0.62)
        hook = stage.cut(lines=[(oval(0, -0.78, 0.16, 0.16, 180, 360), 0.05)])
        stage.paint(hook, leather, light=0.9)
        body = stage.cut(rounded([(-wide * 0.9, -0.85), (wide * 0.9, -0.85), (wide, 1),
            (-wide, 1)], [0.42, 0.42, 0.16, 0.16]))
        worn(stage, look, body, depth=0.16, strength=0.28)
        zipper = stage.cut(lines=[(rounded([(-wide * 0.78, 0.05), (-wide * 0.74, -0.62),
            (wide * 0.74, -0.62), (wide * 0.78, 0.05)], [0.01, 0.34, 0.34, 0.01]), 0.022)])
        stage.tint(zipper, 0.5)
        pocket = stage.cut(box(-wide * 0.76, 0.22, wide * 0.76, 0.86, 0.12))
        stage.shade_below(pocket, 0.06, 0.4)
        worn(stage, look, pocket, depth=0.09, strength=0.26)
        lid = stage.cut(box(-wide * 0.78, 0.18, wide * 0.78, 0.4, 0.1))
        stage.shade_below(lid, 0.04, 0.35)
        stage.paint(lid, leather, light=stage.puff(lid, 0.06, 0.25))
        patch = stage.cut(box(-0.13, -0.36, 0.13, -0.16, 0.03))
        stage.paint(patch, leather, light=stage.puff(patch, 0.04, 0.2))
    else:
        wide = dice.uniform(0.52, 0.62)
        strap = stage.cut(lines=[(oval(0.02, -0.2, wide * 0.72, 0.74, 180, 360), 0.065)])
        stage.paint(strap, leather, light=stage.puff(strap, 0.03, 0.3) - 0.1)
        turned(stage, [(-0.25, wide * 0.86), (0.1, wide * 1.02), (0.86, wide),
            (0.93, wide * 0.94)], look, gloss=0.05, inside=look.main, wall=0.03, tilt=0.14)
        cord = stage.cut(lines=[(oval(0, -0.1, wide * 0.93, 0.1, 8, 172), 0.03)])
        stage.paint(cord, leather)
        ends = stage.cut(lines=[(np.array([(-0.03, 0.0), (-0.07, 0.28)]), 0.028),
            (np.array([(0.03, 0.0), (0.06, 0.24)]), 0.028)])
        stage.shade_below(ends, 0.03, 0.3)
        stage.paint(ends, leather)


def draw_shoe(stage: Stage, look: Look, dice: Dice) -> None:  # noqa: PLR0915 - part by part
    style = dice.choice(["sneaker", "sneaker", "hightop", "boot", "loafer"])
    sole = dice.choice([WHITE, WHITE, ink("d8b48a"), COAL])
    if style == "boot":
        upper = [(-0.72, 0.84), (-0.74, 0.3), (-0.72, -0.36), (-0.18, -0.4), (-0.12, 0.12),
            (0.1, 0.34), (0.6, 0.46), (0.9, 0.62), (0.93, 0.86)]
        radii = [0.06, 0.2, 0.05, 0.05, 0.3, 0.3, 0.3, 0.2, 0.04]
    elif style == "loafer":
        upper = [(-0.9, 0.88), (-0.93, 0.42), (-0.82, 0.34), (-0.5, 0.6), (-0.1, 0.42), (0.4, 0.5),
            (0.88, 0.68), (0.96, 0.88)]
        radii = [0.05, 0.1, 0.06, 0.3, 0.12, 0.3, 0.2, 0.04]
    else:
        rise = -0.34 if style == "hightop" else 0.0
        upper = [(-0.88, 0.84), (-0.94, 0.4), (-0.86, 0.16 + rise), (-0.74, 0.14 + rise),
            (-0.5, 0.34 + rise), (-0.26, 0.0 + rise), (-0.08, -0.02 + rise * 0.8), (0.3, 0.36),
            (0.72, 0.5), (0.95, 0.68), (0.96, 0.86)]
        radii = [0.06, 0.2, 0.05, 0.05, 0.2, 0.08, 0.05, 0.2, 0.24, 0.12, 0.04]
    if style in ("sneaker", "hightop"):
        tongue = stage.cut(rounded([(-0.3, 0.1 + rise), (-0.24, -0.14 + rise),
            (-0.04, -0.12 + rise * 0.9), (0.1, 0.2)], 0.06))
        stage.paint(tongue, look.second, light=stage.puff(tongue, 0.05, 0.25) - 0.06)
    back, front = upper[2], upper[4 if style == "loafer" else 5]
    dip = 0.66 if style == "loafer" else 0.44
    lining = [back, (front[0] + 0.02, front[1] - 0.02), (front[0], front[1] + 0.2), (-0.5, dip)]
    if style != "boot":
        stage.paint(stage.cut(rounded(lining, 0.04)), look.second, light=0.66)
    shape = rounded(upper, radii)
    body = stage.cut(shape)
    worn(stage, look, body, depth=0.12, strength=0.28)
    if style in ("sneaker", "hightop"):
        cap = stage.within(stage.cut(smooth([(0.5, 0.9), (0.56, 0.6), (0.72, 0.42), (1.05, 0.5),
            (1.05, 0.9)])), body)
        stage.paint(cap, sole if sole is not COAL else look.second, light=stage.puff(cap, 0.08,
            0.2))
        heel = stage.within(stage.cut(box(-1.0, 0.1 + rise, -0.7, 0.9, 0.1)), body)
        stage.paint(heel, look.accent, light=stage.puff(heel, 0.06, 0.2))
        if dice.random() < 0.5:
            swoosh = stage.within(stage.cut(lines=[(smooth([(-0.6, 0.72), (-0.3, 0.7),
                (0.16, 0.42)], closed=False), 0.085)]), body)
            stage.paint(swoosh, look.accent if look.pattern == "plain" else look.second, light=0.97)
        laces = [(np.array([(-0.16 + 0.1 * k + rise * 0.16 * (4 - k) / 4 - 0.03,
            0.2 + rise * (4 - k) / 5 + 0.065 * k),
            (0.0 + 0.085 * k, 0.07 + rise * (4 - k) / 5 + 0.075 * k)]), 0.042) for k in range(5)]
        lacing = stage.cut(lines=laces)
        stage.shade_below(lacing, 0.025, 0.35)
        stage.paint(lacing, WHITE, light=0.97)
        bottom = rounded([(-0.95, 0.78), (0.0, 0.82), (0.97, 0.78), (0.98, 0.96), (0.9, 1.0),
            (-0.9, 1.0)], [0.05, 0.3, 0.08, 0.08, 0.06, 0.08])
    elif style == "boot":
        panel = stage.within(stage.cut(rounded([(-0.48, -0.5), (-0.3, -0.5), (-0.31, 0.16),
            (-0.48, 0.16)], 0.08)), body)
        stage.paint(panel, look.accent, light=stage.puff(panel, 0.03, 0.12) - 0.08)
        loop = stage.cut(lines=[(oval(-0.7, -0.36, 0.045, 0.1), 0.03)])
        stage.paint(loop, look.accent)
        block = stage.cut(rounded([(-0.74, 0.84), (-0.34, 0.84), (-0.38, 1.0), (-0.72, 1.0)], 0.02))
        stage.paint(block, COAL, light=1.1)
        bottom = rounded([(-0.75, 0.82), (0.0, 0.84), (0.95, 0.82), (0.95, 0.9), (0.85, 0.95),
            (0.1, 0.95), (-0.2, 0.89), (-0.75, 0.89)], 0.04)
        sole = ink("5a4334")
    else:
        strap = stage.within(stage.cut(rounded([(-0.2, 0.3), (0.16, 0.36), (0.1, 0.95),
            (-0.12, 0.95)], 0.06)), body)
        stage.paint(strap, look.accent, light=stage.puff(strap, 0.05, 0.25))
        block = stage.cut(rounded([(-0.92, 0.86), (-0.5, 0.86), (-0.52, 1.0), (-0.9, 1.0)], 0.02))
        stage.paint(block, COAL, light=1.1)
        bottom = rounded([(-0.92, 0.85), (0.96, 0.85), (0.96, 0.92), (0.85, 0.97), (0.1, 0.97),
            (-0.3, 0.91), (-0.92, 0.91)], 0.04)
        sole = ink("4a3a30")
    ground = stage.cut(bottom)
    stage.shade_below(ground, 0.03, 0.3)
    stage.paint(ground, sole, light=stage.puff(ground, 0.05, 0.18))
    if style in ("sneaker", "hightop"):
        stage.tint(stage.within(stage.cut(lines=[(np.array([(-0.94, 0.9), (0.97, 0.9)]), 0.016)]),
            ground), 0.3)


def draw_hat(stage: Stage, look: Look, dice: Dice) -> None:
    style = dice.choice(["fedora", "beanie", "cap", "sunhat", "bucket"])
    band = look.accent if look.pattern != "plain" else look.second
    if style in ("fedora", "sunhat"):
        wide = 0.92 if style == "fedora" else 1.08
        deep = 0.17 if style == "fedora" else 0.24
        r, top = dice.uniform(0.46, 0.52), dice.uniform(0.02, 0.16)
        brim = stage.cut(smooth([(-wide, 0.8), (-wide * 0.5, 0.8 - deep), (0, 0.8 - deep * 1.1),
            (wide * 0.5, 0.8 - deep), (wide, 0.78), (wide * 0.55, 0.8 + deep * 0.95),
            (0, 0.8 + deep * 1.1), (-wide * 0.55, 0.8 + deep * 0.95)]))
        worn(stage, look, brim, depth=0.1, strength=0.24)
        shadow = stage.cut(oval(0.05, 0.82, r * 1.18, deep * 0.6))
        stage.tint(shadow, 0.28)
        profile = [(top, r * 0.5), (top + 0.05, r * 0.78), (top + 0.3, r * 0.95), (0.78, r)]
        turned(stage, profile, look, gloss=0.04, tilt=0.17)
        if style == "fedora":
            stage.tint(stage.cut(smooth([(-r * 0.4, top - 0.02), (0, top + 0.1),
                (r * 0.4, top - 0.02), (0, top + 0.02)])), 0.3)
        turned(stage, [(0.6, r * 0.985), (0.775, r * 1.005)],
            band, gloss=0.04, tilt=0.17, curved=False)
    elif style == "beanie":
        r = dice.uniform(0.62, 0.72)
        if dice.random() < 0.6:
            ball = stage.cut(oval(0, -0.3, 0.2, 0.19))
            stage.paint(ball, band, light=stage.puff(ball, 0.12, 0.34))
        dome = stage.cut(smooth([(0, -0.22), (r * 0.62, -0.06), (r * 0.95, 0.36), (r, 0.8),
            (0, 0.9), (-r, 0.8), (-r * 0.95, 0.36), (-r * 0.62, -0.06)]))
        knit = 0.03 * np.sin(dome.x * 60)
        stage.paint(dome, cloth(stage, look, dome.x, dome.y),
            light=stage.puff(dome, 0.2, 0.4) + knit.astype(np.float32))
        cuff = stage.cut(rounded([(-r * 1.03, 0.62), (r * 1.03, 0.62), (r * 1.03, 1.0),
            (-r * 1.03, 1.0)], 0.1))
        stage.shade_below(cuff, 0.06, 0.35)
        ribs = 0.07 * np.sin(np.arcsin(np.clip(cuff.x / (r * 1.06), -1, 1)) * 40)
        stage.paint(cuff, look.main, light=stage.puff(cuff, 0.1, 0.3) + ribs.astype(np.float32))
    elif style == "cap":
        visor = stage.cut(smooth([(0.3, 0.72), (0.62, 0.64), (0.98, 0.8), (1.06, 0.94),
            (0.7, 0.92), (0.1, 0.94), (-0.1, 0.86)]))
        dome_shape = rounded([(-0.78, 0.94), (-0.8, 0.4), (-0.5, 0.02), (-0.05, -0.06),
            (0.36, 0.1), (0.6, 0.5), (0.62, 0.86), (0.0, 0.97)],
            [0.06, 0.3, 0.3, 0.3, 0.3, 0.3, 0.1, 0.4])
        dome = stage.cut(dome_shape)
        worn(stage, look, dome, depth=0.22, strength=0.36)
        seams = stage.cut(lines=[(smooth([(-0.08, -0.04), (0.1, 0.4), (0.14, 0.92)], closed=False),
            0.014), (smooth([(-0.1, -0.04), (-0.46, 0.4), (-0.52, 0.92)], closed=False), 0.014)])
        stage.tint(seams, 0.3)
        stage.shade_below(visor, 0.05, 0.35)
        stage.paint(visor, band, light=stage.puff(visor, 0.08, 0.3))
        button = stage.cut(oval(-0.08, -0.06, 0.055, 0.035))
        stage.paint(button, band)
        patch = stage.cut(oval(0.36, 0.5, 0.11, 0.16))
        stage.paint(patch, band, light=stage.puff(patch, 0.04, 0.2))
    else:
        r, top = dice.uniform(0.44, 0.5), dice.uniform(0.0, 0.12)
        turned(stage, [(0.52, r), (0.94, r * 1.85)], look, gloss=0.03, tilt=0.13, curved=False)
        stage.tint(stage.cut(oval(0.03, 0.6, r * 1.2, 0.1)), 0.2)
        turned(stage, [(top, r * 0.86), (0.56, r)], look, gloss=0.03, tilt=0.14, curved=False)
        lid = stage.cut(oval(0, top, r * 0.86, r * 0.12))
        stage.paint(lid, cloth(stage, look, lid.x, lid.y * 4), light=1.05)
        turned(stage, [(0.46, r * 0.985), (0.56, r * 1.0)],
            band, gloss=0.03, tilt=0.14, curved=False)


def draw_clock(stage: Stage, look: Look, dice: Dice) -> None:
    style = dice.choice(["round", "square", "octagon", "sun", "alarm"])
    wood, metal = dice.choice(WOODS), dice.choice(METALS)
    middle, r = (0.1, 0.78) if style == "alarm" else (0.0, 0.92)
    if style == "alarm":
        feet = stage.cut(lines=[(np.array([(s * 0.4, 0.7), (s * 0.52, 0.96)]),
            0.1) for s in (-1, 1)])
        stage.paint(feet, metal, light=stage.puff(feet, 0.04, 0.3))
        handle = stage.cut(lines=[(oval(0, -0.72, 0.2, 0.2, 180, 360), 0.05)])
        stage.paint(handle, metal, light=0.95)
        for side in (-1, 1):
            bell = stage.cut(smooth([(side * 0.12, -0.72), (side * 0.34, -0.92),
                (side * 0.6, -0.78), (side * 0.66, -0.52), (side * 0.4, -0.56)]))
            stage.paint(bell, metal, light=stage.puff(bell, 0.08, 0.4))
    if style == "sun":
        rays = []
        for n in range(24):
            a, w = math.radians(15 * n), 0.05
            far = 0.98 if n % 2 else 0.86
            rays.append(np.array([(0.5 * math.cos(a - w * 2), 0.5 * math.sin(a - w * 2)),
                (far * math.cos(a), far * math.sin(a)), (0.5 * math.cos(a + w * 2),
                0.5 * math.sin(a + w * 2))]))
        burst = stage.cut(*rays)
        stage.paint(burst, wood, light=stage.puff(burst, 0.03, 0.25))
        r = 0.64
    if style == "square":
        frame_shape, dial = box(-0.82, -0.82, 0.82, 0.82, 0.2), 0.54
    elif style == "octagon":
        frame_shape = rounded([(r * math.cos(math.radians(22.5 + 45 * n)),
            r * math.sin(math.radians(22.5 + 45 * n))) for n in range(8)], 0.06)
        dial = 0.58
    else:
        frame_shape, dial = oval(0, middle, r, r), r * dice.uniform(0.62, 0.74)
    frame = stage.cut(frame_shape)
    stage.shade_below(frame, 0.05, 0.3)
    worn(stage, look, frame, depth=0.07, strength=0.34)
    lip = stage.cut(oval(0, middle, dial + 0.045, dial + 0.045))
    stage.paint(lip, metal, light=2 - stage.puff(lip, 0.05, 0.3))
    face_colour = dice.choice([IVORY, WHITE, look.second])
    if float(face_colour.mean()) < 0.6:
        face_colour = IVORY
    face = stage.cut(oval(0, middle, dial, dial))
    stage.paint(face, face_colour, light=2 - stage.puff(face, 0.06, 0.22))
    marks = []
    for n in range(12):
        a = math.radians(30 * n)
        long = 0.8 if n % 3 == 0 else 0.87
        marks.append((np.array([(dial * long * math.cos(a), middle + dial * long * math.sin(a)),
            (dial * 0.92 * math.cos(a), middle + dial * 0.92 * math.sin(a))]),
            0.034 if n % 3 == 0 else 0.02))
    stage.paint(stage.cut(lines=marks), COAL)
    hour, minute = dice.uniform(0, 360), dice.choice([0, 60, 120, 300])
    for turn, length, thick, colour in ((hour, 0.5, 0.055, COAL), (minute, 0.74, 0.04, COAL),
        (dice.uniform(0, 360), 0.8, 0.016, look.accent)):
        a = math.radians(turn)
        tip = (dial * length * math.cos(a), middle + dial * length * math.sin(a))
        tail = (-dial * 0.14 * math.cos(a), middle - dial * 0.14 * math.sin(a))
        hand = stage.cut(lines=[(np.array([tail, tip]), thick)])
        stage.shade_below(hand, 0.03, 0.25)
        stage.paint(hand, colour)
    stage.paint(stage.cut(oval(0, middle, 0.045, 0.045)), look.accent)


def draw_book(stage: Stage, look: Look, dice: Dice) -> None:
    wide, tall, thick = dice.uniform(0.58, 0.74), dice.uniform(0.86, 0.95), dice.uniform(0.06, 0.12)
    dx, dy = thick, thick * 0.8
    back = stage.cut(box(-wide + dx, -tall + dy, wide + dx, tall + dy, 0.03))
    stage.paint(back, look.main, light=0.72)
    pages = stage.cut(rounded([(-wide + 0.03, tall - 0.1), (wide - 0.1, -tall + 0.03),
        (wide - 0.02, -tall + 0.03), (wide + dx - 0.025, -tall + dy + 0.03),
        (wide + dx - 0.025, tall + dy - 0.025), (-wide + dx, tall + dy - 0.025)], 0.02))
    lines = 0.05 * np.sin((pages.x - pages.y) * 170)
    stage.paint(pages, IVORY, light=(0.93 + lines).astype(np.float32))
    if dice.random() < 0.4:
        ribbon = stage.cut(np.array([(wide * 0.3, tall), (wide * 0.3 + 0.07, tall),
            (wide * 0.3 + 0.12, tall + 0.22), (wide * 0.3 + 0.07, tall + 0.18),
            (wide * 0.3 + 0.04, tall + 0.22)]))
        stage.paint(ribbon, look.accent, light=0.95)
    cover = stage.cut(box(-wide, -tall, wide, tall, 0.035))
    stage.shade_below(cover, 0.03, 0.4)
    fill = cloth(stage, look, cover.x, cover.y)
    light = stage.puff(cover, 0.025, 0.22) - 0.03 * cover.x
    stage.paint(cover, fill, light=light)
    stage.tint(stage.cut(box(-wide + 0.09, -tall, -wide + 0.115, tall)), 0.22)
    spine = stage.cut(box(-wide, -tall, -wide + 0.09, tall, 0.02))
    stage.tint(spine, 0.12)
    centre = 0.05
    style = dice.choice(["plate", "medal", "moon", "band"])
    text = look.accent if float(look.accent.mean()) < 0.55 else COAL
    if style == "moon":
        disc = stage.cut(oval(centre, 0.22, wide * 0.58, wide * 0.58))
        stage.paint(disc, look.accent, light=stage.puff(disc, 0.02, 0.1))
        plate = box(centre - wide * 0.66, -tall + 0.18, centre + wide * 0.66, -tall + 0.52, 0.03)
        y = -tall + 0.29
    elif style == "medal":
        plate, y = oval(centre, -0.2, wide * 0.62, wide * 0.55), -0.26
    elif style == "band":
        plate, y = box(-wide, -0.02, wide, 0.34, 0.0), 0.1
    else:
        plate, y = box(centre - wide * 0.64, -0.55, centre + wide * 0.64, 0.02, 0.04), -0.38
    label = stage.cut(plate)
    stage.paint(label, IVORY, light=stage.puff(label, 0.02, 0.08))
    words = [(dice.uniform(0.5, 0.8), 0.062, 0.0), (dice.uniform(0.3, 0.6), 0.062, 0.11),
        (0.26, 0.026, 0.21 if style != "moon" else 0.0)]
    for length, height, below in words[: 2 if style in ("moon", "band") else 3]:
        half = wide * 0.58 * length
        stage.paint(stage.cut(lines=[(np.array([(centre - half, y + below),
            (centre + half, y + below)]), height)]), text)


# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one kind of product is shown. ``tall`` and ``wide`` are its extent in its coordinates,
    for framing; what does not stand ``lies`` (or hangs), seen straight on."""

    draw: Callable[[Stage, Look, Dice], None]
    tall: float = 1.9
    wide: float = 1.8
    lies: bool = False
    price: float = 30.0
    grain: float = 0.26  # the size of its patterns


KINDS = {
    "bag": Kind(draw=draw_bag, price=64, wide=1.5),
    "book": Kind(draw=draw_book, price=19, lies=True, tall=2.0, wide=1.5),
    "bottle": Kind(draw=draw_bottle, price=28, wide=1.1, tall=2.0),
    "chair": Kind(draw=draw_chair, price=149, wide=1.4, tall=2.0, grain=0.2),
    "clock": Kind(draw=draw_clock, price=45, lies=True),
    "hat": Kind(draw=draw_hat, price=34, tall=1.25, wide=2.0),
    "lamp": Kind(draw=draw_lamp, price=79, wide=1.4),
    "mug": Kind(draw=draw_mug, price=14, tall=1.5, wide=1.7),
    "shirt": Kind(draw=draw_shirt, price=39, lies=True, wide=2.0),
    "shoe": Kind(draw=draw_shoe, price=89, tall=1.3, wide=2.0, grain=0.2),
    "sofa": Kind(draw=draw_sofa, price=690, tall=1.25, wide=2.2, grain=0.17),
    "vase": Kind(draw=draw_vase, price=36, wide=1.2),
}


# --- backgrounds -------------------------------------------------------------------------------

WALLS = tuple(
    ink(c) for c in ("e9ded0", "dfe5e2", "e8dcd8", "d9dfe8", "ece6d6", "d8d3cc", "e4e0ea")
)
PAPERS = tuple(
    ink(c)
    for c in (
        "f2c9b4",
        "cfdcc4",
        "f3dc9f",
        "c3d6df",
        "e3cfe0",
        "e8a68f",
        "9fc0b8",
        "f0e2d2",
        "b9c4e0",
    )
)


def noise(dice: Dice, size: tuple[int, int], across: int, down: int) -> Field:
    """Soft noise around 0, with this many bumps across and down."""
    seeds = np.random.default_rng(dice.getrandbits(32)).normal(size=(down + 3, across + 3))
    small = Image.fromarray(seeds.astype(np.float32))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def spot(size: tuple[int, int], x: float, y: float, reach: float) -> Field:
    """A pool of light: 1 at its centre (in shares of the image), falling to 0."""
    width, height = size
    dx = (np.arange(width, dtype=np.float32) / width - x)[None, :] * width / max(size)
    dy = (np.arange(height, dtype=np.float32) / height - y)[:, None] * height / max(size)
    return np.exp(-(dx * dx + dy * dy) / (reach * reach))


def ground_studio(size: tuple[int, int], _horizon: float | None, dice: Dice) -> Paint:
    pool = spot(size, 0.45, 0.42, 0.62)
    return between(ink(dice.choice(["dedcd8", "d9dcdf", "e0dcd6"])), ink("fcfbf9"), pool)


def ground_sweep(size: tuple[int, int], horizon: float | None, dice: Dice) -> Paint:
    wall = dice.choice(WALLS)
    image = between(
        wall * np.float32(0.86), wall + (1 - wall) * np.float32(0.35), spot(size, 0.34, 0.3, 0.7)
    )
    if horizon is not None:
        rows = np.arange(size[1], dtype=np.float32) / size[1]
        floor = 1 / (1 + np.exp(-(rows - horizon) / 0.012))
        lit = wall + (1 - wall) * np.float32(0.45)
        shadow = 1 - 0.055 * np.exp(-(((rows - horizon) / 0.05) ** 2))
        share = np.asarray(0.75 * floor[:, None], dtype=np.float32)
        return np.asarray(between(image, lit, share) * shadow[:, None, None], dtype=np.float32)
    return image


def ground_wood(size: tuple[int, int], horizon: float | None, dice: Dice) -> Paint:
    width, height = size
    timber = ink(dice.choice(["c8996b", "b07c52", "8d6748", "d9b88f", "a9968a"]))
    if horizon is not None:
        wall = dice.choice(WALLS) * np.float32(0.93)
        image = between(wall * np.float32(0.84), wall, spot(size, 0.3, 0.25, 0.6))
        top = round(horizon * height)
    else:
        image = np.empty((height, width, 3), dtype=np.float32)
        top = 0
    rows = height - top
    y = (np.arange(rows, dtype=np.float32) / rows)[:, None]
    # boards grow wider towards us on a table, and are even on a table top seen from above
    depth = np.sqrt(y) if top else y
    board = np.floor(depth * 4.999)
    tone = 0.93 + 0.13 * chance(board, np.zeros_like(board), dice.random())
    grain = 0.028 * noise(dice, (width, rows), 5, 120) + 0.03 * noise(dice, (width, rows), 3, 26)
    share = depth * 4.999 - board
    seams = 1 - 0.32 * np.exp(-((np.minimum(share, 1 - share) * rows / (5 * 1.3)) ** 2))
    light = (tone + grain) * seams * (0.94 + 0.14 * spot((width, rows), 0.35, 0.3, 0.7))
    image[top:] = timber * light[..., None]
    if top:
        lip = np.exp(-((np.arange(rows, dtype=np.float32) / 3.0) ** 2))[:, None, None]
        image[top:] = image[top:] * (1 - 0.25 * lip)
    return np.clip(image, 0, 1)


def ground_paper(size: tuple[int, int], horizon: float | None, dice: Dice) -> Paint:
    width, height = size
    first, second = dice.sample(PAPERS, 2)
    image = np.broadcast_to(first, (height, width, 3)).astype(np.float32)
    layer = Stage(size, origin=(width / 2, height / 2), scale=max(size) / 2, turn=0, mirror=False)
    shape = dice.choice(["split", "slant", "plain", "disc"])
    outline = {
        "split": box(-2, ((horizon or 0.5) - 0.5) * 2 * height / max(size), 2, 2),
        "slant": np.array([(-2, 0.9), (2, -0.7), (2, 2), (-2, 2)]),
        "plain": box(-3, -3, -2, -2),
        "disc": oval(dice.uniform(-0.1, 0.1), -0.05, 0.72, 0.72),
    }[shape]
    layer.paint(layer.cut(outline), second)
    if shape in ("slant", "disc"):
        soft = moved(soften(layer.alpha, 5), right=2, down=3)
        image = image * (1 - 0.16 * soft)[..., None]
    image = image * (1 - layer.alpha[..., None]) + layer.rgb
    fibre = 1 + 0.008 * noise(dice, size, width // 2, height // 2)
    return image * (fibre * (0.93 + 0.1 * spot(size, 0.3, 0.25, 0.75)))[..., None]


def ground_arch(size: tuple[int, int], horizon: float | None, dice: Dice) -> Paint:
    """A niche: an arch cut into a painted wall."""
    width, height = size
    wall = dice.choice(PAPERS)
    niche = dice.choice([wall * np.float32(0.8), wall + (1 - wall) * np.float32(0.5)])
    floor = horizon if horizon is not None else 0.94
    layer = Stage(
        size, origin=(width / 2, height * floor), scale=min(size) / 2, turn=0, mirror=False
    )
    layer.rgb += np.broadcast_to(wall, layer.rgb.shape)
    layer.alpha += 1
    rise = 1.7 * height / min(size) * floor
    opening = np.concatenate(
        [oval(0, -rise + 0.72, 0.72, 0.72, 180, 360), np.array([(0.72, 0.0), (-0.72, 0.0)])]
    )
    part = layer.cut(opening)
    soft = 2 - layer.puff(part, 0.08, 0.35) - 0.05
    layer.paint(part, niche, light=soft.astype(np.float32))
    below = layer.cut(box(-3, 0, 3, 3))
    layer.paint(
        below,
        wall + (1 - wall) * np.float32(0.38),
        light=(1 - 0.12 * np.exp(-below.y / 0.06)).astype(np.float32),
    )
    return layer.rgb * (0.93 + 0.1 * spot(size, 0.3, 0.25, 0.75))[..., None]


def ground_window(size: tuple[int, int], horizon: float | None, dice: Dice) -> Paint:
    """A plaster wall with the sun through a window: kept for queries, no catalogue photo has it."""
    width, height = size
    wall = dice.choice(WALLS) * np.float32(0.88)
    slant, shift = dice.uniform(0.25, 0.5), dice.uniform(-0.15, 0.1)
    x = (np.arange(width, dtype=np.float32) / width)[None, :] + shift
    y = (np.arange(height, dtype=np.float32) / height)[:, None]
    u, v = (x - slant * (y - 0.5)) * 2.4, (y + 0.25 * x) * 2.1
    panes = np.clip((0.43 - np.abs(u % 1 - 0.5)) / 0.03, 0, 1) * np.clip(
        (0.44 - np.abs(v % 1 - 0.5)) / 0.03, 0, 1
    )
    panes = panes * (u > 0) * (u < 2) * (v > 0) * (v < 2.0)
    plaster = 1 + 0.014 * noise(dice, size, 40, 40) + 0.012 * noise(dice, size, 9, 9)
    image = wall * plaster[..., None]
    image = image + (ink("fff6e2") - image) * (0.62 * panes)[..., None]
    if horizon is not None:
        floor = (y[:, 0] > horizon)[:, None, None]
        stone = image * np.float32(0.88)
        image = np.where(floor, stone, image)
    return np.clip(image, 0, 1).astype(np.float32)


BACKGROUNDS = {
    "studio": ground_studio,
    "sweep": ground_sweep,
    "wood": ground_wood,
    "paper": ground_paper,
    "arch": ground_arch,
}
QUERY_BACKGROUND = "window"


# --- a photo -----------------------------------------------------------------------------------


def shadow_of(stage: Stage, floor: Point | None) -> Field:
    """How much of the light the product takes from its surroundings.

    On a ``floor`` its silhouette is laid backwards and to the right, with a dark line where the
    two touch; on a wall or a table top seen from above it lies close behind.
    """
    height, width = stage.alpha.shape
    half = Image.fromarray(stage.alpha).resize((width // 2, height // 2), Image.Resampling.BOX)
    body = np.asarray(half)
    reach = stage.scale / 2
    if floor is None:
        near = moved(soften(body, reach * 0.035), right=reach * 0.022, down=reach * 0.03)
        far = moved(soften(body, reach * 0.11), right=reach * 0.07, down=reach * 0.1)
        dark = 0.3 * near + 0.3 * far
    else:
        ground = floor[1] / 2
        squash, lean = 0.2, 0.42
        laid = half.transform(
            half.size,
            Image.Transform.AFFINE,
            (1, lean / squash, -lean * ground / squash, 0, 1 / squash, ground - ground / squash),
            Image.Resampling.BILINEAR,
        )
        rows = np.arange(body.shape[0], dtype=np.float32)
        low = np.clip((rows - (ground - reach * 0.17)) / (reach * 0.08), 0, 1)[:, None]
        touch = moved(soften(body * low, reach * 0.035), right=reach * 0.02, down=reach * 0.03)
        dark = 0.3 * soften(np.asarray(laid), reach * 0.06) + 0.55 * touch
    full = Image.fromarray(dark).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(full, dtype=np.float32), 0, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One thing in the shop, before any photo of it."""

    name: str
    kind: str
    colour: str
    pattern: str
    look: Look
    title: str
    price: str


GIVEN_NAMES = (
    *("Alba", "Arlo", "Bea", "Brio", "Cleo", "Dara", "Edda", "Elio", "Fenn", "Flora", "Gala"),
    *("Hugo", "Ines", "Iris", "Juno", "Kaia", "Lark", "Lumi", "Mara", "Milo", "Nell", "Nico"),
    *("Odin", "Olla", "Otto", "Pia", "Remy", "Rosa", "Saga", "Sol", "Tove", "Uma", "Vela", "Wren"),
)
WORDS = {
    "plain": "",
    "stripes": "striped ",
    "dots": "dotted ",
    "checks": "checked ",
    "zigzag": "zigzag ",
    "gradient": "ombré ",
    "floral": "floral ",
    "speckle": "speckled ",
}


def product_of(seed: int, number: int) -> Product:
    """The product of that number, whatever the size of the catalogue."""
    kinds = list(KINDS)
    kind, nth = kinds[number % len(kinds)], number // len(kinds)
    pairs = [(colour, pattern) for colour in PALETTES for pattern in PATTERNS]
    Random(f"{seed} {kind}").shuffle(pairs)
    colour, pattern = pairs[nth % len(pairs)]
    name = f"{kind}-{nth + 1:03}"
    dice = Random(f"{seed} {name}")
    main, second, accent = PALETTES[colour]
    look = Look(
        pattern=pattern,
        main=main,
        second=second,
        accent=accent,
        size=KINDS[kind].grain * dice.uniform(0.75, 1.25),
        turn=dice.choice([0, 0, 90, 45]) if pattern in ("stripes", "checks") else 0,
    )
    price = KINDS[kind].price * dice.uniform(0.7, 1.6)
    title = f"{dice.choice(GIVEN_NAMES)} {WORDS[pattern]}{kind} in {colour}"
    return Product(
        name=name,
        kind=kind,
        colour=colour,
        pattern=pattern,
        look=look,
        title=title,
        price=f"{price:.0f}.00",
    )


def photo(product: Product, background: str, dice: Dice, shape: Dice) -> Image.Image:
    """One photo: ``dice`` decide how it is taken, ``shape`` what the product is shaped like."""
    kind = KINDS[product.kind]
    size = dice.choice([(480, 480), (480, 480), (480, 600), (600, 480)])
    width, height = size
    fit = min(width * 0.86 / kind.wide, height * 0.8 / kind.tall)
    scale = fit * dice.choice(
        [dice.uniform(0.8, 0.95), dice.uniform(0.9, 1.04), dice.uniform(0.68, 0.85)]
    )
    x = width * (0.5 + dice.uniform(-0.06, 0.06))
    if kind.lies:
        y, turn = height * (0.5 + dice.uniform(-0.03, 0.03)), dice.uniform(-9, 9)
        horizon = None
        ground = None
        if product.kind == "clock":
            turn /= 4
    else:
        middle = height * (0.53 + dice.uniform(-0.02, 0.04))
        y, turn = middle + kind.tall * scale / 2 - scale, dice.uniform(-1.8, 1.8)
        horizon = (y + scale) / height - dice.uniform(0.1, 0.16) * scale / (fit or 1)
        ground = (x, y + scale * 0.97)
    mirror = product.kind != "book" and dice.random() < 0.3
    stage = Stage(size, origin=(x, y), scale=scale, turn=turn, mirror=mirror)
    kind.draw(stage, product.look, shape)
    grounds = {**BACKGROUNDS, QUERY_BACKGROUND: ground_window}
    image = grounds[background](size, horizon, dice)
    dark = shadow_of(stage, ground)[..., None] * np.array([0.94, 1.0, 1.0], dtype=np.float32)
    image = image * (1 - dark) * (1 - stage.alpha[..., None]) + stage.rgb
    warm, bright = dice.uniform(-0.03, 0.035), dice.uniform(0.93, 1.06)
    image = image * np.array([bright * (1 + warm), bright, bright * (1 - warm)], dtype=np.float32)
    grain = np.random.default_rng(dice.getrandbits(32)).random((height, width, 1), dtype=np.float32)
    # half a level of grain keeps soft gradients from banding
    levels = np.clip(image * 255 + grain, 0, 255.5).astype(np.uint8)
    return Image.fromarray(levels)


def _take(path: Path, product: Product, background: str, dice: Dice, *, seed: int) -> Drawn:
    image = photo(product, background, dice, Random(f"{seed} {product.name} shape"))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=QUALITY, subsampling=0)
    return Drawn(
        path=path,
        kind=product.kind,
        product=product.name,
        colour=product.colour,
        pattern=product.pattern,
        background=background,
        title=product.title,
        price=product.price,
    )


def draw(folder: Path, *, seed: int = 7, products: int = 240) -> list[Drawn]:
    """Draw a catalogue into ``folder``, one to three photos of each product, and its table.

    The same seed gives the same bytes (with one version of Pillow and numpy); a product does not
    depend on how many others there are.
    """
    drawn = []
    for number in range(products):
        product = product_of(seed, number)
        dice = Random(f"{seed} {product.name} photos")
        fitting = [b for b in BACKGROUNDS if b != "arch" or not KINDS[product.kind].lies]
        backgrounds = dice.sample(fitting, dice.choice([1, 1, 2, 2, 1, 3]))
        for n, background in enumerate(backgrounds, start=1):
            path = folder / product.kind / f"{product.name}-{n}.jpg"
            drawn.append(_take(path, product, background, dice, seed=seed))
    with (folder / "catalogue.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for d in drawn:
            where = d.path.relative_to(folder).as_posix()
            table.writerow(
                [where, d.kind, d.product, d.colour, d.pattern, d.background, d.title, d.price]
            )
    return drawn


def draw_query(path: Path, product: str, *, seed: int = 7) -> Drawn:
    """Draw a new photo of a product of the catalogue (``mug-003``), as a person would take it.

    Its background does not occur in the catalogue. Raise ``ValueError`` for an unknown product.
    """
    kind, _, nth = product.rpartition("-")
    if kind not in KINDS or not nth.isdecimal() or int(nth) < 1:
        raise ValueError(f"{product!r} is no product: expected a kind and a number, like mug-003")
    number = (int(nth) - 1) * len(KINDS) + list(KINDS).index(kind)
    dice = Random(f"{seed} {product} query")
    return _take(path, product_of(seed, number), QUERY_BACKGROUND, dice, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a catalogue of products to search in.")
    parser.add_argument("out", type=Path, help="the folder to draw into")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--products", type=int, default=240)
    parser.add_argument("--query", type=Path, help="also draw a new photo of mug-003 to this file")
    chosen = parser.parse_args()
    drawn = draw(chosen.out, seed=chosen.seed, products=chosen.products)
    if chosen.query is not None:
        draw_query(chosen.query, "mug-003", seed=chosen.seed)
    print(f"{len(drawn)} images of {chosen.products} products in {chosen.out}")


if __name__ == "__main__":
    main()
