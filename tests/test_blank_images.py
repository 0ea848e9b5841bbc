"""Blank images: marked when they are indexed, left out of results unless they are asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import lookalike
from hostile import photo
from lookalike.core.blank_images import find_blank
from lookalike.indexing.decoding_notes import DecodingNotes
from lookalike.moving import copying


@pytest.fixture
def folder(tmp_path: Path, paint: Callable[[Path, int], Path]) -> Path:
    images = tmp_path / "images"
    for number in range(3):
        paint(images / f"{number}.png", number)
    Image.new("RGB", (40, 30), "white").save(images / "white.png")
    Image.new("RGB", (90, 30), "white").save(images / "wide.png")
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(images / "clear.png")
    Image.new("RGB", (40, 30), (200, 10, 20)).save(images / "red.png")
    return images


def test_blank_images_are_left_out_with_a_note_unless_asked_for(
    folder: Path, tmp_path: Path, card: Path
) -> None:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        report = shop.index(folder)
        white = Image.new("RGB", (40, 30), "white")

        found = shop.search(white, k=10)
        asked = shop.search(white, k=10, include_blank=True)

        assert report.indexed == 7
        (sentence,) = report.notes
        assert "3 images are blank" in sentence
        assert "include_blank" in sentence
        assert {hit.item.id for hit in found} == {"0.png", "1.png", "2.png", "red.png"}
        assert [note.code for note in found.notes] == ["blank-left-out"]
        assert found.notes[0].details["count"] == 3
        assert {hit.item.id for hit in asked[:3]} == {"white.png", "wide.png", "clear.png"}
        assert asked.notes == ()
        assert [hit.item.id for hit in shop.search(white, k=1)] != []
        assert "white.png" not in {hit.item.id for hit in shop.similar("wide.png", k=10)}


def test_a_copy_of_a_blank_image_is_left_out_too_and_so_is_a_moved_one(
    folder: Path, tmp_path: Path, card: Path
) -> None:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(folder)
        (folder / "copy.png").write_bytes((folder / "white.png").read_bytes())
        (folder / "wide.png").rename(folder / "moved.png")

        report = shop.index(folder)

        assert report.notes == ()
        assert {hit.item.id for hit in shop.search(photo(), k=10)} == {
            *("0.png", "1.png", "2.png", "red.png")
        }


def test_the_mark_goes_along_when_a_collection_is_copied(
    folder: Path, tmp_path: Path, card: Path
) -> None:
    with (
        lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop,
        lookalike.open(tmp_path / "other", encoder=card, create=True) as other,
    ):
        shop.index(folder)
        copying.copy(shop.store, other.store)

        digests = [item.digest for item in other.store.items.scan()]
        assert len(find_blank(other.store, digests)) == 3


def test_ordinary_images_have_no_row_and_no_note(
    tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> None:
    paint(tmp_path / "images" / "0.png", 0)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        report = shop.index(tmp_path / "images")

        assert report.notes == ()
        assert shop.store.tables() == {}


def test_many_notes_are_a_few_sentences() -> None:
    notes = DecodingNotes()
    for number in range(1200):
        notes.add(f"{number}.gif", (f"frame {number + 2} was used; those before it are blank",))
    notes.add("a.png", ("it was put on black: on white its content is not seen",))
    notes.add_blank("white.png")

    assert notes.sentences() == (
        "1,200 images, such as 0.gif: frame 2 was used; those before it are blank",
        "a.png: it was put on black: on white its content is not seen",
        (
            "1 image is blank (white.png): nothing but white, black or one grey. "
            "Searches leave blank images out unless include_blank is set"
        ),
    )
