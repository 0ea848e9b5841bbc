"""The program that trains a default encoder (``training/``), on small archives drawn here."""

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.encoders import find_card, load_encoder
from lookalike.encoders.efficientnet_lite import build_network
from lookalike.encoders.pooled_embedding import add_output, all_parts, dim_of, embedding_parts
from lookalike.encoders.weights import read_weights
from training.config import Config, read_config
from training.crops import disturb, show
from training.export import write_student
from training.kept import Kept, Writer
from training.plots import read_log
from training.retrieval import difference, evaluate, in_space, pca, side_by_side, unit
from training.sources import Entry, Reader, View, divide_classes, list_entries, list_views

CONFIG = Path(__file__).parents[1] / "training" / "lite0.toml"
SIDE = 64


def jpeg(number: int, size: tuple[int, int]) -> bytes:
    """A drawn image: a block of colour on another."""
    rng = np.random.default_rng(number)
    pixels = np.full((size[1], size[0], 3), rng.integers(0, 256, 3), np.uint8)
    pixels[: size[1] // 2, size[0] // 3 :] = rng.integers(0, 256, 3)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """The four archives with a few drawn images each."""
    folder = tmp_path / "data"
    folder.mkdir()
    with zipfile.ZipFile(folder / "sharp-photos.zip", "w") as archive:
        for number in range(6):
            archive.writestr(f"shop/-/{number}.webp", jpeg(number, (64, 48)))
        for kind in "abcde":
            archive.writestr(f"caltech101/{kind}/0.webp", jpeg(ord(kind), (64, 48)))
        archive.writestr("caltech101/unknown/0.webp", jpeg(99, (64, 48)))
    with zipfile.ZipFile(folder / "caltech-101-sample.zip", "w") as archive:
        for kind in (*"abcde", "BACKGROUND_Google"):
            for number in range(2):
                name = f"101_ObjectCategories/{kind}/image_{number}.jpg"
                archive.writestr(name, jpeg(ord(kind[0]) * 7 + number, (60, 40)))
    with zipfile.ZipFile(folder / "myntra-small.zip", "w") as archive:
        table = io.StringIO()
        rows = csv.DictWriter(table, ["id", "articleType"])
        rows.writeheader()
        for number in range(30):
            rows.writerow({"id": number, "articleType": f"type {number % 6}"})
            archive.writestr(f"images/{number}.jpg", jpeg(500 + number, (30, 40)))
        archive.writestr("styles.csv", table.getvalue())
    with zipfile.ZipFile(folder / "product-photos-hires.zip", "w") as archive:
        archive.writestr("7.jpg", jpeg(507, (90, 120)))
    return folder


@pytest.fixture
def config(archives: Path, tmp_path: Path) -> Config:
    read = read_config(CONFIG, tmp_path / "run")
    return replace(
        read,
        data=replace(read.data, archives=str(archives), held_least=3, fashion_most=4),
        student=replace(read.student, side=SIDE),
        tuning=replace(read.tuning, batch=4, epochs=2, bank=8, warm_up=1),
    )


# --- who is held out -----------------------------------------------------------------------------


@given(st.sets(st.text(min_size=1, max_size=5), max_size=40), st.integers(0, 9), st.randoms())
def test_a_class_has_one_part_whatever_the_order_of_the_images(
    names: set[str], seed: int, rng: "object"
) -> None:
    labels = sorted(names) * 2
    parts = divide_classes(labels, seed, (40, 40))
    assert set(parts) == names
    rng.shuffle(labels)  # type: ignore[attr-defined]
    assert divide_classes(labels, seed, (40, 40)) == parts
    assert sum(part == "choose" for part in parts.values()) == round(len(names) * 0.4)


def test_no_held_out_class_and_no_test_product_is_trained_on(config: Config) -> None:
    entries = list_entries(config.data)
    part_of: dict[str, set[str]] = {}
    for entry in entries:
        name = entry.label.removeprefix("caltech101/")
        part_of.setdefault(name, set()).add(entry.part)
    for name in "abcde":  # Caltech classes occur in two archives
        assert len(part_of[name]) == 1
    assert {"train", "choose", "report"} <= {entry.part for entry in entries}
    assert "caltech101/unknown" not in part_of
    assert "images/7.jpg" not in {entry.member for entry in entries}


def test_views_come_whole_first_and_none_of_held_out_images_is_cropped(config: Config) -> None:
    views = list_views(list_entries(config.data), crops=2)
    assert len({view.key for view in views}) == len(views)
    assert {view.entry.part for view in views if view.number} == {"train"}
    whole = [view.number == 0 for view in views if view.entry.part == "train"]
    assert whole == sorted(whole, reverse=True)


# --- views ---------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 5))
def test_a_crop_is_the_same_each_time_and_lies_in_the_image(
    width: int, height: int, number: int
) -> None:
    entry = Entry(archive="a.zip", member="b.jpg", label="", part="train")
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    )
    first, again = (show(image, View(entry=entry, number=number)) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert 1 <= first.width <= width
    assert 1 <= first.height <= height
    assert show(image, View(entry=entry, number=0)) is image


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 5))
def test_a_disturbed_view_is_the_same_each_time_and_keeps_most_of_the_image(
    width: int, height: int, variant: int
) -> None:
    image = Image.fromarray(
        np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    )
    first, again = (disturb(image, "key", variant) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert 0.8 * width - 1 <= first.width <= width
    assert 0.8 * height - 1 <= first.height <= height
    assert disturb(image, "key", 0) is image


def test_the_reader_gives_rgb_images(config: Config, archives: Path) -> None:
    reader = Reader(archives)
    for entry in list_entries(config.data)[:3]:
        assert reader.image(entry).mode == "RGB"


# --- what is kept --------------------------------------------------------------------------------


def test_rows_come_back_by_name_from_all_writers(tmp_path: Path) -> None:
    for writer in "ab":
        with Writer(tmp_path, writer, 3) as file:
            file.append(f"{writer}1", np.array([1, 2, ord(writer)]))
            file.append(f"{writer}2", np.array([3, 4, ord(writer)]))
    kept = Kept(tmp_path)
    assert len(kept) == 4
    assert kept.rows(["b2", "a1"]).tolist() == [[3, 4, 98], [1, 2, 97]]
    assert "c" not in kept


@pytest.mark.parametrize("cut", ["keys", "rows"])
def test_a_file_cut_off_within_a_row_loses_that_row_and_goes_on(tmp_path: Path, cut: str) -> None:
    with Writer(tmp_path, "w", 2) as file:
        for number in range(3):
            file.append(f"view {number}", np.array([number, number]))
    path = tmp_path / f"w.{cut}"
    path.write_bytes(path.read_bytes()[:-2])
    assert len(Kept(tmp_path)) == 2
    with Writer(tmp_path, "w", 2) as file:
        file.append("view 7", np.array([7, 8]))
    kept = Kept(tmp_path)
    assert kept.rows(["view 0", "view 1", "view 7"]).tolist() == [[0, 0], [1, 1], [7, 8]]
    assert "view 2" not in kept


def test_rows_of_another_length_are_refused(tmp_path: Path) -> None:
    with Writer(tmp_path, "w", 2) as file, pytest.raises(ValueError, match="2 numbers"):
        file.append("x", np.zeros(3))
    with pytest.raises(ValueError, match="rows of 2 numbers, not 5"):
        Writer(tmp_path, "w", 5)


# --- the configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch = 64", "batch = 64.5", r"tuning\.batch: has the wrong type"),
        ("batch = 64\n", "", r"tuning\.batch: is missing"),
        ("batch = 64", "batches = 64", r"tuning\.batches: unknown key"),
        ("[student]", "[pupil]", "unknown table pupil"),
        ("mean = [", "mean = [1, ", r"teacher\.mean: has the wrong type"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_config(path, tmp_path)


# --- quality -------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["raw", "centred", "projected"])
def test_classes_that_lie_apart_are_found_without_a_mistake(space: str) -> None:
    rng = np.random.default_rng(0)
    middles = rng.standard_normal((5, 40))
    labels = [f"class {number % 5}" for number in range(60)]
    rows = np.stack([middles[number % 5] for number in range(60)])
    rows += 0.01 * rng.standard_normal(rows.shape)
    score = evaluate(in_space(rows, space), labels)
    assert score.mean["mAP"] == pytest.approx(1)
    assert score.mean["P@1"] == 1
    assert score.queries == 60
    assert score.classes == 5


def test_a_class_of_one_image_asks_nothing() -> None:
    rows = unit(np.eye(5)[[0, 0, 1, 1, 2]] + 0.1)
    score = evaluate(rows, ["a", "a", "b", "b", "alone"])
    assert score.queries == 4
    low, high = score.interval["mAP"]
    assert low <= score.mean["mAP"] <= high


def test_a_difference_is_that_of_the_same_queries() -> None:
    rng = np.random.default_rng(7)
    labels = [f"class {number % 4}" for number in range(80)]
    middles = rng.standard_normal((4, 20))[np.arange(80) % 4]
    clear = evaluate(unit(middles + rng.standard_normal((80, 20))), labels)
    noisy = evaluate(unit(middles + 3 * rng.standard_normal((80, 20))), labels)
    gain, low, high = difference(clear, noisy)
    assert gain == pytest.approx(clear.mean["mAP"] - noisy.mean["mAP"])
    assert 0 < low < gain < high
    assert difference(clear, clear) == (0, 0, 0)


@pytest.mark.parametrize("shape", [(200, 30), (30, 200)])
def test_components_are_orthonormal_and_sorted_whichever_side_is_decomposed(
    shape: tuple[int, int],
) -> None:
    rows = np.random.default_rng(1).standard_normal(shape) * np.linspace(1, 5, shape[1])
    mean, components = pca(rows, 10)
    assert np.abs(components.T @ components - np.eye(10)).max() < 1e-3
    spread = ((rows - mean) @ components).std(axis=0)
    assert (np.diff(spread) < 1e-3).all()
    exact = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[:10] / np.sqrt(len(rows))
    assert spread == pytest.approx(exact, rel=1e-3)


def test_encoders_side_by_side_count_by_their_weights() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.standard_normal((9, 4)), rng.standard_normal((9, 6))
    both = side_by_side([one, other], [1, 3])
    lengths = np.linalg.norm(both[:, :4], axis=1), np.linalg.norm(both[:, 4:], axis=1)
    assert lengths[1] / lengths[0] == pytest.approx(np.full(9, 3), rel=1e-5)


# --- the pooled network --------------------------------------------------------------------------


def images(count: int, side: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return list(rng.integers(0, 256, (count, side, side, 3)).astype(np.uint8))


def test_the_parts_are_the_named_pools_of_the_named_maps() -> None:
    import onnxruntime  # noqa: PLC0415 - only here

    arrays = read_weights(find_card("efficientnet-lite0"))
    parts = all_parts(arrays)
    model = build_network(arrays, width=SIDE, height=SIDE)
    add_output(model, parts, output="parts", lengths=None)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    pixels = (np.stack(images(2, SIDE)).transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)
    rows, last, features = session.run(["parts", "map", "features"], {"image": pixels})
    assert rows.shape == (2, dim_of(parts))
    by_name = {part.name: rows[:, part.start : part.stop] for part in parts}
    assert by_name["map:mean"] == pytest.approx(features, abs=1e-5)
    assert by_name["map:spread"] == pytest.approx(last.std(axis=(2, 3)), abs=2e-3)
    assert by_name["map:max"] == pytest.approx(last.max(axis=(2, 3)), abs=1e-5)
    cubes = (last.astype(np.float64) ** 3).mean(axis=(2, 3)) ** (1 / 3)
    assert by_name["map:gem"] == pytest.approx(cubes, abs=1e-4)
    wide = by_name["_blocks.14._depthwise_conv.relu6:spread"]
    assert wide.shape == (2, 1152)
    assert wide.max() > 0


@pytest.mark.parametrize("inner", [0.0, 0.5])
def test_a_written_student_is_an_encoder_with_parts_of_the_asked_lengths(
    config: Config, tmp_path: Path, inner: float
) -> None:
    card = write_student(config, {}, tmp_path / "out", name="pupil", inner=inner)
    encoder = load_encoder(card)
    arrays = read_weights(find_card("efficientnet-lite0"))
    parts = embedding_parts(arrays)
    assert encoder.dim == (dim_of(parts) if inner else parts[1].stop)
    found = encoder.encode(images(3, SIDE))
    lengths = [np.linalg.norm(found[:, part.start : part.stop], axis=1) for part in parts]
    assert lengths[1] / lengths[0] == pytest.approx(np.ones(3), rel=1e-3)
    if inner:
        assert lengths[2] / lengths[0] == pytest.approx(np.full(3, inner), rel=1e-3)
    full = unit(encoder.patches(images(3, SIDE)).mean(axis=(1, 2)))
    assert (unit(found[:, :1280]) * full).sum(axis=1) == pytest.approx(np.ones(3), abs=1e-4)
    assert (tmp_path / "out" / "pupil.onnx").stat().st_size < 10e6


# --- with PyTorch --------------------------------------------------------------------------------


def embed(config: Config) -> list[View]:
    """Embeddings of a teacher that knows the colours; the views to train on."""
    views = list_views(list_entries(config.data), crops=1)
    with Writer(config.run / "teacher-embeddings", "drawn", 6) as writer:
        reader = Reader(Path(config.data.archives))
        for view in views:
            small = show(reader.image(view.entry), view).resize((2, 1))
            writer.append(view.key, np.asarray(small, np.float32).ravel() / 255)
    return views


def weights(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture
def train() -> Callable[[Config, float | None], dict[str, np.ndarray]]:
    """Trains, for so long or to the end, and returns the averaged weights."""
    pytest.importorskip(
        "torch", reason="PyTorch is not installed; pip install 'lookalike[finetune]'"
    )
    from training.train import Run  # noqa: PLC0415 - loads PyTorch

    def run(config: Config, seconds: float | None) -> dict[str, np.ndarray]:
        views = (
            embed(config)
            if not config.run.exists()
            else list_views(list_entries(config.data), crops=1)
        )
        usable = [view for view in views if view.entry.part == "train"]
        held = [view for view in views if view.entry.part == "choose"]
        Run(config, usable, held, 1).go(seconds, every=2)
        return weights(config.run / "student" / "weights.npz")

    return run


@pytest.mark.slow
def test_a_training_that_is_cut_off_comes_to_what_it_would_have_come_to(
    config: Config, tmp_path: Path, train: Callable[[Config, float | None], dict[str, np.ndarray]]
) -> None:
    whole = train(config, None)
    cut = replace(config, run=tmp_path / "cut")
    first = train(cut, 0)  # stops after a step
    later = train(cut, None)
    assert whole.keys() == later.keys()
    for name, values in whole.items():
        assert np.allclose(values, later[name], atol=1e-6), name
    assert any(not np.allclose(values, later[name], atol=1e-6) for name, values in first.items())
    card = write_student(config, whole, tmp_path / "out", name="pupil", inner=0.5)
    assert np.isfinite(load_encoder(card).encode(images(2, SIDE))).all()


@pytest.mark.slow
def test_a_checkpoint_of_another_configuration_is_refused(
    config: Config, train: Callable[[Config, float | None], dict[str, np.ndarray]]
) -> None:
    train(config, 0)
    with pytest.raises(ValueError, match="another configuration"):
        train(replace(config, tuning=replace(config.tuning, temperature=0.5)), None)


def test_the_loss_is_nothing_when_the_student_has_the_targets_neighbours() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from training.student import relational_loss  # noqa: PLC0415 - loads PyTorch

    rows = torch.from_numpy(unit(np.random.default_rng(4).standard_normal((6, 5))))
    other = torch.from_numpy(unit(np.random.default_rng(5).standard_normal((6, 5))))
    assert float(relational_loss(rows, rows, rows, rows, 0.1)) == pytest.approx(0, abs=1e-6)
    turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(6).standard_normal((5, 5)))[0])
    turned = rows @ turn.float()  # the same neighbours in other dimensions
    assert float(relational_loss(turned, rows, turned, rows, 0.1)) == pytest.approx(0, abs=1e-5)
    assert float(relational_loss(other, rows, other, rows, 0.1)) > 0.01


# --- the log -------------------------------------------------------------------------------------


def test_a_log_cut_off_in_a_line_is_read_up_to_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = (
        '{"step": 0, "time": 1, "mAP a": 0.5}\n{"step": 4, "time": 2, "loss": 0.2}\n{"step": 8, '
    )
    path.write_text(lines, encoding="utf-8")
    assert read_log(path) == {"mAP a": ([0], [0.5]), "loss": ([4], [0.2])}
