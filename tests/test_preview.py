"""Pictures in the terminal: where they appear, and what they are made of."""

import io

import pytest
from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from lookalike.cli.preview import can_preview, preview


class Screen(io.StringIO):
    """A file that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class OldScreen(Screen):
    encoding = "latin-1"


def console(
    file: io.StringIO | None = None, *, colours: str = "truecolor", **environ: str
) -> Console:
    return Console(
        file=file or Screen(),
        color_system=colours,  # type: ignore[arg-type]  # a literal in rich
        width=80,
        legacy_windows=False,
        _environ={"TERM": "xterm-256color", **environ},
    )


def lines(text: Text | None) -> list[str]:
    assert text is not None
    return text.plain.split("\n")


def test_a_colour_terminal_gets_pictures() -> None:
    assert can_preview(console())
    assert can_preview(console(colours="256"))


@pytest.mark.parametrize(
    "where",
    [
        console(io.StringIO()),
        console(io.StringIO(), FORCE_COLOR="1"),
        console(NO_COLOR="1"),
        console(TERM="dumb"),
        console(colours="standard"),
        console(OldScreen()),
    ],
    ids=["pipe", "forced colour in a log", "NO_COLOR", "dumb", "16 colours", "not unicode"],
)
def test_nothing_is_drawn_where_it_would_only_be_noise(where: Console) -> None:
    assert preview(Image.new("RGB", (9, 9)), console=where) is None


def test_each_character_shows_two_pixels() -> None:
    image = Image.new("RGB", (1, 2), (255, 0, 0))
    image.putpixel((0, 1), (0, 0, 255))
    drawn = preview(image, console=console(), columns=2)
    assert lines(drawn) == ["▀"]
    assert drawn is not None
    expected = Style(color=Color.from_rgb(255, 0, 0), bgcolor=Color.from_rgb(0, 0, 255))
    assert [span.style for span in drawn.spans] == [expected]


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [((400, 400), 12, 6), ((400, 200), 12, 3), ((200, 400), 6, 6), ((4000, 3), 12, 1)],
)
def test_the_whole_picture_is_shown_in_its_own_shape(
    size: tuple[int, int], width: int, height: int
) -> None:
    drawn = lines(preview(Image.new("RGB", size), console=console(), columns=12))
    assert [len(line) for line in drawn] == [width] * height


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_picture_can_be_shown(mode: str) -> None:
    assert preview(Image.new(mode, (20, 20)), console=console()) is not None


def test_what_can_be_seen_through_lies_on_white() -> None:
    drawn = preview(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), console=console(), columns=4)
    assert drawn is not None
    white = Color.from_rgb(255, 255, 255)
    assert {span.style for span in drawn.spans} == {Style(color=white, bgcolor=white)}


def test_a_picture_of_no_size_is_left_out() -> None:
    assert preview(Image.new("RGB", (0, 5)), console=console()) is None


def test_a_preview_keeps_its_place_in_a_table() -> None:
    screen = Screen()
    where = console(screen)
    table = Table("picture", "name")
    drawn = preview(Image.new("RGB", (8, 8)), console=where, columns=8)
    assert drawn is not None
    table.add_row(drawn, "mug.jpg")
    where.print(table)
    plain = Text.from_ansi(screen.getvalue()).plain
    assert len({len(line) for line in plain.splitlines()}) == 1
    assert plain.count("▀") == 32


def test_fewer_than_one_column_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        preview(Image.new("RGB", (8, 8)), console=console(), columns=0)
