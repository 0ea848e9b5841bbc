"""Browsers keep the page's files until an upgrade, and never mix those of two versions."""

import gzip
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from live import Live
from lookalike.service.page_files import PageFiles

FILES = {
    "index.html": (
        '<link href="style.css"><svg><use href="icons.svg#add"/></svg><a href="?">Home</a>'
        '<a href="https://example.org/style.css">Elsewhere</a>'
        '<script type="module" src="main.js"></script>'
    ),
    "style.css": "a { color: red }" * 50,
    "icons.svg": "<svg></svg>",
    "main.js": 'import { a } from "./first.js";\nexport * from "./second.js";\n',
    "first.js": 'import "./second.js";\n',
    "second.js": 'import "./main.js"; // in a circle\n',
    "alone.js": "",
}


def page(folder: Path, **changes: str) -> tuple[PageFiles, TestClient]:
    for name, text in {**FILES, **changes}.items():
        (folder / name).write_text(text)
    files = PageFiles(folder)
    return files, TestClient(Starlette(routes=[Route("/{path:path}", files.serve)]))


def test_a_document_loads_everything_by_its_versioned_name(tmp_path: Path) -> None:
    files, client = page(tmp_path)
    found = client.get("/")
    below = f"page/{files.version}"
    assert found.headers["cache-control"] == "no-cache"
    for name in ("style.css", "icons.svg#add", "main.js"):
        assert f'"{below}/{name}"' in found.text
    assert '<a href="?">' in found.text
    assert "https://example.org/style.css" in found.text
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)">', found.text)
    assert preloaded == [f"{below}/{name}" for name in ("first.js", "main.js", "second.js")]


def test_versioned_files_are_kept_for_good_and_others_asked_for_again(tmp_path: Path) -> None:
    files, client = page(tmp_path)
    for_good = client.get(f"/page/{files.version}/style.css")
    assert for_good.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = client.get("/style.css")
    assert again.headers["cache-control"] == "no-cache"
    known = client.get("/style.css", headers={"If-None-Match": f"W/{again.headers['etag']}"})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["etag"] == again.headers["etag"]


def test_one_changed_file_changes_the_version_of_all(tmp_path: Path) -> None:
    before, _ = page(tmp_path)
    after, client = page(tmp_path, **{"second.js": "// changed"})
    assert before.version != after.version
    assert client.get(f"/page/{before.version}/style.css").status_code == 404


def test_texts_are_compressed_for_those_who_ask(tmp_path: Path) -> None:
    _, client = page(tmp_path)
    with client.stream("GET", "/style.css", headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        raw = b"".join(packed.iter_raw())
    assert gzip.decompress(raw).decode() == FILES["style.css"]
    assert len(raw) < len(FILES["style.css"]) / 5
    plain = client.get("/style.css", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != packed.headers["etag"]
    assert plain.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in client.get("/alone.js").headers  # it would be longer


@pytest.mark.parametrize("path", ["/nothing", "/../pyproject.toml", "/page/0/style.css"])
def test_what_is_no_file_of_the_page_is_not_found(path: str, tmp_path: Path) -> None:
    _, client = page(tmp_path)
    assert client.get(path).status_code == 404


def test_the_page_needs_no_second_request_for_anything_it_has(own: Live) -> None:
    """Every file that the document names is there, by a name that may be kept."""
    document = own.client.get("/").text
    names = set(re.findall(r'(?:href|src)="([\w./-]+)', document)) - {"?"}
    assert len(names) > 20
    for name in sorted(names):
        found = own.client.get(f"/{name}")
        assert found.status_code == 200, name
        assert "immutable" in found.headers["cache-control"], name
