"""What goes wrong between a collection and its server, each with one message that helps."""

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from answering import Asked, Reply, answering
from contracts.store import an_item, random_rows
from lookalike import config
from lookalike.errors import (
    CollectionError,
    CollectionFormatError,
    CollectionNotFoundError,
    EncoderMismatchError,
    LookalikeError,
    StoreBusyError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
    StoreUnreachableError,
)
from lookalike.stores.servers import mappings
from lookalike.stores.servers.addresses import parse_address
from lookalike.stores.servers.elasticsearch import open_elasticsearch
from lookalike.stores.servers.opensearch import open_opensearch
from lookalike.stores.servers.store import ServerStore

_KINDS = ("elasticsearch", "opensearch")
_HEADERS = {"elasticsearch": {"x-elastic-product": "Elasticsearch"}, "opensearch": {}}
_VERSIONS: dict[str, dict[str, Any]] = {
    "elasticsearch": {"version": {"number": "9.2.0"}},
    "opensearch": {"version": {"number": "2.19.1", "distribution": "opensearch"}},
}


def opened(address: str, environment: dict[str, str] | None = None) -> ServerStore:
    parsed = parse_address(address)
    open_ = open_elasticsearch if parsed.kind == "elasticsearch" else open_opensearch
    return open_(parsed, environment=environment or {})


def complaint(
    reply: Callable[[Asked], Reply], address: str, *, certificate: Path | None = None
) -> LookalikeError:
    """The error of who opens a collection where such answers are given."""
    with (
        answering(reply, certificate=certificate) as server,
        pytest.raises(LookalikeError) as caught,
    ):
        opened(address.format(f"127.0.0.1:{server.port}"))
    return caught.value


def usual(kind: str, asked: Asked) -> Reply:
    """What a server answers that holds a collection of vectors of 8."""
    path = asked.path.partition("?")[0]
    body: Any = {}
    if path == "/":
        body = _VERSIONS[kind]
    elif path == "/shop/_mapping":
        body = {"shop": mappings.items_body(vectors="hnsw", shards=1, replicas=None, settings={})}
    elif path.endswith("/_doc/setting%3Aencoder"):
        encoder = {"name": "tiny", "fingerprint": "tiny-1", "dim": 8}
        body = {"found": True, "_source": {"value": json.dumps(encoder)}}
        body |= {"_seq_no": 1, "_primary_term": 1}
    elif path.endswith("/_doc/keys"):
        keys = {"next": 5, "floor": 0}
        body = {"found": True, "_source": keys, "_seq_no": 1, "_primary_term": 1}
    elif path == "/_bulk":
        body = bulk_answer(asked, lambda _: {"status": 200})
    return Reply(200, body, _HEADERS[kind])


def actions(asked: Asked) -> list[tuple[str, dict[str, Any]]]:
    """The actions of a bulk request: verb and header."""
    found = []
    for line in asked.body.splitlines():
        document = json.loads(line)
        verb = next(iter(document))
        if verb in ("index", "create", "delete", "update"):
            found.append((verb, document[verb]))
    return found


