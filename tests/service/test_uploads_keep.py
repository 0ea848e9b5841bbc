"""An upload never destroys another item, and every answer says what became of each image."""

import base64
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile import photo, saved
from live import Live, problem, process, serving
from lookalike.client import connect
from lookalike.core.records import Entry
from lookalike.images.reading import digest
from lookalike.service import upload_files

PHOTOS = [saved(photo(seed=number), "JPEG") for number in range(12)]


def sent(live: Live, *images: tuple[str, bytes], **said: str) -> dict[str, Any]:
    """Send images under file names; the answer, which was a good one."""
    files = [("image", one) for one in images]
    answer = live.client.post("/v1/collections/shop/items", files=files, data=said)
    assert answer.status_code in {200, 201}, answer.text
    found: dict[str, Any] = answer.json()
    created = any(one["outcome"] == "created" for one in found["files"])
    assert answer.status_code == (201 if created else 200)
    return found


def outcomes(answer: dict[str, Any]) -> list[str]:
    return [one["outcome"] for one in answer["files"]]


def image(live: Live, item_id: str) -> bytes:
    asked = {"id": item_id}
    answer = live.client.get("/v1/collections/shop/item/image", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.content


def job_ended(live: Live, begun: httpx.Response) -> dict[str, Any]:
    text = live.client.get(f"{begun.headers['location']}/events").text
    found: dict[str, Any] = json.loads(text.rpartition("data: ")[2])
    return found


def test_two_phones_that_send_one_file_name_make_two_items(own: Live) -> None:
    first = sent(own, ("image.jpg", PHOTOS[0]))
    second = sent(own, ("image.jpg", PHOTOS[1]))
    assert (outcomes(first), outcomes(second)) == (["created"], ["created"])
    assert first["files"][0]["id"] == "image.jpg"
    other = second["files"][0]["id"]
    assert other == f"image-{digest(PHOTOS[1])[:8]}.jpg"
    assert image(own, "image.jpg") == PHOTOS[0]
    assert image(own, other) == PHOTOS[1]


def test_what_is_sent_twice_is_there_once_in_whatever_order(own: Live) -> None:
    sent(own, ("image.jpg", PHOTOS[0]), ("image.jpg", PHOTOS[1]), ("image.jpg", PHOTOS[0]))
    again = sent(own, ("image.jpg", PHOTOS[1]), ("image.jpg", PHOTOS[0]))
    assert outcomes(again) == ["unchanged", "unchanged"]
    assert again["unchanged"] == 2
    with own.opened() as shop:
        assert shop.count("id^=image") == 2


def test_images_of_one_name_in_one_request_are_all_kept(own: Live) -> None:
    answer = sent(own, *(("image.jpg", one) for one in PHOTOS), ("image.jpg", PHOTOS[3]))
    assert outcomes(answer) == ["created"] * 12 + ["unchanged"]
    assert answer["files"][12]["id"] == answer["files"][3]["id"]
    assert len({one["id"] for one in answer["files"]}) == 12
    for one, content in zip(answer["files"], PHOTOS, strict=False):
        assert image(own, one["id"]) == content


def test_files_of_one_name_in_two_folders_are_two_items(own: Live) -> None:
    answer = sent(own, ("a/image.jpg", PHOTOS[0]), ("b/image.jpg", PHOTOS[1]))
    assert [one["id"] for one in answer["files"]] == ["a/image.jpg", "b/image.jpg"]
    alike = sent(own, ("A/image.JPG", PHOTOS[2]), ("é.jpg", PHOTOS[3]), ("e\u0301.jpg", PHOTOS[4]))
    assert outcomes(alike) == ["created"] * 3
    for one, content in zip(answer["files"] + alike["files"], PHOTOS, strict=False):
        assert image(own, one["id"]) == content


def test_an_upload_takes_no_file_of_a_folder_s_place(own: Live) -> None:
    before = own.client.get("/v1/items/0.png").json()
    answer = sent(own, ("0.png", PHOTOS[0]))
    assert outcomes(answer) == ["created"]
    assert answer["files"][0]["id"] != "0.png"
    assert own.client.get("/v1/items/0.png").json() == before
    assert outcomes(sent(own, ("0.png", b"no image"))) == ["skipped"]


def test_the_very_image_of_a_folder_is_not_there_twice(own: Live, stocked: Path) -> None:
    content = (stocked / "pictures" / "mugs" / "1.png").read_bytes()
    before = own.client.get("/v1/items/mugs%2F1.png").json()
    answer = sent(own, ("mugs/1.png", content))
    assert outcomes(answer) == ["unchanged"]
    assert own.client.get("/v1/items/mugs%2F1.png").json() == before
    with own.opened() as shop:
        shop.index(stocked / "pictures")
        assert len(shop) == 13


def test_an_id_chosen_on_purpose_replaces_and_says_so(own: Live) -> None:
    said = json.dumps([{"id": "mine", "label": "x"}])
    assert outcomes(sent(own, ("a.jpg", PHOTOS[0]), items=said)) == ["created"]
    assert outcomes(sent(own, ("b.jpg", PHOTOS[0]), items=said)) == ["unchanged"]
    answer = sent(own, ("b.jpg", PHOTOS[1]), items=json.dumps([{"id": "mine"}]))
    assert (outcomes(answer), answer["replaced"]) == (["replaced"], 1)
    assert answer["items"][0]["label"] == "x"
    put = own.client.put("/v1/items/mine", files={"p": PHOTOS[1]})
    assert (put.status_code, put.json()["outcome"]) == (200, "unchanged")
    put = own.client.put("/v1/items/mine", files={"p": PHOTOS[2]})
    assert (put.status_code, put.json()["outcome"]) == (200, "replaced")
    put = own.client.put("/v1/items/new", files={"p": PHOTOS[2]})
    assert (put.status_code, put.json()["outcome"]) == (201, "created")
    assert image(own, "mine") == PHOTOS[2]


def test_of_one_id_twice_in_a_request_the_last_counts_and_the_first_is_told_of(own: Live) -> None:
    said = json.dumps([{"id": "one"}, {"id": "one"}, {"name": "one"}])
    files = [("a.jpg", PHOTOS[0]), ("b.jpg", PHOTOS[1]), ("c.jpg", PHOTOS[2])]
    answer = sent(own, *files, items=said)
    assert outcomes(answer) == ["skipped", "created", "created"]
    assert "the last one counts" in answer["files"][0]["reason"]
    assert image(own, "one") == PHOTOS[1]
    assert image(own, answer["files"][2]["id"]) == PHOTOS[2]


def test_names_in_json_are_names_and_ids_ids(own: Live) -> None:
    def told(content: bytes, **named: str) -> dict[str, str]:
        return {"image_base64": base64.b64encode(content).decode(), **named}

    images = [told(PHOTOS[0], name="x.jpg"), told(PHOTOS[1], name="x.jpg"), told(PHOTOS[2])]
    answer = own.client.post("/v1/items", json={"items": images}).json()
    assert outcomes(answer) == ["created"] * 3
    assert [one["id"] for one in answer["files"]][::2] == ["x.jpg", "image.jpg"]
    bare = own.client.post("/v1/items", content=PHOTOS[3], headers={"Content-Type": "image/jpeg"})
    assert bare.json()["files"][0]["id"].startswith("image-")


def test_one_bad_image_and_one_bad_id_stop_no_other(own: Live) -> None:
    said = json.dumps([{"id": ".."}, {"id": "a\ud800"}, {"name": "x"}, {"name": "ok"}, {"id": ""}])
    files = [("p", one) for one in (PHOTOS[0], PHOTOS[1], b"text", PHOTOS[2], PHOTOS[3])]
    answer = sent(own, *files, items=said)
    assert outcomes(answer) == ["skipped", "skipped", "skipped", "created", "skipped"]
    assert all(one["reason"] for one in answer["files"] if one["outcome"] == "skipped")
    assert [one["id"] for one in answer["items"]] == ["ok"]


def test_a_job_says_what_became_of_each_image(own: Live) -> None:
    sent(own, ("image.jpg", PHOTOS[0]))
    files = [("p", ("image.jpg", one)) for one in (PHOTOS[0], PHOTOS[1], b"no image")]
    last = job_ended(own, own.client.post("/v1/jobs", files=files))
    assert last["state"] == "done"
    assert outcomes(last["report"]) == ["unchanged", "created", "skipped"]
    assert image(own, "image.jpg") == PHOTOS[0]
    assert image(own, last["report"]["files"][1]["id"]) == PHOTOS[1]
    said = {"items": json.dumps([{"id": "image.jpg"}])}
    begun = own.client.post("/v1/jobs", files=[("p", ("x", PHOTOS[2]))], data=said)
    assert outcomes(job_ended(own, begun)["report"]) == ["replaced"]


def test_jobs_that_wait_for_each_other_keep_all_that_was_sent(own: Live) -> None:
    begun = [own.client.post("/v1/jobs", files=[("p", ("image.jpg", one))]) for one in PHOTOS[:6]]
    sent(own, ("image.jpg", PHOTOS[6]))
    files = [job_ended(own, one)["report"]["files"][0] for one in begun]
    assert len({one["id"] for one in files}) == 6
    for one, content in zip(files, PHOTOS, strict=False):
        assert (one["outcome"], image(own, one["id"])) == ("created", content)


def test_many_at_once_by_two_services_lose_nothing(home: Path) -> None:
    with (
        serving(home) as one,
        process(home) as (address, _),
        httpx.Client(base_url=address, timeout=60) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        two = replace(one, address=address, client=client)
        begin = threading.Barrier(8)

        def send(number: int) -> dict[str, Any]:
            begin.wait()
            live = (one, two)[number % 2]
            images = [("image.jpg", PHOTOS[(number + step) % 12]) for step in range(4)]
            return sent(live, *images)

        answers = list(pool.map(send, range(8)))
        shown: dict[str, bytes] = {}
        for number, answer in enumerate(answers):
            for step, file in enumerate(answer["files"]):
                assert file["outcome"] in {"created", "unchanged"}
                content = PHOTOS[(number + step) % 12]
                assert shown.setdefault(file["id"], content) == content
        for item_id, content in shown.items():
            assert image(one, item_id) == content
        with one.opened() as shop:
            assert shop.check() == []
            assert shop.count("id^=image") >= len({*shown.values()}) == 11


def test_putting_at_once_leaves_one_whole_image(own: Live) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda one: own.client.put("/v1/items/one", files={"p": one}), PHOTOS[:6])
        )
    assert [answer.json()["outcome"] for answer in answers].count("created") == 1
    item = own.client.get("/v1/items/one").json()
    assert digest(image(own, "one")) == item["digest"]
    uploads = own.home / "collections" / "shop" / upload_files.FOLDER
    assert len([path for path in uploads.rglob("*") if path.is_file()]) == 1


