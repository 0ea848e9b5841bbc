"""What a collection answers, on this machine or through a service.

A test module subclasses this with a ``shop`` fixture: the collection of ``stock`` below, the
test's own. ``pictures`` is the folder that was indexed.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import Progress
from lookalike.core.records import Entry, Hit, Item
from lookalike.errors import (
    BrokenImageError,
    FilterError,
    ImageError,
    ItemNotFoundError,
    NotAnImageError,
    UnreadableImageError,
    WordsError,
)

__all__ = ["CollectionContract", "Shop", "bare", "stock"]

Shop = lookalike.Collection | lookalike.RemoteCollection

_COLOURS = ("red", "green", "blue")


def stock(home: Path, card: Path, paint: Callable[[Path, int], Path]) -> Path:
    """``home/collections/shop`` of eight pictures below ``home/pictures``; answers the folder."""
    pictures = home / "pictures"
    names = ["0.png", "mugs/1.png", "mugs/a b.png", "mugs/100%.png", "mugs/a?b&c=d#e+f.png"]
    for number, name in enumerate([*names, "製品/茶碗.png", "similar"]):
        paint(pictures / (name if "." in name else f"{name}.png"), number)
    shutil.copyfile(pictures / "0.png", pictures / "copy.png")
    with lookalike.open(home / "collections" / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
        shop.store.items.update(
            [
                replace(
                    item,
                    label="mug" if "mugs/" in item.id else None,
                    group=f"g{number // 2}",
                    metadata={"price": number, "colour": _COLOURS[number % 3], "tags": ["a", 1]},
                )
                for number, item in enumerate(shop)
            ]
        )
    return pictures


def bare(item: Item) -> Item:
    """An item without where its file lies, which a service does not tell."""
    return replace(item, root="", path="", stamp=None)


def _ids(hits: list[Hit]) -> list[str]:
    return [hit.item.id for hit in hits]


class CollectionContract:
    # -- looking -------------------------------------------------------------------------------

    def test_an_item_says_what_is_known_of_it(self, shop: Shop) -> None:
        item = bare(shop.get("mugs/a b.png"))
        assert item == Item(
            id="mugs/a b.png",
            digest=item.digest,
            width=64,
            height=48,
            label="mug",
            group="g2",
            metadata={"price": 4, "colour": "green", "tags": ["a", 1]},
        )
        assert len(item.digest) == 64

    def test_every_id_finds_its_item_whatever_it_is_made_of(self, shop: Shop) -> None:
        ids = [item.id for item in shop]
        assert len(ids) == len(shop) == 8
        assert ids == sorted(ids)
        for one in ids:
            assert shop.get(one).id == one
            assert one in shop
            assert one not in _ids(shop.similar(one, k=3))

    def test_ids_that_mean_something_in_a_path_are_ids(self, shop: Shop, pictures: Path) -> None:
        strange = ("a//b", "a/similar", "...", "a.b/c", "%2F", "a\\b", '"', "é")
        for one in strange:
            assert shop.add(one, (pictures / "0.png").read_bytes()).id == one
        for one in strange:
            assert shop.get(one).id == one
            assert shop.remove(one) == 1
            assert one not in shop

    def test_what_is_not_there_is_an_error_that_names_it(self, shop: Shop) -> None:
        assert "nothing" not in shop
        assert 7 not in shop
        for ask in (shop.get, shop.similar):
            with pytest.raises(ItemNotFoundError, match="there is no item 'nothing'"):
                ask("nothing")

    def test_a_thumbnail_is_a_jpeg_as_small_as_asked(self, shop: Shop) -> None:
        for side, size in ((16, (16, 12)), (40, (40, 30)), (320, (64, 48))):
            with Image.open(BytesIO(shop.thumbnail("mugs/a b.png", side=side))) as image:
                assert (image.format, image.size) == ("JPEG", size)
        with pytest.raises(ItemNotFoundError, match="nothing"):
            shop.thumbnail("nothing")

    def test_thumbnails_that_are_kept_are_told_of_and_seen_without_the_files(
        self, shop: Shop, pictures: Path
    ) -> None:
        with lookalike.open(pictures.parent / "collections" / "shop") as writer:
            writer.index(pictures, thumbnails=32)
        info = shop.info()
        assert (info.thumbnail_side, info.thumbnails) == (32, 8)
        assert 8 * 300 < info.thumbnail_bytes < 8 * 3000
        pictures.rename(pictures.with_name("elsewhere"))
        with Image.open(BytesIO(shop.thumbnail("mugs/a b.png"))) as image:
            assert image.size == (32, 24)

    def test_items_and_counts_take_a_filter(self, shop: Shop) -> None:
        dear = [item.id for item in shop.items("label=mug and price>=3")]
        assert dear == [item.id for item in shop if item.label and item.metadata["price"] >= 3]  # type: ignore[operator]
        assert shop.count("label=mug and price>=3") == len(dear) > 1
        assert shop.count() == shop.count(" ") == 8
        assert list(shop.items("price>1000")) == []

    def test_a_sample_is_the_same_for_the_same_seed_and_has_one_of_exact_copies(
        self, shop: Shop
    ) -> None:
        some = shop.sample(3, seed=5)
        assert len({item.id for item in some}) == 3
        assert shop.sample(3, seed=5) == some
        assert any(shop.sample(3, seed=seed) != some for seed in range(6, 20))
        assert {item.id for item in shop.sample(100)} == {item.id for item in shop} - {"copy.png"}
        assert [item.id for item in shop.sample(2, where="price=4")] == ["mugs/a b.png"]
        assert shop.sample(2, where="price>1000") == []

    def test_a_bad_filter_is_shown_with_the_place(self, shop: Shop) -> None:
        asks: list[Callable[[str], object]] = [
            shop.items,
            shop.count,
            lambda where: shop.sample(2, where=where),
            lambda where: shop.facets("label", where),
            lambda where: shop.similar("0.png", where=where),
        ]
        for ask in asks:
            with pytest.raises(FilterError, match="a value is missing") as caught:
                ask("label=mug and price<")
            assert (caught.value.text, caught.value.at) == ("label=mug and price<", 20)

    def test_facets_count_values(self, shop: Shop) -> None:
        assert sorted(shop.facets("colour")) == [("blue", 2), ("green", 3), ("red", 3)]
        assert shop.facets("colour")[-1] == ("blue", 2)
        assert shop.facets("label", "label=mug") == [("mug", 4)]
        assert sorted(shop.facets("tags", limit=5), key=str) == [("a", 8), (1, 8)]

    def test_what_is_said_of_a_collection_is_what_it_holds(self, shop: Shop) -> None:
        info, said = shop.info(), shop.describe(labels=1)
        assert (info.items, info.store, info.skipped) == (8, "embedded", {})
        assert info.dim is not None
        assert info.fingerprint
        assert [root.name for root in info.roots] == [""]
        assert info.updated_at is not None
        assert (said.items, said.labels, said.unlabelled, said.groups) == (8, {"mug": 4}, 4, 4)
        assert said.fields is not None
        by_name = {field.name: field for field in said.fields}
        assert (by_name["price"].types, by_name["price"].filled) == ({"integer": 8}, 8)
        assert shop.describe(fields=False).fields is None
        assert shop.declared() == []

    # -- searching -----------------------------------------------------------------------------

    def test_a_picture_finds_itself_in_every_form(self, shop: Shop, pictures: Path) -> None:
        file = pictures / "mugs" / "1.png"
        image = Image.open(file)
        for query in (file, str(file), file.read_bytes(), image, np.asarray(image)):
            best = shop.search(query, k=1, include_self=True)[0]
            assert best.item.id == "mugs/1.png"
            assert best.score == pytest.approx(1, abs=1e-3)

    def test_an_exact_duplicate_of_the_query_is_found(self, shop: Shop, pictures: Path) -> None:
        data = (pictures / "mugs" / "1.png").read_bytes()
        pixels = np.asarray(Image.open(pictures / "mugs" / "1.png"))
        for query in (data, pixels):
            found = shop.search(query, k=20)
            assert _ids(found)[0] == "mugs/1.png"
            assert len(found) == 8
            assert found.left_out == ()

    def test_an_item_is_left_out_of_its_own_results_unless_asked_for(self, shop: Shop) -> None:
        found = shop.similar("mugs/1.png", k=20)
        assert "mugs/1.png" not in _ids(found)
        assert found.left_out == ("mugs/1.png",)
        with_it = shop.similar("mugs/1.png", k=20, include_self=True)
        assert _ids(with_it)[0] == "mugs/1.png"
        assert with_it.left_out == ()

    def test_a_filter_that_no_item_meets_says_why(self, shop: Shop, pictures: Path) -> None:
        data = (pictures / "0.png").read_bytes()
        field = "no item has the field 'colr'; did you mean 'colour'?"
        case = "no item has label = 'Mug'; 4 have 'mug'"
        for where, code, message in (
            ("colr=red", "no-such-field", field),
            ("label=Mug", "other-case", case),
            ("label in (mug, Mug) and colr exists", "no-such-field", field),
        ):
            for found in (shop.search(data, where=where), shop.similar("0.png", where=where)):
                assert found == []
                assert (code, message) in [(one.code, one.message) for one in found.notes]
            assert (code, message) in [(one.code, one.message) for one in shop.notes(where)]
        assert shop.notes("label=mug") == ()
        (note,) = shop.notes(field="colr")
        assert (note.code, note.message) == ("no-such-field", field)
        assert note.details["did_you_mean"] == "colour"
        assert shop.notes(field="colour") == ()

    def test_no_result_says_what_the_best_score_was(self, shop: Shop) -> None:
        best = shop.similar("mugs/1.png", k=1)[0]
        assert best.score < 0.99
        found = shop.similar("mugs/1.png", min_score=0.999)
        assert found == []
        assert found.best is not None
        assert found.best.item.id == best.item.id
        assert found.best.score == pytest.approx(best.score)
        (note,) = found.notes
        assert note.code == "below-min-score"
        assert note.message.startswith("no result reaches min score 0.999; the best is 0.")
        assert note.details["id"] == best.item.id

    def test_answers_come_best_first_and_within_what_is_asked(
        self, shop: Shop, pictures: Path
    ) -> None:
        data = (pictures / "0.png").read_bytes()
        hits = shop.search(data, k=5)
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert len(hits) == 5
        least = scores[2]
        assert len(shop.search(data, k=5, min_score=least - 1e-4)) == 3
        mugs = shop.search(data, k=20, where="label=mug", exact=True)
        assert {hit.item.label for hit in mugs} == {"mug"}
        assert len(mugs) == 4
        groups = [hit.item.group for hit in shop.search(data, k=20, per_group=True)]
        assert len(groups) == len(set(groups)) == 4
        assert len(shop.similar("mugs/1.png", k=20)) == 7
        assert len(shop.similar("mugs/1.png", k=20, collapse=True)) == 6
        assert shop.similar("0.png", k=1)[0].item.id == "copy.png"
        assert shop.similar("0.png", k=9, include_self=True)[0].score == pytest.approx(1, abs=1e-3)

    def test_what_is_no_picture_is_refused_by_name(self, shop: Shop, tmp_path: Path) -> None:
        words = tmp_path / "words.png"
        words.write_bytes(b"not a picture, whatever its name")
        with pytest.raises(NotAnImageError) as caught:
            shop.search(words)
        assert caught.value.path == str(words)
        with pytest.raises(NotAnImageError):
            shop.search(b"no picture")
        with pytest.raises(NotAnImageError, match="is a URL"):
            shop.search("https://pictures.example/mug.jpg")
        with pytest.raises(UnreadableImageError, match="nowhere"):
            shop.search(tmp_path / "nowhere.png")

    def test_a_damaged_picture_is_told_from_none(self, shop: Shop, pictures: Path) -> None:
        data = (pictures / "0.png").read_bytes()
        with pytest.raises(BrokenImageError):
            shop.search(data[: len(data) // 2])

    def test_wrong_arguments_are_value_errors(self, shop: Shop, pictures: Path) -> None:
        with pytest.raises(ValueError, match="k"):
            shop.search(pictures / "0.png", k=0)
        with pytest.raises(ValueError, match="k"):
            shop.similar("0.png", k=0)
        with pytest.raises(ValueError, match="shape"):
            shop.search(np.zeros((2, 2, 7), np.uint8))

    # -- changing ------------------------------------------------------------------------------

    def test_what_is_added_is_found_and_what_is_removed_is_not(
        self, shop: Shop, pictures: Path, tmp_path: Path, paint: Callable[[Path, int], Path]
    ) -> None:
        file = paint(tmp_path / "new.png", 77)
        item = shop.add("new/one", file, label="cup", group="g9", metadata={"price": 1.5})
        assert bare(item) == bare(shop.get("new/one"))
        assert (item.label, item.group, dict(item.metadata)) == ("cup", "g9", {"price": 1.5})
        assert shop.search(file, k=1, include_self=True)[0].item.id == "new/one"
        assert shop.add("new/one", pictures / "0.png").label == "cup"  # nothing said: kept
        assert shop.remove(["new/one", "new/one", "nothing"]) == 1
        assert shop.remove("new/one") == 0
        assert len(shop) == 8

    def test_adding_what_cannot_be_used_changes_nothing(self, shop: Shop) -> None:
        before = bare(shop.get("0.png"))
        with pytest.raises(ImageError) as caught:
            shop.add("0.png", b"no picture")
        assert caught.value.path == "0.png"
        assert bare(shop.get("0.png")) == before

    def test_many_are_added_and_the_unusable_ones_are_listed(
        self, shop: Shop, tmp_path: Path, paint: Callable[[Path, int], Path]
    ) -> None:
        files = [paint(tmp_path / f"{number}.png", 100 + number) for number in range(60)]
        heard: list[Progress] = []
        report = shop.index(
            [
                *(Entry(id=f"new/{one.stem}", image=one, label="new") for one in files),
                Entry(id="new/bytes", image=files[0].read_bytes()),
                Entry(id="new/bad", image=b"no picture"),
                Entry(id="new/gone", image=tmp_path / "nowhere.png"),
            ],
            progress=heard.append,
        )
        assert report.indexed + report.reused == 61
        assert sorted(skip.path for skip in report.skipped) == ["new/bad", "new/gone"]
        assert all(skip.reason for skip in report.skipped)
        assert heard[-1].skipped == 2
        assert shop.count("label=new") == 60
        assert shop.count("id^=new/") == 61

    def test_indexing_stops_after_the_batch_in_hand(self, shop: Shop, pictures: Path) -> None:
        data = (pictures / "0.png").read_bytes()
        many = [Entry(id=f"n/{number}", image=data) for number in range(150)]
        report = shop.index(many, stop=lambda: True)
        assert report.interrupted
        assert 0 < shop.count("id^=n/") == report.indexed + report.reused < 150

    def test_labels_are_given_to_all_or_none(self, shop: Shop) -> None:
        shop.label(["0.png", "copy.png"], "plate")
        assert shop.count("label=plate") == 2
        shop.label(["0.png"], None)
        assert shop.get("0.png").label is None
        with pytest.raises(ItemNotFoundError, match="nothing"):
            shop.label(["copy.png", "nothing"], "cup")
        assert shop.get("copy.png").label == "plate"

    def test_an_explanation_adds_up_to_the_score(self, shop: Shop, pictures: Path) -> None:
        hit = shop.search(pictures / "0.png", crop=(0, 0, 0.5, 1), k=1)[0]
        for query, crop in (
            (pictures / "0.png", (0, 0, 0.5, 1)),
            (lookalike.ItemRef("0.png"), None),
        ):
            found = shop.explain(query, hit.item.id, crop=crop)
            assert found.method == "map"
            assert found.query is not None
            assert found.query.area == (crop or (0, 0, 1, 1))
            assert found.query.image.size == found.item.image.size == (64, 48)
            for one in (found.query.contributions, found.item.contributions, found.pairs):
                assert one is not None
                assert float(one.sum()) == pytest.approx(found.score, abs=1e-4)
            if crop is not None:
                assert found.score == pytest.approx(hit.score, abs=1e-4)
        mixed = [
            lookalike.QueryPart(source=lookalike.ItemRef("0.png")),
            lookalike.QueryPart(source=lookalike.ItemRef("mugs/1.png"), weight=-0.5),
        ]
        assert shop.explain(mixed, hit.item.id, method="occlusion").query is None

    def test_what_cannot_be_explained_is_named(self, shop: Shop, pictures: Path) -> None:
        with pytest.raises(ItemNotFoundError):
            shop.explain(pictures / "0.png", "nothing")
        with pytest.raises(WordsError, match="keywords"):
            shop.explain(lookalike.Words("xyzzy plugh"), "0.png")
