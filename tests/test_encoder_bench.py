"""The fastest way to run an encoder here: measured, remembered, used, forgotten."""

import json
import os
import signal
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from contracts.encoder import drawn
from exports import Form, export
from lookalike.cli import cli
from lookalike.config import named_encoder
from lookalike.core.records import Json
from lookalike.encoders import OnnxEncoder, default_cache, find_card, load_encoder
from lookalike.encoders.devices import DEVICES, available_providers
from lookalike.encoders.runtimes.sessions import RunSettings
from lookalike.encoders.speed.candidates import list_candidates, sizes
from lookalike.encoders.speed.machine import describe_machine
from lookalike.encoders.speed.measuring import Measurement, choose_best, measure_speed
from lookalike.encoders.speed.remembered import RunChoice, forget, recall, remember
from networks import tiny_card
from test_encoders_exports import card_for
from test_encoders_onnx import changed

DEVICE = {(one.name, one.runtime): one for one in DEVICES}
CPU = DEVICE["cpu", "onnxruntime"]
OPENVINO = DEVICE["openvino", "openvino"]
needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="the extra openvino is not installed"
)
FINGERPRINT = "tiny:0123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def choice(distance: float = 0.0, **settings: Any) -> RunChoice:  # noqa: ANN401 - of RunSettings
    return RunChoice(device=CPU, settings=RunSettings(**settings), distance=distance, relative=1.5)


def here() -> dict[str, Json]:
    return describe_machine(available_providers())


def bench(*words: object) -> Result:
    command = ["encoder", "bench", *map(str, words)]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def measured(*words: object) -> dict[str, Any]:
    done = bench(*words, "--seconds", 0, "--json")
    assert done.exit_code == 0, done.stderr
    (document,) = json.loads(done.stdout)["encoders"]
    assert isinstance(document, dict)
    return document


# Measuring


def test_every_way_is_measured_and_its_embeddings_compared(cache: Path, tmp_path: Path) -> None:
    found = measured(tiny_card(tmp_path))
    first, *others = found["measurements"]
    assert first["default"]
    assert first["relative"] == 1
    assert not [one for one in others if one["default"]]
    for one in found["measurements"]:
        assert one["images_per_second"] > 0
        assert one["problem"] is None
        if one["precision"] == "fp32":
            assert one["distance"] < 1e-5
            assert one["agrees"]
    ways = [
        (*(one[key] for key in ("device", "precision", "runs", "threads", "images")),)
        for one in found["measurements"]
    ]
    assert len(set(ways)) == len(ways)
    devices = {one["device"] for one in found["measurements"]}
    assert devices == ({"cpu", "openvino"} if find_spec("openvino") else {"cpu"})
    assert found["best"]["agrees"]
    assert Path(found["remembered"]).is_relative_to(cache)


@pytest.mark.usefixtures("cache")
def test_a_person_gets_a_table(tmp_path: Path) -> None:
    done = bench(tiny_card(tmp_path), "--seconds", 0)
    title, *rows = done.stdout.splitlines()
    assert title == "tiny"
    assert "default" in rows[0]
    assert sum("remembered" in row for row in rows) == 1


@pytest.mark.usefixtures("cache")
def test_a_model_of_a_fixed_batch_is_run_with_that_alone(tmp_path: Path) -> None:
    form = Form(batch=3)
    found = measured(card_for(export(tmp_path, form), form))
    assert {one["images"] for one in found["measurements"]} == {3}


@pytest.mark.usefixtures("cache")
@needs_openvino
def test_a_runtime_that_cannot_run_the_encoder_is_shown_with_the_reason(tmp_path: Path) -> None:
    def distances(model: onnx.ModelProto) -> None:
        node = model.graph.node[-1]
        node.CopyFrom(
            helper.make_node(
                "CDist", list(node.input), ["logits"], domain="com.microsoft", metric="euclidean"
            )
        )
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))

    found = measured(changed(tiny_card(tmp_path), network=distances))
    failed = [one for one in found["measurements"] if one["device"] == "openvino"]
    assert failed
    for one in failed:
        assert "OpenVINO has no operators" in one["problem"]
        assert one["images_per_second"] is None
    assert found["best"]["device"] == "cpu"