def test_a_failed_upload_of_a_kept_image_leaves_the_image(own: Live) -> None:
    own.client.put("/v1/items/a", files={"p": PHOTOS[0]})
    own.client.put("/v1/items/b", files={"p": PHOTOS[0]})
    assert own.client.delete("/v1/items/a").status_code == 204
    assert image(own, "b") == PHOTOS[0]
    problem(own.client.put("/v1/items/b", files={"p": b"text"}), 422, "unusable-image")
    assert image(own, "b") == PHOTOS[0]
    own.client.put("/v1/items/b", files={"p": PHOTOS[0]})
    assert image(own, "b") == PHOTOS[0]


def test_the_client_says_what_adding_did(own: Live) -> None:
    with connect(own.address) as shop:
        assert shop.add("a", PHOTOS[0]).outcome == "created"
        assert shop.add("a", PHOTOS[0]).outcome == "unchanged"
        assert shop.add("a", PHOTOS[1]) == shop.get("a")
        report = shop.index([Entry(id="a", image=PHOTOS[2]), Entry(id="b", image=PHOTOS[3])])
        assert (report.indexed, report.replaced) == (2, 1)
        fresh = shop.index([Entry(id="a", image=PHOTOS[4], fresh=True)])
        assert (fresh.indexed, fresh.replaced) == (1, 0)
    assert image(own, "a") == PHOTOS[2]


