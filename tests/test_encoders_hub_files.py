"""Files of a hub: downloaded once, continued, checked; every failure is one clear message."""

import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")

from hub_server import HubServer
from lookalike.core.digests import sha256_of
from lookalike.core.progress import Progress
from lookalike.encoders.hub.files import Hub, connect
from lookalike.errors import PullError

REPOSITORY = "owner/encoder"
PATH = "onnx/model.onnx"
CONTENT = random.Random(0).randbytes(200_000)
SMALL = b'{"a small file": true}'


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as server:
        server.add(REPOSITORY, {PATH: CONTENT, "tokenizer.json": SMALL})
        yield server


@pytest.fixture
def hub(server: HubServer, tmp_path: Path) -> Hub:
    return Hub(endpoint=server.address, cache=tmp_path / "cache", timeout_s=1.0, pause_s=0.0)


def test_a_file_is_downloaded_once(hub: Hub, server: HubServer) -> None:
    file = hub.look_up(REPOSITORY, PATH)
    assert (file.size, file.local) == (len(CONTENT), None)
    assert hub.fetch(file).path.read_bytes() == CONTENT
    again = hub.look_up(REPOSITORY, PATH)
    assert hub.fetch(again).path.read_bytes() == CONTENT
    assert len(server.downloads("cdn")) == 1


def test_a_small_file_comes_without_the_cdn(hub: Hub, server: HubServer) -> None:
    file = hub.look_up(REPOSITORY, "tokenizer.json")
    assert file.sha256 is None
    assert hub.fetch(file).path.read_bytes() == SMALL
    assert not server.downloads("cdn")


def test_the_cache_is_the_one_of_huggingface_hub(hub: Hub, server: HubServer) -> None:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - after importorskip

    ours = hub.fetch(hub.look_up(REPOSITORY, PATH)).path
    theirs = hf_hub_download(REPOSITORY, PATH, cache_dir=hub.cache, endpoint=server.address)
    assert Path(theirs) == ours
    assert len(server.downloads("cdn")) == 1
    other = hf_hub_download(
        REPOSITORY, "tokenizer.json", cache_dir=hub.cache, endpoint=server.address
    )
    assert hub.look_up(REPOSITORY, "tokenizer.json").local == Path(other)


def test_a_commit_in_the_cache_needs_no_request(hub: Hub, server: HubServer) -> None:
    file = hub.look_up(REPOSITORY, PATH)
    hub.fetch(file)
    server.requests.clear()
    cached = hub.look_up(REPOSITORY, PATH, file.revision)
    assert hub.fetch(cached).path.read_bytes() == CONTENT
    assert cached.sha256 == file.sha256
    assert server.requests == []


def test_progress_counts_bytes(hub: Hub) -> None:
    seen: list[Progress] = []
    hub.fetch(hub.look_up(REPOSITORY, PATH), seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].stage) == (len(CONTENT), len(CONTENT), PATH)


