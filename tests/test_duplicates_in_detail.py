"""What is a duplicate when it is looked at closely, and what only looks like one."""

import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from PIL import Image

import hard_pairs
from lookalike import images
from lookalike.analysis.duplicates import act, find, find_duplicates_of
from lookalike.analysis.duplicates.confirming import (
    SIDE_SURE,
    ImageView,
    Verdict,
    confirm,
    has_detail,
)
from lookalike.analysis.duplicates.image_signatures import load_signatures, load_view
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.cli.duplicates import duplicates_command
from lookalike.collection import Collection
from lookalike.encoders import OnnxEncoder
from lookalike.stores.embedded.store import EmbeddedStore

LIMITS = images.Limits()


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def seen(image: Image.Image) -> ImageView:
    return load_view(png(image), side=SIDE_SURE, limits=LIMITS)


def verdict(kept: Image.Image, copy: Image.Image) -> Verdict:
    return confirm(seen(kept), seen(copy), side=SIDE_SURE)


def scene(seed: int, width: int = 600, height: int = 450) -> Image.Image:
    return hard_pairs.scene(Random(seed), width, height)


def letter(seed: int, own: int = 0) -> Image.Image:
    return hard_pairs.KINDS["letter"](Random(seed), Random(own))


# --- pairs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", hard_pairs.KINDS)
def test_two_things_in_one_layout_are_no_duplicates(kind: str) -> None:
    for pair in islice(hard_pairs.hard_pairs(2, seed=4, kinds=[kind]), 2):
        found = verdict(pair.first, pair.second)
        assert not found.sure
        # At a tenth of its size a letter cannot be read, and may look like another.
        assert not found.same or pair.change in ("a tenth", "a quarter")


@pytest.mark.parametrize("kind", ["letter_name", "receipt_amounts", "ticket_seat", "logo"])
@pytest.mark.parametrize("change", ["half", "quality 50", "cropped by 4 %", "sharpened"])
def test_another_text_is_not_taken_for_what_a_copy_went_through(kind: str, change: str) -> None:
    (pair,) = hard_pairs.hard_pairs(1, seed=5, kinds=[kind])
    assert not verdict(pair.first, hard_pairs.COPIES[change](pair.second)).sure


@pytest.mark.parametrize("change", hard_pairs.COPIES)
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_is_still_shown_as_one(change: str, seed: int) -> None:
    whole = scene(seed)
    assert verdict(whole, hard_pairs.COPIES[change](whole)).same


@pytest.mark.parametrize(
    "change",
    ["the same pixels", "half", "quality 85", "cropped by 4 %", "cropped by 10 %", "bordered"],
)
@pytest.mark.parametrize("draw", [scene, letter])
def test_a_copy_that_shows_no_more_than_the_kept_one_may_be_removed(
    change: str, draw: Callable[[int], Image.Image]
) -> None:
    whole = draw(2)
    assert verdict(whole, hard_pairs.COPIES[change](whole)).sure


def test_what_shows_more_than_the_kept_one_is_not_removed() -> None:
    whole = scene(1)
    larger = verdict(hard_pairs.resized(whole, 0.4), whole)
    assert larger.same
    assert (larger.sure, larger.reason) == (
        False,
        "it shows more detail than the one that is kept",
    )
    wider = verdict(hard_pairs.cropped(whole, 0.1), whole)
    assert wider.same
    assert (wider.sure, wider.reason) == (
        False,
        "it shows a part that the one that is kept does not",
    )


def test_white_logos_on_a_transparent_ground_are_told_apart() -> None:
    logos = [hard_pairs.KINDS["logo"](Random(0), Random(own)) for own in range(3)]
    for one in range(3):
        for other in range(3):
            assert verdict(logos[one], logos[other]).same == (one == other)
    assert verdict(logos[0], hard_pairs.resized(logos[0], 0.5)).sure


