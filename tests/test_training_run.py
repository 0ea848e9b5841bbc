"""Fine-tuning with PyTorch, which is not in the development environment: it takes gigabytes.

    pip install 'torch>=2.4' && python -m pytest tests/test_training_run.py

runs these; docs/fine-tuning.md says more.
"""

import json
import subprocess
import sys
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

import lookalike
from lookalike import Collection
from lookalike.analysis import finetuning as training
from lookalike.analysis.finetuning import Epoch, Recipe, SplitQuality
from lookalike.encoders import find_card, load_encoder, read_card
from lookalike.encoders.weights import read_weights
from lookalike.errors import CollectionError, EncoderError, ExportError
from lookalike.sources.catalogues import open_catalogue

if TYPE_CHECKING:
    from lookalike.core.progress import Progress

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed; pip install 'lookalike[finetune]' for these tests"
)

GOLDEN = Path(__file__).parent / "golden"
SIDE = 64
LABELS = 12
RECIPE = Recipe(epochs=3, stages=2, batch=16, rate=3e-3)

_CARD = """\
name = "small"
title = "A small seeded EfficientNet-Lite"
licence = "Apache-2.0"
source = "tests/test_training_run.py"

[weights]
builder = "efficientnet-lite"
file = "small.pth"
sha256 = "{sha256}"

[input]
name = "image"
width = {side}
height = {side}
resize = "squash"
interpolation = "bilinear"
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]

[output]
name = "features"
dim = 96
"""