@pytest.fixture(scope="module")
def drawn(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("keep")
    shutil.copytree(stocked / "collections", home / "collections")
    with serving(home) as live:
        yield live


_NAMES = st.sampled_from(["image.jpg", "IMAGE.JPG", "a/image.jpg", "../image.jpg", "image", ""])
_BATCHES = st.lists(
    st.lists(st.tuples(_NAMES, st.integers(0, 5), st.booleans()), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


@settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batches=_BATCHES)
def test_whatever_is_sent_in_whatever_order_nothing_is_lost(
    drawn: Live, batches: list[list[tuple[str, int, bool]]]
) -> None:
    expected: dict[str, bytes] = {}
    for batch in batches:
        said = [{"name": name, **({"label": "x"} if label else {})} for name, _, label in batch]
        images = [("p", PHOTOS[number]) for _, number, _ in batch]
        answer = sent(drawn, *images, items=json.dumps(said))
        for (_, number, _), file in zip(batch, answer["files"], strict=True):
            assert file["outcome"] in {"created", "unchanged"}
            assert expected.setdefault(file["id"], PHOTOS[number]) == PHOTOS[number]
    for item_id, content in expected.items():
        assert image(drawn, item_id) == content
    with drawn.opened() as shop:
        assert shop.check() == []


def test_a_service_with_an_index_beside_it_keeps_both(
    own: Live, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    paint(tmp_path / "more" / "image.jpg", 50)
    sent(own, ("more:image.jpg", PHOTOS[0]))
    with own.opened() as shop:
        report = shop.index(tmp_path / "more")
        assert (report.indexed, len(report.skipped)) == (0, 1)
        assert "taken" in report.skipped[0].reason
    assert image(own, "more:image.jpg") == PHOTOS[0]
