"""What people with bad intentions send, and who may do what."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

import hostile
import lookalike
from hostile import photo, saved
from live import Live, picture, problem, serving
from lookalike import errors
from lookalike.core.error_codes import status_of
from lookalike.service import run
from lookalike.service.openapi import OPEN
from lookalike.service.problems import safe_problem
from lookalike.service.run import exposure_warning
from lookalike.service.settings import ServiceSettings

PNG = saved(photo(seed=1), "PNG")


@contextmanager
def guarded(home: Path, **changed: object) -> Iterator[Live]:
    with serving(home, settings=replace(ServiceSettings(), **changed)) as live:  # type: ignore[arg-type]
        yield live


def raw(live: Live, *parts: bytes, pause: float = 0.0, timeout: float = 20.0) -> bytes:
    """What comes back for bytes as they are, until the server closes."""
    where = urlsplit(live.address)
    with socket.create_connection((where.hostname, where.port), timeout=timeout) as one:
        try:
            for part in parts:
                one.sendall(part)
                time.sleep(pause)
        except OSError:
            pass  # it has closed already: what it said is read below
        answer = b""
        try:
            while chunk := one.recv(2**16):
                answer += chunk
        except OSError:
            pass
        return answer


# -- paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "..\\..\\windows\\win.ini",
        "/etc/passwd",
        "file:///etc/passwd",
        "0.png\0",
        "0.png/../0.png",
        "./0.png",
        "mugs/../0.png",
    ],
)
def test_no_id_reaches_a_file_that_is_no_items(live: Live, name: str) -> None:
    for encoded in (quote(name, safe=""), quote(name).replace("..", "%2E%2E"), quote(quote(name))):
        for what in ("", "/image", "/thumbnail"):
            where = urlsplit(live.address)
            line = f"GET /v1/items/{encoded}{what} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            answer = raw(live, line.encode() + b"Connection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 404")
            assert b"root:" not in answer


def test_a_path_that_is_no_text_is_refused(live: Live) -> None:
    netloc = urlsplit(live.address).netloc.encode()
    for path in (b"/v1/items/%ff", b"/v1/items/%c0%ae%c0%ae", b"/v1/collections/%ff/stats"):
        head = b" HTTP/1.1\r\nConnection: close\r\nHost: " + netloc
        answer = raw(live, b"GET " + path + head + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400")
        assert b'"bad-path"' in answer


def test_a_link_that_leads_out_of_its_folder_is_not_followed(home: Path, tmp_path: Path) -> None:
    folder, secret = tmp_path / "linked", tmp_path / "secret.png"
    folder.mkdir()
    secret.write_bytes(PNG)
    (folder / "a.png").symlink_to(secret)
    (folder / "b.png").write_bytes(PNG)
    (folder / "c.png").symlink_to(folder / "b.png")
    with lookalike.open(home / "collections" / "shop") as shop:
        shop.index(folder, options=lookalike.ScanOptions(follow_links=True))
    with guarded(home) as live:
        for what in ("image", "thumbnail"):
            refused = live.client.get(f"/v1/items/linked%3Aa.png/{what}")
            assert "leads out" in problem(refused, 404, "unreadable-image")["detail"]
            assert live.client.get(f"/v1/items/linked%3Ac.png/{what}").status_code == 200
        for id, query in (("linked:a.png", "linked:c.png"), ("linked:c.png", "linked:a.png")):
            asked = {"id": id, "query": query, "format": "png"}
            refused = live.client.get("/v1/item/explain", params=asked)
            assert "leads out" in problem(refused, 404, "unreadable-image")["detail"]


# -- pictures --------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_hostile_file_harms_the_service(own: Live, tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    cases = [
        Path(os.fsdecode(case.path))
        for case in hostile.build(folder)
        if not case.left_out and os.path.isfile(case.path)  # noqa: PTH113 - bytes
    ]
    sent = [case for case in cases if case.stat().st_size <= 20_000_000]
    statuses = set()
    for case in sent:
        answer = own.client.post("/v1/search?k=1", files={"p": ("x", case.read_bytes())})
        assert answer.status_code in {200, 413, 415, 422}, (case, answer.text)
        statuses.add(answer.status_code)
    assert statuses == {200, 413, 415, 422}
    files = [("p", (f"{number}", case.read_bytes())) for number, case in enumerate(sent[:90])]
    added = own.client.post("/v1/items", files=files).json()
    assert len(added["items"]) + len(added["skipped"]) == len(files)
    with own.opened() as shop:
        assert shop.check() == []


@pytest.mark.parametrize("after", [b"<script>alert(1)</script>", b"PK\x03\x04", b"%PDF-1.7"])
def test_a_picture_that_is_also_something_else_is_answered_as_a_picture(
    own: Live, after: bytes
) -> None:
    both = saved(photo(seed=3), "JPEG") + after
    typed = {"Content-Type": "text/html"}
    made = own.client.put("/v1/items/x.html", files={"p": ("x.html", both, "text/html")})
    assert made.status_code == 201
    refused = own.client.put("/v1/items/x.html", content=both, headers=typed)
    problem(refused, 415, "unsupported-media-type")
    answer = own.client.get("/v1/items/x.html/image")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["content-disposition"].startswith("inline")


def test_names_of_files_cannot_add_headers(own: Live) -> None:
    name = 'a"\r\nX-Bad: 1\r\n\r\n<html>.png'
    path = f"/v1/items/{quote(name, safe='')}"
    problem(own.client.put(path, files={"p": PNG}), 422, "bad-id")
    with own.opened() as shop:  # as a file in a folder may be called
        shop.store.items.upsert([replace(shop.get("0.png"), id=name)], shop.vectors(["0.png"]))
    answer = own.client.get(f"{path}/image")
    assert answer.content == own.client.get("/v1/items/0.png/image").content
    assert "x-bad" not in answer.headers


# -- sizes and times -------------------------------------------------------------------------


def test_what_is_too_large_is_refused_before_it_has_come(home: Path) -> None:
    with guarded(home, max_upload=5000, max_body=20_000) as live:
        big = {"Content-Type": "image/png"}
        refused = live.client.post("/v1/search", content=b"x" * 6000, headers=big)
        assert problem(refused, 413, "too-large")["limit"] == 5000
        problem(live.client.post("/v1/search", files={"p": b"x" * 6000}), 413, "too-large")
        text = {"image_base64": "eHh4" * 2000}
        problem(live.client.post("/v1/search", json=text), 413, "too-large")
        head = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        said = raw(live, f"{head}Content-Length: 99999999\r\n\r\n".encode())
        assert said.startswith(b"HTTP/1.1 413")

        def endless() -> Iterator[bytes]:
            for _ in range(1000):
                yield b"x" * 1000

        try:
            chunked = live.client.post("/v1/search", content=endless(), headers=big)
        except httpx.WriteError:
            pass  # it closed while more was coming
        else:
            problem(chunked, 413, "too-large")
        assert live.client.get("/v1/stats").status_code == 200


def test_what_was_indexed_may_be_larger_than_what_may_be_sent(home: Path) -> None:
    with guarded(home, max_upload=20) as live:
        assert live.client.get("/v1/items/0.png/thumbnail").status_code == 200
        assert live.client.post("/v1/search", json={"id": "0.png", "crop": [0, 0, 1, 1]}).is_success
        begun = live.client.post("/v1/jobs", json={"root": ""}).headers["location"]
        while live.client.get(begun).json()["state"] in {"waiting", "running"}:
            time.sleep(0.01)
        assert live.client.get(begun).json()["report"]["skipped"] == []


def test_too_many_pixels_are_refused_before_they_are_decoded(home: Path) -> None:
    with guarded(home, max_pixels=10_000) as live:
        large = saved(photo(200, 100), "PNG")
        problem(live.client.post("/v1/search", files={"p": large}), 413, "image-too-large")
        added = live.client.post("/v1/items", files=[("p", ("a", large)), ("p", ("b", PNG))]).json()
        assert [one["id"] for one in added["skipped"]] == ["a"]
        assert [one["id"] for one in added["items"]] == ["b"]


def test_too_many_parts_are_refused(home: Path) -> None:
    with guarded(home, max_images=3, max_queries=2) as live:
        files = [("p", (str(number), PNG)) for number in range(4)]
        problem(live.client.post("/v1/items", files=files), 413, "too-many-parts")
        problem(live.client.post("/v1/search/batch", files=files[:3]), 413, "too-many-parts")
        fields = {str(number): "x" for number in range(100)}
        sent = live.client.post("/v1/search", data=fields, files={"p": PNG})
        problem(sent, 413, "too-many-parts")


def test_more_than_may_be_held_waits_outside(home: Path) -> None:
    with guarded(home, max_held=10_000) as live:
        refused = live.client.post("/v1/search", files={"p": b"x" * 20_000})
        assert int(refused.headers["retry-after"]) >= 1
        problem(refused, 503, "busy")
        assert live.client.post("/v1/search", files={"p": PNG[:100]}).status_code == 422


def test_a_body_that_never_ends_is_given_up(home: Path) -> None:
    with guarded(home, body_s=0.5) as live:
        head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        answer = raw(live, head + b"Content-Length: 100\r\n\r\nx")
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"slow-request"' in answer


def test_a_head_that_never_ends_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HEAD_S", 0.3)
    with guarded(home) as live:
        assert raw(live, b"GET /v1/stats HTTP/1.1\r\nHost:", b" localhost", pause=0.1) == b""
        assert raw(live, b"") == b""
        whole = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        answer = raw(live, whole, b"GET /health", pause=0.1)
        assert answer.startswith(b"HTTP/1.1 200")
        assert live.client.get("/v1/stats").status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="\r"',
        "multipart/form-data; boundary=" + "x" * 5000,
        "multipart/form-data; charset=nothing; boundary=b",
    ],
)
def test_a_form_that_is_none_is_refused(live: Live, kind: str) -> None:
    bodies = (b"", b"--b", b"--b\r\n\r\nx\r\n--b--", b"\r\n" * 1000, b"--b\r\nContent-Disposition")
    for body in bodies:
        head = f"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        answer = raw(
            live, f"{head}Content-Type: {kind}\r\nConnection: close\r\n\r\n".encode(), body
        )
        assert answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 422"}


_SMUGGLED = (
    b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/stats HTTP/1.1\r\n\r\n"
)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /v1/stats HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /v1/stats HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        _SMUGGLED,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_request_is_turned_away(live: Live, head: bytes) -> None:
    answer = raw(live, head, timeout=2)
    assert answer[:9] in {b"", b"HTTP/1.1 "}
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert live.client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "value", ["bytes=0-0,1-1,2-2", "bytes=" + "0-," * 5000, "bytes=-1", "bytes=x", "lines=1-2", "="]
)
def test_odd_ranges_do_no_harm(live: Live, value: str) -> None:
    answer = live.client.get("/v1/items/0.png/image", headers={"Range": value})
    assert answer.status_code in {200, 206, 400, 416}
    assert len(answer.content) < 10 * len(picture(live, "0.png")) + 1000


# -- other sites -----------------------------------------------------------------------------


def test_a_page_of_another_site_can_do_nothing(own: Live) -> None:
    foreign = {"Origin": "https://evil.example"}
    files = {"p": ("a", PNG)}
    problem(own.client.post("/v1/items", files=files, headers=foreign), 403, "other-site")
    problem(own.client.post("/v1/search", files=files, headers=foreign), 403, "other-site")
    problem(
        own.client.post("/v1/search", files=files, headers={"Origin": "null"}), 403, "other-site"
    )
    problem(own.client.delete("/v1/items/0.png", headers=foreign), 403, "other-site")
    read = own.client.get("/v1/stats", headers=foreign)
    assert "access-control-allow-origin" not in read.headers
    same = {"Origin": own.address}
    assert own.client.post("/v1/search", files=files, headers=same).status_code == 200


def test_a_name_that_has_come_to_mean_this_machine_is_refused(live: Live) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""):
        problem(live.client.get("/v1/stats", headers={"Host": host}), 421, "unknown-host")
    for host in ("localhost", "localhost:8000", "127.0.0.1", "[::1]:9"):
        assert live.client.get("/v1/stats", headers={"Host": host}).status_code == 200


def test_probes_are_answered_by_whatever_name_and_nothing_else_is(home: Path) -> None:
    """Who balances load asks ``http://10.0.0.5:8000/health/live``."""
    with guarded(home, hosts=("shop.example",)) as live:
        for host in ("10.0.0.5:8000", "lookalike", ""):
            by = {"Host": host}
            for path in ("/health/live", "/health/ready"):
                answer = live.client.get(path, headers=by)
                assert (answer.status_code, answer.json()["status"]) == (200, "ok")
                assert "shop" not in answer.text
                assert live.client.head(path, headers=by).status_code == 200
            for path in ("/metrics", "/", "/v1/stats", "/health/", "/health/live/../../v1/stats"):
                problem(live.client.get(path, headers=by), 421, "unknown-host")


