"""What people set by hand stays, whatever a catalogue says, unless they ask for the catalogue's."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from contracts.moving import KINDS, Place, place
from lookalike.cli import cli
from lookalike.core.manual_edits import ManualEdits
from lookalike.core.records import Entry, Item, Json
from lookalike.encoders import OnnxEncoder
from lookalike.errors import ItemNotFoundError
from wording import Shelf, counted, table, words

__all__ = ["place"]  # a fixture

HEADER = "file,label,price,colour"


@pytest.fixture
def shelf(tmp_path: Path, tiny: OnnxEncoder) -> Shelf:
    return Shelf.made(tmp_path, tiny)


@pytest.fixture
def source(shelf: Shelf, tmp_path: Path) -> Path:
    """A table that is indexed: a.png is a mug, b.png a cup."""
    shelf.paint("a.png", 1)
    shelf.paint("b.png", 2)
    path = said(tmp_path, a="mug,5,red", b="cup,7,blue")
    shelf.shop.index(path)
    return path


def said(tmp_path: Path, **rows: str) -> Path:
    return table(
        tmp_path / "list.csv", {f"images/{name}.png": one for name, one in rows.items()}, HEADER
    )


def item(shelf: Shelf, name: str) -> Item:
    return next(one for one in shelf.shop.items() if one.path.endswith(f"{name}.png"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_given_by_hand_survives_a_catalogue_that_says_otherwise(
    kind: str, place: Place, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    shelf = Shelf.made(tmp_path, tiny, place(kind))
    shelf.paint("cats/a.png", 1)
    shelf.paint("dogs/b.png", 2)
    shelf.index(format="class-folders")
    shelf.shop.label(["cats/a.png"], "lion")
    report = shelf.index(format="class-folders")
    assert counted(report) == {"unchanged": 2, "kept_by_hand": 1}
    assert shelf.labels() == {"cats/a.png": "lion", "dogs/b.png": "dogs"}
    report = shelf.index(format="class-folders", overwrite_by_hand=True)
    assert counted(report) == {"unchanged": 2, "relabelled": 1}
    assert shelf.labels()["cats/a.png"] == "cats"
    assert counted(shelf.index(format="class-folders")) == {"unchanged": 2}
    shelf.shop.close()


def test_what_a_catalogue_changes_itself_is_counted(
    shelf: Shelf, source: Path, tmp_path: Path
) -> None:
    said(tmp_path, a="mug,6,red", b="beaker,7,blue")
    assert counted(shelf.shop.index(source)) == {"unchanged": 2, "relabelled": 2}
    assert (item(shelf, "a").metadata["price"], item(shelf, "b").label) == (6, "beaker")
    assert counted(shelf.shop.index(source)) == {"unchanged": 2}


def test_only_the_fields_set_by_hand_stay(shelf: Shelf, source: Path, tmp_path: Path) -> None:
    one = item(shelf, "a").id
    shelf.shop.edit(one, metadata={"price": 5, "colour": "crimson", "note": "mine"})
    said(tmp_path, a="jug,9,green", b="cup,7,blue")
    report = shelf.shop.index(source)
    assert (report.relabelled, report.kept_by_hand) == (1, 1)
    now = item(shelf, "a")
    assert now.label == "jug"
    assert {name: now.metadata[name] for name in ("price", "colour", "note")} == {
        "price": 9,
        "colour": "crimson",
        "note": "mine",
    }


def test_a_member_removed_by_hand_stays_away(shelf: Shelf, source: Path, tmp_path: Path) -> None:
    before = item(shelf, "a")
    shelf.shop.edit(
        before.id, metadata={name: v for name, v in before.metadata.items() if name != "price"}
    )
    said(tmp_path, a="mug,9,green", b="cup,7,blue")
    shelf.shop.index(source)
    assert "price" not in item(shelf, "a").metadata
    assert item(shelf, "a").metadata["colour"] == "green"
    shelf.shop.index(source, overwrite_by_hand=True)
    assert item(shelf, "a").metadata["price"] == 9


def test_a_label_taken_away_by_hand_stays_away(shelf: Shelf, source: Path) -> None:
    shelf.shop.label([item(shelf, "a").id], None)
    assert shelf.shop.index(source).kept_by_hand == 1
    assert item(shelf, "a").label is None


def test_a_label_that_agrees_with_the_catalogue_is_by_hand_too(
    shelf: Shelf, source: Path, tmp_path: Path
) -> None:
    shelf.shop.label([item(shelf, "a").id], "mug")
    assert shelf.shop.index(source).kept_by_hand == 0
    said(tmp_path, a="glass,5,red", b="cup,7,blue")
    assert shelf.shop.index(source).kept_by_hand == 1
    assert item(shelf, "a").label == "mug"


def test_new_content_keeps_what_was_set_by_hand(shelf: Shelf, source: Path) -> None:
    shelf.shop.label([item(shelf, "a").id], "vase")
    shelf.paint("a.png", 9)
    report = shelf.shop.index(source)
    assert (report.indexed, report.kept_by_hand) == (1, 1)
    assert item(shelf, "a").label == "vase"


def test_what_is_added_on_purpose_replaces_what_was_set_by_hand(shelf: Shelf) -> None:
    shelf.paint("a.png", 1)
    file = shelf.folder / "a.png"
    shelf.shop.add("up", file, label="one")
    shelf.shop.label(["up"], "two")
    entry = Entry(id="up", image=file, label="three")
    assert shelf.shop.index([entry]).kept_by_hand == 1
    assert shelf.shop.get("up").label == "two"
    shelf.shop.add("up", file, label="four")
    assert shelf.shop.get("up").label == "four"
    shelf.shop.index([entry])
    assert shelf.shop.get("up").label == "three"


def test_items_labelled_before_this_was_kept_follow_their_source(
    shelf: Shelf, source: Path, tmp_path: Path
) -> None:
    shelf.shop.store.table("by_hand").delete([item(shelf, "a").id])
    said(tmp_path, a="jug,5,red", b="cup,7,blue")
    assert shelf.shop.index(source).kept_by_hand == 0
    assert item(shelf, "a").label == "jug"


def test_an_edit_of_an_item_that_is_not_there_changes_nothing(shelf: Shelf, source: Path) -> None:
    with pytest.raises(ItemNotFoundError, match="'nobody'"):
        shelf.shop.label([item(shelf, "a").id, "nobody"], "x")
    assert item(shelf, "a").label == "mug"
    assert shelf.shop.index(source).kept_by_hand == 0
    with pytest.raises(ItemNotFoundError, match="'nobody'"):
        shelf.shop.edit("nobody", label="x")


def test_a_write_that_did_not_know_of_it_is_mended_by_the_next_run(
    shelf: Shelf, source: Path
) -> None:
    """As when somebody sets a label while a run has the item in hand."""
    before = item(shelf, "a")
    shelf.shop.label([before.id], "vase")
    shelf.shop.store.items.update([before])
    assert item(shelf, "a").label == "mug"
    shelf.shop.index(source)
    assert item(shelf, "a").label == "vase"


def test_the_command_line_reports_and_overwrites_what_was_set_by_hand(
    shelf: Shelf, source: Path, tmp_path: Path, card: Path
) -> None:
    one = item(shelf, "a").id
    shelf.shop.close()

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, [*arguments, "-c", str(tmp_path / "shop")])
        assert done.exit_code == 0, done.output
        return done.stdout

    encoder = ("--encoder", str(card))
    run("label", "vase", one)
    told = run("index", str(source), "-q", *encoder)
    assert "1 kept as set by hand" in told
    document = json.loads(run("index", str(source), "-q", "--json", *encoder))
    assert (document["kept_by_hand"], document["relabelled"]) == (1, 0)
    told = run("index", str(source), "-q", "--overwrite-by-hand", *encoder)
    assert "1 relabelled by the source" in told
    (shown, _) = json.loads(run("list", "--json"))
    assert shown["label"] == "mug"


_VALUES: st.SearchStrategy[Json] = st.sampled_from([None, "x", 1, True, [1], {"a": 2}])
_METADATA = st.dictionaries(st.sampled_from("pqr"), _VALUES)
_TEXT = st.sampled_from([None, "", "one", "two"])
_HANDS = st.builds(
    lambda fields, members, removed: ManualEdits(
        fields=fields, members=members, removed=frozenset(removed) - members.keys()
    ),
    st.dictionaries(st.sampled_from(["label", "group"]), _TEXT),
    _METADATA,
    st.sets(st.sampled_from("pqr")),
)
_ITEMS = st.builds(
    lambda label, group, metadata: Item(
        id="a", digest="ab" * 32, width=1, height=1, label=label, group=group, metadata=metadata
    ),
    _TEXT,
    _TEXT,
    _METADATA,
)


@given(_HANDS, _HANDS, _ITEMS)
def test_two_edits_are_as_one_after_the_other(
    first: ManualEdits, second: ManualEdits, one: Item
) -> None:
    assert words(first.and_then(second).over(one)) == words(second.over(first.over(one)))


@given(_HANDS, _ITEMS)
def test_what_was_set_by_hand_comes_back_as_it_was_stored(hand: ManualEdits, one: Item) -> None:
    back = ManualEdits.of_json(json.loads(json.dumps(hand.as_json())))
    assert back == hand
    assert back.over(back.over(one)) == back.over(one)


@given(_HANDS, _ITEMS, _TEXT, _TEXT, st.none() | _METADATA)
def test_a_source_that_is_against_it_is_one_that_would_change_the_words(
    hand: ManualEdits,
    one: Item,
    label: str | None,
    group: str | None,
    metadata: dict[str, Json] | None,
) -> None:
    entry = Entry(id="a", image=b"", label=label, group=group, metadata=metadata)
    told = Item(
        id="a",
        digest=one.digest,
        width=1,
        height=1,
        label=hand.over(one).label if label is None else label,
        group=hand.over(one).group if group is None else group,
        metadata=hand.over(one).metadata if metadata is None else metadata,
    )
    assert hand.against(entry) == (words(hand.over(told)) != words(told))


def test_open_shows_what_was_set_by_hand_to_another_process(
    shelf: Shelf, source: Path, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    shelf.shop.label([item(shelf, "a").id], "vase")
    with lookalike.open(str(tmp_path / "shop"), encoder=tiny) as again:
        assert again.index(source).kept_by_hand == 1
