"""Contact sheets: a query and its results on one image, to look at or to send to someone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

from PIL import Image, ImageDraw

from lookalike.images.lettering import Colour, fit_text, measure_text, wrap_text, write_text

__all__ = ["Cell", "QueryCell", "Theme", "contact_sheet"]

Theme: TypeAlias = Literal["light", "dark"]

LARGEST_ENLARGEMENT = 3  # beyond that, a thumbnail is only a blur
SMOOTHING = 4  # shapes are drawn this much larger and reduced


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One result on a sheet.

    ``image`` is ``None`` if the image is missing or cannot be read: its place stays. ``score`` is a
    cosine, shown as a number and a bar. ``caption`` is shortened in the middle, because file names
    differ at both ends; ``note`` is a second, quieter line.
    """

    image: Image.Image | None
    caption: str = ""
    score: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCell:
    """One part of the query on a sheet.

    Parts of a weight below 0 stand apart, as what results are less like. With ``words``, ``name``
    is drawn in place of the ``image``.
    """

    image: Image.Image | None
    name: str = ""
    weight: float = 1.0
    words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Colours:
    page: Colour
    panel: Colour  # background of the query
    ground: Colour  # background beside an image that is not square
    text: Colour
    quiet: Colour
    line: Colour
    accent: Colour