def test_a_logo_without_its_transparent_ground_is_not_surely_its_duplicate() -> None:
    black = hard_pairs.KINDS["logo_dark"](Random(0), Random(1))
    white = Image.new("RGBA", black.size, "white")
    found = verdict(black, Image.alpha_composite(white, black).convert("RGB"))
    assert (found.sure, found.reason) == (False, "only one of the two has transparent parts")


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (300, 400), "white"),
        Image.new("RGBA", (300, 400), (0, 0, 0, 0)),
        Image.linear_gradient("L").convert("RGB"),
        hard_pairs.KINDS["blank"](Random(0), Random(1)),
    ],
    ids=["white", "transparent", "a gradient", "a scanned page"],
)
def test_what_shows_nothing_is_nobodys_near_duplicate(image: Image.Image) -> None:
    assert not has_detail(seen(image))
    assert not verdict(image, image).same


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_files_of_several_pages_are_not_surely_duplicates_by_their_first(kind: str) -> None:
    def file(second: int) -> bytes:
        out = io.BytesIO()
        options = {"lossless": True} if kind == "WEBP" else {}
        scene(1).save(out, kind, save_all=True, append_images=[scene(second)], **options)
        return out.getvalue()

    one, other = (load_view(file(second), side=SIDE_SURE, limits=LIMITS) for second in (2, 3))
    found = confirm(one, other, side=SIDE_SURE)
    assert found.same
    assert not found.sure
    assert "pages or frames" in found.reason


# --- a collection ------------------------------------------------------------------------------


@pytest.fixture
def letters(tmp_path: Path, tiny: OnnxEncoder) -> Iterator[Collection]:
    """Letters of one letterhead, white logos, empty pages, and a true copy of one letter."""
    folder = tmp_path / "letters"
    folder.mkdir()
    for own in range(4):
        letter(7, own).save(folder / f"letter-{own}.png")
        hard_pairs.KINDS["logo"](Random(0), Random(own)).save(folder / f"logo-{own}.png")
        hard_pairs.KINDS["blank"](Random(3), Random(own)).save(folder / f"page-{own}.png")
    letter(7, 0).save(folder / "letter-0-again.jpg", quality=90)
    with Collection(
        EmbeddedStore.open(tmp_path / "shop", create=True), lambda _store: tiny
    ) as shop:
        shop.index(folder)
        yield shop


def test_of_letters_logos_and_empty_pages_only_the_true_copy_is_found_and_removed(
    letters: Collection, tmp_path: Path
) -> None:
    found = find(letters)
    (group,) = found.groups
    assert (group.kept.id, [copy.item.id for copy in group.duplicates]) in [
        ("letter-0.png", ["letter-0-again.jpg"]),
        ("letter-0-again.jpg", ["letter-0.png"]),
    ]
    done = list(act(letters, found.groups))
    assert [one.done for one in done] == ["trashed"]
    assert len(list((tmp_path / "letters").glob("*.*"))) == 12 + 1  # the trash


def test_a_search_folds_no_letters_of_other_words(letters: Collection) -> None:
    query = letters.encode(letter(7, 0))
    found = letters.search(query, k=20, collapse="near")
    assert len(found) == 12
    assert found.folded is not None
    assert sum(found.folded.values()) == 1


def test_another_letter_is_not_said_to_be_there(letters: Collection) -> None:
    assert find_duplicates_of(letters, png(letter(7, 99))) == []
    assert {copy.item.id for copy in find_duplicates_of(letters, png(letter(7, 0)))} == {
        "letter-0.png",
        "letter-0-again.jpg",
    }


def test_what_can_no_longer_be_compared_is_shown_and_said_not_to_be_sure(
    letters: Collection, tmp_path: Path
) -> None:
    cache = tmp_path / "cache.sqlite"
    load_signatures(letters, list(letters), SignatureCache(cache))
    for one in (tmp_path / "letters").glob("letter*"):
        one.unlink()
    copies = [copy for group in find(letters, cache=cache).groups for copy in group.duplicates]
    assert copies
    assert not any(copy.sure for copy in copies)
    assert {copy.reason for copy in copies} == {"not compared in detail: there is no such file"}


def test_the_command_says_which_are_not_sure(
    letters: Collection, tmp_path: Path, card: Path
) -> None:
    letter(7, 0).resize((60, 85)).save(tmp_path / "letters" / "small.png")
    letters.index(tmp_path / "letters")
    letters.store.settings.set("card", str(card))
    letters.close()
    place = ["-c", str(tmp_path / "shop"), "-q"]
    found = json.loads(CliRunner().invoke(duplicates_command, [*place, "--json"]).stdout)
    unsure = {
        copy["id"]: copy["unsure_because"]
        for group in found["groups"]
        for copy in group["duplicates"]
        if not copy["sure"]
    }
    done = CliRunner().invoke(duplicates_command, [*place, "--delete", "--yes", "--json"])
    after = json.loads(done.stdout)
    assert set(unsure) <= {"small.png"}
    assert (tmp_path / "letters" / "small.png").exists()
    assert done.exit_code == int(
        any(c["done"] == "left" for g in after["groups"] for c in g["duplicates"])
    )
