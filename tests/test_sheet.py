"""Contact sheets: what stands where, and that nothing odd breaks them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from lookalike.display.contact_sheet import Cell, QueryCell, Theme, contact_sheet
from lookalike.images.lettering import (
    GLYPHS,
    fit_text,
    measure_text,
    simplify_text,
    wrap_text,
)

RED = (230, 20, 20)
BLUE = (20, 20, 230)


def cells(count: int, image: Image.Image | None = None) -> list[Cell]:
    image = image or Image.new("RGB", (60, 60), RED)
    return [Cell(image=image, caption=f"picture-{n}.jpg", score=1 - n / 60) for n in range(count)]


def extent(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int]:
    """Width and height of the area that holds (about) this colour."""
    far = np.abs(np.asarray(sheet, dtype=int) - colour).max(axis=2)
    rows, columns = np.nonzero(far < 24)
    return int(columns.max() - columns.min() + 1), int(rows.max() - rows.min() + 1)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("count", [0, 1, 5, 52])
def test_any_number_of_answers_makes_a_sheet(count: int, theme: Theme) -> None:
    query = Image.new("RGB", (30, 40), BLUE)
    sheet = contact_sheet(query, cells(count), title="Mugs", cell=64, theme=theme)
    assert sheet.mode == "RGB"


def test_a_sheet_grows_by_rows_of_equal_height() -> None:
    one, two, three = (contact_sheet(None, cells(n), cell=80, columns=5) for n in (5, 6, 11))
    assert one.width == two.width == three.width
    assert two.height - one.height == three.height - two.height > 80


def test_a_sheet_is_no_wider_than_its_answers() -> None:
    assert (
        contact_sheet(None, cells(2), cell=80).width < contact_sheet(None, cells(5), cell=80).width
    )


def test_a_query_stands_apart_at_the_left() -> None:
    without = contact_sheet(None, cells(3), cell=100)
    query = Image.new("RGB", (50, 50), BLUE)
    sheet = contact_sheet(query, cells(3), cell=100)
    assert sheet.width > without.width + 100
    pixels = np.asarray(sheet, dtype=int)
    blue = np.nonzero(np.abs(pixels - BLUE).max(axis=2) < 24)[1]
    red = np.nonzero(np.abs(pixels - RED).max(axis=2) < 24)[1]
    assert blue.max() < red.min()


@pytest.mark.parametrize(
    ("size", "shown"),
    [((400, 200), (120, 60)), ((200, 400), (60, 120)), ((9, 3), (27, 9)), ((5000, 10), (120, 1))],
    ids=["wide", "tall", "small: at most threefold", "a thread"],
)
def test_pictures_are_shown_whole_and_in_their_own_shape(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    sheet = contact_sheet(None, [Cell(image=Image.new("RGB", size, RED))], cell=120)
    assert extent(sheet, RED) == shown


def test_answers_follow_in_reading_order() -> None:
    shades = [(40 * n, 200, 90) for n in range(6)]
    answers = [Cell(image=Image.new("RGB", (64, 64), shade)) for shade in shades]
    sheet = contact_sheet(None, answers, cell=64, columns=3)
    pixels = np.asarray(sheet, dtype=int)
    places = []
    for shade in shades:
        rows, columns = np.nonzero(np.abs(pixels - shade).max(axis=2) == 0)
        places.append((int(np.median(rows)), int(np.median(columns))))
    assert places == sorted(places)


def test_a_missing_picture_leaves_a_sign_in_its_place() -> None:
    empty = contact_sheet(None, [Cell(image=Image.new("RGB", (90, 90), (241, 239, 235)))], cell=90)
    missing = contact_sheet(None, [Cell(image=None)], cell=90)
    assert missing.size == empty.size
    assert missing.tobytes() != empty.tobytes()
    assert missing == contact_sheet(None, [Cell(image=Image.new("RGB", (0, 9)))], cell=90)


def test_a_higher_score_has_a_longer_bar() -> None:
    def bar(score: float) -> int:
        sheet = contact_sheet(None, [Cell(image=None, score=score)], cell=200)
        return extent(sheet, (36, 110, 115))[0]

    assert bar(0.2) < bar(0.5) < bar(0.9)
    assert bar(1.0) == bar(1.00001)


@pytest.mark.parametrize("score", [-0.3, 0.0, float("nan"), float("inf"), -1e300])
def test_any_score_can_be_written(score: float) -> None:
    contact_sheet(None, [Cell(image=None, score=score)], cell=64)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_picture_can_be_shown(mode: str) -> None:
    contact_sheet(Image.new(mode, (20, 10)), [Cell(image=Image.new(mode, (20, 10)))], cell=64)


def test_what_can_be_seen_through_shows_the_ground() -> None:
    clear = contact_sheet(None, [Cell(image=Image.new("RGBA", (90, 90), (9, 9, 9, 0)))], cell=90)
    ground = contact_sheet(None, [Cell(image=Image.new("RGB", (90, 90), (241, 239, 235)))], cell=90)
    assert clear == ground


def test_a_long_name_loses_its_middle() -> None:
    line = fit_text("a-very-long-name-of-a-holiday-picture-0042.jpg", 12, 120)
    assert line.startswith("a-ver")
    assert line.endswith("42.jpg")
    assert measure_text(line, 12) <= 120


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Crème brûlée", "Creme brulee"),
        ("two\nlines\tand more", "two lines and more"),
        ("bell\a, zero\0, \u202eturned", "bell, zero, turned"),
        ("Straße", "Strasse"),
        ("a \N{EN DASH} b", "a - b"),
        ("猫.jpg", "\N{WHITE SQUARE}.jpg"),
    ],
)
def test_what_the_font_lacks_is_put_in_its_own_characters(text: str, drawn: str) -> None:
    assert simplify_text(text) == drawn


def test_the_glyphs_are_those_of_the_font() -> None:
    font = ImageFont.load_default(16)
    box = bytes(font.getmask("\N{WHITE SQUARE}"))
    drawn = {c for c in map(chr, range(0x20, 0x2E80)) if bytes(font.getmask(c)) != box}
    assert drawn >= GLYPHS


@settings(max_examples=40, deadline=None)
@given(text=st.text(alphabet=st.characters(codec=None), max_size=60), note=st.text(max_size=20))
def test_no_caption_breaks_a_sheet(text: str, note: str) -> None:
    answers = [Cell(image=None, caption=text, note=note)]
    plain = contact_sheet(None, [Cell(image=None, caption="a", note="b" * bool(note))], cell=64)
    assert contact_sheet(None, answers, title=text, cell=64).width == plain.width


@given(text=st.text(max_size=300), room=st.integers(20, 200))
def test_a_fitted_line_fits(text: str, room: int) -> None:
    line = fit_text(text, 12, room)
    assert measure_text(line, 12) <= room
    assert "\n" not in line


@pytest.mark.parametrize("wrong", [{"columns": 0}, {"cell": 20}])
def test_a_sheet_that_cannot_be_laid_out_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"is (0|20)"):
        contact_sheet(None, cells(1), **wrong)  # type: ignore[arg-type]


# --- the query -----------------------------------------------------------------------------------


def test_every_part_of_a_query_is_drawn_and_what_is_disliked_stands_below() -> None:
    parts = [
        QueryCell(image=Image.new("RGB", (60, 60), BLUE), name="a.jpg", weight=-0.5),
        QueryCell(image=Image.new("RGB", (60, 60), (20, 200, 20)), name="b.jpg", weight=2.0),
        QueryCell(image=Image.new("RGB", (60, 60), (200, 20, 200)), name="c.jpg"),
        QueryCell(image=None, name="in dark red", words=True),
    ]
    sheet = np.asarray(contact_sheet(parts, cells(3), cell=200), dtype=int)

    def top(colour: tuple[int, int, int]) -> int:
        rows, _ = np.nonzero(np.abs(sheet - colour).max(axis=2) < 24)
        return int(rows.min())

    assert top((20, 200, 20)) == top((200, 20, 200)) < top(BLUE)


def test_one_image_is_drawn_as_before_whether_it_is_a_part_or_not() -> None:
    image = Image.new("RGB", (60, 60), BLUE)
    assert contact_sheet([QueryCell(image=image, name="a.jpg")], cells(2)) == contact_sheet(
        image, cells(2)
    )
    assert contact_sheet([], cells(2)) == contact_sheet(None, cells(2))


@pytest.mark.parametrize("count", [2, 3, 12])
@pytest.mark.parametrize("weight", [-1.0, 1.0])
def test_a_sheet_is_as_high_as_its_query_needs(count: int, weight: float) -> None:
    image = Image.new("RGB", (60, 60), BLUE)
    parts = [QueryCell(image=image), *[QueryCell(image=image, weight=weight)] * (count - 1)]
    sheet = contact_sheet(parts, cells(1), cell=100)
    assert extent(sheet, BLUE)[1] <= sheet.height - 12
    assert sheet.height >= 62 * -(-count // 2)


@given(text=st.text(max_size=300), room=st.integers(40, 200), most=st.integers(1, 5))
def test_wrapped_text_fits(text: str, room: int, most: int) -> None:
    lines = wrap_text(text, 12, room, most)
    assert len(lines) <= most
    assert all(measure_text(line, 12) <= room for line in lines)
