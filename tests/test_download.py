"""Pictures from a web that misbehaves: each URL ends in a file or in a word that says why not."""

import asyncio
import email.utils
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import misbehaving
from lookalike.core.progress import Progress
from lookalike.core.records import Entry, Remote, Skipped
from lookalike.errors import DownloadError, SourceError
from lookalike.images.formats import format_of
from lookalike.sources.catalogues.downloads import Downloads, find_in
from lookalike.sources.download import DownloadRecord, Politeness, RecordRow, download
from lookalike.sources.download.addresses import is_public, open_public_socket, open_socket
from lookalike.sources.download.fetch import fetch
from lookalike.sources.download.names import key_of, make_slug, propose_paths
from lookalike.sources.download.politeness import compute_delay, is_temporary
from lookalike.sources.download.waiting import Waiting
from misbehaving import Server

FAST = Politeness(
    rate=None,
    per_host=16,
    connect_s=5.0,
    read_s=1.5,
    total_s=2.5,
    attempts=2,
    backoff_s=0.01,
    max_bytes=1_000_000,
    allow_private=True,
)

# way → the status that it must end in
ENDS = {
    "ok": "ok",
    "png.jpg": "ok",
    "wrong-type": "ok",
    "gzip": "ok",
    "deflate": "ok",
    "gzip-lie": "ok",
    "redirect": "ok",
    "slow": "ok",
    "until-closed": "ok",
    "closed-after": "ok",
    "recovers": "ok",
    "html": "not-an-image",
    "xml": "not-an-image",
    "404": "http-404",
    "410": "http-410",
    "204": "http-204",
    "no-location": "http-302",
    "500": "http-500",
    "busy": "http-429",
    "empty": "empty",
    "truncated": "broken",
    "gzip-broken": "broken",
    "gzip-truncated": "cut-off",
    "cut-off": "cut-off",
    "chunk-cut-off": "cut-off",
    "half-a-head": "cut-off",
    "closes": "cut-off",
    "bomb": "too-large",
    "huge": "too-large",
    "endless": "too-large",
    "brotli": "bad-response",
    "garbage": "bad-response",
    "circle": "redirects",
    "circle-back": "redirects",
    "farther": "redirects",
    "to-file": "redirects",
    "to-nonsense": "redirects",
    "hang": "timeout",
    "hang-midway": "timeout",
    "trickle": "timeout",
}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def entry(one: str, *urls: str, label: str | None = None, **metadata: str) -> Entry:
    return Entry(id=one, image=Remote(urls), label=label, metadata=metadata)


def rows(folder: Path) -> dict[str, RecordRow]:
    with DownloadRecord(folder) as record:
        return {row.id: row for ok in (True, False) for row in record.rows(ok=ok)}


def files(folder: Path) -> list[str]:
    every = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.relative_to(folder).as_posix() for path in every if "downloads." not in path.name
    )


def one_status(folder: Path, url: str, politeness: Politeness = FAST) -> RecordRow:
    download([entry("x", url)], folder, politeness=politeness)
    return rows(folder)["x"]


# --- what hosts do -----------------------------------------------------------------------------


def test_every_misbehaviour_ends_in_its_word(server: Server, tmp_path: Path) -> None:
    assert set(ENDS) | {"elsewhere", "understated"} == misbehaving.WAYS
    entries = [entry(way, server.url(way), label="all") for way in ENDS]
    report = download(entries, tmp_path, politeness=FAST)
    found = rows(tmp_path)
    assert {one: row.status for one, row in found.items()} == ENDS
    expected = Counter(ENDS.values())
    assert report.downloaded == expected.pop("ok")
    assert report.failed == expected
    for row in found.values():
        assert (row.status == "ok") == (row.file is not None), row
        assert (row.status == "ok") == (not row.reason), row
        assert row.tried_at > 1e9
    assert files(tmp_path) == sorted(row.file for row in found.values() if row.file)