def bulk_answer(
    asked: Asked, outcome: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    seen = {"_seq_no": 1, "_primary_term": 1}
    items = [{verb: {**seen, **outcome(header)}} for verb, header in actions(asked)]
    return {"errors": True, "items": items}


def failing(status: int, kind: str, reason: str) -> dict[str, Any]:
    cause = {"type": kind, "reason": reason}
    return {"error": {"root_cause": [cause], **cause}, "status": status}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_server_that_is_not_there_is_said_at_once(kind: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StoreUnreachableError, match="no server is listening there; is it running"):
        opened(f"{kind}://127.0.0.1:{port}/shop?retries=1")
    with pytest.raises(StoreUnreachableError, match="no such host"):
        opened(f"{kind}://nowhere.invalid/shop?retries=0")


@pytest.mark.parametrize("kind", _KINDS)
def test_where_one_host_is_away_another_is_asked(kind: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with answering(lambda asked: usual(kind, asked)) as server:
        store = opened(f"{kind}://127.0.0.1:{port},127.0.0.1:{server.port}/shop")
        for _ in range(4):
            assert store.bound() == ("tiny", "tiny-1", 8)
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_server_may_stand_behind_a_path_of_a_proxy(kind: str) -> None:
    def proxied(asked: Asked) -> Reply:
        if not asked.path.startswith("/be%20hind/it/"):
            return Reply(404, "<html>nothing here</html>")
        path = asked.path.removeprefix("/be%20hind/it")
        return usual(kind, replace(asked, path=path))

    with answering(proxied) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/be hind/it/shop")
        assert store.bound() == ("tiny", "tiny-1", 8)
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_who_may_not_see_the_version_may_still_search(kind: str) -> None:
    def guarded(asked: Asked) -> Reply:
        if asked.path.partition("?")[0] in ("/", "/_nodes/_local/version,name"):
            body = failing(403, "security_exception", "action [cluster:monitor] is unauthorized")
            return Reply(403, body, _HEADERS[kind])
        return usual(kind, asked)

    with answering(guarded) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop")
        assert store.bound() == ("tiny", "tiny-1", 8)
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_server_that_does_not_answer_in_time_is_said(kind: str) -> None:
    def slow(asked: Asked) -> Reply:
        time.sleep(1)
        return usual(kind, asked)

    with (
        answering(slow) as server,
        pytest.raises(StoreUnreachableError, match=r"not respond in time; \?timeout=SECONDS"),
    ):
        opened(f"{kind}://127.0.0.1:{server.port}/shop?timeout=0.1&retries=0")


def test_another_product_is_named() -> None:
    found = complaint(lambda asked: usual("opensearch", asked), "elasticsearch://{}/shop")
    assert isinstance(found, CollectionError)
    assert "not Elasticsearch; for OpenSearch, begin the address with opensearch://" in str(found)
    found = complaint(lambda asked: usual("elasticsearch", asked), "opensearch://{}/shop")
    assert isinstance(found, CollectionError)
    assert "not OpenSearch, but elasticsearch; begin the address with elas" in str(found)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, "<html>hello</html>"),
        Reply(200, {"hello": 1}),
        Reply(404, "<html>nothing here</html>"),
    ],
)
def test_what_is_no_such_server_at_all_is_said(kind: str, reply: Reply) -> None:
    found = complaint(lambda _: reply, kind + "://{}/shop")
    assert isinstance(found, CollectionError)
    assert "is not" in str(found)


@pytest.mark.parametrize(
    ("kind", "version", "words"),
    [
        ("elasticsearch", {"number": "8.9.0"}, "Elasticsearch 8.9.0; lookalike needs 8.18"),
        (
            "opensearch",
            {"number": "1.3.0", "distribution": "opensearch"},
            "OpenSearch 1.3.0; lookalike needs 2.19",
        ),
    ],
)
def test_a_server_that_is_too_old_is_said(kind: str, version: dict[str, str], words: str) -> None:
    reply = Reply(200, {"version": version}, _HEADERS[kind])
    with answering(lambda _: reply) as server, pytest.raises(CollectionError, match=words):
        opened(f"{kind}://127.0.0.1:{server.port}/shop")


@pytest.mark.parametrize("kind", _KINDS)
def test_secrets_are_sent_and_never_told(kind: str) -> None:
    def denied(asked: Asked) -> Reply:
        if "authorization" not in asked.headers:
            body = failing(401, "security_exception", "missing authentication credentials")
            return Reply(401, body, _HEADERS[kind])
        body = failing(403, "security_exception", "action [indices:data/read/get] is unauthorized")
        return Reply(403, body, _HEADERS[kind])

    before = f"LOOKALIKE_{kind.upper()}"
    with answering(denied) as server:
        address = f"{kind}://127.0.0.1:{server.port}/shop"
        with pytest.raises(StoreDeniedError, match=f"set {before}_USER"):
            opened(address)
        with pytest.raises(StoreDeniedError, match="do not allow that") as caught:
            opened(address, {f"{before}_USER": "me", f"{before}_PASSWORD": "hunter2"})
        assert "hunter2" not in str(caught.value)
        sent = server.asked[-1].headers["authorization"]
        assert sent == f"Basic {base64.b64encode(b'me:hunter2').decode()}"
        if kind == "elasticsearch":
            with pytest.raises(StoreDeniedError):
                opened(address, {f"{before}_API_KEY": "c2VjcmV0"})
            assert server.asked[-1].headers["authorization"] == "ApiKey c2VjcmV0"
        else:
            with pytest.raises(CollectionError, match="OpenSearch has no API keys"):
                opened(address, {f"{before}_API_KEY": "c2VjcmV0"})


