"""Draw images that look alike but are not duplicates, and true duplicates of images.

    python examples/hard_pairs.py OUT [--seed N] [--pairs N]

A hard pair shows two different things in one layout: letters with the same letterhead, receipts
of the same shop, tickets for two seats. One random generator draws everything that both share,
another draws what differs. ``COPIES`` are the changes that a duplicate of an image may have had.
"""

import argparse
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

__all__ = ["COPIES", "KINDS", "HardPair", "cropped", "hard_pairs", "resized", "scene"]

Draw = Callable[[Random, Random], Image.Image]
Change = Callable[[Image.Image], Image.Image]

_WORDS = [
    "account",
    "address",
    "agree",
    "amount",
    "answer",
    "arrive",
    "autumn",
    "balance",
    "basket",
    "before",
    "board",
    "bottle",
    "branch",
    "bridge",
    "butter",
    "button",
    "camera",
    "candle",
    "careful",
    "castle",
    "change",
    "city",
    "clear",
    "client",
    "cloud",
    "coffee",
    "colour",
    "common",
    "contract",
    "copper",
    "corner",
    "counter",
    "date",
    "deliver",
    "detail",
    "dinner",
    "doctor",
    "dozen",
    "east",
    "engine",
    "evening",
    "expect",
    "family",
    "figure",
    "final",
    "flower",
    "follow",
    "forward",
    "garden",
    "glass",
    "harbour",
    "height",
    "holiday",
    "house",
    "inform",
    "island",
    "january",
    "journey",
    "kitchen",
    "ladder",
    "letter",
    "library",
    "light",
    "linen",
    "market",
    "matter",
    "meeting",
    "middle",
    "minute",
    "mirror",
    "monday",
    "morning",
    "mountain",
    "music",
    "notice",
    "number",
    "october",
    "offer",
    "office",
    "orange",
    "order",
    "parcel",
    "pencil",
    "people",
    "person",
    "piece",
    "please",
    "police",
    "present",
    "price",
    "promise",
    "quarter",
    "question",
    "receive",
    "record",
    "remain",
    "river",
    "school",
    "season",
    "second",
    "silver",
    "south",
    "spring",
    "station",
    "street",
    "summer",
    "sunday",
    "table",
    "ticket",
    "travel",
    "under",
    "valley",
    "village",
    "visit",
    "water",
    "weather",
    "wednesday",
    "west",
    "window",
    "winter",
    "without",
    "yellow",
]


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _words(dice: Random, count: int) -> str:
    return " ".join(dice.choice(_WORDS) for _ in range(count))


def _colour(dice: Random, low: int = 0, high: int = 255) -> tuple[int, int, int]:
    return (dice.randint(low, high), dice.randint(low, high), dice.randint(low, high))


def _page(shared: Random, ground: str = "white") -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    """Return a page, its pen and the size of its text in pixels."""
    width = shared.choice((420, 560, 700, 900))
    image = Image.new("RGB", (width, round(width * shared.choice((1.3, 1.414)))), ground)
    return image, ImageDraw.Draw(image), max(11, round(width / shared.choice((44, 52, 60))))


