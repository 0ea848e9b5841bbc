"""Copies: what is one picture and what is not, which is kept, and that only copies are touched."""

import json
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from lookalike import images
from lookalike.analysis.duplicates import (
    DuplicateGroup,
    DuplicateReport,
    act,
    find,
    find_duplicates_of,
    near_search,
)
from lookalike.analysis.duplicates.candidates import find_by_hash, find_by_vector, unite_pairs
from lookalike.analysis.duplicates.comparing import compare
from lookalike.analysis.duplicates.grouping import KEEP_RULES, components, rank, stars
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.analysis.duplicates.signatures import SIDE, Signatures, hashes, signature, turned
from lookalike.cli.duplicates import duplicates_command
from lookalike.cli.search import search_command, similar_command
from lookalike.collection import Collection
from lookalike.core.records import Item, Stamp
from lookalike.core.vectors import unit_rows
from lookalike.encoders import OnnxEncoder
from lookalike.errors import SourceError
from lookalike.output.report import render_duplicates
from lookalike.stores.embedded.store import EmbeddedStore


def scene(seed: int, width: int = 240, height: int = 180) -> Image.Image:
    """A picture with large and small shapes, unlike that of any other seed."""
    dice = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), dice.integers(60, 200, 3), np.float64)
    for _ in range(30):
        x, y = dice.integers(0, width), dice.integers(0, height)
        w, h = dice.integers(10, width // 2), dice.integers(10, height // 2)
        pixels[y : y + h, x : x + w] = dice.integers(0, 256, 3)
    sharp = Image.fromarray(pixels.astype(np.uint8))
    return sharp.filter(ImageFilter.GaussianBlur(2))  # as no lens draws an edge


def cropped(image: Image.Image, share: float) -> Image.Image:
    across, down = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((across, down, image.width - across, image.height - down))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "halved": lambda image: image.resize((image.width // 2, image.height // 2)),
    "cropped by 8 %": lambda image: cropped(image, 0.08),
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "upside down": ImageOps.flip,
}


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder) -> Iterator[Collection]:
    """Six scenes; of the first there are exact and near copies."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for seed in range(6):
        scene(seed).save(folder / f"{seed}.png")
    (folder / "more" / "same.png").write_bytes((folder / "0.png").read_bytes())
    for name, change in COPIES.items():
        change(scene(0)).save(folder / "more" / f"{name}.jpg", quality=85)
    with Collection(
        EmbeddedStore.open(tmp_path / "shop", create=True), lambda _store: tiny
    ) as shop:
        shop.index(folder)
        yield shop


def outcomes(
    shop: Collection, found: DuplicateReport, **options: object
) -> dict[str, tuple[str, str]]:
    return {
        one.item.id: (one.done, one.reason)
        for one in act(shop, found.groups, **options)  # type: ignore[arg-type] # as the test gives
    }


# --- what is a copy ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("seed", range(4))
def test_a_changed_picture_is_its_copy(name: str, seed: int) -> None:
    one, other = signature(scene(seed)), signature(COPIES[name](scene(seed)))
    assert compare(one[None], other[None]).difference[0] <= 1
    assert compare(other[None], one[None]).difference[0] <= 1


def test_other_pictures_are_no_copies() -> None:
    every = np.stack([signature(scene(seed)) for seed in range(12)])
    first, second = np.triu_indices(12, 1)
    assert compare(every[first], every[second]).difference.min() > 1


def test_the_same_shape_in_another_colour_is_no_copy() -> None:
    shapes = [Image.new("RGB", (90, 120), "white") for _ in range(2)]
    for shape, colour in zip(shapes, ("#b04040", "#4060b0"), strict=True):
        shape.paste(colour, (25, 30, 65, 100))
    one, other = (signature(shape)[None] for shape in shapes)
    assert compare(one, other).difference[0] > 1


def repainted(image: Image.Image) -> Image.Image:
    """With one small part in another colour."""
    other = image.copy()
    x, y = image.width // 2, image.height // 3
    part = image.crop((x, y, x + image.width // 8, y + image.height // 6))
    other.paste(part.point(lambda value: 255 - value), (x, y))
    return other


@pytest.mark.parametrize("seed", range(4))
def test_what_differs_in_one_place_is_a_copy_only_where_marks_are_allowed(seed: int) -> None:
    one, other = signature(scene(seed))[None], signature(repainted(scene(seed)))[None]
    assert compare(one, other).difference[0] > 1
    assert compare(one, other, marked=True).difference[0] <= 1


def test_a_mark_on_a_plain_ground_proves_nothing() -> None:
    one, other = (Image.new("RGB", (120, 160), "white") for _ in range(2))
    one.paste("#303030", (40, 40, 60, 120))
    other.paste("#303030", (40, 40, 60, 120))
    other.paste("#c02020", (40, 40, 60, 60))
    pair = (signature(one)[None], signature(other)[None])
    assert compare(*pair, marked=True).difference[0] > 1


def test_plain_surfaces_are_copies_when_their_colour_is_one() -> None:
    grey, same, white = (
        signature(Image.new("RGB", (40, 40), colour))[None]
        for colour in ("#808080", "#828282", "#ffffff")
    )
    assert compare(grey, same).difference[0] <= 1
    assert compare(grey, white).difference[0] > 1


@given(st.integers(0, 7), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_hashes_of_a_picture_are_those_of_its_turned_self(turn: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    picture: Signatures = dice.integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.uint8)
    other = turned(picture, np.array([turn])).astype(np.uint8)
    apart = np.bitwise_count(hashes(picture)[0, turn] ^ hashes(other)[0, 0])
    assert apart <= 2  # rounding may move a bit over the median


@given(st.integers(0, 7))
@settings(max_examples=8, deadline=None)
def test_a_turn_is_found(turn: int) -> None:
    picture = signature(scene(3))[None]
    found = compare(picture, turned(picture, np.array([turn])).astype(np.uint8))
    assert found.turns[0] == turn
    assert found.difference[0] == 0


# --- candidates --------------------------------------------------------------------------------


def test_near_hashes_are_paired_once_under_any_turn() -> None:
    every = np.stack([signature(scene(seed)) for seed in range(5)])
    every = np.concatenate([every, turned(every[:2], np.array([5, 3])).astype(np.uint8)])
    pairs = unite_pairs(find_by_hash(hashes(every)), len(every))
    assert {tuple(pair) for pair in pairs.tolist()} == {(0, 5), (1, 6)}


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 1500])
def test_each_row_is_paired_with_its_nearest(count: int) -> None:
    rows = np.random.default_rng(count).normal(size=(count, 8))
    vectors = unit_rows(rows) if count else np.empty((0, 8), np.float32)
    pairs = {tuple(pair) for pair in unite_pairs(find_by_vector(vectors), count).tolist()}
    scores = vectors @ vectors.T
    for one in range(count):
        scores[one, one] = -1
        if count > 1 and scores[one].max() >= 0.6:
            nearest = int(scores[one].argmax())
            assert (min(one, nearest), max(one, nearest)) in pairs
    assert all(first < second for first, second in pairs)


# --- groups ------------------------------------------------------------------------------------


def item(name: str, size: int = 10, pixels: int = 100, age: int = 0) -> Item:
    return Item(id=name, digest=name, width=pixels, height=1, stamp=Stamp(size=size, mtime_ns=age))


def test_the_kept_one_is_chosen_by_the_stated_rule() -> None:
    items = [
        item("a", size=10, pixels=100, age=9),
        item("b", size=50, pixels=100, age=8),
        item("c", size=90, pixels=50, age=7),
        item("d", size=5, pixels=10, age=1),
    ]
    chosen = {keep: min(items, key=lambda one: rank(one, keep)).id for keep in KEEP_RULES}
    assert chosen == {"best": "b", "largest": "c", "oldest": "d", "first": "a"}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_components_join_what_a_path_joins(pairs: list[tuple[int, int]]) -> None:
    found = components(pairs)
    where = {one: number for number, members in enumerate(found) for one in members}
    assert sorted(where) == sorted({one for pair in pairs for one in pair})
    assert all(where[first] == where[second] for first, second in pairs)
    assert sum(map(len, found)) == len(where)


def test_a_chain_is_taken_apart_until_all_are_copies_of_the_kept_one() -> None:
    def differences(kept: int, others: object) -> dict[int, float]:
        return {one: 0.6 for one in others if abs(one - kept) == 1}  # type: ignore[attr-defined] # ints

    found = stars([0, 1, 2, 3, 4], lambda one: (one,), differences)
    assert [(kept, sorted(copies)) for kept, copies in found] == [(0, [1]), (2, [3])]


# --- a collection ------------------------------------------------------------------------------


def test_exact_and_near_copies_are_found_and_nothing_else(shop: Collection) -> None:
    (group,) = find(shop).groups
    assert group.kept.id == "0.png"
    assert {copy.item.id for copy in group.duplicates if copy.exact} == {"more/same.png"}
    near = {copy.item.id.removeprefix("more/").removesuffix(".jpg") for copy in group.duplicates}
    assert near - {"same.png"} == set(COPIES)
    turns = {copy.item.id: copy.turn for copy in group.duplicates}
    assert turns["more/mirrored.jpg"] == "mirrored"
    assert turns["more/halved.jpg"] == ""


def test_exact_only_and_a_filter_narrow_what_is_found(shop: Collection) -> None:
    (group,) = find(shop, exact_only=True).groups
    assert [copy.item.id for copy in group.duplicates] == ["more/same.png"]
    shop.label(["0.png", "more/mirrored.jpg"], "wanted")
    (group,) = find(shop, where="label=wanted").groups
    assert [copy.item.id for copy in group.duplicates] == ["more/mirrored.jpg"]


def test_a_smaller_difference_finds_less(shop: Collection) -> None:
    (group,) = find(shop, max_difference=0.3).groups
    assert all(copy.difference <= 0.3 for copy in group.duplicates)
    assert "more/cropped by 8 %.jpg" not in {copy.item.id for copy in group.duplicates}


def test_marked_copies_are_found_when_asked_for(shop: Collection, tmp_path: Path) -> None:
    repainted(scene(3)).save(tmp_path / "photos" / "more" / "marked.png")
    shop.index(tmp_path / "photos")
    marked = {
        copy.item.id
        for group in find(shop, marked=True, keep="first").groups
        for copy in group.duplicates
    }
    plain = {copy.item.id for group in find(shop, keep="first").groups for copy in group.duplicates}
    assert marked - plain == {"more/marked.png"}


def test_collections_too_large_to_compare_whole_are_searched(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = find(shop).groups
    monkeypatch.setattr(near_search, "EXACT_FLOATS", 0)
    assert find(shop).groups == plain


def test_what_was_decoded_is_kept_and_a_damaged_cache_does_no_harm(
    shop: Collection, tmp_path: Path
) -> None:
    cache = tmp_path / "cache" / "signatures.sqlite"
    plain = find(shop, cache=cache).groups
    digests = [one.digest for one in shop]
    assert set(SignatureCache(cache).get(digests)) == set(digests)
    for one in shop:
        place = shop.file_of(one)
        assert place is not None
        place.unlink()
    assert find(shop, cache=cache).groups == plain
    cache.write_bytes(b"no database at all" * 100)
    assert find(shop, cache=cache).unread


def test_a_file_that_is_gone_is_said_and_its_exact_copies_are_found(
    shop: Collection, tmp_path: Path
) -> None:
    (tmp_path / "photos" / "0.png").unlink()
    (tmp_path / "photos" / "more" / "same.png").unlink()
    found = find(shop)
    assert [one.reason for one in found.unread] == ["there is no such file"]
    assert any(copy.exact for group in found.groups for copy in group.duplicates)


def test_a_stopped_search_says_so(shop: Collection) -> None:
    assert find(shop, stop=lambda: True).interrupted


@pytest.mark.parametrize("name", ["halved", "cropped by 8 %", "mirrored", "turned"])
def test_a_new_picture_is_told_to_be_a_copy(shop: Collection, tmp_path: Path, name: str) -> None:
    new = tmp_path / "new.png"
    COPIES[name](scene(4)).save(new)
    assert [copy.item.id for copy in find_duplicates_of(shop, new)] == ["4.png"]
    scene(77).save(new)
    assert find_duplicates_of(shop, new) == []
    exact = find_duplicates_of(shop, (tmp_path / "photos" / "5.png").read_bytes())
    assert [(copy.item.id, copy.exact) for copy in exact] == [("5.png", True)]


# --- acting ------------------------------------------------------------------------------------


def test_a_dry_run_touches_nothing(shop: Collection, tmp_path: Path) -> None:
    before = sorted((tmp_path / "photos").rglob("*"))
    done = outcomes(shop, find(shop), dry_run=True)
    assert {what for what, _ in done.values()} == {"trashed"}
    assert sorted((tmp_path / "photos").rglob("*")) == before
    assert len(shop) == 12


def test_deleting_leaves_the_kept_one_and_forgets_the_others(
    shop: Collection, tmp_path: Path
) -> None:
    outcomes(shop, find(shop))
    assert [one.id for one in shop] == [f"{seed}.png" for seed in range(6)]
    left = [one.relative_to(tmp_path / "photos") for one in (tmp_path / "photos").rglob("*.???")]
    assert len([one for one in left if one.parts[0] != ".lookalike-trash"]) == 6
    assert find(shop).groups == ()


def test_moved_files_keep_their_path_and_are_written_down(shop: Collection, tmp_path: Path) -> None:
    away = tmp_path / "away"
    (away / "more").mkdir(parents=True)
    (away / "more" / "same.png").write_text("mine")
    (group,) = find(shop, exact_only=True).groups
    assert outcomes(shop, find(shop, exact_only=True), move_to=away) == {
        "more/same.png": ("moved", "")
    }
    assert (away / "more" / "same.png").read_text() == "mine"
    assert images.digest((away / "more" / "same-2.png").read_bytes()) == group.kept.digest
    first, last = map(json.loads, (away / "moved.jsonl").read_text().splitlines())
    assert first["to"] == str(away / "more" / "same-2.png")
    assert first["kept"] == "0.png"
    assert (first["event"], last["event"]) == ("moving", "moved")


def test_a_copy_that_has_changed_since_is_left(shop: Collection, tmp_path: Path) -> None:
    found = find(shop, exact_only=True)
    scene(99).save(tmp_path / "photos" / "more" / "same.png")
    done = outcomes(shop, found)
    assert done == {"more/same.png": ("left", "it has changed since it was indexed")}
    assert (tmp_path / "photos" / "more" / "same.png").exists()


def test_nothing_is_deleted_when_the_kept_one_is_gone(shop: Collection, tmp_path: Path) -> None:
    found = find(shop)
    (tmp_path / "photos" / "0.png").unlink()
    done = outcomes(shop, found)
    assert {what for what, _ in done.values()} == {"left"}
    assert len(shop) == 12


def test_one_file_under_two_ids_is_never_deleted(shop: Collection, tmp_path: Path) -> None:
    shop.index(tmp_path / "photos")
    os.link(tmp_path / "photos" / "5.png", tmp_path / "photos" / "linked.png")
    shop.index(tmp_path / "photos")
    done = outcomes(shop, find(shop, exact_only=True))
    assert done["linked.png"] == ("left", "it is the same file as 5.png")
    assert (tmp_path / "photos" / "linked.png").exists()


def test_copies_are_not_moved_to_where_they_would_come_back(
    shop: Collection, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="would be indexed again"):
        list(act(shop, find(shop).groups, move_to=tmp_path / "photos" / "away"))


def test_moving_that_is_stopped_leaves_the_rest_and_can_go_on(
    shop: Collection, tmp_path: Path
) -> None:
    away, found = tmp_path / "away", find(shop)
    stops = iter([False, False, True])
    stopped = act(shop, found.groups, move_to=away, stop=lambda: next(stops))
    done = [outcome.item.id for outcome in stopped]
    assert len(done) == 2
    lines = [json.loads(line) for line in (away / "moved.jsonl").read_text().splitlines()]
    moved = [line for line in lines if line["event"] == "moving"]
    assert [line["id"] for line in moved] == done
    for line in moved:
        assert Path(line["to"]).exists()
        assert not Path(line["from"]).exists()
        assert line["id"] not in shop
    rest = outcomes(shop, find(shop), move_to=away)
    assert set(rest.values()) == {("moved", "")}
    assert len(rest) == found.copies - 2
    assert len((away / "moved.jsonl").read_text().splitlines()) == 2 * found.copies


def test_copies_of_several_roots_are_moved_below_the_names_of_theirs(
    shop: Collection, tmp_path: Path
) -> None:
    second = tmp_path / "scans"
    second.mkdir()
    (second / "same.png").write_bytes((tmp_path / "photos" / "0.png").read_bytes())
    (second / "other.png").write_bytes((tmp_path / "photos" / "1.png").read_bytes())
    shop.index(second)
    away = tmp_path / "away"
    done = outcomes(shop, find(shop, exact_only=True, keep="first"), move_to=away)
    assert {name: what for name, (what, _) in done.items()} == {
        "more/same.png": "moved",
        "scans:other.png": "moved",
        "scans:same.png": "moved",
    }
    places = {str(one.relative_to(away)) for one in away.rglob("*.png")}
    assert places == {"more/same.png", "scans/other.png", "scans/same.png"}


def test_a_file_that_cannot_be_removed_is_left_with_the_reason(
    shop: Collection, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "more").write_text("a file where the folder should be")
    ((what, reason),) = outcomes(shop, find(shop, exact_only=True), move_to=away).values()
    assert what == "left"
    assert reason
    assert (tmp_path / "photos" / "more" / "same.png").exists()


# --- answers of a search -----------------------------------------------------------------------


def test_near_copies_are_folded_and_others_take_their_places(shop: Collection) -> None:
    vector = shop.encode(scene(0))
    found = shop.search(vector, k=4, collapse="near")
    assert len(found) == 4
    assert all(first.score >= second.score for first, second in pairwise(found))
    every = shop.search(vector, k=10, collapse="near")
    assert len(every) == 6
    assert every.folded is not None
    assert sum(every.folded.values()) == 6
    assert max(every.folded.values()) == 6


def test_of_files_that_are_gone_only_exact_copies_are_folded(
    shop: Collection, tmp_path: Path
) -> None:
    for one in (tmp_path / "photos" / "more").iterdir():
        one.unlink()
    query = shop.encode(tmp_path / "photos" / "5.png")
    found = shop.search(query, k=20, collapse="near", include_self=True)
    assert len(found) == 11
    assert found.folded is not None
    assert sum(found.folded.values()) == 1


# --- the page and the command ------------------------------------------------------------------


def test_the_page_escapes_what_comes_from_the_collection() -> None:
    bad = item("<script>alert(1)</script>")
    found = DuplicateReport(
        groups=(DuplicateGroup(kept=bad, duplicates=()),),
        items=1,
        unread=(),
        compared=0,
        interrupted=False,
        seconds=0.0,
    )
    page = render_duplicates(found, {bad.id: None}, name="a & b")
    assert "<script" not in page
    assert "Duplicates in a &amp; b" in page


def command(place: Path, *arguments: str) -> Result:
    return CliRunner().invoke(duplicates_command, [*arguments, "-c", str(place), "-q"])


@pytest.fixture
def place(shop: Collection, tmp_path: Path, card: Path) -> Path:
    shop.store.settings.set("card", str(card))
    shop.close()
    return tmp_path / "shop"


def test_the_command_reports_and_touches_nothing(place: Path, tmp_path: Path) -> None:
    page = tmp_path / "copies.html"
    done = command(place, "--json", "--report", str(page))
    document = json.loads(done.stdout)
    assert done.exit_code == 0
    assert document["duplicates"] == 6
    assert [group["kept"]["id"] for group in document["groups"]] == ["0.png"]
    assert page.read_text(encoding="utf-8").count("data:image/jpeg") == 7
    assert (tmp_path / "photos" / "more" / "same.png").exists()


def test_the_command_deletes_only_when_told_so(place: Path, tmp_path: Path) -> None:
    copy = tmp_path / "photos" / "more" / "same.png"
    assert command(place, "--delete").exit_code == 2
    assert command(place, "--delete", "--dry-run").exit_code == 0
    assert copy.exists()
    done = command(place, "--exact-only", "--delete", "--yes")
    assert done.exit_code == 0
    assert "1 trashed" in done.stderr
    assert not copy.exists()


def test_a_search_folds_near_copies_when_told_so(place: Path, tmp_path: Path) -> None:
    def asked(*arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(similar_command, [*arguments, "5.png", "-c", str(place)])
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    assert len(asked("-k", "20", "--json")["hits"]) == 11
    assert len(asked("-k", "20", "--json", "--collapse")["hits"]) == 10
    assert len(asked("-k", "20", "--collapse=exact", "--json")["hits"]) == 10
    near = asked("-k", "20", "--json", "--collapse", "near")
    assert len(near["hits"]) == 5
    assert near["folded"] == 6
    assert sum(hit["folded"] for hit in near["hits"]) == 6
    new = str(tmp_path / "photos" / "0.png")
    done = CliRunner().invoke(search_command, ["--collapse", "near", new, "-c", str(place)])
    assert done.exit_code == 0, done.output
    assert "copies" not in done.stdout  # it is left out itself, and its copies are one
    assert CliRunner().invoke(search_command, ["--collapse", new, "-c", str(place)]).exit_code == 0


def test_what_is_touched_must_be_surer_than_what_is_shown(place: Path) -> None:
    def farthest(*arguments: str) -> float:
        groups = json.loads(command(place, "--json", *arguments).stdout)["groups"]
        return max(float(copy["difference"]) for group in groups for copy in group["duplicates"])

    every, wide = farthest(), farthest("--delete", "--dry-run", "--max-difference", "1")
    assert every == wide
    assert farthest("--delete", "--dry-run") == farthest("--max-difference", "0.7") <= 0.7


@pytest.mark.parametrize(
    "arguments", [["--dry-run"], ["--delete", "--move-to", "x"], ["a.png", "--delete", "--yes"]]
)
def test_options_that_make_no_sense_together_are_refused(place: Path, arguments: list[str]) -> None:
    assert command(place, *arguments).exit_code == 2


def test_the_command_tells_whether_a_picture_is_there(place: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.png"
    COPIES["halved"](scene(2)).save(new)
    done = command(place, str(new), "--json")
    assert done.exit_code == 0
    assert [copy["id"] for copy in json.loads(done.stdout)["duplicates"]] == ["2.png"]
    scene(50).save(new)
    assert command(place, str(new)).exit_code == 5