def test_a_file_is_named_for_what_its_bytes_are(server: Server, tmp_path: Path) -> None:
    download([entry("a", server.url("png.jpg"), label="12")], tmp_path, politeness=FAST)
    row = rows(tmp_path)["a"]
    data = (tmp_path / "12/a.png").read_bytes()
    assert (row.file, row.kind, row.bytes) == ("12/a.png", "PNG", len(data))
    assert format_of(data) == "PNG"


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("html", "a web page instead of an image"),
        ("xml", "XML instead of an image"),
        ("404", "Not Found"),
        ("truncated", "the JPEG file is cut off"),
        ("to-file", "it redirects to file:, which is not followed"),
    ],
)
def test_a_failure_says_what_came_instead(
    server: Server, tmp_path: Path, way: str, reason: str
) -> None:
    assert one_status(tmp_path, server.url(way)).reason == reason


def test_half_a_picture_is_none_though_its_length_was_announced(
    server: Server, tmp_path: Path
) -> None:
    # Whether the rest comes in time to be taken for another answer is left to the network.
    assert one_status(tmp_path, server.url("understated")).status in {"broken", "bad-response"}


def test_what_may_pass_is_tried_again_and_nothing_else(server: Server, tmp_path: Path) -> None:
    ways = ["500", "closes", "cut-off", "404", "html", "truncated", "empty", "to-file", "busy"]
    download([entry(way, server.url(way)) for way in ways], tmp_path, politeness=FAST)
    counted = {way: rows(tmp_path)[way].attempts for way in ways}
    assert counted == {way: 2 if way in ("500", "closes", "cut-off") else 1 for way in ways}
    assert server.requests["/500"] == 2


def test_a_host_is_left_alone_for_as_long_as_it_asks(server: Server, tmp_path: Path) -> None:
    began = time.monotonic()
    assert one_status(tmp_path, server.url("recovers")).status == "ok"
    assert time.monotonic() - began >= 1.0
    assert server.requests["/recovers"] == 2


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://h/x", "http://", "//h/x", "http://h:port/", "file:///etc/passwd"]
)
def test_what_is_no_web_address_is_told_without_a_request(tmp_path: Path, url: str) -> None:
    row = one_status(tmp_path, url)
    assert (row.status, row.attempts) == ("bad-url", 0)


def test_a_picture_is_had_from_the_first_url_that_works(server: Server, tmp_path: Path) -> None:
    urls = "nonsense", server.url("404"), server.url("html"), server.url("ok/1"), server.url("ok/2")
    download([entry("a", *urls)], tmp_path, politeness=FAST)
    row = rows(tmp_path)["a"]
    assert (row.status, row.url, row.urls, row.attempts) == ("ok", urls[3], urls, 3)
    assert "/ok/2" not in server.requests


def test_a_host_that_cannot_be_reached_is_given_up(tmp_path: Path, server: Server) -> None:
    with socket.socket() as taken:  # bound but not listening: refuses
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        entries = [
            entry(f"d{n}", f"{dead}/{n}", server.url(f"ok/{n}", "localhost")) for n in range(200)
        ]
        polite = Politeness(
            rate=None, attempts=1, give_up_after=5, per_host=1, backoff_s=0, allow_private=True
        )
        report = download(entries, tmp_path, politeness=polite)
    # All were had from the other host; but few requests were lost on the dead one.
    assert report.downloaded == 200
    assert sum(row.attempts for row in rows(tmp_path).values()) == 205


def test_the_rest_of_a_dead_host_fails_quickly(tmp_path: Path) -> None:
    entries = [entry(str(n), f"http://no-such-host.invalid/{n}") for n in range(300)]
    polite = Politeness(rate=None, attempts=2, give_up_after=6, backoff_s=0.01)
    report = download(entries, tmp_path, politeness=polite)
    assert report.failed == {"unreachable": 300}
    assert sum(row.attempts for row in rows(tmp_path).values()) < 30


# --- politeness --------------------------------------------------------------------------------


def test_no_host_gets_more_requests_at_once_than_allowed(server: Server, tmp_path: Path) -> None:
    polite = Politeness(rate=None, per_host=3, allow_private=True)
    download([entry(str(n), server.url("slow")) for n in range(12)], tmp_path, politeness=polite)
    assert server.most == 3


def test_no_host_gets_more_requests_a_second_than_allowed(server: Server, tmp_path: Path) -> None:
    polite = Politeness(rate=20, allow_private=True)
    entries = [entry(str(n), server.url(f"ok/{n}")) for n in range(21)]
    began = time.monotonic()
    download(entries, tmp_path, politeness=polite)
    assert time.monotonic() - began >= 1.0