def test_a_token_goes_to_the_hub_and_not_to_the_cdn(
    hub: Hub, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.fetch(hub.look_up(REPOSITORY, PATH))
    assert {token for host, token in server.tokens if not host} == {"Bearer hf_secret"}
    assert {token for host, token in server.tokens if host == "cdn"} == {None}


def test_a_renamed_repository_is_followed(hub: Hub, server: HubServer) -> None:
    server.renamed["owner/old-name"] = REPOSITORY
    assert hub.fetch(hub.look_up("owner/old-name", PATH)).path.read_bytes() == CONTENT


# Interruptions


def test_a_connection_that_breaks_is_continued(hub: Hub, server: HubServer) -> None:
    server.ways.append("cut")
    server.cut_left = 3
    assert hub.fetch(hub.look_up(REPOSITORY, PATH)).path.read_bytes() == CONTENT
    ranges = [one.split("bytes=")[1] for one in server.requests if "bytes=" in one and "cdn" in one]
    assert ranges == ["100000-", "150000-", "175000-"]


@pytest.mark.parametrize("way", ["cut-at-once", "cut-without-ranges", "cdn-hangs"])
def test_a_connection_that_keeps_breaking_ends_with_a_message_and_keeps_what_came(
    way: str, server: HubServer, tmp_path: Path
) -> None:
    hub = Hub(endpoint=server.address, cache=tmp_path, timeout_s=0.2, pause_s=0.0)
    server.ways.append(way)
    if way == "cdn-hangs":
        server.ways.append("cut-without-ranges")
    file = hub.look_up(REPOSITORY, PATH)
    with pytest.raises(PullError, match=r"was cut off after 0\.\d of 0\.2 MB; the same command"):
        hub.fetch(file)
    server.ways.clear()
    server.requests.clear()
    assert hub.missing_bytes([file]) == (len(CONTENT) if way == "cut-at-once" else 100_000)
    assert hub.fetch(file).path.read_bytes() == CONTENT
    if way != "cut-at-once":
        assert any("bytes=100000-" in one for one in server.requests)


def test_a_server_without_ranges_sends_it_all_again(hub: Hub, server: HubServer) -> None:
    server.ways += ["cut-without-ranges"]
    server.cut_left = 1
    assert hub.fetch(hub.look_up(REPOSITORY, PATH)).path.read_bytes() == CONTENT


def test_what_ctrl_c_left_is_continued(hub: Hub, server: HubServer) -> None:
    file = hub.look_up(REPOSITORY, PATH)
    server.ways.append("cut")

    def interrupt(progress: Progress) -> None:  # noqa: ARG001 - what is called
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.fetch(file, interrupt)
    server.ways.clear()
    assert hub.fetch(file).path.read_bytes() == CONTENT
    assert any(re.search(r"cdn .* bytes=[1-9]\d*-$", one) for one in server.requests)


def test_a_partial_file_that_is_too_long_is_begun_anew(hub: Hub) -> None:
    file = hub.look_up(REPOSITORY, PATH)
    part = hub._part(file)
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    assert hub.fetch(file).path.read_bytes() == CONTENT


def test_a_damaged_file_is_refused_and_not_kept(hub: Hub, server: HubServer) -> None:
    server.ways.append("damaged")
    file = hub.look_up(REPOSITORY, PATH)
    with pytest.raises(PullError, match=r"onnx/model.onnx of owner/encoder was damaged .* again"):
        hub.fetch(file)
    server.ways.clear()
    assert hub.fetch(file).path.read_bytes() == CONTENT


def test_a_damaged_copy_in_the_cache_is_replaced(hub: Hub, server: HubServer) -> None:
    cached = hub.fetch(hub.look_up(REPOSITORY, PATH)).path
    cached.resolve().write_bytes(bytes(len(CONTENT)))
    file = hub.look_up(REPOSITORY, PATH)
    assert hub.fetch(file).sha256 == file.sha256
    assert len(server.downloads("cdn")) == 2


def test_more_than_was_said_is_refused(hub: Hub, server: HubServer) -> None:
    server.ways.append("too-long")
    with pytest.raises(PullError, match="larger than the 200,000 bytes that the hub names"):
        hub.fetch(hub.look_up(REPOSITORY, PATH))


def test_two_that_download_the_same_file_get_it_whole(hub: Hub) -> None:
    file = hub.look_up(REPOSITORY, PATH)
    got: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: got.append(hub.fetch(file).path.read_bytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [CONTENT] * 4


# Failures


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("gated", r"owner/encoder is gated: accept its terms at http.*/owner/encoder, then log in"),
        ("awaiting", r"owner/encoder is gated"),
        ("private", r"has no repository owner/encoder, or it is private; .* `hf auth login`"),
        ("bad-token", r"does not accept the token; log in again with `hf auth login`, or correct"),
        ("forbidden", r"denies access to onnx/model\.onnx .*\(read access was not granted\)"),
        ("busy", r"has had too many requests; wait"),
        ("down", r"failed \(HTTP 503\); try again later"),
        ("hang", r"did not respond in time for onnx/model\.onnx .* HF_HUB_DOWNLOAD_TIMEOUT"),
        ("login-page", r"does not respond as a hub does .* login page"),
    ],
)
def test_a_refusal_says_what_to_do(hub: Hub, server: HubServer, way: str, said: str) -> None:
    server.ways.append(way)
    with pytest.raises(PullError, match=said) as caught:
        hub.look_up(REPOSITORY, PATH)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_named(hub: Hub) -> None:
    with pytest.raises(PullError, match="has no repository owner/none"):
        hub.look_up("owner/none", PATH)
    with pytest.raises(PullError, match=r"owner/encoder has no file none.onnx in revision main"):
        hub.look_up(REPOSITORY, "none.onnx")
    with pytest.raises(PullError, match="owner/encoder has no revision v2 at http"):
        hub.look_up(REPOSITORY, PATH, "v2")
    with pytest.raises(PullError, match="'a b' is not a repository's name, which is OWNER/NAME"):
        hub.look_up("a b", PATH)