def test_requests_are_signed_for_amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with answering(lambda asked: usual("opensearch", asked)) as server:
        store = opened(f"opensearch://127.0.0.1:{server.port}/shop?aws=eu-west-1")
        store.items.upsert([an_item("a")], random_rows(1))
        store.close()
        assert {asked.method for asked in server.asked} >= {"GET", "POST"}
        for asked in server.asked:
            assert re.match(
                r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/es/aws4_request, ",
                asked.headers["authorization"],
            )
            assert asked.headers["x-amz-content-sha256"] == hashlib.sha256(asked.body).hexdigest()


def test_without_credentials_nothing_is_asked_of_amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(CollectionError, match="no AWS credentials"):
        opened("opensearch://127.0.0.1:1/shop?aws=eu-west-1")
    with pytest.raises(CollectionError, match="aws=no region in an address must be a region"):
        opened("opensearch://127.0.0.1:1/shop?aws=no region")
    with pytest.raises(CollectionError, match="for OpenSearch alone"):
        opened("elasticsearch://127.0.0.1:1/shop?aws=eu-west-1")


@pytest.mark.parametrize("kind", _KINDS)
def test_an_index_of_others_is_left_alone(kind: str) -> None:
    def theirs(asked: Asked) -> Reply:
        if asked.path.startswith("/shop/_mapping"):
            body = {"shop": {"mappings": {"properties": {"vector": {"type": "float"}}}}}
            return Reply(200, body, _HEADERS[kind])
        return usual(kind, asked)

    with answering(theirs) as server:
        with pytest.raises(CollectionFormatError, match="did not make"):
            opened(f"{kind}://127.0.0.1:{server.port}/shop")
        assert {asked.method for asked in server.asked} == {"GET"}


@pytest.mark.parametrize("kind", _KINDS)
def test_no_collection_there_is_said_with_what_makes_one(kind: str) -> None:
    def empty(asked: Asked) -> Reply:
        if "_mapping" in asked.path:
            body = failing(404, "index_not_found_exception", "no such index [shop]")
            return Reply(404, body, _HEADERS[kind])
        return usual(kind, asked)

    found = complaint(empty, kind + "://{}/shop")
    assert isinstance(found, CollectionNotFoundError)
    assert "`lookalike index FOLDER` makes one" in str(found)


@pytest.mark.parametrize("kind", _KINDS)
def test_another_encoder_and_another_way_to_index_are_refused(kind: str) -> None:
    with answering(lambda asked: usual(kind, asked)) as server:
        address = f"{kind}://127.0.0.1:{server.port}/shop"
        store = opened(address)
        with pytest.raises(EncoderMismatchError, match="another collection"):
            store.bind(encoder="vgg16", fingerprint="vgg16-1", dim=4096)
        store.close()
        with pytest.raises(CollectionError, match="made with vectors=hnsw"):
            opened(f"{address}?vectors=flat")
        opened(f"{address}?vectors=hnsw").close()


