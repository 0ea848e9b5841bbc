"""Images that would lose everything: hidden by their ground or alpha, or blank at the beginning."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hostile import photo, saved
from lookalike.errors import ImageError
from lookalike.images.decoding import decode, decode_layers, from_image
from lookalike.images.grounds import is_blank


def _logo(colour: tuple[int, int, int], *, size: int = 96, soft: bool = True) -> Image.Image:
    """Return a drawing in one colour on a transparent ground, with soft edges."""
    large = Image.new("L", (size * 4, size * 4), 0)
    draw = ImageDraw.Draw(large)
    draw.ellipse((size, size, 3 * size, 3 * size), fill=255)
    draw.rectangle((size // 2, size * 3, size * 3, size * 3 + size // 2), fill=255)
    alpha = large.resize((size, size), Image.Resampling.BOX if soft else Image.Resampling.NEAREST)
    image = Image.new("RGBA", (size, size), (*colour, 0))
    image.putalpha(alpha)
    return image


def _pixels(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image, dtype=np.int16)


@pytest.mark.parametrize("colour", [(255, 255, 255), (250, 251, 245), (240, 240, 240)])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_white_on_a_transparent_ground_is_put_on_black(
    kind: str, colour: tuple[int, int, int]
) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}

    decoded = decode(saved(_logo(colour), kind, **options))

    shown = _pixels(decoded.image)
    assert shown[0, 0].max() <= 8  # the ground
    assert shown.max() >= 235
    assert decoded.notes == ("it was put on black: on white its content is not seen",)
    assert not decoded.blank


def test_white_by_colour_key_and_in_a_palette_is_put_on_black_as_well() -> None:
    key = Image.new("RGB", (40, 40), (1, 2, 3))
    key.paste("white", (10, 10, 30, 30))
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([9, 9, 9, 255, 255, 255])
    palette.paste(1, (10, 10, 30, 30))
    grey = _logo((255, 255, 255)).convert("LA")
    files = [
        saved(key, "PNG", transparency=(1, 2, 3)),
        saved(palette, "PNG", transparency=0),
        saved(palette, "GIF", transparency=0),
        saved(grey, "PNG"),
    ]
    for data in files:
        shown = _pixels(decode(data).image)
        assert (shown.min(), shown.max()) == (0, 255)


@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (200, 30, 40), (255, 255, 0), (255, 255, 180), (225, 225, 225)]
)
def test_what_is_seen_on_white_stays_on_white(colour: tuple[int, int, int]) -> None:
    decoded = decode(saved(_logo(colour), "PNG"))

    assert _pixels(decoded.image)[0, 0].tolist() == [255, 255, 255]
    assert decoded.notes == ()


def test_an_image_with_clear_corners_and_little_ink_stays_on_white() -> None:
    page = Image.new("RGBA", (200, 200), "white")
    page.paste((255, 255, 255, 0), (0, 0, 5, 5))
    page.paste((0, 0, 0, 255), (50, 50, 52, 120))

    decoded = decode(saved(page, "PNG"))

    assert _pixels(decoded.image)[0, 0].tolist() == [255, 255, 255]
    assert decoded.notes == ()


def test_white_and_a_few_dark_pixels_are_still_put_on_black() -> None:
    image = _logo((255, 255, 255))
    image.putpixel((48, 48), (0, 0, 0, 255))

    assert _pixels(decode(saved(image, "PNG")).image)[0, 0].max() == 0


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_an_alpha_channel_that_is_0_everywhere_is_ignored(kind: str) -> None:
    image = photo().convert("RGBA")
    image.putalpha(0)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}

    decoded = decode(saved(image, kind, **options))

    assert np.array_equal(_pixels(decoded.image), _pixels(photo()))
    assert decoded.notes == ("its alpha channel is 0 everywhere and was ignored",)
    assert len(decode_layers(saved(image, kind, **options)).grounds) == 1


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGBA", (20, 20), (0, 0, 0, 0)),
        Image.new("RGBA", (20, 20), (200, 0, 0, 0)),
        Image.new("LA", (20, 20), (9, 0)),
        Image.new("RGB", (20, 20), "white"),
        Image.new("RGB", (20, 20), "black"),
        Image.new("L", (20, 20), 128),
        Image.new("1", (20, 20), 0),
        Image.new("RGBA", (20, 20), (255, 255, 255, 90)),
    ],
    ids=lambda image: f"{image.mode} {image.getpixel((0, 0))}",
)
def test_nothing_but_white_black_or_one_grey_is_blank(image: Image.Image) -> None:
    assert decode(saved(image, "PNG")).blank
    assert from_image(image).blank


@pytest.mark.parametrize("quality", [30, 95])
def test_blank_images_are_recognised_behind_a_lossy_codec(quality: int) -> None:
    for colour in ("white", "black", (238, 238, 238)):
        assert decode(saved(Image.new("RGB", (640, 480), colour), "JPEG", quality=quality)).blank
        large = saved(Image.new("RGB", (640, 480), colour), "WEBP", quality=quality)
        assert decode(large).blank


@pytest.mark.parametrize("colour", [(200, 30, 40), (255, 255, 220), (20, 20, 60)])
def test_a_single_colour_may_be_a_fabric_and_is_not_blank(colour: tuple[int, int, int]) -> None:
    assert not decode(saved(Image.new("RGB", (20, 20), colour), "PNG")).blank


def test_one_pixel_in_a_large_image_is_content() -> None:
    image = Image.new("RGB", (1000, 1000), "white")
    image.putpixel((777, 333), (0, 0, 0))

    assert not is_blank(image)


def _clear() -> Image.Image:
    return Image.new("RGBA", (40, 30), (0, 0, 0, 0))


_EMPTY: dict[str, Callable[[], Image.Image]] = {
    "white": lambda: Image.new("RGBA", (40, 30), "white"),
    "transparent": _clear,
    "red": lambda: Image.new("RGBA", (40, 30), (255, 0, 0, 255)),
}


@pytest.mark.parametrize("first", _EMPTY)
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_or_page_that_shows_something_is_taken(kind: str, first: str) -> None:
    frames = [_EMPTY[first](), photo(40, 30).convert("RGBA")]
    options: dict[str, int] = {"WEBP": {"lossless": 1}, "AVIF": {"quality": 100}}.get(kind, {})

    decoded = decode(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))

    assert np.abs(_pixels(decoded.image) - _pixels(photo(40, 30))).mean() < 12
    assert len(decoded.notes) == 1
    assert "was used; those before it are blank" in decoded.notes[0]


def test_an_animation_of_blank_frames_is_blank_and_its_first_one_is_taken() -> None:
    frames = [Image.new("RGB", (40, 30), shade) for shade in ("white", "black")]

    decoded = decode(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert decoded.blank
    assert _pixels(decoded.image).min() == 255


def test_a_broken_frame_behind_a_blank_one_does_not_lose_the_image() -> None:
    frames = [Image.new("RGB", (40, 30), "white"), photo(40, 30)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    for end in range(len(data) - 400, len(data), 40):
        try:
            decoded = decode(data[:end])
        except ImageError:
            continue
        assert decoded.image.size == (40, 30)


def test_duplicates_see_the_content_on_both_grounds() -> None:
    layers = decode_layers(saved(_logo((255, 255, 255)), "PNG"))

    assert len(layers.grounds) == 2
    assert _pixels(layers.grounds[0]).min() == 255
    assert _pixels(layers.grounds[1]).max() == 255
    assert _pixels(layers.grounds[1]).min() == 0


def test_ordinary_transparent_images_are_decoded_as_before() -> None:
    """Golden: the ground of what white shows is white, to the bit."""
    image = photo().convert("RGBA")
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    expected = Image.new("RGB", image.size, "white")
    expected.paste(image.convert("RGB"), mask=alpha)

    decoded = decode(saved(image, "PNG"))

    assert np.array_equal(_pixels(decoded.image), _pixels(expected))
    assert decoded.notes == ()


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_an_animation_of_single_colours_shows_the_first_of_them(mode: str) -> None:
    frames = [Image.new("RGB", (40, 30), colour).convert(mode) for colour in ("red", "lime")]

    for kind in ("PNG", "GIF"):
        decoded = decode(saved(frames[0], kind, save_all=True, append_images=frames[1:]))

        assert (_pixels(decoded.image) == (255, 0, 0)).all()


def test_a_palette_whose_colours_are_all_transparent_shows_them_all_the_same() -> None:
    image = photo().quantize(32)

    decoded = decode(saved(image, "PNG", transparency=bytes(32)))

    assert np.array_equal(_pixels(decoded.image), _pixels(image.convert("RGB")))
    assert decoded.notes == ("its alpha channel is 0 everywhere and was ignored",)
