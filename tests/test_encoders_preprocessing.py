"""From a picture to a network's numbers: geometry and arithmetic, checked with literals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.encoders import read_card
from lookalike.encoders.cards import Input
from lookalike.encoders.preprocessing import prepare, tensor
from networks import tiny_card

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def spec(tmp_path: Path) -> Input:
    return replace(read_card(tiny_card(tmp_path)).input, width=20, height=10)


def striped(width: int, height: int) -> Image.Image:
    """Three upright stripes of equal width: red, green, blue."""
    row = [(RED, GREEN, BLUE)[x * 3 // width] for x in range(width)]
    return Image.fromarray(np.array([row] * height, dtype=np.uint8))


def test_squash_shows_all_and_ignores_proportions(spec: Input) -> None:
    prepared = prepare(striped(60, 600), spec)
    assert prepared.shape == (10, 20, 3)
    assert prepared[5, [1, 10, 18]].tolist() == [list(RED), list(GREEN), list(BLUE)]


def test_crop_keeps_the_middle_in_proportion(spec: Input) -> None:
    middle = replace(spec, resize="crop", interpolation="nearest", width=10, height=10)
    assert (prepare(striped(300, 100), middle) == GREEN).all()
    upright = prepare(striped(99, 297), middle)
    assert upright[5, [0, 5, 9]].tolist() == [list(RED), list(GREEN), list(BLUE)]
    closer = prepare(striped(99, 297), replace(middle, crop=0.33))
    assert (closer == GREEN).all()


def test_pad_shows_all_in_proportion_and_fills_the_rest(spec: Input) -> None:
    padded = replace(spec, resize="pad", fill=(9, 8, 7), interpolation="nearest")
    prepared = prepare(striped(30, 30), padded)
    assert (prepared[:, :5] == (9, 8, 7)).all()
    assert (prepared[:, 15:] == (9, 8, 7)).all()
    assert prepared[5, [5, 10, 14]].tolist() == [list(RED), list(GREEN), list(BLUE)]


def test_reduction_does_not_alias(spec: Input) -> None:
    """Lines of one pixel become grey, at any reduction, not a pattern of their own."""
    for width in (400, 4000):
        lines = np.zeros((width // 2, width, 3), dtype=np.uint8)
        lines[:, ::2] = 255
        prepared = prepare(Image.fromarray(lines), spec)
        assert np.abs(prepared.astype(int) - 127).max() <= 8


def test_other_modes_become_rgb(spec: Input) -> None:
    assert (prepare(Image.new("L", (5, 5), 77), spec) == 77).all()


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from(["squash", "crop", "pad"]))
def test_every_size_of_picture_comes_to_the_input_size(width: int, height: int, mode: str) -> None:
    given_ = Input(
        name="x",
        width=31,
        height=17,
        layout="nchw",
        channels="rgb",
        resize=mode,  # type: ignore[arg-type]  # sampled from the three
        interpolation="bilinear",
        crop=0.875,
        fill=(0, 0, 0),
        scale=1.0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )
    assert prepare(Image.new("RGB", (width, height)), given_).shape == (17, 31, 3)


def test_numbers_are_scaled_then_centred_then_divided(spec: Input) -> None:
    usual = replace(spec, scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    picture = np.full((10, 20, 3), (255, 128, 0), dtype=np.uint8)
    numbers = tensor([picture, picture], usual)
    assert numbers.shape == (2, 3, 10, 20)
    assert numbers.dtype == np.float32
    expected = [(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    assert numbers[1, :, 3, 4] == pytest.approx(expected, abs=1e-6)


def test_the_caffe_convention_is_a_card_away(spec: Input) -> None:
    """Blue first, its mean first, no scaling: what VGG16 and ResNet50 of Keras were trained on."""
    caffe = replace(
        spec, channels="bgr", layout="nhwc", mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0)
    )
    numbers = tensor([np.full((10, 20, 3), (200, 100, 50), dtype=np.uint8)], caffe)
    assert numbers.shape == (1, 10, 20, 3)
    assert numbers[0, 0, 0] == pytest.approx([50 - 103.939, 100 - 116.779, 200 - 123.68], abs=1e-4)


@pytest.mark.parametrize(
    "wrong", [np.zeros((20, 10, 3), np.uint8), np.zeros((10, 20, 3)), np.zeros((10, 20), np.uint8)]
)
def test_a_picture_that_was_not_prepared_is_refused(spec: Input, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"a prepared image is uint8 \(10, 20, 3\)"):
        tensor([wrong], spec)  # type: ignore[list-item]