@pytest.mark.parametrize("kind", _KINDS)
def test_what_the_server_had_no_time_for_is_sent_again_and_nothing_else(kind: str) -> None:
    busy = {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}
    rounds = []

    def overloaded(asked: Asked) -> Reply:
        if asked.path.startswith("/_bulk") and b"vector" in asked.body:
            rounds.append([header["_id"] for _, header in actions(asked)])
            refused = {"b"} if len(rounds) < 3 else set()
            body = bulk_answer(
                asked, lambda header: busy if header["_id"] in refused else {"status": 201}
            )
            return Reply(200, body, _HEADERS[kind])
        return usual(kind, asked)

    with answering(overloaded) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop")
        waits: list[float] = []
        store.server._sleep = waits.append
        store.items.upsert([an_item("a"), an_item("b"), an_item("c")], random_rows(3))
        assert rounds[0][:3] == ["a", "b", "c"]
        assert rounds[1:] == [["b"], ["b"]]
        assert 0.05 <= waits[0] <= 0.1 <= waits[1] <= 0.2
        assert len(waits) == 2
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_items_that_were_overtaken_by_a_reader_of_all_keys_get_new_ones(kind: str) -> None:
    keys = {"kind": "keys", "next": 5, "floor": 0}
    written: list[list[object]] = []

    def overtaken(asked: Asked) -> Reply:
        if asked.path.endswith("/_doc/keys"):
            body = {"found": True, "_source": keys, "_seq_no": 1, "_primary_term": 1}
            return Reply(200, body, _HEADERS[kind])
        if asked.path.startswith("/_bulk"):
            lines = [json.loads(line) for line in asked.body.splitlines()]
            keys.update(next((line for line in lines if line.get("kind") == "keys"), {}))
            sent = [line.get("doc", line) for line in lines]
            put = [line for line in sent if "vector" in line]
            if put and not written:
                keys["floor"] = 6  # somebody reads all keys while the items are on their way
            if put:
                seen = [header.get("if_seq_no") for _, header in actions(asked)[: len(put)]]
                written.append([(one["id"], one["key"]) for one in put] + seen)
            # what somebody else has replaced meanwhile is no longer ours to write
            gone = {"status": 409} if len(written) == 2 and put else {"status": 200}
            body = bulk_answer(
                asked, lambda header: gone if header["_id"] == "b" else {"status": 200}
            )
            return Reply(200, body, _HEADERS[kind])
        return usual(kind, asked)

    with answering(overtaken) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop")
        store.items.upsert([an_item("a"), an_item("b")], random_rows(2))
        assert written == [
            [("a", 5), ("b", 6), None, None],
            [("a", 7), ("b", 8), 1, 1],
        ]
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_server_that_stays_busy_is_given_up_in_the_end(kind: str) -> None:
    def overloaded(asked: Asked) -> Reply:
        if asked.path.startswith("/_bulk"):
            return Reply(
                429, failing(429, "es_rejected_execution_exception", "full"), _HEADERS[kind]
            )
        return usual(kind, asked)

    with answering(overloaded) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop")
        waits: list[float] = []
        store.server._sleep = waits.append
        with pytest.raises(StoreBusyError, match="try again later"):
            store.items.upsert([an_item("a")], random_rows(1))
        assert sum(waits) >= 60
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_full_disk_is_said_without_waiting(kind: str) -> None:
    blocked = {
        "status": 429,
        "error": {
            "type": "cluster_block_exception",
            "reason": "index [shop] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded "
            "flood-stage watermark, index has read-only-allow-delete block];",
        },
    }

    def full(asked: Asked) -> Reply:
        if asked.path.startswith("/_bulk") and b"vector" in asked.body:
            return Reply(200, bulk_answer(asked, lambda _: blocked), _HEADERS[kind])
        return usual(kind, asked)

    with answering(full) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop")
        waits: list[float] = []
        store.server._sleep = waits.append
        with pytest.raises(StoreFullError, match="no space on the disk"):
            store.items.upsert([an_item("a")], random_rows(1))
        assert waits == []
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_one_bad_item_is_named_and_the_others_are_stored(kind: str) -> None:
    bad = {
        "status": 400,
        "error": {
            "type": "document_parsing_exception",
            "reason": "[1:2] failed to parse",
            "caused_by": {"type": "x", "reason": "has a different number of dimensions [3]"},
        },
    }

    def picky(asked: Asked) -> Reply:
        if asked.path.startswith("/_bulk"):
            body = bulk_answer(
                asked, lambda header: bad if header["_id"] == "b" else {"status": 201}
            )
            return Reply(200, body, _HEADERS[kind])
        return usual(kind, asked)

    with answering(picky) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop")
        with pytest.raises(StoreError, match=r"dimensions \[3\].*1 failed, first that of 'b'; the"):
            store.items.upsert([an_item("a"), an_item("b")], random_rows(2))
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_part_of_the_collection_that_is_away_is_an_error_and_no_smaller_answer(
    kind: str,
) -> None:
    """It may be starting, so it is waited for, but no longer than an answer may take."""

    def red(asked: Asked) -> Reply:
        body = failing(503, "no_shard_available_action_exception", "no shard is active")
        if asked.path.startswith("/_msearch"):
            return Reply(200, {"responses": [body, body]}, _HEADERS[kind])
        if "_search" in asked.path:
            assert "allow_partial_search_results=false" in asked.path
            return Reply(503, body, _HEADERS[kind])
        return usual(kind, asked)

    with answering(red) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop?timeout=5")
        for ask in (
            lambda: store.search.nearest(random_rows(1), k=3),
            lambda: store.search.nearest(random_rows(2), k=3),
            lambda: store.search.nearest(random_rows(1), k=3, exact=True),
            store.search.count,
            lambda: store.search.facets("label"),
        ):
            waits: list[float] = []
            store.server._sleep = waits.append
            with pytest.raises(StoreUnreachableError, match="state red"):
                ask()
            assert 1 < sum(waits) <= 5
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_shard_that_takes_no_writes_is_waited_for_as_long_as_an_answer(kind: str) -> None:
    away = {
        "status": 503,
        "error": {"type": "unavailable_shards_exception", "reason": "primary shard is not active"},
    }

    def red(asked: Asked) -> Reply:
        if asked.path.startswith("/_bulk") and b"vector" in asked.body:
            assert "timeout=1000ms" in asked.path  # a server by itself waits a minute
            return Reply(200, bulk_answer(asked, lambda _: away), _HEADERS[kind])
        return usual(kind, asked)

    with answering(red) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop?timeout=5")
        waits: list[float] = []
        store.server._sleep = waits.append
        with pytest.raises(StoreUnreachableError, match="state red"):
            store.items.upsert([an_item("a")], random_rows(1))
        assert 1 < sum(waits) <= 5
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_search_is_one_request_and_sent_again_where_the_server_is_busy(kind: str) -> None:
    refusals = [
        Reply(429, failing(429, "es_rejected_execution_exception", "full"), _HEADERS[kind])
        for _ in range(2)
    ]
    half = base64.b64encode(np.eye(1, 8, dtype="<f2").tobytes()).decode()
    source = {**item_source("a"), "half": half}

    def busy(asked: Asked) -> Reply:
        if "/_search" in asked.path:
            hits = {"hits": {"hits": [{"_source": source}]}}
            return refusals.pop() if refusals else Reply(200, hits, _HEADERS[kind])
        return usual(kind, asked)

    with answering(busy) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop")
        store.server._sleep = lambda _: None
        store.bound()
        before = len(server.asked)
        (hits,) = store.search.nearest(np.eye(1, 8, dtype=np.float32), k=1)
        assert [hit.item.id for hit in hits] == ["a"]
        assert len(server.asked) - before == 3
        store.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_closed_store_says_so(kind: str) -> None:
    with answering(lambda asked: usual(kind, asked)) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop")
        store.close()
        with pytest.raises(StoreError, match="has been closed"):
            store.search.count()