def test_a_slow_host_holds_up_nobody(server: Server, tmp_path: Path) -> None:
    slow = [entry(f"s{n}", server.url("slow")) for n in range(8)]
    quick = [entry(f"q{n}", server.url(f"ok/{n}", "localhost")) for n in range(50)]
    polite = Politeness(rate=None, per_host=1, concurrent=2, allow_private=True)
    download([*slow, *quick], tmp_path, politeness=polite)
    found = rows(tmp_path)
    assert all(row.status == "ok" for row in found.values())
    assert max(found[f"q{n}"].tried_at for n in range(50)) < found["s7"].tried_at


def test_hosts_are_told_who_asks(server: Server, tmp_path: Path) -> None:
    one_status(tmp_path / "a", server.url("ok"))
    mine = Politeness(user_agent="someone/1.0", allow_private=True)
    one_status(tmp_path / "b", server.url("ok"), mine)
    ours, own = server.agents
    assert ours.startswith("lookalike/")
    assert own == "someone/1.0"


@given(
    attempt=st.integers(1, 2000),
    header=st.one_of(st.none(), st.text(), st.integers(0, 10**12).map(str)),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_never_longer_than_allowed(
    attempt: int, header: str | None, chance: float
) -> None:
    wait = compute_delay(attempt, header, politeness=FAST, now=1e9, chance=chance)
    assert wait is None or 0 <= wait <= FAST.longest_wait_s
    if header is not None and header.isascii() and header.isdigit():
        asked = int(header)
        assert (wait is None) == (asked > FAST.longest_wait_s)
        assert wait is None or wait >= asked


@given(attempt=st.integers(1, 30), chance=st.floats(0, 1, exclude_max=True))
def test_waits_double_up_to_the_longest(attempt: int, chance: float) -> None:
    polite = Politeness(backoff_s=0.5, longest_wait_s=30)
    wait = compute_delay(attempt, None, politeness=polite, now=0, chance=chance)
    full = min(0.5 * 2 ** (attempt - 1), 30)
    assert wait is not None
    assert full / 2 <= wait <= full


def test_a_date_says_when_to_come_back_too() -> None:
    date = email.utils.formatdate(1_000_000_010, usegmt=True)
    assert compute_delay(1, date, politeness=FAST, now=1e9, chance=0) == 10
    past = email.utils.formatdate(1_000_000_010 - 3600, usegmt=True)
    assert compute_delay(1, past, politeness=FAST, now=1e9, chance=0) == FAST.backoff_s / 2


def test_permanent_failures_are_not_worth_another_try() -> None:
    passing = ["timeout", "unreachable", "cut-off", "http-408", "http-425", "http-429", "http-503"]
    lasting = ["http-404", "http-403", "not-an-image", "empty", "broken", "too-large", "bad-url"]
    assert all(map(is_temporary, passing))
    assert not any(map(is_temporary, [*lasting, "redirects", "private-address", "bad-response"]))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 3)), max_size=60),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_every_job_is_begun_or_given_up_and_limits_hold(
    jobs: list[tuple[str, bool, float]], concurrent: int, per_host: int
) -> None:
    polite = Politeness(concurrent=concurrent, per_host=per_host, rate=10, give_up_after=3)
    waiting: Waiting[int] = Waiting(polite)
    now, settled, under_way = 0.0, set[int](), list[int]()
    begun: dict[str, list[float]] = {}
    for number, (host, _, wait) in enumerate(jobs):
        if not waiting.add(number, host, now=now, wait=wait):
            settled.add(number)
    while len(waiting):
        while (job := waiting.start(now)) is not None:
            under_way.append(job)
            begun.setdefault(jobs[job][0], []).append(now)
        assert len(under_way) <= concurrent
        assert max(Counter(jobs[job][0] for job in under_way).values(), default=0) <= per_host
        pause = waiting.wait(now)
        if under_way:
            done = under_way.pop(0)
            host, reached, _ = jobs[done]
            settled.add(done)
            settled.update(waiting.end(host, now=now, reached=reached))
        else:
            assert pause is not None
            now += max(pause, 1e-6)
    assert settled == set(range(len(jobs)))
    for times in begun.values():
        assert all(b - a >= 0.0999 for a, b in pairwise(times))


