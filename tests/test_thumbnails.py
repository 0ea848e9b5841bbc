"""Thumbnails kept in the store: made while indexing, seen where the files are not."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import lookalike
from contracts.moving import KINDS, Place, place
from lookalike import Collection, Entry, Progress, images
from lookalike.analysis.duplicates import find
from lookalike.cli.copy import copy_command
from lookalike.cli.index import index_command
from lookalike.cli.inspect import info_command
from lookalike.cli.search import similar_command
from lookalike.config import open_collection
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.errors import ItemNotFoundError, UnreadableImageError
from lookalike.moving import copying, migrating
from lookalike.output.result_files import write_duplicates
from lookalike.runfile.execution import execute
from lookalike.runfile.reading import read_run_file
from lookalike.stores.embedded.store import EmbeddedStore
from networks import tiny_card
from test_run import quiet

__all__ = ["place"]  # a fixture

Paint = Callable[[Path, int], Path]


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder) -> Iterator[Collection]:
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        yield shop


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """``photos/a.jpg`` of 600 by 400 pixels as seen, stored on its side; its left half is red."""
    upright = Image.new("RGB", (600, 400), "blue")
    upright.paste("red", (0, 0, 300, 400))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 270 degrees
    path = tmp_path / "photos" / "a.jpg"
    path.parent.mkdir()
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    return path


def size(jpeg: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return image.size


def sides(shop: Collection) -> dict[str, int]:
    return shop.store.thumbnails.sides([item.id for item in shop])


# -- making them --------------------------------------------------------------------------------


def test_a_thumbnail_is_upright_rgb_and_as_small_as_asked(shop: Collection, photo: Path) -> None:
    shop.index(photo.parent, thumbnails=96)
    kept = shop.store.thumbnails.get(["a.jpg"])["a.jpg"]
    assert kept.side == 96
    with Image.open(BytesIO(kept.jpeg)) as image:
        assert (image.size, image.mode) == ((96, 64), "RGB")
        assert not image.getexif()
        left, right = image.getpixel((10, 32)), image.getpixel((86, 32))
    assert np.allclose(left, (255, 0, 0), atol=12)  # type: ignore[arg-type]
    assert np.allclose(right, (0, 0, 255), atol=12)  # type: ignore[arg-type]


def test_a_small_picture_is_kept_as_large_as_it_is(shop: Collection, pictures: Path) -> None:
    shop.index(pictures, thumbnails=256)
    assert size(shop.store.thumbnails.get(["0.png"])["0.png"].jpeg) == (64, 48)


def test_nothing_is_kept_unless_asked_for(shop: Collection, pictures: Path) -> None:
    shop.index(pictures)
    info = shop.info()
    assert (info.thumbnail_side, info.thumbnails, info.thumbnail_bytes) == (None, 0, 0)


@pytest.mark.parametrize("side", [32, 64, 512])
def test_vectors_are_the_same_with_and_without(
    shop: Collection, tmp_path: Path, tiny: OnnxEncoder, photo: Path, side: int
) -> None:
    shop.index(photo.parent)
    with lookalike.open(tmp_path / "other", encoder=tiny, create=True) as other:
        other.index(photo.parent, thumbnails=side)
        assert other.vectors(["a.jpg"]).tobytes() == shop.vectors(["a.jpg"]).tobytes()


def test_one_decoding_serves_the_encoder_and_the_thumbnail(
    shop: Collection, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode = images.decode

    def counted(data: bytes, **wanted: object) -> images.DecodedImage:
        decoded.append(len(data))
        return decode(data, **wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "decode", counted)
    shop.index(photo.parent, thumbnails=64)
    assert len(decoded) == 1
    shutil.copy(photo, photo.with_name("b.png"))
    shop.index(photo.parent)
    assert len(decoded) == 1  # a copy takes the thumbnail that is there
    assert sides(shop) == {"a.jpg": 64, "b.png": 64}


def test_the_collection_remembers(shop: Collection, pictures: Path, paint: Paint) -> None:
    shop.add("first", pictures / "0.png", thumbnails=64)
    shop.add("second", pictures / "1.png")
    shop.index([Entry(id="third", image=(pictures / "2.png").read_bytes())])
    shop.index(pictures)
    paint(pictures / "3.png", 33)
    shop.index(pictures)
    assert sides(shop) == dict.fromkeys((item.id for item in shop), 64)
    assert shop.info().thumbnail_side == 64


def test_copies_and_moved_files_have_theirs(
    shop: Collection, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(pictures / "0.png", pictures / "copy.png")
    shop.index(pictures, thumbnails=64)
    (pictures / "1.png").rename(pictures / "moved.png")
    monkeypatch.setattr(OnnxEncoder, "encode", None)
    assert shop.index(pictures).reused == 1
    assert set(sides(shop)) == {item.id for item in shop}


def test_new_content_has_a_new_thumbnail(shop: Collection, pictures: Path, paint: Paint) -> None:
    shop.index(pictures, thumbnails=64)
    before = shop.store.thumbnails.get(["0.png"])
    paint(pictures / "0.png", 50)
    shop.index(pictures)
    assert shop.store.thumbnails.get(["0.png"]) != before
    shop.label(["0.png"], "mug")
    assert shop.store.thumbnails.get(["0.png"]).keys() == {"0.png"}


@pytest.mark.parametrize("side", [-1, 1, 31, 1025])
def test_a_side_out_of_range_changes_nothing(shop: Collection, pictures: Path, side: int) -> None:
    with pytest.raises(ValueError, match="32 to 1024"):
        shop.index(pictures, thumbnails=side)
    assert len(shop) == 0


# -- for items that are there -------------------------------------------------------------------


def a_table(pictures: Path) -> Path:
    lines = ["id,image", *(f"p{number},{number}.png" for number in range(9))]
    (pictures / "products.csv").write_text("\n".join(lines))
    return pictures / "products.csv"


@pytest.mark.parametrize("table", [False, True], ids=["folder", "table"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_lacks_one_is_given_it_without_encoding(
    place: Place,
    tiny: OnnxEncoder,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    *,
    table: bool,
) -> None:
    source = a_table(pictures) if table else pictures
    with open_collection(place(kind), encoder=tiny, create=True) as shop:
        shop.index(source)
        items, vectors = list(shop), shop.vectors([item.id for item in shop])
        monkeypatch.setattr(OnnxEncoder, "encode", None)
        heard: list[Progress] = []
        report = shop.index(source, thumbnails=64, progress=heard.append)
        assert (report.thumbnails, report.unchanged, report.indexed) == (9, 9, 0)
        assert heard[-1].done == 9
        assert list(shop) == items
        assert shop.vectors([item.id for item in items]).tobytes() == vectors.tobytes()
        assert sides(shop) == dict.fromkeys((item.id for item in items), 64)
        report = shop.index(source)
        assert (report.thumbnails, report.unchanged) == (0, 9)
        report = shop.index(source, thumbnails=32)
        assert (report.thumbnails, report.unchanged) == (9, 9)
        assert max(size(shop.store.thumbnails.get([items[0].id])[items[0].id].jpeg)) == 32
        assert shop.check() == []


def test_a_run_that_is_stopped_goes_on(shop: Collection, tmp_path: Path, paint: Paint) -> None:
    for number in range(150):
        paint(tmp_path / "many" / f"{number:03}.png", number)
    shop.index(tmp_path / "many")
    heard: list[Progress] = []
    first = shop.index(
        tmp_path / "many", thumbnails=32, progress=heard.append, stop=lambda: bool(heard)
    )
    assert first.interrupted
    second = shop.index(tmp_path / "many")
    assert first.thumbnails == 64
    assert second.thumbnails == 150 - 64
    assert len(sides(shop)) == len(shop) == 150


def test_only_the_source_at_hand_is_read(shop: Collection, pictures: Path, paint: Paint) -> None:
    shop.index(pictures)
    paint(pictures / "sub" / "x.png", 70)
    report = shop.index(pictures / "sub", thumbnails=64)
    assert (report.indexed, report.thumbnails) == (1, 0)
    assert sides(shop) == {"sub/x.png": 64}
    assert shop.index(pictures).thumbnails == 9


def test_bytes_that_are_added_again_bring_theirs(shop: Collection, pictures: Path) -> None:
    data = (pictures / "0.png").read_bytes()
    shop.add("a", data)
    report = shop.index([Entry(id="a", image=data, label="mug")], thumbnails=64)
    assert (report.thumbnails, report.unchanged) == (1, 1)
    assert shop.get("a").label == "mug"
    assert sides(shop) == {"a": 64}


def test_a_file_that_is_not_what_was_encoded_gives_no_thumbnail(
    shop: Collection, pictures: Path
) -> None:
    """Size and time are as they were, and the content is not."""
    shop.index(pictures)
    stamp = (pictures / "3.png").stat()
    damaged = (pictures / "3.png").read_bytes()[:-20] + bytes(20)
    (pictures / "3.png").write_bytes(damaged)
    os.utime(pictures / "3.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    report = shop.index(pictures, thumbnails=64)
    assert (report.thumbnails, report.unchanged, report.removed) == (8, 9, 0)
    assert len(shop) == 9
    assert "3.png" not in sides(shop)


# -- not keeping them any more ------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_zero_drops_them_for_good(
    place: Place, tiny: OnnxEncoder, pictures: Path, kind: str
) -> None:
    with open_collection(place(kind), encoder=tiny, create=True) as shop:
        shop.index(pictures, thumbnails=64)
        items = list(shop)
        shop.index(pictures, thumbnails=0)
        assert shop.info().thumbnails == 0
        shop.add("later", (pictures / "0.png").read_bytes())
        shop.index(pictures)
        assert sides(shop) == {}
        assert [item for item in shop if item.id != "later"] == items
        assert shop.check() == []


def test_dropping_gives_the_room_back(shop: Collection, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        noise = Image.fromarray(rng.integers(0, 256, (200, 200, 3), np.uint8))
        (tmp_path / "noise").mkdir(exist_ok=True)
        noise.save(tmp_path / "noise" / f"{number}.png")
    shop.index(tmp_path / "noise", thumbnails=200)
    full = shop.info()
    assert full.bytes is not None
    assert full.thumbnail_bytes > 200_000
    query = shop.search(tmp_path / "noise" / "0.png", k=5)
    shop.index(tmp_path / "noise", thumbnails=0)
    assert shop.search(tmp_path / "noise" / "0.png", k=5) == query
    shop.close()
    with lookalike.open(full.address) as again:
        assert (again.info().bytes or 0) < full.bytes - full.thumbnail_bytes // 2


# -- looking ------------------------------------------------------------------------------------


def test_items_are_seen_where_their_files_are_not(shop: Collection, photo: Path) -> None:
    shop.index(photo.parent, thumbnails=96)
    item = shop.get("a.jpg")
    photo.parent.rename(photo.parent.with_name("elsewhere"))
    assert size(shop.thumbnail("a.jpg", side=96)) == (96, 64)
    assert size(shop.thumbnail("a.jpg", side=48)) == (48, 32)
    assert size(shop.thumbnail("a.jpg", side=400)) == (96, 64)  # no more is to be had
    (image,) = shop.previews([item], side=400)
    assert image is not None
    assert image.size == (96, 64)


def test_a_file_that_is_there_shows_more_than_its_thumbnail(shop: Collection, photo: Path) -> None:
    shop.index(photo.parent, thumbnails=96)
    assert size(shop.thumbnail("a.jpg", side=400)) == (400, 267)
    (image,) = shop.previews([shop.get("a.jpg")], side=400)
    assert image is not None
    assert image.width >= 400


def test_a_thumbnail_that_is_large_enough_spares_the_file(shop: Collection, photo: Path) -> None:
    shop.index(photo.parent, thumbnails=96)
    kept = shop.store.thumbnails.get(["a.jpg"])["a.jpg"].jpeg
    photo.write_bytes(b"no picture any more")
    assert shop.thumbnail("a.jpg", side=96) == kept
    assert shop.thumbnail("a.jpg", side=200) == kept  # better than nothing


def test_without_file_and_thumbnail_there_is_none(shop: Collection, photo: Path) -> None:
    shop.index(photo.parent)
    shop.add("bytes", photo.read_bytes())
    photo.unlink()
    for one in ("a.jpg", "bytes"):
        with pytest.raises(UnreadableImageError):
            shop.thumbnail(one)
    with pytest.raises(ItemNotFoundError):
        shop.thumbnail("nothing")
    assert list(shop.previews(list(shop), side=96)) == [None, None]
    shop.add("bytes", _png(), thumbnails=64)
    assert size(shop.thumbnail("bytes")) == (64, 32)


def _png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (80, 40), "green").save(file, "PNG")
    return file.getvalue()


def test_reports_and_sheets_show_what_is_kept(
    shop: Collection, pictures: Path, tmp_path: Path
) -> None:
    shutil.copy(pictures / "0.png", pictures / "copy.png")
    shop.index(pictures, thumbnails=64)
    found = find(shop, exact_only=True)
    pictures.rename(tmp_path / "elsewhere")
    write_duplicates(shop, found, tmp_path / "copies.html")
    page = (tmp_path / "copies.html").read_text()
    assert page.count("data:image/jpeg") == 2
    done = CliRunner().invoke(
        similar_command, ["0.png", "-c", str(tmp_path / "shop"), "--sheet", str(tmp_path / "s.png")]
    )
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "s.png") as sheet:
        colours = sheet.convert("RGB").getcolors(2**24) or []
    assert len(colours) > 500  # a place without its picture is grey


# -- moving -------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_they_travel_with_a_copy(
    place: Place, tiny: OnnxEncoder, pictures: Path, of: str, to: str
) -> None:
    with (
        open_collection(place(of), encoder=tiny, create=True) as shop,
        open_collection(place(to), encoder=tiny, create=True) as other,
    ):
        shop.index(pictures)
        copying.copy(shop.store, other.store)
        shop.index(pictures, thumbnails=64)
        report = copying.copy(shop.store, other.store)
        assert (report.copied, report.unchanged, report.thumbnails) == (0, 9, 9)
        ids = [item.id for item in shop]
        assert other.store.thumbnails.get(ids) == shop.store.thumbnails.get(ids)
        assert other.info().thumbnail_side == 64
        assert copying.copy(shop.store, other.store).thumbnails == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_migration_makes_them_as_it_goes(
    place: Place, tiny: OnnxEncoder, pictures: Path, tmp_path: Path, kind: str
) -> None:
    other = load_encoder(tiny_card(tmp_path / "other", name="other", seed=5))
    address = place(kind)
    shop = open_collection(address, encoder=tiny, create=True)
    shop.index(pictures, thumbnails=64)
    report = migrating.migrate(shop, other)
    assert report.outdated == ()
    with open_collection(address, encoder=other, create=True) as new:
        assert sides(new) == dict.fromkeys((item.id for item in new), 64)
        again = new.index(pictures)
        assert (again.unchanged, again.thumbnails) == (9, 0)


# -- as a person meets it -----------------------------------------------------------------------


def test_the_command_line_says_how_many(
    tmp_path: Path, card: Path, pictures: Path, place: Place
) -> None:
    runner = CliRunner()
    shop = str(tmp_path / "shop")
    index = [str(pictures), "-c", shop, "--quiet"]
    assert runner.invoke(index_command, [*index, "--encoder", str(card)]).exit_code == 0
    done = runner.invoke(index_command, [*index, "--thumbnails", "64"])
    assert "9 thumbnails added to existing items" in done.output
    told = json.loads(runner.invoke(info_command, ["-c", shop, "--json"]).output)
    assert (told["thumbnail_side"], told["thumbnails"]) == (64, 9)
    assert told["thumbnail_bytes"] > 9 * 300
    assert "64 pixels" in runner.invoke(info_command, ["-c", shop]).output
    done = runner.invoke(copy_command, [shop, place("embedded"), "--quiet"])
    assert "9 thumbnails" in done.output
    done = runner.invoke(index_command, [*index, "--thumbnails", "0"])
    assert done.exit_code == 0
    assert "thumbnails" not in runner.invoke(info_command, ["-c", shop]).output
    for wrong in ("31", "1025", "-5", "x"):
        done = runner.invoke(index_command, [*index, "--thumbnails", wrong])
        assert done.exit_code == 2


def test_a_run_file_turns_them_on(tmp_path: Path, card: Path, pictures: Path) -> None:
    file = tmp_path / "shop.yaml"
    for said, kept in (("", 0), (", thumbnails: 64", 9), ("", 9), (", thumbnails: 0", 0)):
        file.write_text(
            f"collection: ./shop\nencoder: {card}\nindex: {{source: {pictures.name}{said}}}\n"
        )
        (outcome,) = execute(read_run_file(file, {}), shown=quiet)
        assert outcome.status in ("done", "current")
        store = EmbeddedStore.open(tmp_path / "shop")
        assert store.thumbnails.state().items == kept
        store.close()