@pytest.mark.parametrize(
    ("kind", "options", "k", "size"),
    [
        ("elasticsearch", "", 10, 18),  # which has put bytes right by itself
        ("opensearch", "", 10, 36),
        ("opensearch", "?oversample=3", 10, 62),
        ("opensearch", "?oversample=1", 10, 18),
        ("opensearch", "", 1000, 1200),
        ("opensearch", "", 9990, 10_000),
    ],
)
def test_where_a_server_orders_by_bytes_more_are_compared_here(
    kind: str, options: str, k: int, size: int
) -> None:
    def coarse(asked: Asked) -> Reply:
        if asked.path == "/shop/_mapping":
            body = mappings.items_body(vectors="int8_hnsw", shards=1, replicas=None, settings={})
            return Reply(200, {"shop": body}, _HEADERS[kind])
        if "/_search" in asked.path:
            total = {"total": {"value": 0}, "hits": []}
            return Reply(200, {"hits": total}, _HEADERS[kind])
        return usual(kind, asked)

    with answering(coarse) as server:
        store = opened(f"{kind}://127.0.0.1:{server.port}/shop{options}")
        store.search.nearest(np.eye(1, 8, dtype=np.float32), k=k)
        first = next(asked for asked in server.asked if "/_search" in asked.path)
        assert json.loads(first.body)["size"] == size
        store.close()


