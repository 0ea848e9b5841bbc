"""Embeddings centred and reduced to the principal components of the collection's own images."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.cli.index import index_command
from lookalike.cli.migrate import migrate_command
from lookalike.collection import Collection
from lookalike.config import encoder_of, open_collection
from lookalike.core import settings_keys
from lookalike.core.protocols import Prepared
from lookalike.core.records import Entry
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.encoders.projection import ProjectedEncoder, Projection, fit_projection, is_projected
from lookalike.errors import (
    CollectionError,
    EncoderError,
    EncoderMismatchError,
    LookalikeError,
    StoreDamagedError,
)
from lookalike.indexing import entry_indexing, fitting
from lookalike.indexing.fitting import LEAST_FOLD, stored_projection
from lookalike.moving import copying, migrating
from lookalike.stores.embedded.store import EmbeddedStore
from networks import tiny_card

Paint = Callable[[Path, int], Path]

DIM = 6
IMAGES = LEAST_FOLD * DIM


def embeddings(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Return unit rows around a common direction, with a few strong components."""
    rng = np.random.default_rng(seed)
    strength = np.geomspace(3, 0.05, width)
    return unit_rows(rng.normal(size=(count, width)) * strength + 2)


@pytest.fixture
def folder(tmp_path: Path, paint: Paint) -> Path:
    root = tmp_path / "images"
    root.mkdir()
    for number in range(IMAGES + 6):
        paint(root / f"{number:02}.png", number)
    return root


@pytest.fixture
def shop(tmp_path: Path, card: Path) -> Iterator[Collection]:
    with open_collection(tmp_path / "shop", encoder=card, create=True) as shop:
        yield shop


# -- the projection ---------------------------------------------------------------------------


@given(
    count=st.integers(8, 60),
    width=st.integers(8, 60),
    dim=st.integers(1, 7),
    seed=st.integers(0, 9),
)
def test_components_are_those_of_the_covariance(
    count: int, width: int, dim: int, seed: int
) -> None:
    rows = embeddings(count, width, seed)
    fitted = fit_projection(rows, dim, base="x")
    centred = rows - rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    alike = np.abs(np.sum(directions[:dim].T * fitted.components.astype(np.float64), axis=0))
    assert fitted.components.shape == (width, dim)
    # Of two components of nearly one strength any mixture is as good: the space is what counts.
    space = directions[:dim] @ fitted.components.astype(np.float64)
    assert alike.min() > 0.99 or np.linalg.svd(space, compute_uv=False).min() > 0.9


def test_a_projected_embedding_has_length_1_and_the_mean_itself_too() -> None:
    rows = embeddings(40, 20)
    fitted = fit_projection(rows, 5, base="x")
    found = fitted.apply(np.concatenate([rows, fitted.mean[None]]))
    assert found.shape == (41, 5)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_projection_reads_what_it_wrote() -> None:
    fitted = fit_projection(embeddings(40, 20), 5, base="tiny:0123")
    again = Projection.from_json(fitted.to_json())
    assert again.fingerprint == fitted.fingerprint
    assert again.fingerprint.startswith("tiny:0123+pca5:")
    assert (again.base, again.images, again.dim) == ("tiny:0123", 40, 5)
    assert np.array_equal(again.apply(embeddings(3, 20)), fitted.apply(embeddings(3, 20)))


def test_another_fit_is_another_fingerprint() -> None:
    one, other = (fit_projection(embeddings(40, 20, seed), 5, base="x") for seed in (1, 2))
    assert one.fingerprint != other.fingerprint
    assert is_projected(one.fingerprint)
    assert not is_projected("x:0123")


@pytest.mark.parametrize(
    "document", [None, [], {}, {"mean": 3}, {"mean": "!", "components": "", "dim": 1}]
)
def test_anything_else_is_no_projection(document: object) -> None:
    with pytest.raises(ValueError, match="not a projection"):
        Projection.from_json(document)  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "dim"), [(5, 5), (40, 21), (40, 0)])
def test_too_many_dimensions_are_refused(count: int, dim: int) -> None:
    with pytest.raises(ValueError, match="cannot be projected"):
        fit_projection(embeddings(count, 20), dim, base="x")


# -- a new collection -------------------------------------------------------------------------


def test_a_new_collection_is_projected_on_its_own_images(
    shop: Collection, folder: Path, tiny: OnnxEncoder
) -> None:
    report = shop.index(folder, dim=DIM)
    assert (report.indexed, report.reused) == (IMAGES + 6, 0)
    info = shop.info()
    assert info.encoder == "tiny"
    assert info.dim == DIM
    assert info.fingerprint is not None
    assert is_projected(info.fingerprint)
    fitted = stored_projection(shop.store)
    assert fitted is not None
    assert fitted.images == IMAGES + 6
    with Image.open(folder / "03.png") as image:
        raw = tiny.encode([tiny.prepare(image.convert("RGB"))])
    assert np.allclose(shop.vectors(["03.png"]), fitted.apply(raw), atol=2e-3)