# --- private addresses -------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])  # noqa: S104 - a target
def test_nothing_private_is_connected_to(server: Server, tmp_path: Path, host: str) -> None:
    row = one_status(tmp_path, server.url("ok", host), Politeness())
    assert (row.status, row.attempts) == ("private-address", 1)
    assert server.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1", "0177.0.0.1"])
def test_odd_spellings_of_private_addresses_are_no_way_in(
    server: Server, tmp_path: Path, host: str
) -> None:
    row = one_status(tmp_path, server.url("ok", host), Politeness(attempts=1))
    assert row.status in {"private-address", "bad-url", "unreachable"}
    assert server.connections == 0


def test_a_redirect_is_no_way_to_a_private_address(server: Server) -> None:
    async def ask(host: str) -> tuple[str, str]:
        def but_for_the_first(info: tuple[object, ...]) -> socket.socket:
            here = info[4] == ("127.0.0.1", server.port)
            return open_socket(info) if here else open_public_socket(info)

        connector = aiohttp.TCPConnector(socket_factory=but_for_the_first)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            url = server.url(f"elsewhere/{host}:{inner.port}")
            outcome = await fetch(session, url, Politeness())
            return outcome.status, outcome.reason

    with Server() as inner:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            expected = "private-address", "it leads to a private address"
            assert asyncio.run(ask(host)) == expected, host
        assert inner.connections == 0
    assert server.requests.total() == 3


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to judge
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("nonsense", False),
    ],
)
def test_public_addresses_are_told_from_private_ones(address: str, *, public: bool) -> None:
    assert is_public(address) is public


# --- names -------------------------------------------------------------------------------------

_WINDOWS = set('<>:"/\\|?*')


@given(st.text(max_size=300), st.sampled_from([20, 80, 120]))
def test_a_name_is_safe_everywhere(text: str, longest: int) -> None:
    name = make_slug(text, longest)
    assert len(name.encode()) <= longest + 1
    assert not _WINDOWS & set(name)
    assert name.isprintable()
    assert name == name.strip(". ")
    assert name.partition(".")[0].lower() not in {"con", "nul", "aux", "prn", "com1", "lpt9"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sku-1", "sku-1"),
        ("../../etc/passwd", "etc-passwd"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("a b\tc\n", "a-b-c"),
        ("cafe\u0301", "café"),
        ("...", ""),
        ("https://h/x.jpg?a=1", "https-h-x.jpg-a=1"),
    ],
)
def test_names_stay_readable(text: str, name: str) -> None:
    assert make_slug(text) == name


@given(st.one_of(st.none(), st.text(max_size=200)), st.text(min_size=1, max_size=200))
def test_a_path_stays_below_the_folder(label: str | None, one: str) -> None:
    for _, stem in zip(range(3), propose_paths(label, one), strict=False):
        folder, name = stem.split("/")
        assert folder not in {"", ".", ".."}
        assert name not in {"", ".", ".."}
        assert len(name.encode()) < 220


@given(st.lists(st.text(max_size=4), min_size=2, max_size=2, unique=True))
def test_two_ids_have_names_that_differ_in_time(ids: list[str]) -> None:
    taken = key_of(next(propose_paths("l", ids[0])))
    assert any(
        key_of(stem) != taken for _, stem in zip(range(2), propose_paths("l", ids[1]), strict=False)
    )


def test_ids_that_fall_together_share_no_file(server: Server, tmp_path: Path) -> None:
    ids = [
        "a",
        "A",
        "a/b",
        "a b",
        "A-B",
        "caf\u00e9",
        "cafe\u0301",
        "x" * 300,
        "x" * 301,
        "ß",
        "ss",
    ]
    entries = [entry(one, server.url(f"ok/{n}"), label="Same") for n, one in enumerate(ids)]
    download(entries, tmp_path, politeness=FAST)
    found = rows(tmp_path)
    assert len({str(found[one].file).casefold() for one in ids}) == len(ids)
    for number, one in enumerate(ids):
        path = f"/ok/{number}"
        expected = misbehaving.picture(seed=zlib.crc32(path.encode()))
        assert (tmp_path / str(found[one].file)).read_bytes() == expected


