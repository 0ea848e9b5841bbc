"""``lookalike encoder add``: from a file that somebody has to a search."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from lookalike.encoders.cards import read_card
from lookalike.encoders.converting import ARCHITECTURES, add_converted
from lookalike.errors import EncoderError, WeightsError

pytest.importorskip("h5py", reason="the extra convert is not installed")
pytest.importorskip("tflite", reason="the extra convert is not installed")

GOLDEN = Path(__file__).parent / "golden"
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    """A very narrow MobileNetV2 for 64 pixels, as Keras 3 saved it."""
    with zipfile.ZipFile(GOLDEN / "converted-keras3.zip") as archive:
        return Path(archive.extract("model.h5", tmp_path))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = os.environ | {"LOOKALIKE_HOME": str(tmp_path / "home")}

    def run(*words: object, code: int = 0) -> CompletedProcess[str]:
        command = [sys.executable, "-m", "lookalike", *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    return run


def test_from_a_file_of_keras_to_a_search(run: Run, keras_file: Path, pictures: Path) -> None:
    asked = run("search", "a.png", "-c", "shop", "--encoder", "mobilenetv2", code=1)
    assert "no collection" in asked.stderr
    missing = run("index", pictures, "-c", "shop", "--encoder", "mobilenetv2", code=1)
    assert "lookalike encoder add FILE --architecture mobilenetv2" in missing.stderr
    added = run("encoder", "add", keras_file)
    assert "mean of the last map (weights of Keras)" in added.stdout
    assert "use it with --encoder mobilenetv2" in added.stderr
    run("index", pictures, "-c", "shop", "--encoder", "mobilenetv2")
    image = next(pictures.rglob("*.png"))
    found = json.loads(run("search", image, "-c", "shop", "--include-self", "--json").stdout)
    assert found["hits"][0]["id"] == image.relative_to(pictures).as_posix()


def test_json_says_what_was_made_and_what_is_not_known(run: Run, tmp_path: Path) -> None:
    done = run("encoder", "add", GOLDEN / "converted-float.tflite", "--name", "small", "--json")
    assert json.loads(done.stdout) == {
        "name": "small",
        "card": str(tmp_path / "home/encoders/small/small.toml"),
        "title": "converted-float, from TensorFlow Lite",
        "dim": 40,
        "written": True,
        "notes": [
            "the embedding is what goes into the last layer, which tells 7 classes",
            "the file does not say how pixels are scaled; they are mapped to -1 to 1",
        ],
    }


def test_what_is_for_the_card_is_taken_and_what_is_for_onnx_is_refused(
    run: Run, keras_file: Path, tmp_path: Path
) -> None:
    tried = run("encoder", "add", keras_file, "--name", "mine", "--dry-run")
    assert "(not written)" in tried.stdout
    assert not (tmp_path / "home" / "encoders" / "mine").exists()
    run("encoder", "add", keras_file, "--name", "mine")
    words = ["--name", "mine", "--licence", "MIT", "--source", "https://shop.example", "--replace"]
    run("encoder", "add", keras_file, *words)
    card = read_card(tmp_path / "home" / "encoders" / "mine" / "mine.toml")
    assert (card.licence, card.source) == ("MIT", "https://shop.example")
    refused = run("encoder", "add", keras_file, "--pooling", "max", code=2)
    assert "--pooling is for ONNX files" in refused.stderr
    removed = run("encoder", "remove", "mine")
    assert "mine.onnx" in removed.stdout + removed.stderr
    assert not card.path.parent.exists()


def test_a_file_that_cannot_be_converted_leaves_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.h5").write_text("not weights")
    done = run("encoder", "add", tmp_path / "notes.h5", code=1)
    assert done.stderr.startswith(f"error: {tmp_path / 'notes.h5'}: is a text file")
    wrong = run("encoder", "add", tmp_path / "notes.h5", "--architecture", "vgg17", code=2)
    assert "there is no architecture 'vgg17'" in wrong.stderr
    assert not (tmp_path / "home" / "encoders").exists()


def test_a_name_is_given_once(keras_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "encoders"
    first = add_converted(keras_file, folder=folder)
    with pytest.raises(EncoderError, match=r"there is an encoder mobilenetv2 already.*--name"):
        add_converted(keras_file, folder=folder)
    with pytest.raises(EncoderError, match="efficientnet-lite0 comes with lookalike"):
        add_converted(keras_file, name="efficientnet-lite0", folder=folder)
    with pytest.raises(EncoderError, match=r"balanced is a quality, .*; choose another name"):
        add_converted(keras_file, name="balanced", folder=folder)
    with pytest.raises(ValueError, match="cannot be an encoder's name"):
        add_converted(keras_file, name="../out", folder=folder)
    second = add_converted(keras_file, name="mine", folder=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["mine", "mobilenetv2"]
    one, other = read_card(first.card), read_card(second.card)
    assert one.weights.sha256 == other.weights.sha256  # the same file gives the same encoder
    assert one.source == other.source
    assert "model.h5, SHA-256 " in one.source


def test_an_encoder_is_replaced_whole_and_only_if_it_was_made_here(
    keras_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "encoders"
    first = add_converted(keras_file, folder=folder)
    second = add_converted(keras_file, size=96, licence="MIT", replace=True, folder=folder)
    assert second.card == first.card
    assert read_card(second.card).input.width == 96
    assert read_card(second.card).licence == "MIT"
    assert sorted(path.name for path in folder.rglob("*")) == [
        "mobilenetv2",
        "mobilenetv2.onnx",
        "mobilenetv2.toml",
    ]
    (folder / "mobilenetv2" / "notes.txt").write_text("mine")
    with pytest.raises(EncoderError, match="holds more than a converted encoder"):
        add_converted(keras_file, replace=True, folder=folder)
    (folder / "mobilenetv2" / "notes.txt").unlink()
    second.card.write_text(second.card.read_text().partition("\n")[2])  # somebody's own by now
    with pytest.raises(EncoderError, match="holds more than a converted encoder"):
        add_converted(keras_file, replace=True, folder=folder)
    assert read_card(second.card).input.width == 96


def test_a_dry_run_tries_the_encoder_and_writes_nothing(keras_file: Path, tmp_path: Path) -> None:
    added = add_converted(keras_file, dry_run=True, folder=tmp_path / "encoders")
    assert (added.name, added.dim, added.written) == ("mobilenetv2", 1280, False)
    assert not (tmp_path / "encoders").exists()


def test_an_encoder_that_gives_the_same_for_every_image_is_not_kept(
    keras_file: Path, tmp_path: Path
) -> None:
    import h5py  # noqa: PLC0415

    with h5py.File(keras_file, "r+") as file:
        kernel = file["model_weights/Conv1/Conv1/kernel"]
        kernel[...] = 0
    with pytest.raises(WeightsError, match="gives the same embedding for different images"):
        add_converted(keras_file, folder=tmp_path / "encoders")
    assert list((tmp_path / "encoders").iterdir()) == []


def test_every_architecture_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[1] / "docs" / "encoders.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in page.splitlines() if line.startswith("| `"))
    for name in ARCHITECTURES:
        assert f"`{name}`" in rows