def test_many_cores_are_shared_in_several_ways() -> None:
    ways = [(one.runs, one.threads) for _, one in list_candidates([CPU], 16, ())]
    assert ways == [(16, 1), (4, 4), (1, 16)]
    assert [(one.runs, one.threads) for _, one in list_candidates([CPU], 1, ())] == [(1, 1)]


def test_bfloat16_is_measured_on_openvino_alone() -> None:
    ways = list_candidates([CPU, OPENVINO], 1, ("fp32", "bf16"))
    found = [(device.name, one.precision) for device, one in ways]
    assert found == [("cpu", "fp32"), ("openvino", "fp32"), ("openvino", "bf16")]


def test_no_run_has_more_images_than_the_card_allows() -> None:
    cuda = DEVICE["cuda", "onnxruntime"]
    assert sizes(CPU, RunSettings(runs=2), 2, None) == [1, 2]
    assert sizes(cuda, RunSettings(), None, None) == [8, 32, 128]
    assert sizes(cuda, RunSettings(), None, 5) == [5]


MEASUREMENTS = st.lists(
    st.builds(
        Measurement,
        device=st.just(CPU),
        settings=st.builds(RunSettings, images=st.integers(1, 99)),
        relative=st.none() | st.floats(0, 9),
        low=st.floats(0, 9),
        work=st.none() | st.floats(0, 9),
        distance=st.none() | st.floats(0, 0.01),
    )
)


@given(others=MEASUREMENTS)
def test_the_best_is_never_one_with_other_embeddings_or_a_slower_one(
    others: list[Measurement],
) -> None:
    default = Measurement(
        device=CPU,
        settings=RunSettings(),
        relative=1.0,
        low=1.0,
        work=1.0,
        distance=0.0,
        default=True,
    )
    best = choose_best([default, *others])
    assert best.distance is not None
    assert best.distance <= 1e-3
    assert best.relative is not None
    assert best.relative >= 1
    assert best.work is None or best.work >= 1
    for one in others:
        if one.agrees and (one.low or 0) > 1 and (one.work is None or one.work >= 1):
            assert (one.relative or 0) <= max(best.relative, 1.1)


# Remembering


