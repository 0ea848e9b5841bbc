"""``lookalike encoder pull``, from the command line to a search, and the run file that pulls."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")

import hub_graphs as graphs
from hub_server import HubServer
from lookalike.encoders.hub import curated_encoders

NAME = "marqo-fashion-siglip"  # of which the list knows no revision and no digest
ENTRY = curated_encoders()[NAME]
GRAPH = graphs.vision({"image_embeds": 768})


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as server:
        server.add(ENTRY.repository, {ENTRY.graph: GRAPH})
        yield server


@pytest.fixture
def environment(server: HubServer, tmp_path: Path) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return inherited | {
        "HF_ENDPOINT": server.address,
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "LOOKALIKE_HOME": str(tmp_path / "home"),
        "LOOKALIKE_CACHE": str(tmp_path / "cache"),
    }


def run(
    environment: Mapping[str, str], *words: object, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command of lookalike in a process of its own, with an exit code to expect."""
    command = [sys.executable, "-m", "lookalike", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def document(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - JSON
    return json.loads(done.stdout)


def test_from_a_name_to_a_search(
    environment: dict[str, str], server: HubServer, tmp_path: Path, pictures: Path
) -> None:
    refused = run(environment, "index", pictures, "-c", "shop", "--encoder", NAME, code=1)
    assert f"pull it first: lookalike encoder pull {NAME}" in refused.stderr
    assert server.requests == []

    pulled = document(run(environment, "encoder", "pull", NAME, "--json"))
    assert pulled["name"] == NAME
    assert pulled["changed"]
    assert [one["path"] for one in pulled["files"]] == ["vision_model.onnx"]
    assert Path(pulled["card"]).is_relative_to(tmp_path / "home")

    run(environment, "index", pictures, "-c", "shop", "--encoder", NAME)
    server.requests.clear()
    found = run(environment, "search", pictures / "4.png", "-c", "shop", "--include-self")
    assert "4.png" in found.stdout.splitlines()[0]
    assert server.requests == []

    again = run(environment, "encoder", "pull", NAME)
    assert f"{NAME}, which was there already" in again.stdout


def test_the_list_is_printed_without_a_connection(environment: dict[str, str]) -> None:
    environment["HF_ENDPOINT"] = "http://hub.invalid"
    listed = document(run(environment, "encoder", "pull", "--list", "--json"))["encoders"]
    assert [one["name"] for one in listed] == list(curated_encoders())
    (dinov3,) = [one for one in listed if one["name"] == "dinov3-small"]
    assert "military" in dinov3["terms"]
    assert dinov3["files"] == ["onnx/model.onnx", "onnx/model.onnx_data"]
    lines = run(environment, "encoder", "pull", "--list").stdout.splitlines()
    assert len(lines) == len(listed)


@pytest.mark.parametrize("words", [(), ("--list", NAME)])
def test_a_name_or_the_list_and_not_both(environment: dict[str, str], words: tuple[str]) -> None:
    assert "give a NAME, or --list" in run(environment, "encoder", "pull", *words, code=2).stderr


def test_errors_are_one_message_and_json(environment: dict[str, str], server: HubServer) -> None:
    server.ways.append("gated")
    done = run(environment, "encoder", "pull", NAME, "--json", code=1)
    assert "is gated" in document(done)["error"]["message"]
    assert len(done.stderr.splitlines()) == 1


def test_nothing_but_messages_of_our_own_is_printed(
    environment: dict[str, str], server: HubServer
) -> None:
    server.ways.append("cut")
    server.cut_left = 1
    done = run(environment, "encoder", "pull", NAME)
    assert done.stderr.splitlines() == [f"use it with --encoder {NAME}"]


def test_ctrl_c_stops_and_the_same_command_continues(
    environment: dict[str, str], server: HubServer
) -> None:
    server.ways.append("cdn-hangs")
    command = [sys.executable, "-m", "lookalike", "encoder", "pull", NAME]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while not server.downloads("cdn") and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=60)  # a read that has begun may end by its limit
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    server.ways.clear()
    run(environment, "encoder", "pull", NAME)
    assert any("bytes=" in one for one in server.downloads("cdn"))


def test_an_offline_machine_takes_what_is_in_the_cache(
    environment: dict[str, str], server: HubServer, tmp_path: Path
) -> None:
    offline = environment | {"HF_HUB_OFFLINE": "1", "LOOKALIKE_HOME": str(tmp_path / "other")}
    refused = run(offline, "encoder", "pull", NAME, code=1)
    assert "HF_HUB_OFFLINE forbids connections" in refused.stderr
    first = document(run(environment, "encoder", "pull", NAME, "--json"))
    server.requests.clear()
    pulled = document(run(offline, "encoder", "pull", NAME, "--json"))
    assert pulled["revision"] == first["revision"]
    assert server.requests == []


def test_a_file_of_the_hub_is_pulled_with_what_was_guessed(
    environment: dict[str, str], server: HubServer, pictures: Path
) -> None:
    server.add("someone/model", {"model.onnx": GRAPH})
    reference = "hf:someone/model/model.onnx"
    pulled = document(run(environment, "encoder", "pull", reference, "--name", "mine", "--json"))
    assert pulled["name"] == "mine"
    assert any(one.startswith("preset = clip: ") for one in pulled["notes"])
    run(environment, "index", pictures, "-c", "shop", "--encoder", "mine")
    printed = run(environment, "encoder", "pull", reference, "--name", "other").stdout
    assert "guess\tpreset = clip: the output image_embeds is that of CLIP" in printed


def run_file(folder: Path, pictures: Path, *lines: str) -> Path:
    path = folder / "shop.yaml"
    text = ["collection: shop", f"encoder: {NAME}", *lines, "index:", f"  source: {pictures}"]
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def test_a_run_file_pulls_only_if_it_says_so(
    environment: dict[str, str], server: HubServer, tmp_path: Path, pictures: Path
) -> None:
    done = run(environment, "run", run_file(tmp_path, pictures), code=1)
    assert f"pull it first: lookalike encoder pull {NAME}" in done.stdout + done.stderr
    assert server.requests == []
    file = run_file(tmp_path, pictures, "pull: true")
    run(environment, "run", file, "--dry-run")
    assert server.requests == []
    run(environment, "run", file)
    assert len(server.downloads("cdn")) == 1
    server.requests.clear()
    run(environment, "run", file)
    assert server.requests == []


def test_a_run_file_that_pulls_names_the_encoder(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("pull: true\nindex:\n  source: images/\n", encoding="utf-8")
    assert "pull is for an encoder; name it" in run(environment, "run", path, code=1).stderr
