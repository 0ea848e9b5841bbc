"""The public face: collections as a program uses them."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hostile
import lookalike
from drawn_catalogue import Drawn
from lookalike import Collection, Entry, Hit, ScanOptions
from lookalike.core.records import Field, Json
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.errors import (
    BrokenImageError,
    CollectionError,
    CollectionNotFoundError,
    EncoderMismatchError,
    ImageError,
    ItemNotFoundError,
    LookalikeError,
    NotAnImageError,
    SourceError,
    UnreadableImageError,
)
from lookalike.stores.embedded.settings import EmbeddedSettings
from lookalike.stores.embedded.store import EmbeddedStore
from networks import tiny_card

Paint = Callable[[Path, int], Path]


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder) -> Iterator[Collection]:
    """An empty collection."""
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        yield shop


@pytest.fixture
def full(shop: Collection, pictures: Path) -> Collection:
    """``shop`` with the nine ``pictures``."""
    shop.index(pictures)
    return shop


def ids(hits: list[Hit]) -> list[str]:
    return [hit.item.id for hit in hits]


# -- putting pictures in and taking them out -----------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_every_question_has_an_answer_however_few_items_there_are(
    shop: Collection, pictures: Path, paint: Paint, tmp_path: Path, count: int
) -> None:
    for number in range(count, 9):
        (pictures / f"{number}.png").unlink()
    shop.index(pictures)
    assert len(shop) == len(list(shop)) == shop.info().items == count
    assert len(shop.search(paint(tmp_path / "query.png", 77), k=5)) == min(5, count)
    assert shop.check() == []
    assert not shop.optimize()
    if count:
        assert len(shop.similar("0.png")) == count - 1
        assert len(shop.similar("0.png", include_self=True)) == count


def test_a_picture_is_added_found_and_removed_by_its_id(shop: Collection, pictures: Path) -> None:
    item = shop.add("p-1", pictures / "0.png", label="mug", group="g", metadata={"price": 5})
    assert (item.label, item.group, item.metadata) == ("mug", "g", {"price": 5})
    shop.add("p-2", (pictures / "1.png").read_bytes())
    assert "p-1" in shop
    assert "p-3" not in shop
    assert 7 not in shop
    assert len(shop) == 2
    assert [one.id for one in shop] == ["p-1", "p-2"]
    assert shop.get("p-1") == item
    assert shop.vectors(["p-2", "p-1"]).shape == (2, 32)
    assert shop.remove(["p-1", "nobody"]) == 1
    assert shop.remove("p-2") == 1
    assert len(shop) == 0


def test_adding_under_a_known_id_replaces_the_picture(shop: Collection, pictures: Path) -> None:
    shop.add("p", pictures / "0.png")
    shop.add("p", pictures / "1.png")
    assert len(shop) == 1
    (hit,) = shop.search(pictures / "1.png", include_self=True)
    assert hit.score == pytest.approx(1, abs=1e-3)


def test_a_picture_that_cannot_be_added_is_an_error_with_its_id(shop: Collection) -> None:
    with pytest.raises(ImageError, match=r"^p: "):
        shop.add("p", b"no picture")
    with pytest.raises(ImageError, match=r"^p: "):
        shop.add("p", "/nowhere.jpg")
    assert len(shop) == 0


def test_entries_of_ones_own_are_indexed(shop: Collection, pictures: Path) -> None:
    entries = (
        Entry(id=f"sku-{number}", image=pictures / f"{number}.png", label="x")
        for number in range(9)
    )
    report = shop.index(entries)
    assert report.indexed == 9
    assert shop.get("sku-4").label == "x"


def test_indexing_a_folder_leaves_alone_what_came_otherwise(
    shop: Collection, pictures: Path, tmp_path: Path, paint: Paint
) -> None:
    for number in range(50, 53):
        shop.add(f"own-{number}", paint(tmp_path / "own.png", number).read_bytes())
    for _ in range(3):
        report = shop.index(pictures)
        assert (report.removed, report.kept) == (0, 0)
    assert len(shop) == 12
    assert shop.remove_root("") == 9
    assert [item.id for item in shop] == ["own-50", "own-51", "own-52"]


def test_info_says_what_there_is(full: Collection, pictures: Path, tiny: OnnxEncoder) -> None:
    (pictures / "empty.png").touch()
    (pictures / "text.png").write_text("a text")
    (pictures / "also.png").touch()
    full.index(pictures)
    info = full.info()
    assert (info.items, info.encoder, info.fingerprint, info.dim) == (
        9,
        "tiny",
        tiny.fingerprint,
        32,
    )
    assert info.address.endswith("shop")
    assert (info.bytes or 0) > 0
    assert info.roots == (lookalike.Root(name="", path=pictures.resolve()),)
    assert sorted(info.skipped.values()) == [1, 2]
    assert next(iter(info.skipped)) == "the file is empty"
    assert info.updated_at is not None


def test_info_of_an_empty_collection_promises_nothing(shop: Collection) -> None:
    info = shop.info()
    assert (info.items, info.encoder, info.roots, info.updated_at) == (0, None, (), None)


# -- searching -----------------------------------------------------------------------------


def test_a_picture_gives_the_same_answers_however_it_is_handed_in(
    full: Collection, pictures: Path, tmp_path: Path
) -> None:
    path = tmp_path / "query.png"
    shutil.copy(pictures / "4.png", path)
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    answers = [
        full.search(path, include_self=True, k=4),
        full.search(str(path), include_self=True, k=4),
        full.search(path.read_bytes(), include_self=True, k=4),
        full.search(rgb, include_self=True, k=4),
        full.search(np.asarray(rgb), include_self=True, k=4),
    ]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0].item.id == "4.png"
    assert answers[0][0].score == pytest.approx(1, abs=1e-3)


def test_answers_come_best_first(full: Collection, pictures: Path) -> None:
    scores = [hit.score for hit in full.search(pictures / "0.png", k=9)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 1


def test_a_query_that_is_an_item_is_left_out_by_its_place(
    full: Collection, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(pictures / "4.png", pictures / "twin.png")
    full.index(pictures)
    (pictures.parent / "link.png").symlink_to(pictures / "4.png")
    monkeypatch.chdir(pictures)
    for query in (pictures / "4.png", "4.png", "../pictures/4.png", pictures.parent / "link.png"):
        found = full.search(query, k=20)
        assert ids(found)[0] == "twin.png"
        assert "4.png" not in ids(found)
        assert len(found) == 9


def test_a_query_from_elsewhere_finds_its_exact_duplicates(
    full: Collection, pictures: Path, tmp_path: Path
) -> None:
    shutil.copy(pictures / "4.png", pictures / "twin.png")
    full.index(pictures)
    path = tmp_path / "elsewhere.png"
    shutil.copy(pictures / "4.png", path)
    for query in (path, path.read_bytes()):
        found = full.search(query, k=2)
        assert ids(found) == ["4.png", "twin.png"]
        assert found.left_out == ()
        assert ids(full.search(query, k=2, min_score=1)) == ["4.png", "twin.png"]


def test_an_item_is_left_out_of_its_own_results_and_named(full: Collection, pictures: Path) -> None:
    for found in (full.search(pictures / "4.png", k=20), full.similar("4.png", k=20)):
        assert "4.png" not in ids(found)
        assert found.left_out == ("4.png",)
    for found in (
        full.search(pictures / "4.png", k=1, include_self=True),
        full.similar("4.png", k=1, include_self=True),
    ):
        assert ids(found) == ["4.png"]
        assert found.left_out == ()


def test_exact_copies_are_answers_unless_collapsed(full: Collection, pictures: Path) -> None:
    for name in ("a", "b", "c"):
        shutil.copy(pictures / "4.png", pictures / f"copy-{name}.png")
    full.index(pictures)
    copies = ["copy-a.png", "copy-b.png", "copy-c.png"]
    assert ids(full.search(pictures / "4.png", k=3)) == copies
    assert ids(full.similar("4.png", k=3)) == copies
    for collapsed in (
        full.search(pictures / "4.png", k=9, collapse=True),
        full.similar("4.png", k=9, collapse=True),
    ):
        assert ids(collapsed)[0] == "copy-a.png"
        assert len(collapsed) == 9
        assert len({hit.item.digest for hit in collapsed}) == 9


def test_collapsing_fills_up_with_other_items(shop: Collection, pictures: Path) -> None:
    for number in range(40):
        shutil.copy(pictures / "0.png", pictures / f"copy-{number}.png")
    shop.index(pictures)
    assert len(shop.similar("1.png", k=8, collapse=True)) == 8
    assert len(shop.search((pictures / "0.png").read_bytes(), k=8)) == 8


def test_min_score_leaves_out_what_is_less_alike(full: Collection, pictures: Path) -> None:
    everything = full.search(pictures / "0.png", k=9)
    limit = everything[3].score
    assert full.search(pictures / "0.png", k=9, min_score=limit) == everything[:4]
    assert full.similar("0.png", min_score=1.0) == []


def test_asking_for_more_than_there_is_gives_all(full: Collection, pictures: Path) -> None:
    assert len(full.search(pictures / "0.png", k=1000)) == 8
    assert len(full.search(pictures / "0.png", k=1000, include_self=True)) == 9
    with pytest.raises(ValueError, match="k is 0"):
        full.similar("0.png", k=0)


def test_exact_search_finds_the_same(full: Collection, pictures: Path) -> None:
    assert full.search(pictures / "2.png", exact=True) == full.search(pictures / "2.png")


def test_an_unknown_item_is_said_by_its_id(full: Collection) -> None:
    for ask in (full.similar, full.get, lambda one: full.vectors([one])):
        with pytest.raises(ItemNotFoundError, match=r"'nobody\.png'"):
            ask("nobody.png")


def test_an_empty_collection_has_no_items_and_no_answers(shop: Collection, pictures: Path) -> None:
    assert shop.search(pictures / "0.png") == []
    with pytest.raises(ItemNotFoundError, match="the collection is empty"):
        shop.similar("0.png")


@pytest.mark.parametrize("bound", [False, True])
def test_a_query_that_is_no_picture_is_refused_by_name(
    shop: Collection, pictures: Path, tmp_path: Path, *, bound: bool
) -> None:
    if bound:
        shop.index(pictures)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(hostile.saved(hostile.photo(), "JPEG")[:500])
    with pytest.raises(BrokenImageError, match=r"^\S+/cut\.jpg: ") as caught:
        shop.search(cut)
    assert caught.value.path == str(cut)
    with pytest.raises(UnreadableImageError, match=r"gone\.jpg"):
        shop.search(tmp_path / "gone.jpg")
    with pytest.raises(NotAnImageError, match="folder"):
        shop.search(tmp_path)
    with pytest.raises(ImageError):
        shop.search(b"no picture")


@pytest.mark.parametrize("url", ["https://example.com/a.jpg", "HTTP://EXAMPLE.COM/A.JPG"])
def test_a_url_is_refused_in_plain_words(full: Collection, url: str) -> None:
    with pytest.raises(NotAnImageError, match="is a URL; save the image first"):
        full.search(url)


def test_odd_names_are_files_like_others(
    full: Collection, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    for name in ("~draft.png", os.fsdecode(b"caf\xe9.png"), "new\nline.png"):
        shutil.copy("4.png", name)
        assert ids(full.search(name, k=1, include_self=True)) == ["4.png"]


def test_a_tilde_is_the_home_folder(
    full: Collection, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(pictures.parent))
    assert full.search("~/pictures/3.png") == full.search(pictures / "3.png")
    assert full.index("~/pictures").unchanged == 9


def test_two_threads_search_and_index_at_once(full: Collection, pictures: Path) -> None:
    expected = {n: full.search(pictures / f"{n}.png", k=3) for n in range(9)}
    wrong: list[object] = []

    def search() -> None:
        try:
            for n in [*range(9)] * 3:
                found = full.search(pictures / f"{n}.png", k=3)
                if found != expected[n]:
                    wrong.append((n, found))
        except BaseException as error:  # noqa: BLE001 - reported below
            wrong.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        full.index(pictures)
    for thread in threads:
        thread.join()
    assert wrong == []


# -- roots ---------------------------------------------------------------------------------


def test_ids_of_the_first_root_are_paths_and_of_later_ones_begin_with_its_name(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    for number, folder in enumerate(["spring/shoes", "autumn/shoes", "winter/shoes", "hats"]):
        paint(tmp_path / folder / "sub" / "a.png", number)
        shop.index(tmp_path / folder)
    assert [item.id for item in shop] == [
        "hats:sub/a.png",
        "shoes-2:sub/a.png",
        "shoes:sub/a.png",
        "sub/a.png",
    ]
    assert [root.name for root in shop.roots()] == ["", "shoes", "shoes-2", "hats"]
    item = shop.get("shoes-2:sub/a.png")
    assert shop.file_of(item) == (tmp_path / "winter/shoes/sub/a.png").resolve()
    assert "shoes:sub/a.png" not in ids(shop.search(tmp_path / "autumn/shoes/sub/a.png"))


def test_a_picture_that_came_as_bytes_has_no_file(shop: Collection, pictures: Path) -> None:
    item = shop.add("p", (pictures / "0.png").read_bytes())
    assert shop.file_of(item) is None


def test_indexing_a_folder_of_a_root_updates_that_part_only(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    root = tmp_path / "root"
    for number, path in enumerate(["a.png", "s/a.png", "s/b.png", "s2/a.png"]):
        paint(root / path, number)
    shop.index(root)
    for path in ("a.png", "s/a.png", "s2/a.png"):
        (root / path).unlink()
    paint(root / "s/new.png", 9)
    report = shop.index(root / "s")
    assert (report.indexed, report.removed) == (1, 1)
    assert [item.id for item in shop] == ["a.png", "s/b.png", "s/new.png", "s2/a.png"]
    assert len(shop.roots()) == 1


def test_an_outer_folder_leaves_inner_roots_to_themselves(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "inner"
    paint(outer / "a.png", 1)
    paint(inner / "b.png", 2)
    shop.index(inner)
    shop.index(outer)
    assert [item.id for item in shop] == ["b.png", "outer:a.png"]
    paint(inner / "sub/c.png", 3)
    shop.index(inner / "sub")
    assert "sub/c.png" in shop
    shutil.copy(inner / "b.png", inner / "twin.png")
    shop.index(inner)
    assert set(ids(shop.search(inner / "b.png"))) == {"outer:a.png", "sub/c.png", "twin.png"}


def test_an_id_that_is_taken_is_reported_and_tried_again(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    first = paint(tmp_path / "one" / "two:a.png", 1)
    paint(tmp_path / "two" / "a.png", 2)
    shop.index(tmp_path / "one")
    digest = shop.get("two:a.png").digest
    for _ in range(2):
        report = shop.index(tmp_path / "two")
        assert [skip.path for skip in report.skipped] == ["a.png"]
        assert report.skipped[0].reason == (
            "its id 'two:a.png' is taken by two:a.png; rename one of them"
        )
        assert shop.get("two:a.png").digest == digest
    first.rename(first.with_name("renamed.png"))
    shop.index(tmp_path / "one")
    assert shop.index(tmp_path / "two").skipped == ()
    assert [item.id for item in shop] == ["renamed.png", "two:a.png"]


def test_a_root_is_forgotten_with_its_items_but_not_its_files(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    paint(tmp_path / "one" / "a.png", 1)
    paint(tmp_path / "two" / "b.png", 2)
    (tmp_path / "two" / "broken.png").touch()
    shop.index(tmp_path / "one")
    shop.index(tmp_path / "two")
    assert shop.remove_root("two") == 1
    assert [item.id for item in shop] == ["a.png"]
    assert [root.name for root in shop.roots()] == [""]
    assert shop.info().skipped == {}
    assert (tmp_path / "two" / "b.png").exists()
    with pytest.raises(SourceError, match="no root called 'two'"):
        shop.remove_root("two")
    shop.index(tmp_path / "two")
    assert "two:b.png" in shop


def test_a_folder_that_is_not_there_becomes_no_root(full: Collection, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        full.index(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="is a file"):
        full.index(str(tmp_path / "file"))
    assert len(full.roots()) == 1
    assert len(full) == 9


def test_a_root_that_has_gone_loses_no_items(full: Collection, pictures: Path) -> None:
    pictures.rename(pictures.with_name("unplugged"))
    for folder in (pictures, pictures / "sub"):
        with pytest.raises(SourceError, match="does not exist"):
            full.index(folder)
    assert len(full) == 9


def test_a_folder_whose_name_cannot_be_an_id_is_refused(
    full: Collection, tmp_path: Path, pictures: Path, paint: Paint
) -> None:
    for place in (tmp_path, pictures):
        folder = place / os.fsdecode(b"caf\xe9")
        paint(folder / "a.png", 1)
        with pytest.raises(SourceError, match="its name is not UTF-8; rename it"):
            full.index(folder)
    assert len(full.roots()) == 1


def test_options_choose_files(shop: Collection, pictures: Path) -> None:
    shop.index(pictures, options=ScanOptions(include=["[12].png"]))
    assert [item.id for item in shop] == ["1.png", "2.png"]


class _Waiting(EmbeddedSettings):
    """Between looking up the roots and writing them, another gets its turn."""

    turn: threading.Barrier

    def get(self, name: str) -> Json:
        value = super().get(name)
        if name == "roots":
            with suppress(threading.BrokenBarrierError):
                self.turn.wait(timeout=0.5)
        return value


def test_two_first_folders_at_once_both_become_roots(
    tmp_path: Path, tiny: OnnxEncoder, paint: Paint
) -> None:
    turn = threading.Barrier(2)
    EmbeddedStore.open(tmp_path / "shop", create=True).close()

    def index(name: str) -> None:
        paint(tmp_path / name / f"{name}.png", 1)
        store = EmbeddedStore.open(tmp_path / "shop")
        store.settings = settings = _Waiting(store.database)
        settings.turn = turn
        with Collection(store, lambda _: tiny) as shop:
            shop.index(tmp_path / name)

    threads = [threading.Thread(target=index, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        assert {root.path.name for root in shop.roots()} == {"one", "two"}


# -- opening and closing -------------------------------------------------------------------


def test_a_closed_collection_says_so_in_every_way(
    full: Collection, pictures: Path, tmp_path: Path, paint: Paint
) -> None:
    query = paint(tmp_path / "query.png", 70)
    full.search(query)
    full.close()
    full.close()
    uses: list[Callable[[], object]] = [
        lambda: full.search(query),
        lambda: full.similar("0.png"),
        lambda: full.get("0.png"),
        lambda: full.vectors(["0.png"]),
        lambda: full.index(pictures),
        lambda: full.add("p", query),
        lambda: full.remove("0.png"),
        lambda: full.remove_root(""),
        lambda: list(full),
        lambda: len(full),
        lambda: "0.png" in full,
        full.roots,
        full.info,
        full.check,
        full.optimize,
    ]
    for use in uses:
        with pytest.raises(LookalikeError, match="closed"):
            use()


def test_vectors_of_another_encoder_are_refused(
    full: Collection, tmp_path: Path, pictures: Path
) -> None:
    other = load_encoder(tiny_card(tmp_path / "other", seed=1))
    with lookalike.open(tmp_path / "shop", encoder=other, create=True) as shop:
        shutil.copy(pictures / "0.png", pictures / "8.png")
        for use in (lambda: shop.search(pictures / "0.png"), lambda: shop.index(pictures)):
            with pytest.raises(EncoderMismatchError, match="index into another collection"):
                use()
        assert len(full) == 9
        assert shop.similar("0.png") == full.similar("0.png")  # which needs no network


def test_a_collection_remembers_the_card_it_was_made_with(
    tmp_path: Path, card: Path, pictures: Path
) -> None:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
        expected = shop.search(pictures / "0.png")
    with lookalike.open(tmp_path / "shop") as shop:
        assert shop.search(pictures / "0.png") == expected


def test_a_collection_that_was_moved_answers_as_before(
    tmp_path: Path, pictures: Path, tiny: OnnxEncoder
) -> None:
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        shop.index(pictures)
        expected = shop.search(pictures / "0.png")
    shutil.move(tmp_path / "shop", tmp_path / "elsewhere")
    with lookalike.open(tmp_path / "elsewhere", encoder=tiny, create=False) as shop:
        assert shop.search(pictures / "0.png") == expected
        assert shop.index(pictures).unchanged == 9


def test_a_name_is_a_collection_at_home_and_a_path_is_a_path(
    tmp_path: Path, tiny: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = Path(os.environ["LOOKALIKE_HOME"])
    for address, place in [
        ("shop", home / "collections" / "shop"),
        (None, home / "collections" / "default"),
        ("./shop", tmp_path / "shop"),
        (str(tmp_path / "absolute"), tmp_path / "absolute"),
        (Path("as-path"), tmp_path / "as-path"),
    ]:
        with lookalike.open(address, encoder=tiny, create=True) as shop:
            assert Path(shop.info().address).resolve() == place.resolve()


def test_what_is_not_there_is_not_made_without_leave(tiny: OnnxEncoder) -> None:
    lookalike.open("mugs", encoder=tiny, create=True).close()
    with pytest.raises(CollectionNotFoundError, match="existing collections: mugs"):
        lookalike.open("blue")
    with pytest.raises(CollectionNotFoundError, match=r"did you mean 'mugs'\?"):
        lookalike.open("mug")
    assert not (Path(os.environ["LOOKALIKE_HOME"]) / "collections" / "mug").exists()


@pytest.mark.parametrize("address", ["ftp://host/shop", "", "  ", "a\nb"])
def test_an_address_that_names_no_place_is_refused(address: str) -> None:
    with pytest.raises(CollectionError, match=r"cannot (hold a collection|be a collection's name)"):
        lookalike.open(address)


# -- look-alikes ---------------------------------------------------------------------------


def test_the_default_encoder_finds_what_looks_alike(
    tmp_path: Path, catalogue: list[Drawn], catalogue_folder: Path
) -> None:
    """Of 11 second photos, the nearest is of their kind for 11 and of their product for 10.

    Backgrounds differ between the photos of one product and are shared among the products.
    """
    known = {one.path.relative_to(catalogue_folder).as_posix(): one for one in catalogue}
    with lookalike.open(tmp_path / "shop", create=True) as shop:
        assert shop.index(catalogue_folder).indexed == len(catalogue)
        pairs = [
            (known[path], known[shop.search(catalogue_folder / path, k=1)[0].item.id])
            for path in known
            if path.endswith("-2.jpg")
        ]
    assert len(pairs) > 10
    assert np.mean([one.kind == nearest.kind for one, nearest in pairs]) >= 0.9
    assert np.mean([one.product == nearest.product for one, nearest in pairs]) >= 0.7


def test_fields_are_declared_by_name(tmp_path: Path, tiny: OnnxEncoder) -> None:
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        shop.declare("price")
        shop.declare("metadata.label")
        assert shop.declared() == ["label", "price"]
        with pytest.raises(lookalike.errors.CollectionError, match=r"metadata\.label is the field"):
            shop.declare("label")
        with pytest.raises(lookalike.errors.FilterError, match="cannot be the name of a field"):
            shop.declare("a..b")
        with pytest.raises(lookalike.errors.FilterError, match="cannot be the name of a field"):
            shop.facets("a\0b")
        assert shop.undeclare("label")
        assert shop.declared() == ["price"]


# -- describing ----------------------------------------------------------------------------


def test_a_description_counts_labels_groups_and_fields(full: Collection, pictures: Path) -> None:
    files = sorted(pictures.iterdir())
    full.index(
        [
            Entry(
                id=f"own-{number}",
                image=item.read_bytes(),
                label=f"l{number % 4}",
                group="g" if number % 2 else "h",
                metadata={"price": number, "spec": {"size": None if number else "XL"}},
            )
            for number, item in enumerate(files)
        ]
    )
    said = full.describe(labels=2)
    assert said.labels == {"l0": 3, "l1": 2}
    assert (said.distinct_labels, said.unlabelled, said.groups, said.items) == (4, 9, 2, 18)
    fields = {one.name: one for one in said.fields or ()}
    assert fields["price"] == Field(name="price", types={"integer": 9}, filled=9)
    assert fields["spec.size"].types == {"null": 8, "string": 1}
    assert fields["spec.size"].filled == 1
    assert full.describe(fields=False).fields is None


def test_an_empty_collection_is_described_too(shop: Collection) -> None:
    said = shop.describe()
    assert (said.labels, said.distinct_labels, said.unlabelled, said.groups) == ({}, 0, 0, 0)
    assert said.fields == ()


def test_left_out_files_are_listed_with_their_reason(full: Collection, pictures: Path) -> None:
    (pictures / "empty.png").touch()
    (pictures / "deep").mkdir()
    (pictures / "deep" / "text.png").write_text("a text")
    assert full.skipped() == []
    full.index(pictures)
    found = full.skipped()
    root = pictures.resolve()
    assert [one.path for one in found] == [
        str(root / "deep" / "text.png"),
        str(root / "empty.png"),
    ]
    assert found[1].reason == "the file is empty"


# -- parts, and pictures of several people at once ------------------------------------------


def test_a_search_by_a_part_finds_what_looks_like_the_part(
    shop: Collection, pictures: Path, tmp_path: Path
) -> None:
    shop.index(pictures)
    with Image.open(pictures / "0.png") as left, Image.open(pictures / "2.png") as right:
        both = Image.new("RGB", (left.width + right.width, left.height))
        both.paste(left, (0, 0))
        both.paste(right, (left.width, 0))
    both.save(tmp_path / "both.png")
    for box, expected in (((0.0, 0.0, 0.5, 1.0), "0.png"), ((0.5, 0.0, 1.0, 1.0), "2.png")):
        for query in (tmp_path / "both.png", both, np.asarray(both)):
            part = shop.encode(query, crop=box)
            assert ids(shop.search(part, k=1)) == [expected]


def test_pictures_encoded_together_have_the_vectors_of_their_own(full: Collection) -> None:
    places = [full.file_of(item) for item in full]
    queries = [place for place in places if place is not None]
    together = full.encode_prepared([full.prepare(query) for query in queries])
    for query, encoded in zip(queries, together, strict=True):
        alone = full.encode(query)
        np.testing.assert_allclose(encoded.vector, alone.vector, atol=1e-5)
        assert (encoded.digest, encoded.item) == (alone.digest, alone.item)


def test_an_empty_collection_can_be_tied_to_its_encoder(shop: Collection) -> None:
    assert shop.info().encoder is None
    shop.bind()
    assert shop.info().dim == 32