def test_origins_that_were_allowed_may_ask(home: Path) -> None:
    shop = "https://shop.example"
    with guarded(home, cors=(shop,), hosts=("api.example",)) as live:
        named = {"Host": "api.example", "Origin": shop}
        answer = live.client.post("/v1/search", files={"p": PNG}, headers=named)
        assert answer.headers["access-control-allow-origin"] == shop
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        preflight = named | {"Access-Control-Request-Method": "DELETE"}
        assert live.client.options("/v1/items/x", headers=preflight).status_code == 200
        other = named | {"Origin": "https://other.example"}
        problem(live.client.post("/v1/search", files={"p": PNG}, headers=other), 403, "other-site")
        unknown = live.client.get("/v1/stats", headers={"Host": "other.example"})
        problem(unknown, 421, "unknown-host")
        local = live.client.get("/v1/stats", headers={"Host": "localhost"})
        assert local.status_code == 200  # what `serve` says of itself stays true


def test_every_answer_tells_browsers_to_be_careful(live: Live) -> None:
    for answer in (live.client.get("/v1/stats"), live.client.get("/nothing")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


# -- keys ------------------------------------------------------------------------------------

READ, WRITE = {"Authorization": "Bearer r3ad-kéy"}, {"X-API-Key": "wr1te"}


def may(live: Live, headers: dict[str, str]) -> tuple[int, int]:
    """Statuses of reading and of writing."""
    encoded = {name: value.encode() for name, value in headers.items()}
    sent = httpx.Headers([(name.encode(), value) for name, value in encoded.items()])
    read = live.client.get("/v1/stats", headers=sent)
    written = live.client.patch("/v1/items/0.png", json={"group": "x"}, headers=sent)
    allowed = live.client.get("/v1/access", headers=sent).json()
    assert allowed["read"] == (read.status_code == 200)
    assert allowed["write"] == (written.status_code == 200)
    return read.status_code, written.status_code


@pytest.mark.parametrize(
    ("keys", "nobody", "reader", "writer"),
    [
        ({}, (200, 200), (200, 200), (200, 200)),
        ({"write_key": "wr1te"}, (200, 401), (200, 401), (200, 200)),
        ({"read_key": "r3ad-kéy"}, (401, 401), (200, 403), (401, 401)),
        ({"read_key": "r3ad-kéy", "write_key": "wr1te"}, (401, 401), (200, 401), (200, 200)),
        ({"read_only": True}, (200, 403), (200, 403), (200, 403)),
        ({"read_only": True, "write_key": "wr1te"}, (200, 403), (200, 403), (200, 403)),
    ],
)
def test_keys_open_what_they_are_for(
    home: Path,
    keys: dict[str, object],
    nobody: tuple[int, int],
    reader: tuple[int, int],
    writer: tuple[int, int],
) -> None:
    with guarded(home, **keys) as live:
        assert may(live, {}) == nobody
        assert may(live, {"Authorization": "Bearer wrong"}) == nobody
        assert may(live, {"Authorization": "Basic r3ad"}) == nobody
        assert may(live, READ) == reader
        assert may(live, WRITE) == writer


def test_no_route_but_the_open_ones_is_answered_without_the_key(home: Path) -> None:
    with guarded(home, read_key="r", write_key="w") as live:
        for path, operations in live.app.openapi()["paths"].items():
            concrete = path.format(name="shop", id="0.png", job="0" * 16)
            for method in operations:
                answer = live.client.request(method, concrete)
                assert path in OPEN or answer.status_code == 401, (method, path)


def test_a_session_stands_for_the_key_without_being_it(home: Path) -> None:
    with guarded(home, read_key="r", write_key="w") as live:
        problem(live.client.post("/v1/session", json={"key": "x"}), 401, "wrong-key")
        begun = live.client.post("/v1/session", json={"key": "w"})
        cookie = begun.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" not in cookie
        proxied = {"X-Forwarded-Proto": "https"}
        secure = live.client.post("/v1/session", json={"key": "w"}, headers=proxied)
        assert "Secure" in secure.headers["set-cookie"]
        live.client.cookies.clear()
        live.client.post("/v1/session", json={"key": "w"})
        assert may(live, {}) == (200, 200)
        foreign = {"Origin": "https://evil.example"}
        problem(live.client.delete("/v1/items/0.png", headers=foreign), 403, "other-site")
        live.client.delete("/v1/session")
        assert may(live, {}) == (401, 401)
        live.client.post("/v1/session", json={"key": "r"})
        assert may(live, {}) == (200, 401)


def test_bound_wider_without_keys_is_warned_of() -> None:
    wide = ServiceSettings(host="0.0.0.0")  # noqa: S104 - that is the point
    assert exposure_warning(ServiceSettings()) is None
    assert "read, add and delete" in str(exposure_warning(wide))
    assert "may read" in str(exposure_warning(replace(wide, write_key="w")))
    assert "may read" in str(exposure_warning(replace(wide, read_only=True)))
    assert exposure_warning(replace(wide, read_key="r")) is None
    assert exposure_warning(replace(wide, read_key="r", write_key="w")) is None


def test_beyond_loopback_answers_do_not_tell_where_files_lie(home: Path) -> None:
    with guarded(home, show_paths=False) as live:
        text = live.client.post("/v1/search", json={"id": "0.png"}).text
        text += live.client.get("/v1/items").text + live.client.get("/v1/collections/shop").text
        assert '"path":null' in text
        assert str(home.parent.parent) not in text


# -- URLs ------------------------------------------------------------------------------------


@pytest.fixture
def inside() -> Iterator[tuple[str, list[str]]]:
    """A server that only this machine can reach, and what it has been asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PNG)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{one.server_port}", asked
        one.shutdown()
        thread.join()


def test_urls_lead_to_nothing_inside(home: Path, inside: tuple[str, list[str]]) -> None:
    address, asked = inside
    port = urlsplit(address).port
    with guarded(home, allow_urls=True) as live:
        for url in (
            f"{address}/a.png",
            f"http://localhost:{port}/a.png",
            f"http://[::1]:{port}/a.png",
            f"http://[::ffff:127.0.0.1]:{port}/a.png",
            f"http://0x7f000001:{port}/a.png",
            f"http://2130706433:{port}/a.png",
            f"http://0.0.0.0:{port}/a.png",
            "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.1/",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "ftp://127.0.0.1/a",
            "http:///nohost",
            "http://user:pass@127.0.0.1/",
            "x" * 8000,
        ):
            refused = live.client.post("/v1/search", json={"image_url": url})
            problem(refused, 422, "url-failed")
    assert asked == []
    with guarded(home) as live:
        off = live.client.post("/v1/search", json={"positive": [{"image_url": f"{address}/a"}]})
        problem(off, 403, "urls-off")


# -- what is stored --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"[" * 5000,
        b'{"a": "' + b"x" * 70_000 + b'"}',
    ],
)
def test_what_could_not_be_told_again_is_not_stored(own: Live, metadata: bytes) -> None:
    typed = {"Content-Type": "application/json"}
    body = b'{"metadata": ' + metadata + b"}"
    refused = own.client.patch("/v1/items/0.png", content=body, headers=typed)
    assert refused.status_code in {400, 422}
    form = {"metadata": metadata.decode()}
    put = own.client.put("/v1/items/x", files={"p": PNG}, data=form)
    assert put.status_code in {400, 422}
    assert own.client.get("/v1/items").status_code == 200


def test_a_picture_that_cannot_be_kept_is_told_of(own: Live) -> None:
    uploads = own.home / "collections" / "shop" / "uploads"
    uploads.write_text("a file where the folder should be")
    problem(own.client.put("/v1/items/x", files={"p": PNG}), 507, "store-full")
    problem(own.client.get("/v1/items/x"), 404, "no-such-item")


@pytest.mark.parametrize(
    "kind",
    [
        errors.CollectionFormatError,
        errors.EncoderError,
        errors.EncoderMismatchError,
        errors.SourceError,
        errors.StoreBusyError,
        errors.StoreDamagedError,
        errors.StoreDeniedError,
        errors.StoreFullError,
        errors.StoreReadOnlyError,
        errors.StoreUnreachableError,
        errors.WeightsError,
    ],
)
def test_who_may_not_see_paths_is_told_of_failures_without_them(
    kind: type[errors.LookalikeError],
) -> None:
    error = kind("/srv/secret/shop cannot be used")
    assert "secret" in str(safe_problem(error, plainly=False).detail)
    hidden = safe_problem(error, plainly=True)
    assert "secret" not in str(hidden.document())
    assert (hidden.status_code, hidden.code) == status_of(error)