_THEMES: dict[Theme, _Colours] = {
    "light": _Colours(
        page=(250, 249, 247),
        panel=(238, 235, 230),
        ground=(241, 239, 235),
        text=(32, 32, 36),
        quiet=(112, 109, 105),
        line=(222, 218, 212),
        accent=(36, 110, 115),
    ),
    "dark": _Colours(
        page=(20, 21, 24),
        panel=(34, 36, 41),
        ground=(31, 33, 37),
        text=(238, 237, 234),
        quiet=(158, 157, 154),
        line=(58, 60, 66),
        accent=(104, 196, 190),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """The colours of a sheet and every length on it, in pixels, from the size of a cell."""

    colours: _Colours
    cell: int

    @property
    def margin(self) -> int:
        return max(12, round(self.cell * 0.16))

    @property
    def gap(self) -> int:
        return max(6, round(self.cell * 0.09))

    @property
    def text(self) -> int:
        return max(9, round(self.cell * 0.062))

    @property
    def small(self) -> int:
        return max(8, round(self.cell * 0.054))

    @property
    def heading(self) -> int:
        return max(12, round(self.cell * 0.11))

    @property
    def radius(self) -> int:
        return max(3, round(self.cell * 0.04))

    @property
    def bar(self) -> int:
        return max(2, round(self.cell * 0.014))

    def lines(self, *, noted: bool) -> int:
        """Return the height of the text below an image."""
        return round(self.text * (4.6 if noted else 3.1))


def contact_sheet(
    query: Image.Image | Sequence[QueryCell] | None,
    hits: Sequence[Cell],
    *,
    title: str = "",
    columns: int = 5,
    cell: int = 220,
    theme: Theme = "light",
) -> Image.Image:
    """Draw a query and its results, best first in reading order, as one RGB image.

    ``query`` is an image, the parts of a query, or nothing. Of several parts each is drawn with its
    weight. Images are shown completely, on a soft background, and enlarged at most threefold. If
    there are no results, the sheet says so. ``cell`` is the side of a result's image in pixels and
    determines all other sizes. Text uses the font that Pillow includes, which has little more than
    ASCII: accents are dropped, and other scripts become small boxes. Raise ``ValueError`` for fewer
    than one column or a cell under 48 pixels.
    """
    if columns < 1:
        raise ValueError(f"columns is {columns}; a sheet needs at least one")
    if cell < 48:  # noqa: PLR2004 - explained in the message
        raise ValueError(f"cell is {cell} pixels; below 48 no caption can be read")
    design = _Design(colours=_THEMES[theme], cell=cell)
    parts = [QueryCell(image=query)] if isinstance(query, Image.Image) else [*(query or ())]
    columns = max(1, min(columns, len(hits))) if hits else min(columns, 2)
    noted = any(hit.note for hit in hits)
    step_x, step_y = cell + design.gap, cell + design.lines(noted=noted) + design.gap
    rows = max(1, -(-len(hits) // columns))
    head = round(design.heading * 1.9) if title else 0
    if parts:
        head = max(head, round(design.text * 2))
    aside = round(cell * 1.2) + 2 * design.margin if parts else 0

    left, top = aside + design.margin, design.margin + head
    width = left + columns * step_x - design.gap + design.margin
    below = rows * step_y - design.gap
    if parts:
        below = max(below, _draw_query(None, parts, (design.margin, 0), design))
    sheet = Image.new("RGB", (width, top + below + design.margin), design.colours.page)
    pen = ImageDraw.Draw(sheet)

    if parts:
        pen.rectangle((0, 0, aside - 1, sheet.height), fill=design.colours.panel)
        _draw_query(sheet, parts, (design.margin, top), design)
    if title:
        room = width - left - design.margin
        line = fit_text(title, design.heading, room)
        corner = (left, design.margin - round(design.heading * 0.15))
        write_text(pen, corner, line, size=design.heading, fill=design.colours.text)
    if not hits:
        _say_nothing_found(sheet, (left, top, width - design.margin, top + below), design)
    for n, hit in enumerate(hits):
        at = (left + n % columns * step_x, top + n // columns * step_y)
        _draw_hit(sheet, hit, n + 1, at, design)
    return sheet


def _draw_query(
    sheet: Image.Image | None, parts: Sequence[QueryCell], at: tuple[int, int], design: _Design
) -> int:
    """Draw the parts of a query below each other, if there is a sheet; return their height.

    One part takes the whole width; several are half as wide, those of a weight below 0 last.
    """
    x, top = at
    side = round(design.cell * 1.2)
    title_height = round(design.text * 1.75)
    if len(parts) == 1 and parts[0].weight > 0:
        if sheet is not None:
            _write_heading(sheet, "Query", (x, top - title_height), design)
            _draw_part(sheet, parts[0], (x, top), side, design, framed=False)
        return side
    tile = (side - design.gap) // 2
    step = tile + round(design.text * 1.6) + design.gap
    y = top
    liked = [part for part in parts if part.weight > 0]
    disliked = [part for part in parts if part.weight < 0]
    for heading, group in (("Query", liked), ("Less like", disliked)):
        if not group:
            continue
        if y > top:
            y += title_height
        if sheet is not None:
            _write_heading(sheet, heading, (x, y - title_height), design)
            for number, part in enumerate(group):
                corner = (x + number % 2 * (tile + design.gap), y + number // 2 * step)
                _draw_part(sheet, part, corner, tile, design)
                caption = f"{abs(part.weight):g} \N{MULTIPLICATION SIGN} {part.name}"
                line = fit_text(caption, design.small, tile)
                below = (corner[0], corner[1] + tile + round(design.text * 0.35))
                pen = ImageDraw.Draw(sheet)
                write_text(pen, below, line, size=design.small, fill=design.colours.text)
        y += -(-len(group) // 2) * step
    return y - top - design.gap


def _write_heading(sheet: Image.Image, text: str, at: tuple[int, int], design: _Design) -> None:
    write_text(ImageDraw.Draw(sheet), at, text, size=design.text, fill=design.colours.quiet)


def _draw_part(
    sheet: Image.Image,
    part: QueryCell,
    at: tuple[int, int],
    side: int,
    design: _Design,
    *,
    framed: bool = True,
) -> None:
    if not part.words:
        _place(sheet, part.image, at, side, design, framed=framed)
        return
    tile = Image.new("RGB", (side, side), design.colours.page)
    pen, step = ImageDraw.Draw(tile), round(design.text * 1.35)
    inset = design.text // 2
    most = max(1, (side - 2 * inset) // step)
    for number, line in enumerate(wrap_text(part.name, design.text, side - 2 * inset, most)):
        place = (inset, inset + number * step)
        write_text(pen, place, line, size=design.text, fill=design.colours.text)
    sheet.paste(tile, at, _draw_mask(tile.size, design.radius))


def _draw_hit(
    sheet: Image.Image,
    hit: Cell,
    rank: int,
    at: tuple[int, int],
    design: _Design,
) -> None:
    x, y = at
    pen = ImageDraw.Draw(sheet)
    _place(sheet, hit.image, at, design.cell, design)
    line = y + design.cell + round(design.text * 0.55)
    write_text(pen, (x, line), f"{rank}", size=design.text, fill=design.colours.quiet)
    if hit.score is not None:
        number = f"{hit.score:.3f}"
        start = x + design.cell - measure_text(number, design.text)
        write_text(pen, (start, line), number, size=design.text, fill=design.colours.text)
        indent = max(
            round(design.text * 1.2), measure_text(f"{rank}", design.text) + design.text // 2
        )
        bar_from, bar_to = x + indent, round(start) - round(design.text * 0.7)
        if bar_to > bar_from:
            middle = line + round(design.text * 0.62)
            _draw_bar(sheet, (bar_from, bar_to), middle, hit.score, design)
    line += round(design.text * 1.5)
    caption = fit_text(hit.caption, design.text, design.cell)
    write_text(pen, (x, line), caption, size=design.text, fill=design.colours.text)
    if hit.note:
        line += round(design.text * 1.35)
        note = fit_text(hit.note, design.small, design.cell)
        write_text(pen, (x, line), note, size=design.small, fill=design.colours.quiet)


def _draw_bar(
    sheet: Image.Image,
    ends: tuple[int, int],
    middle: int,
    score: float,
    design: _Design,
) -> None:
    """Draw a thin bar; it is empty for a cosine below 0 or NaN."""
    start, stop = ends
    share = min(1.0, score) if score > 0 else 0.0
    top = middle - design.bar // 2
    for length, colour in (
        (stop - start, design.colours.line),
        ((stop - start) * share, design.colours.accent),
    ):
        if round(length) > 0:
            size = (round(length), design.bar)
            sheet.paste(colour, (start, top), _draw_mask(size, design.bar // 2 + 1))


def _place(
    sheet: Image.Image,
    image: Image.Image | None,
    at: tuple[int, int],
    side: int,
    design: _Design,
    *,
    framed: bool = True,
) -> None:
    """Draw an image completely into a square; ``framed`` fills the rest of the square."""
    tile = Image.new("RGB", (side, side), design.colours.ground)
    if image is None or 0 in image.size:
        _draw_missing(tile, design)
    else:
        shown = _fit(image, side)
        if not framed:
            tile = tile.resize(shown.size)
        middle = ((tile.width - shown.width) // 2, (tile.height - shown.height) // 2)
        tile.paste(shown, middle, shown if shown.mode == "RGBA" else None)
    sheet.paste(tile, at, _draw_mask(tile.size, design.radius))


def _fit(image: Image.Image, side: int) -> Image.Image:
    """Return the image at the displayed size, as RGB, or as RGBA if it has transparent parts.

    Much larger images are first reduced by a whole number (``reducing_gap``), which is several
    times faster and looks the same.
    """
    shown = image.convert("RGBA" if image.has_transparency_data else "RGB")
    scale = min(side / shown.width, side / shown.height, LARGEST_ENLARGEMENT)
    size = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
    return shown.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _draw_missing(tile: Image.Image, design: _Design) -> None:
    """Draw a quiet sign for a missing image: a frame with a sun and hills, struck through."""
    side = tile.width * SMOOTHING
    mask = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(mask)
    a, b, stroke = side * 0.36, side * 0.64, max(SMOOTHING, round(side * 0.012))
    up = side * 0.05
    frame = (a, a - up + side * 0.03, b, b - up - side * 0.03)
    pen.rounded_rectangle(frame, side * 0.025, outline=255, width=stroke)
    pen.ellipse((side * 0.41, side * 0.385, side * 0.45, side * 0.425), fill=255)
    hills = [(0.385, 0.535), (0.46, 0.455), (0.51, 0.505), (0.55, 0.465), (0.615, 0.535)]
    pen.line([(x * side, y * side) for x, y in hills], fill=255, width=stroke, joint="curve")
    struck = [(side * 0.34, side * 0.60), (side * 0.66, side * 0.30)]
    pen.line(struck, fill=0, width=stroke * 4)
    pen.line(struck, fill=255, width=stroke)
    tile.paste(design.colours.quiet, (0, 0), mask.reduce(SMOOTHING))
    words = "image not found"
    if measure_text(words, design.small) < tile.width:
        at = ((tile.width - measure_text(words, design.small)) / 2, tile.width * 0.68)
        write_text(ImageDraw.Draw(tile), at, words, size=design.small, fill=design.colours.quiet)


def _say_nothing_found(
    sheet: Image.Image, within: tuple[int, int, int, int], design: _Design
) -> None:
    left, top, right, bottom = within
    words = fit_text("No results", design.heading, right - left)
    x = left + (right - left - measure_text(words, design.heading)) / 2
    y = (top + bottom - design.heading) / 2
    write_text(ImageDraw.Draw(sheet), (x, y), words, size=design.heading, fill=design.colours.quiet)


@cache
def _draw_mask(size: tuple[int, int], radius: int) -> Image.Image:
    large = Image.new("L", (size[0] * SMOOTHING, size[1] * SMOOTHING), 0)
    corner = (large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(((0, 0), corner), radius * SMOOTHING, fill=255)
    return large.reduce(SMOOTHING)
