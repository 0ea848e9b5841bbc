"""Images in object storage: indexed, shown, watched for changes, and fetched once."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

import lookalike
from conftest import painted
from lookalike.cli.index import index_command
from lookalike.collection import Collection
from lookalike.core.progress import ignore_progress
from lookalike.core.records import Entry, Remote
from lookalike.encoders import OnnxEncoder
from lookalike.errors import SourceError
from lookalike.indexing.prune import prune
from lookalike.indexing.verification import verify
from lookalike.runfile.execution import execute
from lookalike.runfile.reading import read_run_file
from lookalike.sources.catalogues import open_catalogue
from lookalike.sources.catalogues.object_folder import ObjectFolder
from lookalike.sources.download import DownloadRecord, download
from lookalike.sources.object_storage import list_objects, read_object


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket:
    """A bucket with images below ``photos/``; ``url`` is where they are."""

    url = "s3://shop/photos"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.system = fsspec.filesystem("s3")
        self.system.invalidate_cache()
        if self.system.exists("shop"):
            self.system.rm("shop", recursive=True)
        self.system.mkdir("shop")

    def put(self, key: str, number: int) -> bytes:
        data = painted(self.folder / "put.png", number).read_bytes()
        self.put_bytes(key, data)
        return data

    def put_bytes(self, key: str, data: bytes) -> None:
        self.system.pipe_file(f"shop/{key}", data)

    def remove(self, key: str) -> None:
        self.system.rm_file(f"shop/{key}")


@pytest.fixture
def bucket(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    bucket = Bucket(tmp_path)
    for number in range(6):
        bucket.put(f"photos/{'ab'[number % 2]}/{number}.png", number)
    bucket.put_bytes("photos/readme.txt", b"no image")
    return bucket


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder) -> Iterator[Collection]:
    with lookalike.open(str(tmp_path / "shop"), encoder=tiny, create=True) as shop:
        shop.cache = tmp_path / "cache"
        yield shop


def test_a_bucket_is_indexed_and_its_items_have_files(bucket: Bucket, shop: Collection) -> None:
    report = shop.index(bucket.url)
    assert (report.indexed, report.skipped) == (6, ())
    assert sorted(item.id for item in shop) == [
        f"{'ab'[n % 2]}/{n}.png" for n in (0, 2, 4, 1, 3, 5)
    ]
    item = shop.get("b/3.png")
    file = shop.file_of(item)
    assert file is not None
    assert file.read_bytes() == bucket.system.cat_file("shop/photos/b/3.png")
    assert shop.thumbnail("b/3.png", side=32)[:2] == b"\xff\xd8"
    hit = shop.search(file, crop=(0, 0, 1, 0.9), k=1)[0]
    assert hit.score > 0.5


def test_a_second_run_requests_no_image(
    bucket: Bucket, shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.index(bucket.url)
    reads = count_reads(monkeypatch)
    report = shop.index(bucket.url)
    assert (report.unchanged, report.indexed, sum(reads.values())) == (6, 0, 0)
    bucket.put("photos/a/0.png", 60)
    bucket.put("photos/a/new.png", 61)
    report = shop.index(bucket.url)
    assert (report.unchanged, report.indexed, report.replaced) == (5, 2, 1)
    assert sorted(reads) == [f"{bucket.url}/a/0.png", f"{bucket.url}/a/new.png"]


def count_reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the objects that are read from now on."""
    reads: Counter[str] = Counter()

    def count(url: str, **options: int) -> bytes | None:
        reads[url] += 1
        return read_object(url, **options)

    monkeypatch.setattr("lookalike.sources.catalogues.object_folder.read_object", count)
    return reads


def test_a_run_that_was_stopped_goes_on(
    bucket: Bucket, shop: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ObjectFolder.of(bucket.url, tmp_path / "cache" / "objects")
    entries = source.entries()
    assert isinstance(next(entries), Entry)
    entries.close()  # type: ignore[attr-defined]
    reads = count_reads(monkeypatch)
    assert shop.index(source).indexed == 6
    assert max(reads.values()) == 1
    assert sum(reads.values()) < 6


def test_objects_that_are_gone_follow_the_rules_of_removals(
    bucket: Bucket, shop: Collection
) -> None:
    shop.index(bucket.url)
    bucket.remove("photos/a/0.png")
    assert shop.index(bucket.url).removed == 1
    for number in (1, 3, 5, 2):
        bucket.remove(f"photos/{'ab'[number % 2]}/{number}.png")
    report = shop.index(bucket.url)
    assert (report.removed, report.held_back, len(shop)) == (0, 4, 5)
    assert prune(shop, bucket.url, allow_removals=True).removed == 4


def test_a_bucket_is_verified_by_digest(bucket: Bucket, shop: Collection) -> None:
    shop.index(bucket.url)
    assert verify(shop, bucket.url).matching == 6
    bucket.put("photos/a/0.png", 62)
    assert [one.kind for one in verify(shop, bucket.url).differences] == ["changed"]


def test_the_folder_of_copies_is_the_source_again(bucket: Bucket, shop: Collection) -> None:
    shop.index(bucket.url)
    bucket.put("photos/b/late.png", 63)
    (root,) = shop.roots()
    assert shop.index(root.path).indexed == 1


def test_what_is_no_image_or_has_no_name_for_a_file_is_skipped(
    bucket: Bucket, shop: Collection
) -> None:
    bucket.put_bytes("photos/broken.png", b"no image")
    bucket.put("photos/a/../up.png", 64)
    bucket.put("photos/a//two.png", 65)
    report = shop.index(bucket.url)
    assert report.indexed == 6
    reasons = {one.path.rpartition("/")[2]: one.reason for one in report.skipped}
    assert "not a readable image" in reasons["broken.png"]
    assert len(report.skipped) >= 2
    (root,) = shop.roots()
    assert not (root.path / "up.png").exists()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://nowhere/photos", "does not exist"),
        ("s3://shop/none", "does not exist"),
    ],
)
def test_a_place_that_is_not_there_is_named(
    bucket: Bucket, shop: Collection, url: str, reason: str
) -> None:
    shop.index(bucket.url)
    with pytest.raises(SourceError, match=reason):
        shop.index(url)
    assert len(shop) == 6