def test_a_file_that_is_not_ours_is_not_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    mine = tmp_path / "images/a.jpg"
    mine.write_bytes(b"mine")
    row = one_status(tmp_path, server.url("ok"))
    assert row.file == "images/x.jpg"
    download([entry("a", server.url("ok"))], tmp_path, politeness=FAST)
    assert mine.read_bytes() == b"mine"
    assert str(rows(tmp_path)["a"].file).startswith("images/a-")


# --- runs --------------------------------------------------------------------------------------


def test_a_second_run_requests_nothing(server: Server, tmp_path: Path) -> None:
    entries = [entry("a", server.url("ok/a")), entry("b", server.url("404"))]
    download(entries, tmp_path, politeness=FAST)
    asked = dict(server.requests)
    report = download(entries, tmp_path, politeness=FAST)
    assert (report.downloaded, report.already, report.failed_before) == (0, 1, 1)
    assert server.requests == asked
    retried = download(entries, tmp_path, politeness=FAST, retry=True)
    assert (retried.already, retried.failed) == (1, {"http-404": 1})
    assert server.requests == {"/ok/a": 1, "/404": 2}


def test_what_failed_for_a_reason_that_is_gone_is_tried_again(
    server: Server, tmp_path: Path
) -> None:
    entries = [entry("a", server.url("ok/a")), entry("b", server.url("404"))]
    strict = replace(FAST, allow_private=False)
    assert dict(download(entries, tmp_path, politeness=strict).failed) == {"private-address": 2}
    again = download(entries, tmp_path, politeness=strict)
    assert (again.failed_before, server.requests) == (2, {})
    allowed = download(entries, tmp_path, politeness=FAST)
    assert (allowed.downloaded, dict(allowed.failed)) == (1, {"http-404": 1})
    assert download(entries, tmp_path, politeness=FAST).failed_before == 1


def test_what_was_too_large_is_tried_again_under_a_larger_limit(
    server: Server, tmp_path: Path
) -> None:
    entries = [entry("a", server.url("ok/a"))]
    for limit in (100, 100, 50):
        report = download(entries, tmp_path, politeness=replace(FAST, max_bytes=limit))
        assert report.downloaded == 0
    assert server.requests == {"/ok/a": 1}
    assert download(entries, tmp_path, politeness=FAST).downloaded == 1


def test_a_file_that_went_or_shrank_is_fetched_again(server: Server, tmp_path: Path) -> None:
    entries = [entry("a", server.url("ok/a")), entry("b", server.url("ok/b"))]
    download(entries, tmp_path, politeness=FAST)
    (tmp_path / "images/a.jpg").unlink()
    (tmp_path / "images/b.jpg").write_bytes(b"")
    assert download(entries, tmp_path, politeness=FAST).downloaded == 2
    assert files(tmp_path) == ["images/a.jpg", "images/b.jpg"]
    assert all((tmp_path / path).stat().st_size > 0 for path in files(tmp_path))


def test_a_file_that_somebody_has_edited_since_stays(server: Server, tmp_path: Path) -> None:
    entries = [entry("a", server.url("ok/a"))]
    download(entries, tmp_path, politeness=FAST)
    edited = tmp_path / "images/a.jpg"
    edited.write_bytes(b"retouched by hand")
    assert download(entries, tmp_path, politeness=FAST).downloaded == 1
    assert edited.read_bytes() == b"retouched by hand"
    assert str(rows(tmp_path)["a"].file).startswith("images/a-")
    assert download(entries, tmp_path, politeness=FAST).already == 1


def test_other_urls_are_a_reason_to_try_again(server: Server, tmp_path: Path) -> None:
    download([entry("a", server.url("404"))], tmp_path, politeness=FAST)
    report = download([entry("a", server.url("ok"))], tmp_path, politeness=FAST)
    assert report.downloaded == 1
    assert rows(tmp_path)["a"].status == "ok"


def test_new_words_need_no_request(server: Server, tmp_path: Path) -> None:
    url = server.url("ok")
    download([entry("a", url, label="old", price="1")], tmp_path, politeness=FAST)
    report = download([entry("a", url, label="new", price="2")], tmp_path, politeness=FAST)
    assert (report.already, report.updated, server.requests["/ok"]) == (1, 1, 1)
    row = rows(tmp_path)["a"]
    assert (row.label, row.metadata, row.file) == ("new", {"price": "2"}, "old/a.jpg")
    silent = Entry(id="a", image=Remote((url,)))
    assert download([silent], tmp_path, politeness=FAST).updated == 0
    assert rows(tmp_path)["a"] == row