def small_weights() -> dict[str, NDArray[np.float32]]:
    """A network of the same kind with narrow layers, and batch norms that are not the identity."""
    rng = np.random.default_rng(3)
    arrays: dict[str, NDArray[np.float32]] = {}

    def convolution(conv: str, norm: str, out: int, fan_in: int, kernel: int) -> None:
        size = (out, fan_in, kernel, kernel)
        spread = (2 / (fan_in * kernel * kernel)) ** 0.5
        arrays[f"{conv}.weight"] = rng.normal(0, spread, size).astype(np.float32)
        arrays[f"{norm}.weight"] = rng.uniform(0.8, 1.2, out).astype(np.float32)
        arrays[f"{norm}.bias"] = rng.uniform(-0.1, 0.3, out).astype(np.float32)
        arrays[f"{norm}.running_mean"] = rng.uniform(-0.1, 0.1, out).astype(np.float32)
        arrays[f"{norm}.running_var"] = rng.uniform(0.5, 1.5, out).astype(np.float32)

    convolution("_conv_stem", "_bn0", 8, 3, 3)
    width = 8
    for index, out in enumerate((12, 16, 16, 20, 24, 28, 32, 36)):
        hidden, prefix = 3 * width, f"_blocks.{index}."
        convolution(f"{prefix}_expand_conv", f"{prefix}_bn0", hidden, width, 1)
        convolution(f"{prefix}_depthwise_conv", f"{prefix}_bn1", hidden, 1, 5 if index == 3 else 3)
        convolution(f"{prefix}_project_conv", f"{prefix}_bn2", out, hidden, 1)
        width = out
    convolution("_conv_head", "_bn1", 96, width, 1)
    return arrays


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of that network."""
    folder = tmp_path_factory.mktemp("small")
    state = OrderedDict((name, torch.from_numpy(one)) for name, one in small_weights().items())
    torch.save(state, folder / "small.pth")
    digest = sha256((folder / "small.pth").read_bytes()).hexdigest()
    path = folder / "small.toml"
    path.write_text(_CARD.format(sha256=digest, side=SIDE), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve labels with twelve pictures each: a disc of the label's hue, of any size, anywhere,
    on stripes of any colours.
    """
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(8)
    y, x = np.mgrid[0:72, 0:80]
    for label in range(LABELS):
        place = folder / f"disc-{label:02}"
        place.mkdir()
        hue = np.array(Image.new("HSV", (1, 1), (label * 255 // LABELS, 230, 220)).convert("RGB"))
        for number in range(12):
            stripes = ((x + y * rng.uniform(-2, 2)) // rng.uniform(4, 12)).astype(int) % 2 > 0
            one, other = rng.integers(60, 196, (2, 3))
            pixels = np.where(stripes[:, :, None], one, other)
            centre, radius = rng.uniform(24, 48, 2), rng.uniform(14, 24)
            pixels[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2] = hue[0, 0]
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number:02}.png")
    return folder


@pytest.fixture
def shop(drawn: Path, small: Path, tmp_path: Path) -> Collection:
    collection = lookalike.open(tmp_path / "shop", encoder=small, create=True)
    collection.index(drawn, format="class-folders")
    return collection


def stop_after(epochs: int) -> dict[str, Any]:
    """Options of a training that is to end after so many epochs."""
    last = 0

    def on_epoch(epoch: Epoch, before: SplitQuality) -> None:
        nonlocal last
        assert before.value > 0
        last = epoch.number

    return {"on_epoch": on_epoch, "stop": lambda: last >= epochs}


def weights_in(card: Path) -> dict[str, NDArray[np.generic]]:
    model = onnx.load(card.with_suffix(".onnx"))
    return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}


# --- the part that learns ------------------------------------------------------------------------


@pytest.mark.parametrize("stages", [1, 2, 6])
@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_front_and_tail_together_are_the_network(name: str, stages: int, tmp_path: Path) -> None:
    from lookalike.analysis.finetuning.maps import front_of  # noqa: PLC0415 - after the question for torch
    from lookalike.analysis.finetuning.tail import Tail  # noqa: PLC0415 - likewise

    card = find_card(name)
    golden = np.load(GOLDEN / f"{name}.npz")
    pictures = list(golden["pictures"])
    arrays = read_weights(card)
    front = front_of(card, arrays, stages, tmp_path, threads=2)
    tail = Tail(arrays, stages)
    with torch.inference_mode():
        features = tail.features(front.patches(pictures)).numpy()
    assert features == pytest.approx(golden["features"], abs=1e-3)
    vectors = tail.vectors(front.patches(pictures).astype(np.float16))  # as they are remembered
    assert vectors == pytest.approx(load_encoder(name).encode(pictures), abs=1e-3)


def test_sides_of_odd_length_are_padded_as_in_the_network(small: Path, tmp_path: Path) -> None:
    text = small.read_text(encoding="utf-8").replace("width = 64", "width = 51")
    odd = small.with_name("odd.toml")
    odd.write_text(text.replace("height = 64", "height = 77"), encoding="utf-8")
    from lookalike.analysis.finetuning.maps import front_of  # noqa: PLC0415 - as above
    from lookalike.analysis.finetuning.tail import Tail  # noqa: PLC0415 - likewise

    card = read_card(odd)
    arrays = read_weights(card)
    pictures = list(np.random.default_rng(0).integers(0, 256, (3, 77, 51, 3)).astype(np.uint8))
    for stages in range(1, 7):
        front = front_of(card, arrays, stages, tmp_path, threads=1)
        found = Tail(arrays, stages).vectors(front.patches(pictures))
        assert found == pytest.approx(load_encoder(odd).encode(pictures), abs=1e-4), stages


def test_a_view_that_is_remembered_is_the_one_that_would_be_made(
    shop: Collection, small: Path, drawn: Path, tmp_path: Path
) -> None:
    from lookalike.analysis.finetuning.maps import Maps, front_of  # noqa: PLC0415 - as above

    card = read_card(small)
    front = front_of(card, read_weights(card), 2, tmp_path, threads=1)
    items = list(shop)[:10]
    rows = np.array([7, 2, 5])
    with (
        Maps(shop, items, front, folder=tmp_path, seed=4) as fresh,
        Maps(shop, items, front, folder=tmp_path, seed=4) as kept,
    ):
        kept.remember(np.arange(10))
        plain, _, _ = kept.plain(rows)
        for _ in range(2):  # made, then remembered
            for epoch in range(3):
                made, known = fresh.views(rows, epoch)[0], kept.views(rows, epoch)[0]
                assert np.array_equal(made, known)
                assert not np.array_equal(made, plain)
        assert np.array_equal(kept.views(rows, 3)[0], plain)
        gone = drawn / items[2].path
        aside = gone.rename(tmp_path / "aside.png")
        assert fresh.views(rows, 0)[1].tolist() == [7, 5]
        assert kept.views(rows, 0)[1].tolist() == [7, 2, 5]
        aside.rename(gone)


# --- a training ----------------------------------------------------------------------------------


def test_a_training_ends_in_an_encoder_that_answers_better(drawn: Path, tmp_path: Path) -> None:
    to = tmp_path / "discs encoder"
    with lookalike.open(tmp_path / "shop", create=True) as shop:
        shop.index(drawn, format="class-folders")
        report = training.finetune(shop, to, recipe=Recipe(epochs=4, batch=16))
    assert report.card == to / "discs-encoder.toml"
    assert report.labels == 11
    assert report.new_labels == 1
    assert report.images == 11 * 10
    assert report.before.held is not None
    assert report.after.held is not None
    assert report.after.held.map > report.before.held.map + 0.05
    assert report.after.is_nowhere_below(report.before)
    assert sorted(one.name for one in to.iterdir()) == [
        "discs-encoder.onnx",
        "discs-encoder.toml",
        "training.pt",
    ]
    with lookalike.open(tmp_path / "new", encoder=report.card, create=True) as taught:
        assert taught.index(drawn, format="class-folders").indexed == LABELS * 12
        assert taught.info().encoder == "discs-encoder"


def test_only_the_last_stages_change_and_no_statistics_of_batch_norm(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    report = training.finetune(shop, tmp_path / "e", base=small, recipe=RECIPE, share=1)
    assert report.card is not None
    before = tmp_path / "before"
    before.mkdir()
    from lookalike.analysis.finetuning.encoder_files import write_encoder  # noqa: PLC0415 - as above

    card = read_card(small)
    was = weights_in(write_encoder(before, card, read_weights(card), trained_on="nothing"))
    now = weights_in(report.card)
    changed = {name for name in was if not np.array_equal(was[name], now[name])}
    last = {name for name in was if name.startswith(("_blocks.6.", "_blocks.7.", "_conv_head"))}
    assert changed == last


def test_a_training_that_was_interrupted_comes_to_the_same_end(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    def trained(to: Path, **options: Any) -> training.FinetuningReport:  # noqa: ANN401 - of `train`
        return training.finetune(shop, to, base=small, recipe=RECIPE, threads=1, share=1, **options)

    whole = trained(tmp_path / "whole" / "e")
    to = tmp_path / "parts" / "e"
    first = trained(to, **stop_after(1))
    assert first.interrupted
    assert len(first.epochs) == 1
    assert first.card is not None  # the best so far
    assert load_encoder(first.card).dim == 96
    second = trained(to)
    assert not second.interrupted
    assert [one.number for one in second.epochs] == [1, 2, 3]
    assert second.images == whole.images
    assert whole.card is not None
    assert second.card is not None
    for name, array in weights_in(whole.card).items():
        assert weights_in(second.card)[name] == pytest.approx(array, abs=1e-5), name


def test_another_share_is_written_without_learning_again(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    to = tmp_path / "e"
    training.finetune(shop, to, base=small, recipe=RECIPE, share=1)
    whole = weights_in(to / "e.toml")
    heard: list[Progress] = []
    report = training.finetune(
        shop, to, base=small, recipe=RECIPE, share=0.5, progress=heard.append
    )
    assert {one.stage for one in heard} == {"reading"}
    assert report.share == 0.5
    assert report.images == 110
    half = weights_in(to / "e.toml")
    assert not np.array_equal(half["_conv_head.weight"], whole["_conv_head.weight"])
    assert np.array_equal(half["_conv_stem.weight"], whole["_conv_stem.weight"])


def test_stopped_before_an_epoch_is_over_nothing_is_written(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    report = training.finetune(shop, tmp_path / "e", base=small, stop=lambda: True)
    assert report.interrupted
    assert report.card is None
    assert list((tmp_path / "e").iterdir()) == []


def test_when_nothing_gets_better_nothing_is_written(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=1, rate=1e-12)
    report = training.finetune(shop, tmp_path / "e", base=small, recipe=recipe)
    assert report.card is None
    assert report.share == 0
    assert report.after == report.before
    assert [one.name for one in (tmp_path / "e").iterdir()] == ["training.pt"]


def test_a_rate_that_is_far_too_high_is_said_to_be(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    with pytest.raises(EncoderError, match=r"lower the rate|no vector for an image"):
        training.finetune(shop, tmp_path / "e", base=small, recipe=Recipe(rate=1e30))
    assert not (tmp_path / "e" / "e.toml").exists()


def test_time_that_is_up_ends_it(shop: Collection, small: Path, tmp_path: Path) -> None:
    report = training.finetune(shop, tmp_path / "e", base=small, minutes=1e-6)
    assert not report.interrupted
    assert report.epochs == ()


def test_pictures_that_cannot_be_read_are_left_out_with_the_reason(
    drawn: Path, small: Path, tmp_path: Path
) -> None:
    for picture in sorted(drawn.rglob("*.png")):
        copy = tmp_path / "p" / picture.relative_to(drawn)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(picture.read_bytes())
    with lookalike.open(tmp_path / "shop", encoder=small, create=True) as shop:
        shop.index(tmp_path / "p", format="class-folders")
        shop.add("bytes", (drawn / "disc-00" / "00.png").read_bytes(), label="disc-01")
        broken = tmp_path / "p" / "disc-03" / "04.png"
        broken.write_bytes(broken.read_bytes()[:60])
        (tmp_path / "p" / "disc-05" / "07.png").unlink()
        report = training.finetune(shop, tmp_path / "e", base=small, recipe=Recipe(epochs=1))
    left = {Path(one.path).name: one.reason for one in report.skipped}
    assert len(left) == len(report.skipped) == 3
    assert left["bytes"] == "it was added as bytes, so there is no file"
    assert "cut off" in left["04.png"] or "damaged" in left["04.png"]
    assert "07.png" in left


def test_pictures_that_are_all_gone_are_an_error(
    shop: Collection, small: Path, drawn: Path, tmp_path: Path
) -> None:
    moved = drawn.rename(drawn.with_name("moved"))
    try:
        with pytest.raises(CollectionError, match="could not be read"):
            training.finetune(shop, tmp_path / "e", base=small)
    finally:
        moved.rename(drawn)


def test_a_checkpoint_of_another_training_is_refused(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    to = tmp_path / "e"
    training.finetune(shop, to, base=small, recipe=RECIPE, **stop_after(1))
    with pytest.raises(ExportError, match="other images, labels or settings"):
        training.finetune(shop, to, base=small, recipe=RECIPE, seed=1)
    (to / "training.pt").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(ExportError, match="cannot be read; start again with --anew"):
        training.finetune(shop, to, base=small, recipe=RECIPE)
    assert training.finetune(shop, to, base=small, recipe=RECIPE, share=1, anew=True).card


def test_a_training_replaces_and_deletes_only_what_one_has_written(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    to = tmp_path / "e"
    (to / ".training").mkdir(parents=True)
    mine = {".training/notes.txt": b"mine", "training.pt": b"PK\x03\x04 mine", "data.pt": b"mine"}
    for name, content in mine.items():
        (to / name).write_bytes(content)
    (to / ".training" / "view-3.f2").write_bytes(b"of a training that was killed")
    assert training.finetune(shop, to, base=small, recipe=RECIPE, share=1, anew=True).card
    (kept,) = to.glob("training.pt.*.kept")
    assert kept.read_bytes() == mine["training.pt"]
    assert (to / "data.pt").read_bytes() == b"mine"
    assert [path.name for path in (to / ".training").iterdir()] == ["notes.txt"]
    assert training.finetune(shop, to, base=small, recipe=RECIPE, share=1, anew=True).card


def test_groups_can_be_learned_and_stand_on_one_side(
    drawn: Path, small: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    lines = [
        f"{path.relative_to(drawn)},{path.parent.name},{path.parent.name}-{int(path.stem) // 6}"
        for path in sorted(drawn.rglob("*.png"))
    ]
    table.write_text("\n".join(["file,label,group", *lines]), encoding="utf-8")
    with lookalike.open(tmp_path / "shop", encoder=small, create=True) as shop:
        shop.index(open_catalogue(table, "table", root=drawn))
        recipe = Recipe(epochs=1)
        report = training.finetune(shop, tmp_path / "e", by="group", base=small, recipe=recipe)
    assert report.labels + report.new_labels == 24


def test_the_command_tells_what_it_does_and_writes_json(
    shop: Collection, small: Path, tmp_path: Path
) -> None:
    place, to = shop.info().address, tmp_path / "shop-encoder"

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        common = ["-m", "lookalike", "finetune", "-c", place, "--encoder", str(small)]
        return subprocess.run(
            [sys.executable, *common, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )

    done = run("--epochs", 2, "--to", to, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["base"] == "small"
    assert len(found["epochs"]) == 2
    assert "epoch 2: loss" in done.stderr
    assert "mAP@R of held-out images" in done.stderr
    assert "of held-out labels" in done.stderr
    done = run("--epochs", 2, "--to", to, "--share", 1, "-q")
    assert done.returncode == 0, done.stderr
    assert "11 labels, 110 images" in done.stdout
    assert str(to / "shop-encoder.toml") in done.stdout
    assert done.stderr == ""
    done = run("--epochs", 3, "--to", to)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "--anew" in done.stderr