def test_where_a_server_runs_no_scripts_vectors_are_compared_here() -> None:
    half = base64.b64encode(np.eye(1, 8, dtype="<f2").tobytes()).decode()
    source = {**item_source("a"), "half": half}

    def without_scripts(asked: Asked) -> Reply:
        headers = _HEADERS["elasticsearch"]
        if asked.path.startswith("/shop/_search"):
            body = failing(
                400, "illegal_argument_exception", "script_lang not supported [painless]"
            )
            return Reply(400, body, headers)
        if asked.path.startswith("/shop/_pit"):
            return Reply(200, {"id": "moment"}, headers)
        if asked.path.startswith("/_search"):
            assert json.loads(asked.body)["pit"]["id"] == "moment"
            return Reply(200, {"hits": {"hits": [{"_source": source, "sort": ["a"]}]}}, headers)
        if asked.path.startswith("/shop/_mget"):
            return Reply(200, {"docs": [{"found": True, "_source": source}]}, headers)
        return usual("elasticsearch", asked)

    with answering(without_scripts) as server:
        store = opened(f"elasticsearch://127.0.0.1:{server.port}/shop")
        for _ in range(2):
            (hits,) = store.search.nearest(np.eye(1, 8, dtype=np.float32), k=3, exact=True)
            assert [(hit.item.id, hit.score) for hit in hits] == [("a", 1.0)]
        assert sum(asked.path.startswith("/shop/_search") for asked in server.asked) == 1
        assert any(asked.method == "DELETE" and "_pit" in asked.path for asked in server.asked)
        store.close()


def item_source(one: str) -> dict[str, Any]:
    return {
        "id": one,
        "digest": "00" * 32,
        "width": 1,
        "height": 1,
        "root": "",
        "path": "",
        "size": None,
        "mtime_ns": None,
        "label": None,
        "group": None,
        "metadata": "{}",
    }


# -- TLS -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not there to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", key, "-out", made),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:TRUE"),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text(made.read_text() + key.read_text())
    return both


@pytest.mark.parametrize("kind", _KINDS)
def test_tls_is_trusted_by_the_authority_in_the_address_only(kind: str, certificate: Path) -> None:
    with answering(lambda asked: usual(kind, asked), certificate=certificate) as server:
        address = f"{kind}+https://127.0.0.1:{server.port}/shop?retries=0"
        with pytest.raises(StoreUnreachableError, match=r"not trusted here; .*\?ca=FILE"):
            opened(address)
        opened(f"{address}&ca={certificate}").close()
        opened(f"{address}&verify=no").close()
        with pytest.raises(CollectionError, match="is not a file"):
            opened(f"{address}&ca=/nowhere.pem")


@pytest.mark.parametrize("kind", _KINDS)
def test_tls_on_one_side_only_is_told(kind: str, certificate: Path) -> None:
    plain = complaint(
        lambda asked: usual(kind, asked), kind + "+https://{}/shop?retries=0&verify=no"
    )
    assert isinstance(plain, StoreUnreachableError)
    assert "leave +https out" in str(plain)
    secured = complaint(
        lambda asked: usual(kind, asked), kind + "://{}/shop?retries=0", certificate=certificate
    )
    assert isinstance(secured, StoreUnreachableError)
    assert "start the address with …+https" in str(secured)


# -- by address ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", _KINDS)
def test_a_collection_on_a_server_opens_by_its_address(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(lambda asked: usual(kind, asked)) as server:
        address = f"{kind}://127.0.0.1:{server.port}/shop"
        monkeypatch.setenv("LOOKALIKE_COLLECTION", address)
        with config.open_collection(create=False) as shop:
            assert isinstance(shop.store, ServerStore)
            assert str(shop.store.address) == address


def test_an_address_of_something_else_is_refused() -> None:
    with pytest.raises(CollectionError, match="cannot hold a collection"):
        config.open_collection("redis://localhost/shop")


@pytest.mark.parametrize(
    ("kind", "module"), [("elasticsearch", "elasticsearch"), ("opensearch", "opensearchpy")]
)
def test_a_client_that_is_not_installed_is_named(
    kind: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LookalikeError, match=rf"pip install 'lookalike\[{kind}\]'"):
        opened(f"{kind}://127.0.0.1:1/shop")