def test_labels_and_limits_choose_the_first_of_each(server: Server, tmp_path: Path) -> None:
    def endless() -> Iterator[Entry]:
        number = 0
        while True:
            yield entry(str(number), server.url(f"ok/{number}"), label=str(number % 4))
            number += 1

    report = download(endless(), tmp_path, labels=["1", "3"], limit=2, politeness=FAST)
    assert report.downloaded == 4
    assert set(rows(tmp_path)) == {"1", "3", "5", "7"}
    report = download(endless(), tmp_path / "all", limit=3, politeness=FAST)
    assert set(rows(tmp_path / "all")) == {"0", "1", "2"}


def test_lines_that_are_none_and_local_files_are_counted(server: Server, tmp_path: Path) -> None:
    lines: list[Entry | Skipped] = [
        Skipped(path="t.csv:3", reason="no file"),
        Entry(id="here", image=tmp_path / "a.jpg"),
        entry("a", server.url("slow")),
        entry("a", server.url("ok/2")),
        entry("\ud800", server.url("ok/3")),
        entry("b", server.url("\ud800")),
    ]
    report = download(lines, tmp_path, politeness=FAST)
    assert (report.downloaded, report.local, report.skipped) == (1, 1, 3)
    assert report.skips[0] == lines[0]
    assert report.failed == {"bad-url": 1}
    assert set(server.requests) == {"/slow"}