def test_a_cdn_that_refuses_is_named(hub: Hub, server: HubServer) -> None:
    server.ways.append("cdn-refuses")
    with pytest.raises(PullError, match=r"localhost denies access to onnx/model.onnx"):
        hub.fetch(hub.look_up(REPOSITORY, PATH))


def test_a_hub_that_nobody_listens_at_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        hub = Hub(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}", cache=tmp_path)
        with pytest.raises(PullError, match=r"127.0.0.1:\d+ cannot be reached: .* HF_ENDPOINT"):
            hub.look_up(REPOSITORY, PATH)
    hub = Hub(endpoint="http://hub.invalid", cache=tmp_path)
    with pytest.raises(PullError, match=r"http://hub.invalid cannot be reached: "):
        hub.look_up(REPOSITORY, PATH)


@pytest.mark.parametrize("way", ["down", "busy", "hang"])
def test_without_a_connection_the_cached_file_serves(hub: Hub, server: HubServer, way: str) -> None:
    hub.fetch(hub.look_up(REPOSITORY, PATH))
    server.ways.append(way)
    assert hub.fetch(hub.look_up(REPOSITORY, PATH)).path.read_bytes() == CONTENT


def test_a_refusal_is_not_hidden_by_the_cache(hub: Hub, server: HubServer) -> None:
    hub.fetch(hub.look_up(REPOSITORY, PATH))
    server.ways.append("gated")
    with pytest.raises(PullError, match="is gated"):
        hub.look_up(REPOSITORY, PATH)


def test_offline_only_the_cache_serves(hub: Hub, server: HubServer) -> None:
    offline = Hub(endpoint=hub.endpoint, cache=hub.cache, offline=True)
    with pytest.raises(PullError, match="not in the cache, and HF_HUB_OFFLINE forbids"):
        offline.look_up(REPOSITORY, PATH)
    file = hub.look_up(REPOSITORY, PATH)
    hub.fetch(file)
    server.requests.clear()
    assert (
        offline.fetch(offline.look_up(REPOSITORY, PATH, file.revision)).path.read_bytes() == CONTENT
    )
    assert server.requests == []


def test_a_full_disk_is_said_before_the_download(hub: Hub, server: HubServer) -> None:
    file = hub.look_up(REPOSITORY, PATH)
    hub.check_space([file], hub.cache)
    huge = replace(file, size=10**18)
    with pytest.raises(PullError, match=r"MB are needed in .*cache.* are free; .* HF_HUB_CACHE"):
        hub.check_space([huge], hub.cache)
    assert not server.downloads("cdn")


_FILLING = """
import resource, sys
from pathlib import Path
from lookalike.encoders.hub.files import Hub
from lookalike.errors import PullError
hub = Hub(endpoint=sys.argv[1], cache=Path(sys.argv[2]))
file = hub.look_up("owner/encoder", "onnx/model.onnx")
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    hub.fetch(file)
except PullError as error:
    print(error)
"""


def test_a_disk_that_fills_up_keeps_what_came(hub: Hub, server: HubServer) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILLING, server.address, hub.cache],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"no space is left for onnx/model.onnx .* is kept", done.stdout), done
    assert hub.fetch(hub.look_up(REPOSITORY, PATH)).path.read_bytes() == CONTENT


def test_the_names_of_files_are_listed(hub: Hub) -> None:
    assert hub.names(REPOSITORY) == [PATH, "tokenizer.json"]
    with pytest.raises(PullError, match="has no repository owner/none"):
        hub.names("owner/none")


def test_the_licence_is_read_from_the_card(hub: Hub, server: HubServer) -> None:
    assert hub.licence(REPOSITORY) is None
    server.licences[REPOSITORY] = "cc-by-nc-4.0"
    assert hub.licence(REPOSITORY) == "cc-by-nc-4.0"


def test_the_environment_names_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "HF_ENDPOINT": "https://mirror.example/",
        "HF_HUB_CACHE": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "77",
    }.items():
        monkeypatch.setenv(name, value)
    assert connect() == Hub(
        endpoint="https://mirror.example", cache=tmp_path, offline=True, timeout_s=77.0
    )


def test_without_the_library_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PullError, match=r"get it by: pip install 'lookalike\[hub\]'"):
        connect()


def test_the_digest_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty").startswith("e3b0c44298fc1c14")
