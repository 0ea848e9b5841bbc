"""8-bit encoders: calibrated on own images, compared before they are kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

import lookalike
from contracts.encoder import drawn
from exports import Form, export
from lookalike.cli import cli, invoke
from lookalike.config import settings
from lookalike.core.protocols import Prepared
from lookalike.encoders import find_card, load_encoder
from lookalike.encoders.quantizing import measure_loss, quantized_encoder
from lookalike.errors import EncoderError
from networks import tiny_card
from test_encoders_exports import card_for
from test_encoders_onnx import changed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 24 images."""
    place = tmp_path / "images"
    place.mkdir()
    for seed in range(24):
        drawn(seed).save(place / f"{seed}.png")
    return place


def images(card: Path, count: int = 20) -> list[Prepared]:
    encoder = load_encoder(card)
    return [encoder.prepare(drawn(seed)) for seed in range(count)]


def quantize(*words: object) -> Result:
    command = ["encoder", "quantize", *map(str, words)]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def kept(*words: object) -> dict[str, Any]:
    done = quantize(*words, "--yes", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    "form",
    [
        Form(),
        Form(batch=3),
        Form(layout="nhwc", dtype="uint8"),
        Form(outputs=("map", "embedding")),
        Form(texts=True, outputs=("text_embeds", "embedding")),
        Form(texts=True, outputs=("logits_per_image", "embedding")),
    ],
    ids=["plain", "three images", "pixels", "map", "two halves", "joined halves"],
)
def test_embeddings_stay_near_whatever_the_export(form: Form, tmp_path: Path) -> None:
    card = card_for(export(tmp_path / "base", form), form)
    with quantized_encoder(find_card(card), images(card), "small", folder=tmp_path) as made:
        base, small = load_encoder(card), load_encoder(made.card)
        loss = measure_loss(base, small, images(card, 8))
        assert small.fingerprint != base.fingerprint
        assert small.dim == base.dim
    assert loss.images == 8
    assert loss.lowest > 0.98
    assert loss.relative > 0


def test_an_embedding_does_not_depend_on_the_other_images(tmp_path: Path) -> None:
    card = tiny_card(tmp_path / "base")
    batch = images(card)
    with quantized_encoder(find_card(card), batch, "small", folder=tmp_path) as made:
        small = load_encoder(made.card, threads=1)
        alone = np.concatenate([small.encode([one]) for one in batch])
        assert np.abs(small.encode(batch) - alone).max() < 1e-5


def test_nothing_is_left_of_an_encoder_that_is_not_kept(tmp_path: Path) -> None:
    card = tiny_card(tmp_path / "base")
    home = tmp_path / "encoders"
    with quantized_encoder(find_card(card), images(card), "small", folder=home) as made:
        assert made.card.is_file()
    assert list(home.iterdir()) == []


def test_a_kept_encoder_has_a_name(folder: Path, tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    found = kept(card, "--images", folder, "--name", "small")
    assert found["kept"]
    assert found["loss"]["images"] == 6
    assert found["loss"]["lowest"] > 0.98
    assert found["map_difference"] is None
    home = settings().home / "encoders"
    assert Path(found["card"]) == home / "small" / "small.toml"
    assert load_encoder("small", folder=home).dim == 32
    assert [one.name for one in home.iterdir()] == ["small"]
    size = (home / "small" / "small.onnx").stat().st_size
    assert size < 2 * (tmp_path / "tiny.onnx").stat().st_size


def test_a_labelled_collection_shows_the_difference_in_results(
    folder: Path, tmp_path: Path
) -> None:
    card, address = tiny_card(tmp_path), tmp_path / "shop"
    with lookalike.open(address, encoder=card, create=True) as shop:
        shop.index(folder)
        for number, item in enumerate(list(shop.items())):
            shop.label([item.id], "even" if number % 2 else "odd")
        before = list(shop.items()), shop.info().fingerprint
    found = kept(card, "-c", address, "--name", "small")
    difference = found["map_difference"]
    assert -0.5 < difference["low"] <= difference["mean"] <= difference["high"] < 0.5
    with lookalike.open(address) as shop:
        assert (list(shop.items()), shop.info().fingerprint) == before


def test_a_name_that_is_taken_is_refused_before_anything_is_computed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = str(tiny_card(tmp_path))
    refused = {
        "efficientnet-lite0": "comes with lookalike",
        "best": "best is a quality",
        "a b": "cannot be an",
    }
    for name, message in refused.items():
        words = ["encoder", "quantize", card, "--images", str(folder), "--name", name, "--yes"]
        assert invoke(words) in {1, 2}
        assert message in capsys.readouterr().err
    kept(card, "--images", folder, "--name", "small")
    assert invoke([*words[:-2], "small", "--yes"]) == 1
    said = capsys.readouterr().err
    assert "there is an encoder small already" in said
    assert "calibrating" not in said


def test_too_few_usable_images_are_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(10):
        (folder / f"{number}.png").write_bytes(b"no image")
    words = ["encoder", "quantize", str(tiny_card(tmp_path)), "--images", str(folder)]
    assert invoke([*words, "--name", "small", "--yes"]) == 1
    said = capsys.readouterr().err
    assert said.count("left out:") == 10
    assert "only 14 images could be used; at least 16 are needed" in said
    assert not (settings().home / "encoders" / "small").exists()


def test_without_a_terminal_it_must_be_told_to_keep(folder: Path, tmp_path: Path) -> None:
    done = quantize(tiny_card(tmp_path), "--images", folder, "--name", "small")
    assert done.exit_code == 2
    assert "pass --yes" in done.stderr
    neither = quantize(tiny_card(tmp_path), "--name", "small", "--yes")
    assert (neither.exit_code, "--collection or --images" in neither.stderr) == (2, True)


def test_a_model_that_cannot_be_quantised_is_one_message(tmp_path: Path) -> None:
    def unknown(model: onnx.ModelProto) -> None:
        model.graph.node[1].op_type = "Nonsense"

    card = tiny_card(tmp_path / "base")
    prepared = images(card)
    broken = changed(card, network=unknown)
    home = tmp_path / "encoders"
    with (
        pytest.raises(EncoderError, match="Nonsense"),
        quantized_encoder(find_card(broken), prepared, "small", folder=home),
    ):
        pass
    assert not home.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    card = tiny_card(tmp_path / "base")
    (tmp_path / "encoders").write_text("a file", encoding="utf-8")
    with (
        pytest.raises(EncoderError, match="cannot be written"),
        quantized_encoder(find_card(card), images(card), "small", folder=tmp_path / "encoders"),
    ):
        pass
