"""Encoders compared on a sample of a collection, before it is migrated to one of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import lookalike
from lookalike import Collection, compare_encoders
from lookalike.cli.evaluate import evaluate_command
from lookalike.config import open_collection
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.errors import CollectionError
from networks import tiny_card

Paint = Callable[[Path, int], Path]


@pytest.fixture(scope="module")
def other_card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_card(tmp_path_factory.mktemp("others"), name="other", seed=5, dim=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> Path:
    root = tmp_path_factory.mktemp("classes")
    for number in range(12):
        place = root / ("mug" if number < 6 else "vase")
        place.mkdir(exist_ok=True)
        paint(place / f"{number}.png", number)
    return root


@pytest.fixture
def shop(tmp_path: Path, card: Path, folder: Path) -> Collection:
    shop = open_collection(tmp_path / "shop", encoder=card, create=True)
    shop.index(folder)
    shop.label([one.id for one in shop if one.id < "mug/3"], "mug")
    shop.label([one.id for one in shop if one.id >= "mug/3"], "vase")
    return shop


def test_each_encoder_has_its_quality_and_its_cost(
    shop: Collection, tiny: OnnxEncoder, other_card: Path
) -> None:
    heard: list[tuple[int, int | None]] = []
    other = load_encoder(other_card)
    found = compare_encoders(
        shop, [tiny, other], progress=lambda one: heard.append((one.done, one.total))
    )
    assert [one.encoder for one in found.trials] == ["tiny", "other"]
    assert [one.fingerprint for one in found.trials] == [tiny.fingerprint, other.fingerprint]
    assert all(one.images_per_second > 0 for one in found.trials)
    assert [one.bytes_per_item for one in found.trials] == [2 * one.dim for one in found.trials]
    assert found.quality is not None
    assert [one.queries for one in found.quality.evaluations] == [12, 12]
    assert found.quality.differences[0]["mAP"].low <= found.quality.differences[0]["mAP"].high
    assert heard[-1] == (24, 24)


def test_the_figures_of_the_own_encoder_are_those_of_evaluate(
    shop: Collection, tiny: OnnxEncoder
) -> None:
    found = compare_encoders(shop, [tiny])
    assert found.quality is not None
    own = lookalike.evaluation.evaluate(shop)
    assert found.quality.evaluations[0].scores == own.scores


def test_the_collection_is_not_changed_and_nothing_stays_behind(
    shop: Collection, other_card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    before = (shop.info(), [*shop])
    compare_encoders(shop, [load_encoder(other_card)])
    assert (shop.info(), [*shop]) == before
    assert not list(place.iterdir())


def test_a_sample_has_no_more_images_than_asked_for(shop: Collection, tiny: OnnxEncoder) -> None:
    assert compare_encoders(shop, [tiny], sample=5).images == 5
    assert compare_encoders(shop, [tiny], where="label=mug").images < 12


def test_items_without_a_file_are_counted(
    shop: Collection, tiny: OnnxEncoder, folder: Path
) -> None:
    shop.add("bytes", (folder / "mug" / "1.png").read_bytes() + b" ", label="mug")
    assert compare_encoders(shop, [tiny]).without_file == 1


def test_without_labels_it_says_what_is_missing(shop: Collection, tiny: OnnxEncoder) -> None:
    with pytest.raises(CollectionError, match="none of the 12 items has a shape"):
        compare_encoders(shop, [tiny], by="shape")
    with pytest.raises(ValueError, match="give one or more"):
        compare_encoders(shop, [])
    with pytest.raises(ValueError, match="at least 2"):
        compare_encoders(shop, [tiny], sample=1)


def test_a_stopped_comparison_has_no_quality(shop: Collection, tiny: OnnxEncoder) -> None:
    found = compare_encoders(shop, [tiny], stop=lambda: True)
    assert found.interrupted
    assert found.quality is None


def test_the_command_prints_the_own_encoder_first(
    shop: Collection, card: Path, other_card: Path, tmp_path: Path
) -> None:
    shop.close()
    arguments = ["-c", str(tmp_path / "shop"), "--encoders", str(other_card)]
    done = CliRunner().invoke(evaluate_command, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    assert [one["encoder"] for one in json.loads(done.stdout)["encoders"]] == ["tiny", "other"]
    twice = f"{card},{other_card}"  # the collection's own again, and another
    again = ["-c", str(tmp_path / "shop"), "--encoders", twice, "--json"]
    done = CliRunner().invoke(evaluate_command, again)
    assert [one["encoder"] for one in json.loads(done.stdout)["encoders"]] == ["tiny", "other"]
    done = CliRunner().invoke(evaluate_command, [*arguments, "-k", "3"])
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["tiny", "other"]
    assert {len(row) for row in rows} == {6}


@pytest.mark.parametrize(
    "more",
    [["--report", "x.html"], ["--sheets", "x"], ["--queries", "5"], ["-c", "another"]],
)
def test_options_of_other_evaluations_are_refused(more: list[str], other_card: Path) -> None:
    arguments = ["-c", "shop", "--encoders", str(other_card), *more]
    done = CliRunner().invoke(evaluate_command, arguments)
    assert done.exit_code == 2
    assert "cannot be combined with" in done.output