def test_searches_go_on_in_the_projected_space_when_it_is_opened_again(
    shop: Collection, folder: Path, tmp_path: Path
) -> None:
    shop.index(folder, dim=DIM)
    shop.close()
    with open_collection(tmp_path / "shop") as again:
        best = again.search(folder / "05.png", include_self=True)[0]
        assert best.item.id == "05.png"
        assert best.score == pytest.approx(1, abs=1e-3)
        (folder / "new.png").write_bytes((folder / "05.png").read_bytes() + b"\0")
        assert again.index(folder).indexed == 1
        assert again.vectors(["new.png"]) == pytest.approx(again.vectors(["05.png"]), abs=1e-3)


def test_few_images_are_not_projected_by_default(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "DEFAULT_DIM", IMAGES)  # needs three times as many images
    wide = tiny_card(tmp_path, name="wide", dim=64)
    with open_collection(tmp_path / "shop", encoder=wide, create=True) as shop:
        shop.index(folder)
        assert shop.info().dim == 64
        assert stored_projection(shop.store) is None


def test_enough_images_are_projected_by_default(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "DEFAULT_DIM", DIM)
    with open_collection(tmp_path / "a", encoder=tiny_card(tmp_path), create=True) as shop:
        shop.index(folder)
        assert shop.info().dim == DIM
    with open_collection(tmp_path / "b", encoder=tiny_card(tmp_path), create=True) as shop:
        shop.index(folder, dim="off")
        assert shop.info().dim == 32


def test_a_projection_that_was_asked_for_needs_enough_images(
    shop: Collection, folder: Path
) -> None:
    for path in sorted(folder.iterdir())[: IMAGES - 1]:
        path.unlink()
    with pytest.raises(EncoderError, match="fitted on at least 18 different images"):
        shop.index(folder, dim=DIM)
    assert shop.store.bound() is None


def test_more_dimensions_than_the_encoder_has_are_refused(shop: Collection, folder: Path) -> None:
    with pytest.raises(EncoderError, match=r"embeddings of 32 dimensions.*choose fewer"):
        shop.index(folder, dim=33)
    assert shop.store.bound() is None


class _Constant:
    """An encoder that sees no difference between images."""

    name, fingerprint, dim, decode_size = "constant", "constant:0", 32, None

    def prepare(self, image: Image.Image) -> Prepared:
        return np.asarray(image.convert("RGB").resize((2, 2)))

    def encode(self, batch: Sequence[Prepared]) -> Matrix:
        return unit_rows(np.ones((len(batch), 32), np.float32))


def test_an_encoder_that_sees_no_difference_is_refused(folder: Path, tmp_path: Path) -> None:
    with (
        open_collection(tmp_path / "flat", encoder=_Constant(), create=True) as shop,
        pytest.raises(EncoderError, match="the same embedding"),
    ):
        shop.index(folder, dim=DIM)


def test_the_seconds_of_a_catalogue_include_its_sample(
    folder: Path, tmp_path: Path, card: Path
) -> None:
    began = time.monotonic()
    with open_collection(tmp_path / "b", encoder=card, create=True) as shop:
        entries = [Entry(id=path.stem, image=path) for path in sorted(folder.iterdir())]
        opened = time.monotonic()
        report = shop.index(entries, dim=DIM)
        assert 0.5 * (time.monotonic() - opened) < report.seconds <= time.monotonic() - began


def test_another_dim_than_the_collection_has_is_refused(shop: Collection, folder: Path) -> None:
    shop.index(folder, dim=DIM)
    (folder / "new.png").write_bytes((folder / "05.png").read_bytes() + b"\0")
    with pytest.raises(EncoderError, match="migrate --dim 5"):
        shop.index(folder, dim=5)
    with pytest.raises(EncoderError, match="migrate --dim off"):
        shop.index(folder, dim="off")
    assert shop.index(folder, dim=DIM).indexed == 1


@pytest.mark.parametrize("dim", [0, -1, True, 1.5, "12", None])
def test_an_impossible_dim_is_refused(shop: Collection, folder: Path, dim: object) -> None:
    wrong = ValueError if type(dim) in (int, str) else TypeError
    with pytest.raises(wrong, match=r"must be (auto, off, or )?a whole number"):
        shop.index(folder, dim=dim)  # type: ignore[arg-type]


