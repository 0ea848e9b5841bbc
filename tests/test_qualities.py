"""Encoders by what they are good at."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from lookalike.cli.doctor import doctor_command
from lookalike.cli.index import index_command
from lookalike.cli.migrate import migrate_command
from lookalike.config import open_collection
from lookalike.encoders import find_card, load_encoder
from lookalike.encoders.cards import card_path
from lookalike.encoders.pooled_embedding import LENGTHS, embedding_parts
from lookalike.encoders.qualities import DEFAULT_ENCODER, QUALITIES
from lookalike.encoders.weights import read_weights


def test_each_quality_is_an_encoder_that_is_installed() -> None:
    assert list(QUALITIES) == ["fast", "balanced", "best"]
    assert QUALITIES["balanced"] == DEFAULT_ENCODER
    for quality, name in QUALITIES.items():
        card = find_card(quality)
        assert card.name == name
        assert card_path(quality) == card_path(name) == card.path
        assert read_weights(card)


def test_the_parts_of_a_pooled_embedding_have_their_lengths() -> None:
    import numpy as np  # noqa: PLC0415 - for this test alone

    encoder = load_encoder("fast")
    image = Image.effect_mandelbrot((300, 200), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    (row,) = encoder.encode([encoder.prepare(image)])
    parts = embedding_parts(read_weights(find_card("fast")))
    lengths = np.array([np.linalg.norm(row[part.start : part.stop]) for part in parts])
    assert lengths / np.linalg.norm(LENGTHS) ** -1 == pytest.approx(LENGTHS, abs=1e-4)
    patches = encoder.patches([encoder.prepare(image)])
    mean = patches.mean(axis=(1, 2))[0]
    assert row[: len(mean)] * np.linalg.norm(LENGTHS) == pytest.approx(
        mean / np.linalg.norm(mean), abs=1e-4
    )


def test_a_quality_makes_a_collection_of_its_encoder(pictures: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "shop")
    done = CliRunner().invoke(
        index_command, [str(pictures), "-c", place, "--quality", "fast", "--json"]
    )
    assert done.exit_code == 0, done.output
    with open_collection(Path(place)) as shop:
        assert shop.info().encoder == QUALITIES["fast"]
    with open_collection(tmp_path / "other", encoder="fast", create=True) as shop:
        shop.bind()
        assert shop.info().encoder == QUALITIES["fast"]


def test_a_quality_and_an_encoder_are_too_much(pictures: Path) -> None:
    arguments = [str(pictures), "--quality", "fast", "--encoder", "efficientnet-lite0"]
    done = CliRunner().invoke(index_command, arguments)
    assert done.exit_code == 2
    assert "not both" in done.output


def test_a_collection_without_an_encoder_named_gets_the_default(
    pictures: Path, tmp_path: Path
) -> None:
    with open_collection(tmp_path / "shop", create=True) as shop:
        shop.index(pictures)
        assert shop.info().encoder == DEFAULT_ENCODER


def test_a_collection_of_the_former_default_is_told_how_to_move(
    pictures: Path, tmp_path: Path
) -> None:
    place = str(tmp_path / "shop")
    with open_collection(Path(place), encoder="efficientnet-lite0", create=True) as shop:
        shop.index(pictures)
    facts = json.loads(CliRunner().invoke(doctor_command, ["-c", place, "--json"]).stdout)["facts"]
    assert "lookalike migrate --quality balanced" in facts["advice"]
    assert facts["embeddings"] == "efficientnet-lite0 (1280 values)"
    done = CliRunner().invoke(migrate_command, ["-c", place, "--quality", "fast", "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(CliRunner().invoke(doctor_command, ["-c", place, "--json"]).stdout)["facts"]
    assert "advice" not in facts
