"""Items over HTTP: put in, looked at, told of, taken out; their pictures."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

import lookalike
from hostile import photo, saved
from live import Live, hits, ids, picture, problem, serving
from lookalike.service import upload_files

PNG = saved(photo(seed=1), "PNG")
JPEG = saved(photo(seed=2), "JPEG")


def files_of(home: Path, name: str = "shop") -> list[Path]:
    """The files that the service keeps of a collection."""
    uploads = home / "collections" / name / upload_files.FOLDER
    return sorted(path for path in uploads.glob("**/*") if path.is_file())


# -- looking ---------------------------------------------------------------------------------


def test_items_are_listed_page_by_page(live: Live) -> None:
    listed: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = live.client.get("/v1/items", params={"limit": 5, **after}).json()
        assert page["total"] == (None if after else 13)  # counted once
        listed += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    with live.opened() as shop:
        assert listed == [item.id for item in shop]
    some = live.client.get("/v1/items", params={"where": "label=mug"}).json()
    assert some["total"] == len(some["items"]) == 4
    asked = {"where": "label=mug", "after": some["items"][2]["id"], "total": True}
    rest = live.client.get("/v1/items", params=asked).json()
    assert (rest["total"], len(rest["items"])) == (4, 1)
    assert live.client.get("/v1/items?limit=1&total=false").json()["total"] is None
    problem(live.client.get("/v1/items?where=label"), 422, "bad-filter")
    problem(live.client.get("/v1/items?limit=0"), 422, "invalid-request")


def test_facets_count_the_values_of_several_fields(live: Live) -> None:
    found = live.client.get("/v1/facets?field=colour&field=label&where=price<10").json()
    assert found["total"] == 10
    colour, label = found["facets"]
    assert (colour["field"], colour["distinct"]) == ("colour", 3)
    assert sum(value["count"] for value in colour["values"]) == 10
    assert label["values"][0]["value"] == "mug"
    problem(live.client.get("/v1/facets"), 422, "invalid-request")
    problem(live.client.get('/v1/facets?field="'), 422, "bad-filter")


def test_stats_tell_what_is_said_about_the_items(live: Live) -> None:
    stats = live.client.get("/v1/stats").json()
    assert (stats["items"], stats["labels"]) == (13, {"mug": 4, "odd": 1})
    assert {field["name"] for field in stats["fields"]} == {"price", "colour", "tags"}
    assert "fields" not in live.client.get("/v1/stats?fields=false").json()


def test_a_collection_tells_about_itself(live: Live) -> None:
    about = live.client.get("/v1/collections/shop").json()
    with live.opened() as shop:
        info = shop.info()
    assert (about["items"], about["dim"], about["encoder"]) == (13, 32, info.encoder)
    assert about["roots"] == [{"name": "", "path": str(live.home / "pictures")}]
    assert about["default"] is True
    listed = live.client.get("/v1/collections").json()
    assert [one["name"] for one in listed["collections"]] == ["shop"]
    assert listed["default"] == "shop"


# -- pictures of items -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["0.png", "mugs/a+b&c=d?e#f.png", "製品/茶碗.png", "odd/similar"])
def test_an_items_picture_is_its_file(live: Live, name: str) -> None:
    path = f"/v1/items/{quote(name, safe='')}/image"
    answer = live.client.get(path)
    expected = picture(live, "odd/odd.png" if name == "odd/similar" else name)
    assert answer.content == expected
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    head = live.client.head(path)
    assert head.headers["content-length"] == str(len(expected))
    assert head.content == b""
    older = live.client.get(path.removesuffix("/image") + "/picture")
    assert (older.status_code, older.content) == (200, expected)


def test_parts_of_a_file_are_answered(live: Live) -> None:
    whole = picture(live, "0.png")
    part = live.client.get("/v1/items/0.png/image", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    beyond = live.client.get("/v1/items/0.png/image", headers={"Range": "bytes=9999999-"})
    assert beyond.status_code == 416


def test_a_browser_keeps_pictures_until_they_change(live: Live) -> None:
    (hit,) = hits(live.client.get("/v1/items/mugs%2F1.png/similar?k=1"))
    for link in (hit["thumbnail"], hit["image"]):
        first = live.client.get(link)
        assert "immutable" in first.headers["cache-control"]
        assert parsedate_to_datetime(first.headers["last-modified"]).tzinfo is not None
        for tag in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
            again = live.client.get(link, headers={"If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b"")
        assert live.client.get(link, headers={"If-None-Match": '"x"'}).status_code == 200
    bare = live.client.get("/v1/items/mugs%2F1.png/thumbnail")
    assert bare.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(("side", "size"), [(16, (16, 12)), (32, (32, 24)), (2048, (64, 48))])
def test_a_thumbnail_is_as_large_as_asked_and_never_enlarged(
    live: Live, side: int, size: tuple[int, int]
) -> None:
    answer = live.client.get(f"/v1/items/0.png/thumbnail?side={side}")
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(BytesIO(answer.content)) as small:
        assert small.size == size
    for bad in (15, 2049):
        refused = live.client.get(f"/v1/items/0.png/thumbnail?side={bad}")
        problem(refused, 422, "invalid-request")


def test_a_changed_or_vanished_file_is_told_of(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "collections", tmp_path / "again" / "collections")
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    (folder / "b.png").write_bytes(JPEG)
    with lookalike.open(tmp_path / "again" / "collections" / "shop") as shop:
        shop.index(folder)
    with serving(tmp_path / "again") as live:
        tag = live.client.get("/v1/items/files%3Aa.png/thumbnail").headers["etag"]
        (folder / "a.png").write_bytes(JPEG)
        changed = live.client.get("/v1/items/files%3Aa.png/thumbnail")
        assert changed.headers["etag"] != tag
        assert live.client.get("/v1/items/files%3Aa.png/image").headers["content-type"] == (
            "image/jpeg"  # by its bytes, not by its name
        )
        (folder / "a.png").write_text("<html><script>alert(1)</script></html>")
        problem(live.client.get("/v1/items/files%3Aa.png/image"), 409, "no-longer-an-image")
        problem(live.client.get("/v1/items/files%3Aa.png/thumbnail"), 415, "not-an-image")
        (folder / "b.png").unlink()
        for what in ("image", "thumbnail"):
            gone = live.client.get(f"/v1/items/files%3Ab.png/{what}")
            problem(gone, 404, "unreadable-image")


def test_a_picture_that_only_its_vector_is_kept_of_has_no_links(home: Path) -> None:
    with lookalike.open(home / "collections" / "shop") as shop:
        shop.add("bytes", PNG)
    with serving(home) as live:
        item = live.client.get("/v1/items/bytes").json()
        assert (item["thumbnail"], item["image"], item["path"]) == (None, None, None)
        problem(live.client.get("/v1/items/bytes/image"), 404, "unreadable-image")
        cropped = live.client.post("/v1/search", json={"id": "bytes", "crop": [0, 0, 0.5, 1]})
        problem(cropped, 404, "unreadable-image")
        assert live.client.get("/v1/items/bytes/similar").status_code == 200


# -- thumbnails that are kept -----------------------------------------------------------------


@pytest.fixture
def away(tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]) -> Iterator[Live]:
    """A service whose collection keeps thumbnails of 32 pixels, and whose files are elsewhere."""
    paint(tmp_path / "files" / "a.png", 1)
    paint(tmp_path / "files" / "b.png", 2)
    with lookalike.open(tmp_path / "collections" / "shop", encoder=card, create=True) as shop:
        shop.index(tmp_path / "files", thumbnails=32)
        shop.add("bytes", PNG)
    (tmp_path / "files").rename(tmp_path / "elsewhere")
    with serving(tmp_path) as live:
        yield live


def test_kept_thumbnails_are_shown_where_the_files_are_away(away: Live) -> None:
    hit = hits(away.client.get("/v1/items/bytes/similar"))[0]
    small = away.client.get(hit["thumbnail"])
    assert small.status_code == 200
    with Image.open(BytesIO(small.content)) as image:
        assert (image.format, max(image.size)) == ("JPEG", 32)
    problem(away.client.get(hit["image"]), 404, "unreadable-image")
    again = away.client.get(hit["thumbnail"], headers={"If-None-Match": small.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert parsedate_to_datetime(small.headers["last-modified"]).tzinfo is not None


def test_a_browser_keeps_for_good_only_what_is_as_large_as_asked(away: Live) -> None:
    (hit,) = hits(away.client.get("/v1/items/b.png/similar?k=1&where=id=a.png"))
    whole = away.client.get(f"{hit['thumbnail']}&side=32")
    assert "immutable" in whole.headers["cache-control"]
    lesser = away.client.get(f"{hit['thumbnail']}&side=64")
    assert lesser.content == whole.content
    assert lesser.headers["cache-control"] == "private, no-cache"
    (away.home / "elsewhere").rename(away.home / "files")
    better = away.client.get(f"{hit['thumbnail']}&side=64")
    assert better.headers["etag"] != lesser.headers["etag"]
    with Image.open(BytesIO(better.content)) as image:
        assert max(image.size) == 64


def test_what_came_as_bytes_is_seen_by_its_thumbnail(away: Live) -> None:
    item = away.client.get("/v1/items/bytes").json()
    assert item["image"] is None
    assert away.client.get(item["thumbnail"]).headers["content-type"] == "image/jpeg"


def test_uploads_and_jobs_follow_the_collections_setting(away: Live) -> None:
    away.client.put("/v1/items/one", content=JPEG, headers={"Content-Type": "image/jpeg"})
    begun = away.client.post("/v1/jobs", files={"image": ("two", PNG)})
    away.client.get(f"{begun.headers['location']}/events")  # answers when the job has ended
    with away.opened() as shop:
        assert shop.store.thumbnails.sides(["one", "two"]) == {"one": 32, "two": 32}
    about = away.client.get("/v1/collections/shop").json()
    assert (about["thumbnail_side"], about["thumbnails"]) == (32, 5)
    away.client.delete("/v1/items/one")
    assert away.client.get("/v1/collections/shop").json()["thumbnails"] == 4


# -- putting in and taking out ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["new.png", "a/b/ü #1?.png", "a//b", "etc/passwd", "..."])
def test_a_picture_is_put_found_and_taken_out(own: Live, name: str) -> None:
    path = f"/v1/collections/shop/items/{quote(name, safe='')}"
    made = own.client.put(path, content=PNG, headers={"Content-Type": "image/png"})
    assert made.status_code == 201, made.text
    assert made.json()["id"] == name
    assert own.client.get(made.json()["image"]).content == PNG
    (place,) = files_of(own.home)
    assert place.read_bytes() == PNG
    assert ids(own.client.post("/v1/search?k=1&include_self=true", files={"p": PNG})) == [name]
    again = own.client.put(path, files={"p": JPEG}, data={"label": "new", "metadata": '{"a": 1}'})
    assert (again.status_code, again.json()["label"]) == (200, "new")
    assert own.client.get(again.json()["image"]).content == JPEG
    assert len(files_of(own.home)) == 1  # the replaced one has gone
    assert own.client.delete(path).status_code == 204
    problem(own.client.get(path), 404, "no-such-item")
    problem(own.client.delete(path), 404, "no-such-item")
    assert files_of(own.home) == []


def test_a_picture_that_cannot_be_used_changes_nothing(own: Live) -> None:
    own.client.put("/v1/items/a", content=PNG, headers={"Content-Type": "image/png"})
    before = own.client.get("/v1/items/a").json()
    bad = own.client.put("/v1/items/a", content=b"<html>", headers={"Content-Type": "image/png"})
    found = problem(bad, 422, "unusable-image")
    assert "HTML" in found["detail"]
    assert own.client.get("/v1/items/a").json() == before
    assert own.client.get(before["image"]).content == PNG
    problem(own.client.put("/v1/items/b", json={"image_base64": "eA=="}), 422, "unusable-image")
    problem(own.client.put("/v1/items/b"), 422, "no-image")
    assert len(files_of(own.home)) == 1
    with own.opened() as shop:
        assert shop.check() == []
        assert shop.skipped() == []


def test_an_item_of_a_folder_is_not_replaced(own: Live) -> None:
    refused = own.client.put("/v1/items/0.png", content=PNG, headers={"Content-Type": "image/png"})
    assert "taken by" in problem(refused, 422, "unusable-image")["detail"]
    assert files_of(own.home) == []


def test_many_pictures_are_added_at_once_and_bad_ones_skipped(own: Live) -> None:
    files = [
        ("image", ("holiday/1.png", PNG)),
        ("image", ("holiday/2.jpg", JPEG)),
        ("image", ("holiday/notes.txt", b"just text")),
    ]
    added = own.client.post("/v1/items", files=files).json()
    assert added["indexed"] == 2
    assert [item["id"] for item in added["items"]] == ["holiday/1.png", "holiday/2.jpg"]
    (skip,) = added["skipped"]
    assert skip["id"] == "holiday/notes.txt"
    assert "text" in skip["reason"]
    again = own.client.post("/v1/items", files=files).json()
    assert (again["indexed"], again["unchanged"], len(again["items"])) == (0, 2, 2)
    assert len(files_of(own.home)) == 2


def test_what_is_said_of_pictures_comes_along(own: Live) -> None:
    said = [
        {"id": "1", "label": "cup", "group": "g", "metadata": {"price": 3}},
        {"id": "2"},
    ]
    files = [("p", ("x.png", PNG)), ("p", ("y.png", JPEG))]
    one, two = own.client.post("/v1/items", files=files, data={"items": json.dumps(said)}).json()[
        "items"
    ]
    assert (one["label"], one["group"], one["metadata"]) == ("cup", "g", {"price": 3})
    assert (two["id"], two["label"]) == ("2", None)
    text = base64.b64encode(PNG).decode()
    as_json = {"items": [{"id": "3", "image_base64": text, "label": "cup"}]}
    (three,) = own.client.post("/v1/items", json=as_json).json()["items"]
    assert (three["id"], three["label"]) == ("3", "cup")
    assert own.client.get("/v1/items?where=label=cup").json()["total"] == 2


def test_a_bad_list_of_pictures_is_refused_whole(own: Live) -> None:
    ask = own.client.post
    files = [("p", ("x.png", PNG))]
    problem(ask("/v1/items"), 422, "no-image")
    problem(ask("/v1/items", files=[("p", ("", PNG))]), 422, "no-image")
    two = json.dumps([{"id": "1"}, {"id": "2"}])
    problem(ask("/v1/items", files=files, data={"items": two}), 422, "items-and-images")
    problem(ask("/v1/items", files=files, data={"items": "{"}), 422, "bad-json")
    problem(ask("/v1/items", files=files, data={"items": '[{"id": 5}]'}), 422, "invalid-request")
    problem(ask("/v1/items", json={"items": [{"id": "1"}]}), 422, "no-image")
    assert files_of(own.home) == []


def test_what_is_said_of_an_item_can_be_changed(own: Live) -> None:
    path = "/v1/items/mugs%2F1.png"
    told = own.client.patch(path, json={"label": "cup", "metadata": {"price": 1}}).json()
    assert (told["label"], told["metadata"]) == ("cup", {"price": 1})
    assert told["group"] is not None
    told = own.client.patch(path, json={"group": None, "label": None}).json()
    assert (told["group"], told["label"], told["metadata"]) == (None, None, {"price": 1})
    problem(own.client.patch("/v1/items/nobody", json={}), 404, "no-such-item")
    problem(own.client.patch(path, json={"lable": "x"}), 422, "invalid-request")
    with own.opened() as shop:
        assert shop.get("mugs/1.png").label is None


def test_taking_out_an_indexed_item_leaves_its_file(own: Live, stocked: Path) -> None:
    assert own.client.delete("/v1/items/0.png").status_code == 204
    assert (stocked / "pictures" / "0.png").exists()


def test_a_copied_collection_has_its_uploaded_pictures_along(own: Live, tmp_path: Path) -> None:
    own.client.put("/v1/items/a", content=PNG, headers={"Content-Type": "image/png"})
    copied = tmp_path / "elsewhere"
    shutil.copytree(own.home / "collections", copied / "collections")
    with serving(copied) as live:
        item = live.client.get("/v1/items/a").json()
        assert item["path"].startswith(str(copied))
        assert live.client.get(item["image"]).content == PNG
        live.client.delete("/v1/items/a")
    assert own.client.get("/v1/items/a/image").content == PNG


def test_a_folder_that_is_indexed_later_leaves_uploads_alone(own: Live, stocked: Path) -> None:
    own.client.put("/v1/items/a", content=PNG, headers={"Content-Type": "image/png"})
    with own.opened() as shop:
        report = shop.index(stocked / "pictures")
        assert report.removed == 0
        assert "a" in shop


# -- collections -----------------------------------------------------------------------------


def test_a_collection_is_begun_filled_and_deleted(own: Live) -> None:
    made = own.client.post("/v1/collections", json={"name": "Größe 2"})
    assert (made.status_code, made.json()["items"]) == (201, 0)
    path = f"/v1/collections/{quote('Größe 2')}"
    assert own.client.put(f"{path}/items/a", files={"p": PNG}).status_code == 201
    assert own.client.get(path).json()["items"] == 1
    assert own.client.get("/v1/collections").json()["default"] is None
    problem(own.client.post("/v1/collections", json={"name": "Größe 2"}), 409, "collection")
    problem(own.client.delete(path), 422, "not-confirmed")
    problem(own.client.delete(path, params={"confirm": "shop"}), 422, "not-confirmed")
    assert own.client.get(path).json()["items"] == 1
    assert own.client.delete(path, params={"confirm": "Größe 2"}).status_code == 204
    problem(own.client.get(path), 404, "no-such-collection")
    assert not (own.home / "collections" / "Größe 2").exists()
    assert own.client.get("/v1/stats").status_code == 200


@pytest.mark.parametrize(
    "name", ["..", "a/b", "a\\b", ".hidden", " x", "x ", "x.", "a\n", "~", "C:"]
)
def test_a_name_that_would_be_a_path_begins_nothing(own: Live, name: str) -> None:
    before = sorted(own.home.rglob("*"))
    problem(own.client.post("/v1/collections", json={"name": name}), 409, "collection")
    assert sorted(own.home.rglob("*")) == before
    path = quote(name, safe="").replace(".", "%2E")
    problem(own.client.get(f"/v1/collections/{path}/stats"), 404, "no-such-collection")


def test_an_encoder_is_one_of_the_known_names(own: Live, card: Path) -> None:
    for encoder in (str(card), "nothing"):
        refused = own.client.post("/v1/collections", json={"name": "x", "encoder": encoder})
        problem(refused, 422, "no-such-encoder")


def test_an_encoder_that_could_be_pulled_is_not_pulled_by_a_request(own: Live) -> None:
    refused = own.client.post("/v1/collections", json={"name": "x", "encoder": "clip-vit-b-32"})
    document = problem(refused, 422, "no-such-encoder")
    assert "lookalike encoder pull clip-vit-b-32" in str(document)


def test_chosen_collections_are_all_that_is_served(home: Path, card: Path) -> None:
    with lookalike.open(home / "collections" / "other", encoder=card, create=True) as other:
        other.add("a", PNG)
    with serving(home, "shop") as live:
        assert [
            one["name"] for one in live.client.get("/v1/collections").json()["collections"]
        ] == ["shop"]
        problem(live.client.get("/v1/collections/other"), 404, "no-such-collection")
        problem(live.client.post("/v1/collections", json={"name": "x"}), 409, "collection")
        problem(live.client.delete("/v1/collections/shop?confirm=shop"), 409, "collection")
    with serving(home, "shop", str(home / "collections" / "other")) as live:
        problem(live.client.get("/v1/stats"), 404, "no-default-collection")
        assert live.client.get("/v1/collections/other/items/a").status_code == 200


def test_what_another_process_does_is_seen_at_once(
    own: Live, paint: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    new = paint(tmp_path / "new.png", 99)
    assert own.client.post("/v1/search", files={"p": new.read_bytes()}).status_code == 200
    with own.opened() as shop:
        shop.add("new", new)
        found = own.client.post("/v1/search?include_self=true&k=1", files={"p": new.read_bytes()})
        assert ids(found) == ["new"]
        shop.remove("new")
    gone: Any = own.client.get("/v1/items/new/similar")
    problem(gone, 404, "no-such-item")
    shutil.rmtree(own.home / "collections" / "shop")
    problem(own.client.get("/v1/collections/shop/stats"), 404, "no-such-collection")