def test_lists_and_catalogues_are_projected_too(tmp_path: Path, folder: Path, card: Path) -> None:
    entries = [Entry(id=path.stem, image=path) for path in sorted(folder.iterdir())]
    with open_collection(tmp_path / "a", encoder=card, create=True) as shop:
        assert shop.index(iter(entries), dim=DIM).indexed == len(entries)
        assert shop.info().dim == DIM
    table = folder / "table.csv"
    lines = [f"{path.name},mug" for path in sorted(folder.glob("*.png"))]
    table.write_text("file,label\n" + "\n".join(lines) + "\n")
    with open_collection(tmp_path / "b", encoder=card, create=True) as shop:
        assert shop.index(table, dim=DIM).indexed == len(entries)
        assert shop.info().dim == DIM


def test_a_list_of_images_as_bytes_is_not_held_whole(
    shop: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    monkeypatch.setattr(entry_indexing, "_HEAD_BYTES", sum(map(len, files[: IMAGES + 1])))
    taken: list[int] = []

    def entries() -> Iterator[Entry]:
        for number, data in enumerate(files):
            taken.append(number)
            yield Entry(id=f"{number}", image=data)

    held: list[int] = []
    report = shop.index(entries(), dim=DIM, progress=lambda _: held.append(len(taken)))
    assert report.indexed == len(files)
    assert held[0] == IMAGES + 1  # while the sample is measured


def test_a_single_image_makes_a_collection_without_a_projection(
    shop: Collection, folder: Path
) -> None:
    shop.add("a", folder / "01.png")
    assert shop.info().dim == 32


def test_a_run_that_is_stopped_while_it_fits_stores_nothing(shop: Collection, folder: Path) -> None:
    report = shop.index(folder, dim=DIM, stop=lambda: True)
    assert report.interrupted
    assert shop.store.bound() is None
    assert shop.index(folder, dim=DIM).indexed == IMAGES + 6


def test_a_broken_image_in_the_sample_is_reported_once(shop: Collection, folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    report = shop.index(folder, dim=DIM)
    assert [one.path for one in report.skipped] == ["broken.png"]
    assert report.indexed == IMAGES + 6


_INDEX = """
import sys
from pathlib import Path
from lookalike.config import open_collection
from lookalike.core.shards import Shard
place, card, folder, number = sys.argv[1:]
with open_collection(Path(place), encoder=Path(card), create=True) as shop:
    print("ready", flush=True)
    sys.stdin.readline()
    shop.index(folder, dim=4, shard=Shard(number=int(number), of=2))
    print(shop.info().fingerprint)
"""


def test_two_processes_that_fit_at_once_end_with_one_projection(
    tmp_path: Path, card: Path, paint: Paint
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(60):
        paint(folder / f"{number:02}.png", number)
    place = tmp_path / "both"
    open_collection(place, encoder=card, create=True).close()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _INDEX, str(place), str(card), str(folder), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    said = [child.communicate("\n", timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert said[0] == said[1] != ""
    with open_collection(place) as shop:
        assert len(shop) == 60
        assert shop.check() == []


def test_a_copy_has_the_projection(
    shop: Collection, folder: Path, tmp_path: Path, card: Path
) -> None:
    shop.index(folder, dim=DIM)
    target = EmbeddedStore.open(tmp_path / "copy", create=True)
    copying.copy(shop.store, target)
    target.close()
    with open_collection(tmp_path / "copy", encoder=card) as copy:
        ids = [hit.item.id for hit in copy.search(folder / "05.png", k=5)]
        assert ids == [hit.item.id for hit in shop.search(folder / "05.png", k=5)]


def test_a_damaged_projection_says_so_and_a_missing_one_mixes_nothing(
    shop: Collection, folder: Path, tmp_path: Path
) -> None:
    shop.index(folder, dim=DIM)
    shop.store.settings.set(settings_keys.PROJECTION, {"mean": 1})
    shop.close()
    with open_collection(tmp_path / "shop") as again:
        with pytest.raises(StoreDamagedError, match="projection of the collection is damaged"):
            again.search(folder / "05.png")
        again.store.settings.set(settings_keys.PROJECTION, None)
    with (
        open_collection(tmp_path / "shop") as again,
        pytest.raises(EncoderMismatchError),
    ):
        again.search(folder / "05.png")


def test_a_projected_encoder_keeps_the_parts_of_its_base(tiny: OnnxEncoder) -> None:
    fitted = fit_projection(embeddings(40, 32), DIM, base=tiny.fingerprint)
    encoder = ProjectedEncoder(tiny, fitted)
    assert (encoder.name, encoder.dim, encoder.batch_size) == ("tiny", DIM, tiny.batch_size)
    assert encoder.decode_size == tiny.decode_size
    with pytest.raises(AttributeError):
        _ = encoder.no_such_part


def test_a_loaded_encoder_of_another_card_does_not_mix(
    shop: Collection, folder: Path, tmp_path: Path
) -> None:
    shop.index(folder, dim=DIM)
    shop.close()
    other = load_encoder(tiny_card(tmp_path, name="other", seed=3))
    with (
        open_collection(tmp_path / "shop", encoder=other) as again,
        pytest.raises(EncoderMismatchError),
    ):
        again.search(folder / "05.png")


# -- migrating into a projection and out of it --------------------------------------------------


def test_stored_embeddings_are_projected_without_their_images(
    shop: Collection, folder: Path, tmp_path: Path
) -> None:
    shop.index(folder, thumbnails=64)
    shop.add("bytes", (folder / "01.png").read_bytes() + b" ", label="mug", group="g")
    shop.label(["02.png"], "vase")
    before, raw = list(shop), shop.vectors([one.id for one in shop])
    small = shop.thumbnail("03.png", side=64)
    shutil.rmtree(folder)
    report = migrating.migrate(shop, _encoder(shop), dim=DIM)
    assert (report.encoded, report.reused, report.lost) == (0, len(before), ())
    assert report.outdated == ()  # a projection of its own is nothing to compute again
    with open_collection(tmp_path / "shop") as again:
        assert list(again) == before
        assert again.info().dim == DIM
        fitted = stored_projection(again.store)
        assert fitted is not None
        assert np.allclose(again.vectors([one.id for one in before]), fitted.apply(raw), atol=2e-3)
        assert again.thumbnail("03.png", side=64) == small
        assert again.check() == []


def test_a_projection_is_fitted_again_and_removed_by_migrating(
    shop: Collection, folder: Path, tmp_path: Path
) -> None:
    shop.index(folder, dim=DIM)
    first = shop.info().fingerprint
    report = migrating.migrate(shop, _encoder(shop), dim=4)
    assert report.encoded == IMAGES + 6
    with open_collection(tmp_path / "shop") as again:
        assert again.info().dim == 4
        assert again.info().fingerprint != first
        with pytest.raises(CollectionError, match="nothing to do"):
            migrating.migrate(again, _encoder(again))
        migrating.migrate(again, _encoder(again), dim="off")
    with open_collection(tmp_path / "shop") as raw:
        assert raw.info().dim == 32
        assert raw.search(folder / "05.png", include_self=True)[0].item.id == "05.png"


def test_migrating_to_another_encoder_fits_its_projection(
    shop: Collection, folder: Path, tmp_path: Path
) -> None:
    shop.index(folder, dim=DIM)
    other = tiny_card(tmp_path, name="other", seed=3)
    migrating.migrate(shop, load_encoder(other), card=str(other), dim=5)
    with open_collection(tmp_path / "shop") as again:
        assert (again.info().encoder, again.info().dim) == ("other", 5)
        assert again.search(folder / "05.png", include_self=True)[0].item.id == "05.png"


def test_a_stopped_migration_goes_on_with_the_projection_that_it_began(
    shop: Collection, folder: Path, tmp_path: Path
) -> None:
    shop.index(folder)
    answers = iter([False, True])
    stopped = migrating.migrate(shop, _encoder(shop), dim=DIM, stop=lambda: next(answers, True))
    assert stopped.interrupted
    shop.close()
    with open_collection(tmp_path / "shop") as again:
        migrating.migrate(again, _encoder(again), dim=DIM)
    with open_collection(tmp_path / "shop") as done:
        assert done.info().dim == DIM
        assert len(done) == IMAGES + 6


@pytest.mark.parametrize(
    ("dim", "message"),
    [(32, "have 32 dimensions; choose fewer"), (9, "at least 27 images"), ("off", "nothing to do")],
)
def test_a_space_that_cannot_be_reached_changes_nothing(
    shop: Collection, folder: Path, dim: int, message: str
) -> None:
    shop.index(folder)
    with pytest.raises(LookalikeError, match=message):
        migrating.migrate(shop, _encoder(shop), dim=dim)
    assert shop.info().dim == 32
    assert len(shop) == IMAGES + 6


def test_the_commands_have_the_option(folder: Path, tmp_path: Path, card: Path) -> None:
    place = str(tmp_path / "shop")
    run = CliRunner().invoke
    arguments = [str(folder), "-c", place, "--encoder", str(card), "--json"]
    assert run(index_command, [*arguments, "--dim", "off"]).exit_code == 0
    done = run(migrate_command, ["-c", place, "--dim", str(DIM), "--json"])
    assert done.exit_code == 0, done.output
    with open_collection(Path(place)) as shop:
        assert shop.info().dim == DIM
    done = run(index_command, [*arguments, "--dim", "many"])
    assert done.exit_code == 2
    assert "neither auto, off, nor a number from 1 up" in done.output


def _encoder(shop: Collection) -> OnnxEncoder:
    return load_encoder(encoder_of(shop.store))