def test_what_was_measured_is_used_by_default(cache: Path, tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    plain = load_encoder(card)
    batch = [plain.prepare(drawn(seed)) for seed in range(5)]
    way = choice(runs=1, threads=2, images=4)
    remember(cache, plain.fingerprint, here(), way)
    assert load_encoder(card).batch_size == 4
    assert np.abs(load_encoder(card).encode(batch) - plain.encode(batch)).max() < 1e-6
    for options in ({"device": "cpu"}, {"threads": 2}, {"measured": False}):
        assert load_encoder(card, **options).batch_size == 1


@needs_openvino
def test_a_remembered_runtime_opens_by_default(cache: Path, tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    fingerprint = load_encoder(card).fingerprint
    remember(cache, fingerprint, here(), replace(choice(runs=2), device=OPENVINO))
    assert load_encoder(card).device == "openvino"
    assert load_encoder(card, device="cpu").device == "cpu"


def test_an_encoder_of_the_command_line_uses_it_unless_told_not_to(
    cache: Path, tmp_path: Path
) -> None:
    card = tiny_card(tmp_path)
    remember(cache, load_encoder(card).fingerprint, here(), choice(threads=2, images=8))

    def opened(**options: bool) -> int:
        encoder = named_encoder(card, **options)  # type: ignore[arg-type]
        assert isinstance(encoder, OnnxEncoder)
        encoder.wait()
        return encoder.batch_size

    assert opened() == 8
    assert opened(measured=False) == 1


def test_a_remembered_device_that_fails_is_passed_over(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime names CUDA here, as it does where the package is there but no driver."""
    import onnxruntime  # noqa: PLC0415 - the module whose answer is changed

    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    card = tiny_card(tmp_path)
    way = replace(choice(images=64), device=DEVICE["cuda", "onnxruntime"])
    remember(cache, OnnxEncoder(find_card(card), start=False).fingerprint, here(), way)
    with pytest.warns(UserWarning, match="not in available"):
        encoder = load_encoder(card)
    assert (encoder.device, encoder.batch_size) == ("cpu", 1)


def test_another_encoder_machine_or_package_has_a_memory_of_its_own(tmp_path: Path) -> None:
    providers = available_providers()
    remember(tmp_path, FINGERPRINT, here(), choice())
    assert recall(tmp_path, FINGERPRINT, providers) == choice()
    assert recall(tmp_path, "other:0123456789abcdef", providers) is None
    assert recall(tmp_path, FINGERPRINT, [*providers, "CUDAExecutionProvider"]) is None
    updated = here() | {"packages": {"onnxruntime": "99.0", "openvino": None}}
    remember(tmp_path, FINGERPRINT, updated, choice(images=7))
    assert recall(tmp_path, FINGERPRINT, providers) == choice()


def test_other_embeddings_are_never_used_whatever_the_file_says(tmp_path: Path) -> None:
    remember(tmp_path, FINGERPRINT, here(), choice(distance=0.0011))
    assert recall(tmp_path, FINGERPRINT, available_providers()) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    damage=st.binary()
    | VALUES
    | st.tuples(
        st.sampled_from(
            ["provider", "distance", "relative", "runs", "threads", "images", "precision"]
        ),
        VALUES,
    )
)
def test_a_damaged_file_is_ignored_and_written_again(
    damage: Any,  # noqa: ANN401 - bytes, any JSON, or a key and its value
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    path = remember(folder, FINGERPRINT, here(), choice())
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    elif isinstance(damage, tuple):
        document = json.loads(path.read_text(encoding="utf-8"))
        document["best"][damage[0]] = damage[1]
        path.write_text(json.dumps(document), encoding="utf-8")
    else:
        path.write_text(json.dumps(damage), encoding="utf-8")
    found = recall(folder, FINGERPRINT, available_providers())
    if found is not None:
        assert 0 <= found.distance <= 1e-3
        assert 1 <= found.settings.images <= 4096
    assert remember(folder, FINGERPRINT, here(), choice(images=3)) == path
    assert recall(folder, FINGERPRINT, available_providers()) == choice(images=3)


def test_a_memory_can_be_removed(cache: Path, tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    fingerprint = load_encoder(card).fingerprint
    path = remember(cache, fingerprint, here(), choice())
    other = remember(cache, FINGERPRINT, here(), choice())
    path.write_bytes(b"damaged")
    assert json.loads(bench(card, "--forget", "--json").stdout) == {"forgotten": ["tiny"]}
    assert not path.exists()
    assert other.exists()
    assert bench(card, "--forget").stdout == "tiny: nothing was remembered\n"
    assert not forget(cache, fingerprint, here())


# Interruptions and mistakes


@pytest.mark.usefixtures("cache")
def test_a_measurement_that_was_stopped_has_no_best(tmp_path: Path) -> None:
    card = find_card(tiny_card(tmp_path))
    report = measure_speed(card, FINGERPRINT, seconds=60, stop=lambda: True)
    assert report.best is None
    assert report.choice is None
    assert not (default_cache() / "speed").exists()


def test_an_interruption_leaves_what_was_remembered_before(cache: Path, tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    path = remember(cache, load_encoder(card).fingerprint, here(), choice(images=5))
    before = path.read_bytes()
    own = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        while signal.getsignal(signal.SIGINT) == own:  # until the command is ready to be stopped
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    done = bench(card, "--seconds", 3600)
    thread.join()
    assert done.exit_code == 130
    assert "interrupted; nothing was remembered for tiny" in done.stderr
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lookalike.cli import invoke  # noqa: PLC0415 - which turns errors into messages

    blocked = tmp_path / "cache"
    blocked.write_text("a file", encoding="utf-8")
    monkeypatch.setenv("LOOKALIKE_CACHE", str(blocked))
    assert invoke(["encoder", "bench", str(tiny_card(tmp_path)), "--seconds", "0"]) == 1
    message = capsys.readouterr().err
    assert f"error: {blocked}: the result cannot be remembered" in message
    assert "LOOKALIKE_CACHE" in message


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "long"])
def test_a_time_that_is_none_is_a_mistake_of_the_caller(seconds: str, tmp_path: Path) -> None:
    done = bench(tiny_card(tmp_path), "--seconds", seconds)
    assert done.exit_code == 2