def test_a_stop_ends_soon_and_the_next_run_goes_on(server: Server, tmp_path: Path) -> None:
    entries = [entry(str(n), server.url("slow" if n % 2 else f"ok/{n}")) for n in range(200)]
    seen: list[Progress] = []
    polite = Politeness(rate=None, per_host=4, allow_private=True)
    began = time.monotonic()
    report = download(
        entries,
        tmp_path,
        politeness=polite,
        progress=seen.append,
        stop=lambda: bool(seen and seen[-1].done >= 10),
    )
    assert report.interrupted
    assert 10 <= report.downloaded < 200
    assert time.monotonic() - began < 10
    assert all(row.status == "ok" for row in rows(tmp_path).values())
    assert not [path for path in files(tmp_path) if "part" in path]
    again = download(entries, tmp_path, politeness=FAST)
    assert again.downloaded + again.already == 200
    assert again.already == report.downloaded


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """As in a program of a terminal: one that a shell put in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_in_a_program_keeps_what_was_done(server: Server, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done >= 5:
            signal.raise_signal(signal.SIGINT)

    entries = [entry(str(n), server.url("slow")) for n in range(300)]
    polite = Politeness(rate=None, per_host=4, allow_private=True)
    with pytest.raises(KeyboardInterrupt):
        download(entries, tmp_path, politeness=polite, progress=interrupt)
    assert len(rows(tmp_path)) == len(files(tmp_path)) >= 5


def test_an_error_of_the_catalogue_keeps_what_was_done(server: Server, tmp_path: Path) -> None:
    def broken() -> Iterable[Entry]:
        for number in range(300):
            yield entry(str(number), server.url(f"ok/{number}"))
        time.sleep(0.5)
        raise SourceError("the catalogue ends in the middle of a line")

    with pytest.raises(SourceError, match="middle of a line"):
        download(broken(), tmp_path, politeness=FAST)
    assert len(rows(tmp_path)) >= 100


def test_what_a_killed_run_left_half_written_is_swept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/.lookalike-part-0123").write_bytes(b"half")
    (tmp_path / "images/note.txt").write_bytes(b"mine")
    one_status(tmp_path, server.url("ok"))
    assert files(tmp_path) == ["images/note.txt", "images/x.jpg"]


def test_two_runs_into_one_folder_do_not_meet(server: Server, tmp_path: Path) -> None:
    def nested() -> Iterator[Entry]:
        with pytest.raises(DownloadError, match="another download"):
            download([], tmp_path)
        yield entry("a", server.url("ok"))

    assert download(nested(), tmp_path, politeness=FAST).downloaded == 1


def test_a_full_disk_is_one_clear_error(tmp_path: Path, server: Server) -> None:
    pytest.importorskip("resource")
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from lookalike.sources.download import Politeness, download\n"
        "from lookalike.errors import DownloadError\n"
        "from lookalike.core.records import Entry, Remote\n"
        "to, *urls = sys.argv[1:]\n"
        "polite = Politeness(allow_private=True)\n"
        "def get(one, url):\n"
        "    download([Entry(id=one, image=Remote((url,)))], Path(to), politeness=polite)\n"
        "get('first', urls[0])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "try:\n"
        "    get('second', urls[1])\n"
        "except DownloadError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path, server.url("ok/1"), server.url("ok/2")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert files(tmp_path) == ["images/first.jpg"]


# --- the record --------------------------------------------------------------------------------


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "downloads.sqlite"
    with sqlite3.connect(place) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    before = place.read_bytes()
    with pytest.raises(DownloadError, match="another program's"):
        download([], tmp_path)
    assert place.read_bytes() == before


def test_a_newer_record_and_a_damaged_one_say_so(tmp_path: Path) -> None:
    download([], tmp_path)
    with sqlite3.connect(tmp_path / "downloads.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(DownloadError, match="newer lookalike"):
        download([], tmp_path)
    (tmp_path / "downloads.sqlite").write_bytes(b"nonsense " * 1000)
    with pytest.raises(DownloadError, match="damaged"):
        DownloadRecord(tmp_path)
    with pytest.raises(DownloadError, match=r"holds no downloads\.sqlite"):
        DownloadRecord(tmp_path / "elsewhere")


def test_downloads_are_a_catalogue_of_what_came(server: Server, tmp_path: Path) -> None:
    assert not find_in(tmp_path)
    with pytest.raises(SourceError):
        Downloads(tmp_path)
    one = Entry(
        id="a",
        image=Remote((server.url("ok"),)),
        label="mug",
        group="7",
        metadata={"price": 3.5, "tags": ["x"]},
    )
    download([one, entry("b", server.url("404"))], tmp_path, politeness=FAST)
    assert find_in(tmp_path)
    found, failed = Downloads(tmp_path).entries()
    assert isinstance(found, Entry)
    assert isinstance(failed, Entry)
    assert failed.id == "b"
    assert isinstance(failed.image, Remote)
    assert failed.image.reason.startswith("not downloaded: ")
    assert (found.id, found.path, found.label, found.group) == ("a", "mug/a.jpg", "mug", "7")
    assert found.image == tmp_path / "mug/a.jpg"
    assert found.stamp is not None
    assert found.metadata == {"price": 3.5, "tags": ["x"], "url": server.url("ok")}


def test_to_read_a_record_takes_no_http_client() -> None:
    program = "import lookalike.sources.catalogues.downloads, sys; print('aiohttp' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


# --- the command -------------------------------------------------------------------------------


def command(*arguments: object, timeout: float = 100) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lookalike", "download", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def table(path: Path, lines: Iterable[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_command_downloads_and_tells(server: Server, tmp_path: Path) -> None:
    ways = ["ok/1", "ok/2", "html", "404"]
    lines = [{"sku": way, "at": server.url(way), "label": "12", "price": 2} for way in ways]
    lines.append({"sku": "other", "at": server.url("ok/3"), "label": "13", "price": 2})
    catalogue = table(tmp_path / "shop.jsonl", lines)
    to = tmp_path / "to"
    options = "--to", to, "--label", 12, "--url-column", "at", "--id-column", "sku"
    done = command(catalogue, *options, "--allow-private")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 downloaded (")
    assert "0 already there, 2 failed (" in done.stdout
    assert "1 http-404" in done.stdout
    assert done.stdout.endswith(f"to index them: lookalike index {to}\n")
    assert rows(to)["ok/1"].metadata == {"price": 2}
    failures = command("--to", to, "--failures").stdout.splitlines()
    assert [line.split("\t")[:3] for line in failures] == [
        ["404", "http-404", "Not Found"],
        ["html", "not-an-image", "a web page instead of an image"],
    ]
    again = command(catalogue, *options, "--allow-private", "--json")
    report = json.loads(again.stdout)
    assert (report["already"], report["failed_before"], report["downloaded"]) == (2, 2, 0)


def test_the_command_connects_to_nothing_private_by_itself(server: Server, tmp_path: Path) -> None:
    catalogue = table(tmp_path / "shop.jsonl", [{"id": "1", "url": server.url("ok")}])
    done = command(catalogue, "--to", tmp_path / "to")
    assert "1 failed (1 private-address)" in done.stdout
    assert server.connections == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
def test_ctrl_c_ends_the_command_cleanly(server: Server, tmp_path: Path) -> None:
    lines = [{"id": str(n), "url": server.url("slow")} for n in range(400)]
    catalogue = table(tmp_path / "shop.jsonl", lines)
    to = tmp_path / "to"
    words = [sys.executable, "-m", "lookalike", "download", catalogue, "--to", to]
    process = subprocess.Popen(
        [*map(str, words), "--allow-private", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while server.requests.total() < 10:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "the next run continues" in errors
    assert f"{len(rows(to))} downloaded" in told
    assert len(files(to)) == len(rows(to)) > 0


def test_memory_does_not_grow_with_the_catalogue(tmp_path: Path) -> None:
    # In a process of its own: other tests' memory would hide what this one takes.
    program = (
        "import sys, tracemalloc\n"
        "from pathlib import Path\n"
        "from lookalike.sources.download import download\n"
        "from lookalike.core.records import Entry, Remote\n"
        "def run(count, to):\n"
        "    entries = (Entry(id=str(n), image=Remote((f'ftp://{n}',))) for n in range(count))\n"
        "    tracemalloc.start()\n"
        "    assert download(entries, Path(to)).failed == {'bad-url': count}\n"
        "    peak = tracemalloc.get_traced_memory()[1]\n"
        "    tracemalloc.stop()\n"
        "    return peak\n"
        "run(100, sys.argv[1] + '/0')\n"
        "print(run(2_000, sys.argv[1] + '/1'), run(12_000, sys.argv[1] + '/2'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    few, many = map(int, done.stdout.split())
    assert many < few + 1_000_000


_MIX = {
    "ok": "ok",
    "png.jpg": "ok",
    "redirect": "ok",
    "gzip": "ok",
    "html": "not-an-image",
    "xml": "not-an-image",
    "404": "http-404",
    "empty": "empty",
    "truncated": "broken",
    "cut-off": "cut-off",
    "500": "http-500",
    "circle": "redirects",
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="nobody is killed like that on Windows")
def test_a_kill_in_the_middle_of_thousands_loses_nothing(server: Server, tmp_path: Path) -> None:
    count = 5000
    ways = list(_MIX)
    chosen = {str(n): "ok" if n % 2 else ways[n // 2 % len(ways)] for n in range(count)}
    lines = (
        {"id": one, "url": server.url(f"{way}/{one}", "localhost" if int(one) % 3 else "127.0.0.1")}
        for one, way in chosen.items()
    )
    catalogue = table(tmp_path / "shop.jsonl", lines)
    to = tmp_path / "to"
    options = "--to", to, "--allow-private", "--rate", 0, "--per-host", 16, "--attempts", 2, "-q"
    words = [sys.executable, "-m", "lookalike", "download", catalogue, *options]
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while server.requests.total() < 1500 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = {one: row for one, row in rows(to).items() if row.status == "ok"}
    assert 300 < len(before) < count / 2
    kept = {path: os.stat(to / path).st_mtime_ns for path in files(to) if "part" not in path}  # noqa: PTH116 - one word
    assert set(kept) >= {row.file for row in before.values()}
    asked = dict(server.requests)

    done = command(catalogue, *options)
    assert done.returncode == 0, done.stderr
    print(done.stdout)  # the rate, for who runs this with -s  # noqa: T201 - a test that measures
    after = rows(to)
    assert {one: row.status for one, row in after.items()} == {
        one: _MIX[way] for one, way in chosen.items()
    }
    for one, row in before.items():
        path = f"/{chosen[one]}/{one}"
        assert server.requests[path] == asked[path], path
        assert after[one] == row
    assert files(to) == sorted(row.file for row in after.values() if row.file)
    # What was under way or not yet committed when the kill came is all that was asked for twice.
    twice = [
        one for one, way in chosen.items() if way == "ok" and server.requests[f"/ok/{one}"] > 1
    ]
    assert len(twice) < 300