def _letterhead(
    shared: Random, image: Image.Image, pen: ImageDraw.ImageDraw, size: int
) -> tuple[int, int]:
    """Draw the head of a letter; return the left margin and where the text begins."""
    margin, colour = image.width // 10, _colour(shared, 0, 160)
    pen.rectangle((margin, margin // 2, margin + size * 3, margin // 2 + size * 3), colour)
    pen.text((margin + size * 4, margin // 2), _words(shared, 2).title(), colour, _font(size * 2))
    pen.text((margin, margin // 2 + size * 4), _words(shared, 6), "#555555", _font(size * 0.8))
    pen.line((margin, size * 7 + margin // 2, image.width - margin, size * 7 + margin // 2), colour)
    return margin, size * 9 + margin // 2


def letter(shared: Random, own: Random) -> Image.Image:
    """The same letterhead, different text."""
    image, pen, size = _page(shared)
    left, top = _letterhead(shared, image, pen, size)
    per_line = max(4, round((image.width - 2 * left) / size / 3.4))
    for line in range(shared.randint(8, 24)):
        at = top + line * size * 1.5
        if at < image.height - left:
            pen.text((left, at), _words(own, per_line), "#202020", _font(size))
    return image


def letter_name(shared: Random, own: Random) -> Image.Image:
    """The same letter to another person, with another amount."""
    image, pen, size = _page(shared)
    left, top = _letterhead(shared, image, pen, size)
    per_line = max(4, round((image.width - 2 * left) / size / 3.4))
    pen.text((left, top), f"Dear {_words(own, 2).title()},", "#202020", _font(size))
    lines = shared.randint(8, 20)
    for line in range(lines):
        pen.text(
            (left, top + (line + 2) * size * 1.5), _words(shared, per_line), "#202020", _font(size)
        )
    total = f"Total due: {own.randint(100, 99999) / 100:.2f}"
    pen.text((left, top + (lines + 3) * size * 1.5), total, "#202020", _font(size))
    return image


def receipt(shared: Random, own: Random) -> Image.Image:
    """The same shop, different goods."""
    return _receipt(shared, own, own)


def receipt_amounts(shared: Random, own: Random) -> Image.Image:
    """The same shop and goods, different amounts."""
    return _receipt(shared, shared, own)


def _receipt(shared: Random, goods: Random, own: Random) -> Image.Image:
    width, lines = shared.choice((260, 340, 460)), shared.randint(8, 18)
    size = width // 20
    image = Image.new("RGB", (width, size * (lines + 12) * 3 // 2), "#fdfdfa")
    pen = ImageDraw.Draw(image)
    pen.text((width // 4, size), _words(shared, 2).upper(), "#111111", _font(size * 1.5))
    pen.text((size, size * 4), _words(shared, 4), "#333333", _font(size))
    total = 0.0
    for line in range(lines):
        at, price = size * 6 + line * size * 1.5, own.randint(50, 3999) / 100
        pen.text((size, at), _words(goods, 2), "#111111", _font(size))
        pen.text((width - size * 5, at), f"{price:6.2f}", "#111111", _font(size))
        total += price
    at = size * 8 + lines * size * 1.5
    pen.text((size, at), "TOTAL", "#111111", _font(size * 1.3))
    pen.text((width - size * 6, at), f"{total:7.2f}", "#111111", _font(size * 1.3))
    pen.text((size, at + size * 3), f"{own.randint(10**9, 10**10 - 1)}", "#333333", _font(size))
    return image


def chat(shared: Random, own: Random) -> Image.Image:
    """The same speech bubbles, different words."""
    width = shared.choice((360, 480, 640))
    image = Image.new("RGB", (width, width * 2), shared.choice(("#ece5dd", "#101418", "#ffffff")))
    pen, size = ImageDraw.Draw(image), width // 26
    dark = image.getpixel((0, 0)) == (16, 20, 24)
    pen.rectangle((0, 0, width, size * 4), _colour(shared, 20, 120))
    pen.text((size * 4, size), _words(shared, 2).title(), "white", _font(size * 1.4))
    at = size * 6
    while at < image.height - size * 6:
        lines, mine = shared.randint(1, 3), shared.random() < 0.5
        left = width // 4 if mine else size
        fill = ("#1f5c4d" if mine else "#26303a") if dark else ("#dcf8c6" if mine else "#f1f1f1")
        box = (left, at, left + width * 0.7, at + lines * size * 1.5 + size)
        pen.rounded_rectangle(box, size // 2, fill)
        for line in range(lines):
            ink = "#e8e8e8" if dark else "#111111"
            place = (left + size // 2, at + size // 2 + line * size * 1.4)
            pen.text(place, _words(own, 4), ink, _font(size))
        at += round(lines * size * 1.5 + size * 2)
    return image


def slide(shared: Random, own: Random) -> Image.Image:
    """The same template, a different title and different points."""
    width = shared.choice((640, 960))
    image = Image.new("RGB", (width, width * 9 // 16), _colour(shared, 225, 255))
    pen, size = ImageDraw.Draw(image), width // 34
    pen.rectangle((0, 0, width, size * 4), _colour(shared, 0, 140))
    pen.text((size * 2, size), _words(own, 3).capitalize(), "white", _font(size * 1.8))
    for line in range(shared.randint(3, 6)):
        at = size * 6 + line * size * 2.2
        pen.ellipse((size * 2, at + size * 0.3, size * 2.5, at + size * 0.8), "#333333")
        pen.text((size * 3, at), _words(own, shared.randint(3, 6)), "#222222", _font(size))
    pen.text((size * 2, image.height - size * 2), _words(shared, 4), "#777777", _font(size * 0.7))
    return image


def slide_step(shared: Random, own: Random) -> Image.Image:
    """A slide with one more point, or a different one."""
    width = shared.choice((640, 960))
    image = Image.new("RGB", (width, width * 9 // 16), "white")
    pen, size = ImageDraw.Draw(image), width // 34
    pen.text((size * 2, size), _words(shared, 3).capitalize(), "#203060", _font(size * 1.8))
    points = shared.randint(3, 5)
    for line in range(points):
        pen.text((size * 3, size * (5 + line * 2)), _words(shared, 5), "#222222", _font(size))
    pen.text((size * 3, size * (5 + points * 2)), _words(own, 4), "#222222", _font(size))
    return image


def form(shared: Random, own: Random) -> Image.Image:
    """The same form, filled in by two people."""
    image, pen, size = _page(shared)
    pen.text((size * 3, size * 2), _words(shared, 3).title(), "#111111", _font(size * 1.7))
    for line in range(shared.randint(8, 16)):
        at = size * 6 + line * size * 2.4
        pen.text((size * 3, at), _words(shared, 2).capitalize(), "#444444", _font(size * 0.8))
        pen.rectangle((image.width * 0.4, at - 3, image.width * 0.9, at + size * 1.5), None, "#888")
        pen.text((image.width * 0.42, at), _words(own, 2).title(), "#1a2a80", _font(size))
    return image


def form_tick(shared: Random, own: Random) -> Image.Image:
    """The same form, with another box ticked."""
    image, pen, size = _page(shared)
    rows = shared.randint(6, 12)
    ticked = own.sample(range(rows * 2), 3)
    for line in range(rows):
        at = size * 4 + line * size * 2.2
        pen.text((size * 3, at), _words(shared, 4).capitalize(), "#333333", _font(size))
        for side in (0, 1):
            left = image.width * (0.75 + 0.1 * side)
            box = (left, at, left + size, at + size)
            pen.rectangle(box, None, "#333333")
            if line * 2 + side in ticked:
                pen.line((left, at, left + size, at + size), "#111111", 2)
                pen.line((left, at + size, left + size, at), "#111111", 2)
    return image


def plan(shared: Random, own: Random) -> Image.Image:
    """A map: the same streets with other names, and the pin in another place."""
    width, height = shared.choice(((500, 500), (800, 600)))
    image = Image.new("RGB", (width, height), "#f2efe9")
    pen, size = ImageDraw.Draw(image), 12
    for _ in range(shared.randint(5, 9)):
        x, y = shared.randrange(width), shared.randrange(height)
        box = (x, y, x + shared.randint(40, 160), y + shared.randint(40, 120))
        pen.rectangle(box, shared.choice(("#cfe8c0", "#aad3df", "#e0dcd0")))
    for _ in range(shared.randint(8, 14)):
        ends = [(shared.randrange(width), shared.randrange(height)) for _ in range(2)]
        pen.line(ends, "white", shared.choice((5, 8, 12)))
    for _ in range(shared.randint(8, 16)):
        place = (shared.randrange(width - 80), shared.randrange(height - 20))
        pen.text(place, _words(own, 1).title(), "#555555", _font(size))
    x, y = own.randrange(20, width - 20), own.randrange(20, height - 20)
    pen.ellipse((x - 8, y - 8, x + 8, y + 8), "#d03020")
    return image


def chart(shared: Random, own: Random) -> Image.Image:
    """A chart with different bars and numbers."""
    return _chart(shared, own, own)


def chart_numbers(shared: Random, own: Random) -> Image.Image:
    """A chart with the same bars and different numbers."""
    return _chart(shared, shared, own)


def _chart(shared: Random, heights: Random, own: Random) -> Image.Image:
    width = shared.choice((480, 700))
    image = Image.new("RGB", (width, width * 2 // 3), "white")
    pen, size = ImageDraw.Draw(image), width // 42
    bars, colour = shared.randint(5, 9), _colour(shared, 40, 180)
    pen.text((size * 2, size), _words(shared, 4).capitalize(), "#111111", _font(size * 1.4))
    floor, step = image.height - size * 3, (width - size * 4) / bars
    for line in range(5):
        y = floor - line * (floor - size * 5) / 5
        pen.line((size * 2, y, width - size * 2, y), "#dddddd")
    for bar in range(bars):
        left, tall = size * 2 + bar * step, heights.uniform(0.15, 0.9) * (floor - size * 6)
        pen.rectangle((left + 4, floor - tall, left + step - 4, floor), colour)
        number = f"{own.randint(100, 999)}"
        pen.text((left + step / 4, floor - tall - size * 1.3), number, "#222222", _font(size))
        pen.text((left + step / 4, floor + size / 2), _words(shared, 1)[:4], "#555", _font(size))
    return image


def logo(_shared: Random, own: Random) -> Image.Image:
    """A white logo on a transparent background."""
    return _logo(own, (255, 255, 255, 255))


def logo_dark(_shared: Random, own: Random) -> Image.Image:
    """A black logo on a transparent background."""
    return _logo(own, (0, 0, 0, 255))


def _logo(own: Random, ink: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (400, 300), (*ink[:3], 0))
    pen = ImageDraw.Draw(image)
    x, y, r = own.randint(80, 130), own.randint(100, 140), own.randint(40, 70)
    shape = own.randrange(3)
    if shape == 0:
        pen.ellipse((x - r, y - r, x + r, y + r), ink)
    elif shape == 1:
        pen.regular_polygon((x, y, r), own.randint(3, 8), own.randrange(90), ink)
    else:
        pen.rounded_rectangle((x - r, y - r, x + r, y + r), r // 3, None, ink, 10)
    pen.text((200, 110), _words(own, 1).upper(), ink, _font(36))
    return image


def _product(
    shared: Random, ground: tuple[int, int, int], fill: tuple[int, int, int]
) -> Image.Image:
    width = shared.choice((300, 500, 800))
    image = Image.new("RGB", (width, round(width * 1.3)), ground)
    pen, height = ImageDraw.Draw(image), image.height
    neck = width * shared.uniform(0.08, 0.14)
    middle, edge = width / 2, width * shared.uniform(0.2, 0.3)
    pen.ellipse((middle - edge, height * 0.9, middle + edge, height * 0.96), "#d8d8d8")
    pen.rounded_rectangle(
        (middle - edge, height * 0.3, middle + edge, height * 0.93), width * 0.06, fill
    )
    pen.rectangle((middle - neck, height * 0.1, middle + neck, height * 0.32), fill)
    pen.rectangle((middle - neck * 1.2, height * 0.06, middle + neck * 1.2, height * 0.13), "#444")
    shine = (middle - edge * 0.8, height * 0.35, middle - edge * 0.6, height * 0.88)
    pen.rectangle(shine, tuple(min(255, round(one * 1.25) + 10) for one in fill))
    image = image.filter(ImageFilter.GaussianBlur(width / 300))
    pen = ImageDraw.Draw(image)
    label = (middle - edge * 0.9, height * 0.5, middle + edge * 0.9, height * 0.8)
    pen.rectangle(label, "#f6f1e4")
    pen.text((label[0] + 6, label[1] + 4), _words(shared, 1).upper(), "#222222", _font(width / 16))
    return image


def colour_variant(shared: Random, own: Random) -> Image.Image:
    """A product in another colour."""
    base = shared.randint(0, 255), shared.randint(0, 255), shared.randint(0, 255)
    turn, shift = own.randrange(3), own.choice((45, 85, 125))
    fill = tuple((one + (shift if place == turn else 0)) % 256 for place, one in enumerate(base))
    return _product(shared, (255, 255, 255), fill)  # type: ignore[arg-type] # three of them


def small_print(shared: Random, own: Random) -> Image.Image:
    """A product with other small print on its label: another strength, another flavour."""
    image = _product(shared, (255, 255, 255), _colour(shared, 30, 220))
    pen, width, height = ImageDraw.Draw(image), image.width, image.height
    size = max(11, width / 30)
    for line in range(2):
        place = (width * 0.34, height * (0.62 + 0.06 * line))
        pen.text(place, f"{_words(own, 1)} {own.randint(10, 999)} ml", "#333333", _font(size))
    return image


def calendar(shared: Random, own: Random) -> Image.Image:
    """Two months of one calendar."""
    image, pen, size = _page(shared)
    month = own.choice(("March", "May", "June", "August", "October", "December"))
    first, year = own.randrange(7), own.randint(1990, 2050)
    pen.text((size * 3, size * 2), f"{month} {year}", _colour(shared, 0, 140), _font(size * 2))
    step = (image.width - size * 6) / 7
    for day in range(31):
        row, column = divmod(day + first, 7)
        place = (size * 3 + column * step, size * 7 + row * step)
        pen.rectangle((*place, place[0] + step, place[1] + step), None, "#bbbbbb")
        pen.text((place[0] + 4, place[1] + 3), str(day + 1), "#222222", _font(size))
    return image


def _ticket(shared: Random) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    width = shared.choice((500, 700, 900))
    image = Image.new("RGB", (width, width * 2 // 5), _colour(shared, 215, 255))
    pen, size = ImageDraw.Draw(image), width // 36
    pen.rectangle((0, 0, size * 2, image.height), _colour(shared, 20, 170))
    pen.text((size * 4, size), _words(shared, 3).upper(), "#111111", _font(size * 1.7))
    pen.text((size * 4, size * 4), _words(shared, 5), "#444444", _font(size))
    return image, pen, size


def ticket_seat(shared: Random, own: Random) -> Image.Image:
    """A ticket for another seat."""
    image, pen, size = _ticket(shared)
    pen.text((size * 4, size * 7), "Row", "#444444", _font(size))
    pen.text((size * 7, size * 7), own.choice("ABCDEFGHJKLM"), "#111111", _font(size * 1.3))
    pen.text((size * 11, size * 7), "Seat", "#444444", _font(size))
    pen.text((size * 14, size * 7), str(own.randint(10, 99)), "#111111", _font(size * 1.3))
    return image


def ticket_barcode(shared: Random, own: Random) -> Image.Image:
    """A ticket with another bar code."""
    image, pen, size = _ticket(shared)
    left = size * 4
    for _ in range(40):
        wide = own.randint(1, 3)
        pen.rectangle((left, size * 7, left + wide, size * 11), "#111111")
        left += wide + own.randint(2, 4)
    return image


def ticket_qr(shared: Random, own: Random) -> Image.Image:
    """A ticket with another square code."""
    image, pen, size = _ticket(shared)
    cell, left, top = max(3, size // 4), image.width - size * 11, size * 2
    for row in range(25):
        for column in range(25):
            finder = min(row, 24 - row) < 7 and min(column, 24 - column) < 7
            dice = shared if finder else own
            if dice.random() < 0.5:
                x, y = left + column * cell, top + row * cell
                pen.rectangle((x, y, x + cell - 1, y + cell - 1), "#111111")
    return image


def scene(dice: Random, width: int, height: int) -> Image.Image:
    """An image with large and small shapes, soft light and grain."""
    image = Image.new("RGB", (width, height), _colour(dice, 60, 200))
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = dice.randrange(-40, width), dice.randrange(-40, height)
        w, h = dice.randint(width // 40, width // 3), dice.randint(height // 40, height // 3)
        shape = pen.ellipse if dice.random() < 0.5 else pen.rectangle
        shape((x, y, x + w, y + h), _colour(dice))
    image = image.filter(ImageFilter.GaussianBlur(width / 500))
    grain = np.random.default_rng(dice.randrange(2**32)).normal(0, 4, (height, width, 1))
    light = np.linspace(dice.uniform(-20, 20), dice.uniform(-20, 20), width)[None, :, None]
    pixels = np.asarray(image, np.float32) + grain + light
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def spot_the_difference(shared: Random, own: Random) -> Image.Image:
    """A scene in which one small object is different."""
    width, height = shared.choice(((480, 360), (720, 540), (960, 720)))
    image = scene(shared, width, height)
    pen, r = ImageDraw.Draw(image), width // 28
    x, y = shared.randrange(r, width - r), shared.randrange(r, height - r)
    if own.random() < 0.5:
        pen.ellipse((x - r, y - r, x + r, y + r), _colour(own))
    else:
        pen.regular_polygon((x, y, r), own.randint(3, 6), own.randrange(60), _colour(own))
    return image


def sheet(shared: Random, own: Random) -> Image.Image:
    """A table of numbers in which a few are different."""
    image, pen, size = _page(shared)
    columns, rows = shared.randint(4, 6), shared.randint(15, 25)
    changed = {(own.randrange(rows), own.randrange(columns)) for _ in range(3)}
    step = (image.width - size * 4) / columns
    for row in range(rows):
        for column in range(columns):
            number = shared.randint(100, 99999)
            if (row, column) in changed:
                number = own.randint(100, 99999)
            place = (size * 2 + column * step, size * 2 + row * size * 1.7)
            pen.text(place, f"{number:,}", "#222222", _font(size))
        y = size * 2 + row * size * 1.7
        pen.line((size * 2, y, image.width - size * 2, y), "#cccccc")
    return image


def terminal(shared: Random, own: Random) -> Image.Image:
    """A screen of text on a dark background."""
    width = shared.choice((640, 900))
    image = Image.new("RGB", (width, width * 5 // 8), "#1e1e1e")
    pen, size = ImageDraw.Draw(image), width // 60
    for line in range(24):
        text = f"{own.randint(1, 999):4d}  {_words(own, own.randint(2, 7))}"
        ink = shared.choice(("#d4d4d4", "#9cdcfe", "#ce9178", "#6a9955"))
        pen.text((size, size + line * size * 1.5), text, ink, _font(size))
    return image


def near_blank(shared: Random, own: Random) -> Image.Image:
    """A scanned page that is nearly empty."""
    image, pen, size = _page(shared, "#fcfcfa")
    pen.text(
        (image.width // 2, image.height - size * 3), str(own.randint(1, 999)), "#333", _font(size)
    )
    return image


def blank(shared: Random, own: Random) -> Image.Image:
    """An empty page, scanned: nothing but grain."""
    image, _, _ = _page(shared)
    noise = np.random.default_rng(own.randrange(2**32)).normal(
        250, 1.5, (image.height, image.width)
    )
    return Image.fromarray(noise.clip(0, 255).astype(np.uint8)).convert("RGB")


def icon(shared: Random, own: Random) -> Image.Image:
    """Two icons of the same set."""
    image = Image.new("RGB", (128, 128), "white")
    pen, colour = ImageDraw.Draw(image), _colour(shared, 0, 140)
    pen.rounded_rectangle((8, 8, 120, 120), 24, None, colour, 8)
    pen.text((44, 28), own.choice("ABCDEFGHKLMNPRSTUVWXYZ23456789"), colour, _font(64))
    return image


KINDS: dict[str, Draw] = {
    one.__name__: one
    for one in (
        letter, letter_name, receipt, receipt_amounts, chat, slide, slide_step, form, form_tick,
        plan, chart, chart_numbers, logo, logo_dark, colour_variant, small_print, calendar,
        ticket_seat, ticket_barcode, ticket_qr, spot_the_difference, sheet, terminal, near_blank,
        blank, icon,
    )
}  # fmt: skip


# --- copies ------------------------------------------------------------------------------------


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    """Return the image after saving it as a JPEG of this quality."""
    file = io.BytesIO()
    _flat(image).save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def resized(image: Image.Image, share: float) -> Image.Image:
    """Return the image at a share of its size."""
    size = max(8, round(image.width * share)), max(8, round(image.height * share))
    return image.resize(size, Image.Resampling.LANCZOS)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Return the image without ``share`` of its width and height, cut off equally on all sides."""
    across, down = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((across, down, image.width - across, image.height - down))


def bordered(image: Image.Image) -> Image.Image:
    """Return the image in a white frame of 3 % of its width."""
    edge = max(2, round(image.width * 0.03))
    whole = Image.new(image.mode, (image.width + 2 * edge, image.height + 2 * edge), "white")
    whole.paste(image, (edge, edge))
    return whole


def _flat(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


COPIES: dict[str, Change] = {
    "the same pixels": lambda image: image.copy(),
    "a tenth": lambda image: resized(image, 0.1),
    "a quarter": lambda image: resized(image, 0.25),
    "half": lambda image: resized(image, 0.5),
    "quality 20": lambda image: recompressed(image, 20),
    "quality 50": lambda image: recompressed(image, 50),
    "quality 85": lambda image: recompressed(image, 85),
    "cropped by 4 %": lambda image: cropped(image, 0.04),
    "cropped by 10 %": lambda image: cropped(image, 0.1),
    "sharpened": lambda image: image.filter(ImageFilter.UnsharpMask(2, 120, 2)),
    "bordered": bordered,
    "0.8, quality 60": lambda image: recompressed(resized(image, 0.8), 60),
}


# --- pairs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HardPair:
    """Two images that are not duplicates; ``change`` was also applied to the second."""

    kind: str
    change: str
    first: Image.Image
    second: Image.Image


def hard_pairs(count: int, *, seed: int, kinds: Sequence[str] = tuple(KINDS)) -> Iterator[HardPair]:
    """Draw pairs of every kind in turn; half of them with a change on the second image."""
    changes = list(COPIES)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        both = f"{seed}-{number}"
        first = KINDS[kind](Random(both), Random(f"{both}-first"))
        for attempt in range(100):
            second = KINDS[kind](Random(both), Random(f"{both}-{attempt}"))
            if _apart(first, second):
                break
        dice = Random(f"{both}-change")
        change = changes[0] if dice.random() < 0.5 else dice.choice(changes)
        yield HardPair(kind=kind, change=change, first=first, second=COPIES[change](second))


def _apart(first: Image.Image, second: Image.Image) -> bool:
    """Return whether two drawings differ at all: the random choices may be equal."""
    return first.size != second.size or first.tobytes() != second.tobytes()


def main() -> None:
    """Write pairs to a folder, one image for both, to look at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=len(KINDS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for number, pair in enumerate(hard_pairs(options.pairs, seed=options.seed)):
        side = math.ceil(max(*pair.first.size, *pair.second.size))
        both = Image.new("RGB", (2 * side, side), "#8090a0")
        for place, image in enumerate((pair.first, pair.second)):
            both.paste(image, (place * side, 0), image if image.mode == "RGBA" else None)
        both.save(options.out / f"{number:04d}-{pair.kind}.png")


if __name__ == "__main__":
    main()