def test_a_server_that_is_away_is_named_and_removes_nothing(
    bucket: Bucket, shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.index(bucket.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(SourceError, match="cannot be reached"):
        shop.index(bucket.url)
    assert len(shop) == 6


def test_missing_credentials_are_named(
    bucket: Bucket, shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(SourceError, match="credentials"):
        shop.index(bucket.url)


def test_a_catalogue_may_list_objects(bucket: Bucket, shop: Collection, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    lines = [f"{bucket.url}/{'ab'[n % 2]}/{n}.png,{n}" for n in range(3)]
    lines.append(f"{bucket.url}/none.png,9")
    table.write_text("\n".join(["url,id", *lines]) + "\n", encoding="utf-8")
    entries = open_catalogue(table, "table").entries
    report = download(entries(), tmp_path / "got")
    assert (report.downloaded, dict(report.failed)) == (3, {"no-object": 1})
    again = download(entries(), tmp_path / "got")
    assert (again.already, again.failed_before, again.downloaded) == (3, 1, 0)
    with DownloadRecord(tmp_path / "got") as record:
        assert [row.reason for row in record.rows(ok=False)] == ["does not exist"]
    assert shop.index(tmp_path / "got").indexed == 3


def test_what_failed_for_want_of_credentials_is_tried_again(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [Entry(id="a", image=Remote((f"{bucket.url}/a/0.png",)))]
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    assert dict(download(entries, tmp_path / "got").failed) == {"unreadable-object": 1}
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    assert download(entries, tmp_path / "got").downloaded == 1


def test_the_command_and_run_files_take_addresses(
    bucket: Bucket, card: Path, tmp_path: Path
) -> None:
    words = ["-c", str(tmp_path / "c"), "--encoder", str(card), "-q"]
    ran = CliRunner().invoke(index_command, [bucket.url, *words])
    assert (ran.exit_code, ran.stdout[:9]) == (0, "6 indexed"), ran.output
    ran = CliRunner().invoke(index_command, [bucket.url, *words, "--verify"])
    assert (ran.exit_code, ran.stdout[:23]) == (0, "6 of 6 items verified i"), ran.output
    file = tmp_path / "shop.yaml"
    file.write_text(f"collection: ./c\nencoder: {card}\nindex: {{source: '{bucket.url}'}}\n")
    (one,) = execute(
        read_run_file(file, {}), only=(), force=(), shown=lambda _: nullcontext(ignore_progress)
    )
    assert one.status == "current", one.why


class Listing(SimpleHTTPRequestHandler):
    """Serves a folder with pages that list it, and counts what was fetched."""

    fetched: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.fetched[self.path] += 1
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def pages(pictures: Path) -> Iterator[str]:
    """The address of a server that lists nine images."""
    Listing.fetched.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Listing, directory=str(pictures)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_listing_on_the_web_is_indexed_and_fetched_once(
    pages: str, pictures: Path, shop: Collection
) -> None:
    painted(pictures / "deep" / "er" / "x.png", 70)
    report = shop.index(pages)
    assert (report.indexed, report.skipped) == (10, ())
    assert "deep/er/x.png" in shop
    fetched = Counter(Listing.fetched)
    assert shop.index(pages).unchanged == 10
    images = {path: n for path, n in Listing.fetched.items() if path.endswith(".png")}
    assert images == {path: fetched[path] for path in images}


def test_the_memory_of_this_process_is_a_storage_too(shop: Collection, tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    data = painted(tmp_path / "m.png", 71).read_bytes()
    system.pipe_file("/lookalike-test/m.png", data)
    assert [one.path for one in list_objects("memory://lookalike-test")] == ["m.png"]
    assert shop.index("memory://lookalike-test").indexed == 1
    assert read_object("memory://lookalike-test/m.png", max_bytes=10) is None
    system.rm("/lookalike-test", recursive=True)
