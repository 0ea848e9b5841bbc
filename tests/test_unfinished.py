"""What fails to begin leaves nothing behind, and what is not there is not made by asking for it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lookalike
from contracts.moving import KINDS, Place, place
from live import problem, serving
from lookalike import config
from lookalike.cli import cli
from lookalike.encoders import OnnxEncoder
from lookalike.errors import CollectionNotFoundError, EncoderError, SourceError
from lookalike.runfile.execution import execute
from lookalike.runfile.reading import read_run_file
from lookalike.stores.embedded.own_files import DATABASE
from test_folder_safety import quiet

__all__ = ["place"]  # a fixture

Paint = Callable[[Path, int], Path]
everywhere = pytest.mark.parametrize("kind", KINDS)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def is_there(address: str | Path) -> bool:
    try:
        lookalike.open(address).close()
    except CollectionNotFoundError:
        return False
    return True


# -- a failed index ------------------------------------------------------------------------------


@everywhere
def test_an_index_without_an_encoder_leaves_no_collection(
    kind: str, place: Place, pictures: Path
) -> None:
    address = place(kind)
    done = run("index", pictures, "-c", address, "--encoder", "no-such-encoder")
    assert isinstance(done.exception, EncoderError)
    assert not is_there(address)


@everywhere
def test_an_index_of_a_bad_source_leaves_no_collection(
    kind: str, place: Place, tmp_path: Path, card: Path
) -> None:
    address = place(kind)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for source in ("missing", "table.csv"):
        done = run("index", tmp_path / source, "-c", address, "--encoder", card)
        assert done.exit_code != 0, source
        assert not is_there(address)


@everywhere
def test_an_index_that_fails_at_its_first_image_leaves_no_collection(
    kind: str, place: Place, pictures: Path, tiny: OnnxEncoder
) -> None:
    class Failing:
        name, fingerprint, dim = tiny.name, tiny.fingerprint, tiny.dim
        decode_size = tiny.decode_size
        prepare = staticmethod(tiny.prepare)

        def encode(self, _: object) -> None:
            raise EncoderError("the graphics card has gone")

    address = place(kind)
    with (
        pytest.raises(EncoderError, match="has gone"),
        lookalike.open(address, encoder=Failing(), create=True) as shop,  # type: ignore[arg-type] # encodes nothing
    ):
        shop.index(pictures)
    assert not is_there(address)


def test_folders_that_were_made_for_it_go_as_well(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "a").mkdir()
    done = run("index", pictures, "-c", tmp_path / "a" / "b" / "c", "--encoder", "no-such")
    assert done.exit_code == 1
    assert list((tmp_path / "a").iterdir()) == []


def test_a_collection_that_was_there_stays_when_an_index_fails(
    tmp_path: Path, pictures: Path, card: Path
) -> None:
    empty = tmp_path / "empty"
    lookalike.open(empty, encoder=card, create=True).close()
    done = run("index", tmp_path / "missing", pictures, "-c", empty)
    assert isinstance(done.exception, SourceError)
    done = run("index", pictures, "-c", empty, "--encoder", "no-such-encoder")
    assert done.exit_code == 1
    assert is_there(empty)
    assert run("index", pictures, "-c", empty, "--encoder", card).exit_code == 0
    with pytest.raises(SourceError), lookalike.open(empty, create=True) as shop:
        shop.index(tmp_path / "missing")
    with lookalike.open(empty) as shop:
        assert len(shop) == 9


def test_what_was_put_in_before_the_failure_stays(
    tmp_path: Path, pictures: Path, tiny: OnnxEncoder
) -> None:
    def add_and_fail() -> None:
        with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
            shop.add("one", pictures / "0.png")
            shop.index(tmp_path / "missing")

    with pytest.raises(SourceError):
        add_and_fail()
    with lookalike.open(tmp_path / "shop") as shop:
        assert [item.id for item in shop] == ["one"]


def test_a_collection_that_is_begun_and_closed_stays(tmp_path: Path) -> None:
    with lookalike.open(tmp_path / "shop", create=True) as shop:
        assert len(shop) == 0
    assert is_there(tmp_path / "shop")


def test_an_index_interrupted_before_its_first_batch_leaves_no_collection(
    tmp_path: Path, card: Path, paint: Paint
) -> None:
    for number in range(300):
        paint(tmp_path / "photos" / f"{number}.png", number)
    folder = tmp_path / "shop"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "lookalike", "index", tmp_path / "photos"),
            *("-c", folder, "--encoder", card),
        ],
        env={**os.environ, "PYTHONWARNINGS": "error"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / DATABASE).exists() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    if is_there(folder):  # a batch was quicker
        with lookalike.open(folder) as shop:
            assert len(shop) > 0
    else:
        assert not folder.exists()


def test_a_run_whose_index_fails_leaves_no_collection(tmp_path: Path, pictures: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        f"collection: ./a/shop\nencoder: no-such-encoder\nindex: {{source: {pictures}}}\n"
    )
    (outcome,) = execute(read_run_file(file, {}), shown=quiet)
    assert outcome.status == "failed"
    assert not (tmp_path / "a").exists()


def test_a_copy_that_is_refused_leaves_no_collection(
    tmp_path: Path, pictures: Path, tiny: OnnxEncoder
) -> None:
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        shop.index(pictures)
    assert run("copy", tmp_path / "none", tmp_path / "other").exit_code == 1
    assert not (tmp_path / "other").exists()


# -- what is not there ---------------------------------------------------------------------------


@everywhere
def test_opening_what_is_not_there_is_an_error_and_makes_nothing(kind: str, place: Place) -> None:
    address = place(kind)
    for _ in range(2):
        with pytest.raises(CollectionNotFoundError, match="there is no collection"):
            lookalike.open(address)


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "{image}"),
        ("similar", "0.png"),
        ("info",),
        ("list",),
        ("remove", "--all", "-y"),
        ("migrate", "--drop-old"),
        ("doctor",),
        ("prune", "{folder}"),
        ("duplicates",),
        ("export", "{home}/out.csv"),
        ("label", "mug", "0.png"),
        ("neighbours", "build"),
        ("copy", "shpo", "{home}/new"),
    ],
)
def test_every_command_says_that_a_name_is_mistyped_and_makes_nothing(
    arguments: tuple[str, ...], tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path))
    lookalike.open("shop", create=True).close()
    words = [
        word.format(image=pictures / "0.png", folder=pictures, home=tmp_path) for word in arguments
    ]
    option = [] if words[0] == "copy" else ["-c", "shpo"]
    done = run(*words, *option)
    assert isinstance(done.exception, CollectionNotFoundError), done.output
    assert "; did you mean 'shop'? (`lookalike index FOLDER -c shpo` makes one)" in str(
        done.exception
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["collections", "pictures"]
    assert [path.name for path in (tmp_path / "collections").iterdir()] == ["shop"]


def test_a_mistyped_path_is_answered_with_a_collection_beside_it(tmp_path: Path) -> None:
    lookalike.open(tmp_path / "shop", create=True).close()
    (tmp_path / "shop22").mkdir()  # nearer, but no collection
    with pytest.raises(CollectionNotFoundError, match=rf"did you mean '{tmp_path}/shop'\?"):
        lookalike.open(tmp_path / "shop2")


def test_serving_a_name_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path))
    lookalike.open("shop", create=True).close()
    done = run("serve", "shpo", "--port", "0")
    assert isinstance(done.exception, CollectionNotFoundError)
    assert "did you mean 'shop'?" in str(done.exception)
    assert [path.name for path in (tmp_path / "collections").iterdir()] == ["shop"]


def test_lists_name_databases_of_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path))
    lookalike.open("shop", create=True).close()
    home = tmp_path / "collections"
    for name, content in (("empty", b""), ("text", b"no database"), ("folder", None)):
        (home / name).mkdir()
        if content is None:
            (home / name / DATABASE).mkdir()
        else:
            (home / name / DATABASE).write_bytes(content)
    (home / "none").mkdir()
    assert run("list", "--collections").stdout == "shop\n"
    assert config.collections(config.settings()) == ["shop"]
    with serving(tmp_path) as live:
        listed = live.client.get("/v1/collections").json()["collections"]
        assert [one["name"] for one in listed] == ["shop"]
        for name in ("empty", "text", "folder", "none"):
            problem(live.client.get(f"/v1/collections/{name}"), 404, "no-such-collection")
        said = live.client.get("/v1/collections/shpo").json()["detail"]
        assert said == "there is no collection called 'shpo'; did you mean 'shop'?"
