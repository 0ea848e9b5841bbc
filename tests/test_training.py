"""Fine-tuning, as far as it goes without PyTorch; the rest is in ``test_training_run.py``."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import lookalike
from lookalike import Collection
from lookalike.analysis import finetuning as training
from lookalike.analysis.finetuning import finetune_encoder
from lookalike.analysis.finetuning.augmentation import augment
from lookalike.analysis.finetuning.data_split import split_items
from lookalike.analysis.finetuning.encoder_files import card_name, write_encoder
from lookalike.core.vectors import unit_rows
from lookalike.encoders import find_card, load_encoder, read_card
from lookalike.encoders.weights import read_weights
from lookalike.errors import CollectionError, EncoderError, ExportError

LABELS = ("red", "green", "blue")


@pytest.fixture
def shop(paint: Callable[[Path, int], Path], tmp_path: Path) -> Iterator[Collection]:
    """Twelve pictures with three labels."""
    for number in range(12):
        paint(tmp_path / "p" / LABELS[number % 3] / f"{number}.png", number)
    with lookalike.open(tmp_path / "shop", create=True) as collection:
        collection.index(tmp_path / "p", format="class-folders")
        yield collection


# --- who learns, who judges ----------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 40)), min_size=1, max_size=120),
    st.integers(0, 3),
)
def test_what_judges_shares_no_key_and_no_row_with_what_teaches(
    items: list[tuple[int, int]], seed: int
) -> None:
    classes = np.array([one for one, _ in items], dtype=np.intp)
    keys = [(f"digest {number}", f"group {number // 2}") for _, number in items]
    sides = split_items(classes, keys, seed=seed)

    def of(rows: np.ndarray) -> set[str]:
        return {key for row in rows.tolist() for key in keys[row]}

    assert of(sides.train).isdisjoint(of(sides.held))
    assert of(sides.train).isdisjoint(of(sides.new))
    assert of(sides.held).isdisjoint(of(sides.new))
    assert set(classes[sides.new].tolist()).isdisjoint(classes[sides.train].tolist())


def test_a_tenth_of_the_labels_is_held_out_whole_and_a_fifth_of_the_other_pictures() -> None:
    classes = np.repeat(np.arange(20), 10).astype(np.intp)
    sides = split_items(classes, [(str(row),) for row in range(200)], seed=0)
    assert sorted(Counter(classes[sides.new].tolist()).values()) == [10, 10]
    assert set(Counter(classes[sides.held].tolist()).values()) == {2}
    assert set(Counter(classes[sides.train].tolist()).values()) == {8}


def test_of_few_labels_all_are_learned() -> None:
    classes = np.repeat(np.arange(9), 10).astype(np.intp)
    sides = split_items(classes, [(str(row),) for row in range(90)], seed=0)
    assert not len(sides.new)
    assert set(classes[sides.train].tolist()) == set(range(9))


# --- views ---------------------------------------------------------------------------------------


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_a_view_goes_through_the_encoders_own_preparation(
    width: int, height: int, seed: int
) -> None:
    image = Image.new("RGB", (width, height), (90, 120, 150))
    seen: list[tuple[int, int]] = []

    def prepare(part: Image.Image) -> np.ndarray:
        seen.append(part.size)
        return np.asarray(part.resize((32, 32)), dtype=np.uint8)

    view = augment(image, prepare, np.random.default_rng(seed))
    assert view.shape == (32, 32, 3)
    assert view.dtype == np.uint8
    ((part_width, part_height),) = seen
    assert 1 <= part_width <= width
    assert 1 <= part_height <= height
    assert (view == view[0, 0]).all()  # one colour is still one colour


def test_a_seed_tells_a_view() -> None:
    image = Image.effect_noise((80, 60), 90).convert("RGB")

    def view(seed: int) -> bytes:
        prepared = augment(
            image,
            lambda part: np.asarray(part.resize((32, 32)), dtype=np.uint8),
            np.random.default_rng(seed),
        )
        return np.ascontiguousarray(prepared).tobytes()

    assert view(1) == view(1)
    assert len({view(seed) for seed in range(20)}) == 20


# --- what is written -----------------------------------------------------------------------------


@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1))
def test_any_folder_gives_a_name_that_cards_allow(name: str) -> None:
    found = card_name(Path("/somewhere") / name)
    assert found
    assert len(found) <= 64
    assert found[0].isalnum()
    assert set(found) <= set(map(chr, range(128)))


def test_what_is_written_is_an_encoder_with_the_preparation_of_its_base(tmp_path: Path) -> None:
    base = find_card("efficientnet-lite0")
    taught = 'pictures of "tea" \\ 茶 \x7f'
    path = write_encoder(tmp_path, base, read_weights(base), trained_on=taught)
    card = read_card(path)
    assert card.input == base.input
    assert card.title.endswith(taught)
    assert base.source in card.source
    image = Image.effect_noise((300, 200), 90).convert("RGB")
    was, now = load_encoder(base.name), load_encoder(path)
    (before,) = was.encode([was.prepare(image)])
    (after,) = now.encode([now.prepare(image)])
    assert after == pytest.approx(before, abs=1e-6)
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".part"] == []


def test_other_weights_are_another_encoder(tmp_path: Path) -> None:
    base = find_card("efficientnet-lite0")
    arrays = read_weights(base)
    prints = []
    for number in range(2):
        arrays["_bn1.bias"] = arrays["_bn1.bias"].astype(np.float32) + number / 8
        folder = tmp_path / str(number) / "shop"
        folder.mkdir(parents=True)
        path = write_encoder(folder, base, arrays, trained_on="ours")
        prints.append(load_encoder(path).fingerprint)
    assert prints[0].split(":")[0] == prints[1].split(":")[0] == "shop"
    assert prints[0] != prints[1]


def test_quality_counts_a_picture_with_nothing_to_find_as_no_query() -> None:
    rows = unit_rows(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 1]]))
    found = training.Quality.of(rows, np.array([0, 0, 1, 1, 2]))
    assert found is not None
    assert found.queries == 4
    assert found.r1 == found.map == 1
    assert training.Quality.of(rows[:2], np.array([0, 1])) is None
    assert training.Quality.of(rows[:0], np.array([], dtype=np.intp)) is None


# --- mistakes ------------------------------------------------------------------------------------


def test_one_label_teaches_nothing(shop: Collection, tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="at least 2 different values of label"):
        training.finetune(shop, tmp_path / "e", where="label=red")
    assert not (tmp_path / "e").exists()


def test_a_network_without_a_checkpoint_is_refused(
    shop: Collection, card: Path, tmp_path: Path
) -> None:
    with pytest.raises(EncoderError, match="tiny cannot be fine-tuned"):
        training.finetune(shop, tmp_path / "e", base=card)


def test_an_encoder_that_is_there_is_not_overwritten(shop: Collection, tmp_path: Path) -> None:
    base = find_card("efficientnet-lite0")
    written = write_encoder(tmp_path, base, read_weights(base), trained_on="something dear")
    before = written.read_bytes()
    with pytest.raises(ExportError, match="holds an encoder already"):
        training.finetune(shop, tmp_path)
    assert written.read_bytes() == before


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize("name", ["mine.onnx", "mine.toml"])
def test_a_training_does_not_replace_anothers_encoder(
    shop: Collection, tmp_path: Path, name: str, *, anew: bool
) -> None:
    to = tmp_path / "mine"
    to.mkdir()
    (to / name).write_bytes(b"mine")
    with pytest.raises(ExportError, match="was not written by `lookalike finetune`"):
        training.finetune(shop, to, anew=anew)
    assert [(path.name, path.read_bytes()) for path in to.iterdir()] == [(name, b"mine")]


def test_a_folder_to_work_in_keeps_what_others_put_there(tmp_path: Path) -> None:
    work = tmp_path / ".training"
    work.mkdir()
    (work / "notes.txt").write_bytes(b"mine")
    (work / "view-3.f2").write_bytes(b"of a training that was killed")
    with finetune_encoder._open_work_folder(tmp_path) as folder:
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]
        (folder / "front.onnx").write_bytes(b"of this one")
    assert [path.name for path in work.iterdir()] == ["notes.txt"]
    (work / "notes.txt").unlink()
    with finetune_encoder._open_work_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_no_folder_to_work_in(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "front.onnx").write_bytes(b"mine")
    (tmp_path / ".training").symlink_to(tmp_path / "mine")
    with (
        pytest.raises(ExportError, match="is a link"),
        finetune_encoder._open_work_folder(tmp_path),
    ):
        pass
    assert (tmp_path / "mine" / "front.onnx").read_bytes() == b"mine"


def test_without_pytorch_the_command_says_how_to_get_it(
    shop: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    to = tmp_path / "e"
    with pytest.raises(EncoderError, match=r"pip install 'lookalike\[finetune\]'"):
        training.finetune(shop, to)
    assert not to.exists()


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"stages": 7}, {"rate": 0.0}, {"smoothing": 1.0}])
def test_an_impossible_recipe_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"needed|must be"):
        training.Recipe(**wrong)  # type: ignore[arg-type] # each is of its field's type


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "--to"),
        (["--to", "e", "--stages", "7"], "--stages"),
        (["--to", "e", "--share", "0"], "--share"),
    ],
)
def test_wrong_words_are_wrong_usage(words: list[str], what: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", "finetune", "-c", "shop", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 2
    assert what in done.stderr
