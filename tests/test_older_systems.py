"""The run files of examples/older-systems do what those systems did, from data to results.

Their encoders are made here of files of Keras with random weights, under the same names. Only what
concerns the machine is replaced: the collection lies in a folder (with ``engines`` on a server),
images come from this machine. With ``real``, real weights search real images.
"""

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import engines
import lookalike
from live import serving
from lookalike.analysis import categories
from lookalike.cli import invoke
from lookalike.encoders.converting import add_converted
from lookalike.encoders.converting.architectures import ARCHITECTURES
from lookalike.runfile.reading import read_run_file
from weight_files import MOBILENETV2, SHARED, drawn, write_legacy_h5, write_real_mobilenetv2

pytest.importorskip("h5py", reason="the extra convert is not installed")

ROOT = Path(__file__).parents[1]
FILES = ROOT / "examples" / "older-systems"
GOLDEN = Path(__file__).parent / "golden"
CALTECH = SHARED / "data" / "caltech-101-sample.zip"
MYNTRA = SHARED / "data" / "myntra-small.zip"


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoders that the run files name, narrow, to be quick."""
    folder = tmp_path_factory.mktemp("encoders")
    with zipfile.ZipFile(GOLDEN / "converted-keras2.zip") as archive:
        add_converted(Path(archive.extract("model.h5", folder.parent)), folder=folder)
    weights = folder.parent / "weights.h5"
    for network, narrower, names in (
        ("vgg16-keras", 1, ("vgg16-fc1", "vgg16-fc2")),
        ("resnet50-keras", 8, ("resnet50-max",)),
    ):
        write_legacy_h5(weights, drawn(network, narrower=narrower))
        for name in names:
            add_converted(weights, architecture=name, folder=folder)
    return folder


@pytest.fixture
def work(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with the encoders among the user's."""
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "encoders").symlink_to(encoders)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def take(work: Path, name: str, **changes: str) -> Path:
    """Copy a run file, and replace lines by their beginnings."""
    lines = (FILES / name).read_text(encoding="utf-8").splitlines()
    for beginning, line in changes.items():
        (at,) = (n for n, one in enumerate(lines) if one.strip().startswith(f"{beginning}:"))
        lines[at] = line
    path = work / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(path: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run a file; each step's outcome, by its name."""
    capfd.readouterr()
    code = invoke(["run", str(path), "--json"])
    said = capfd.readouterr()
    assert code == 0, said.out + said.err
    return {one["step"]: one for one in json.loads(said.out)["steps"]}


def tree(root: Path, paint: Callable[[Path, int], Path], number: int, **classes: int) -> None:
    """A folder of images for each class, painted from ``number`` on."""
    for label, count in classes.items():
        for _ in range(count):
            paint(root / label / f"image_{number:04}.png", number)
            number += 1


def test_every_file_names_an_encoder_that_can_be_made() -> None:
    files = sorted(FILES.glob("*.yaml"))
    assert len(files) == 4
    page = (ROOT / "docs" / "older-systems.md").read_text(encoding="utf-8")
    for file in files:
        assert f"(../examples/older-systems/{file.name})" in page
        text = file.read_text(encoding="utf-8")
        (line,) = (one for one in text.splitlines() if one.startswith("encoder:"))
        name, legacy = line.split(":-")[1].split("}")[0], line.split("#")[1].split()[0]
        assert {name, legacy} <= ARCHITECTURES.keys()
        assert ARCHITECTURES[legacy].legacy


# -- products of a label -----------------------------------------------------------------------


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path, paint: Callable[[Path, int], Path]) -> Iterator[str]:
    """The address of six images and of two files that are none."""
    root = tmp_path / "site"
    for number in range(6):
        paint(root / f"{number}.png", number)
    (root / "6.png").write_text("<!DOCTYPE html><html>gone</html>")
    (root / "7.png").write_bytes(b"")

    def handler(*given: object) -> _Quiet:
        return _Quiet(*given, directory=str(root))  # type: ignore[arg-type] # as the server calls it

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def annotations(path: Path, site: str) -> None:
    """Write a file of iMaterialist 2018; its rows are not in the order of the images."""
    images = [{"image_id": n, "url": [f"{site}/{n}.png"]} for n in range(8)]
    labels = [{"image_id": n, "label_id": 57 if n == 5 else 12} for n in reversed(range(8))]
    path.write_text(json.dumps({"images": images, "annotations": labels}))


def test_products_of_a_label_are_downloaded_indexed_and_served(
    work: Path, site: str, capfd: pytest.CaptureFixture[str]
) -> None:
    annotations(work / "train.json", site)
    file = take(
        work,
        "product-labels.yaml",
        collection="collection: products",
        timeout="  allow_private: true",
    )
    steps = run(file, capfd)
    assert steps["download"]["result"]["downloaded"] == 5
    assert steps["download"]["result"]["failed"] == {"not-an-image": 1, "empty": 1}
    again = run(file, capfd)
    with lookalike.open("products") as shop:
        assert {item.label for item in shop.items()} == {"12"}
        assert len(shop) == 5  # the seventh and eighth are no images, the sixth is of label 57
        assert shop.vectors([item.id for item in shop.items()]).shape == (5, 1280)
    assert again["download"]["result"]["downloaded"] == 0
    assert again["download"]["result"]["already"] == 5
    with serving(work / "home", "products") as live:
        query = (work / "site" / "2.png").read_bytes()
        answer = live.client.post(
            "/images/search/", data={"label_id": "12"}, files={"image": query}
        ).json()
        hits = answer["response"]["hits"]["hits"]
        assert len(hits) == 5
        assert hits[0]["_source"]["label"] == "12"
        assert hits[0]["_score"] == pytest.approx(1, abs=1e-4)
        other = live.client.post("/images/search/", data={"label_id": "57"}, files={"image": query})
        assert other.status_code == 404


# -- a page to upload to -----------------------------------------------------------------------


def upload_tree(work: Path, paint: Callable[[Path, int], Path]) -> None:
    tree(work / "bdimage" / "Objects", paint, 0, chair=4, lamp=4)
    tree(work / "bdimage" / "Texture", paint, 8, brick=3)
    (work / "bdimage" / "Objects" / "chair" / "stray.png").write_text("no image")


def test_folders_of_classes_are_indexed_and_a_page_takes_uploads(
    work: Path, paint: Callable[[Path, int], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    upload_tree(work, paint)
    file = take(work, "upload-page.yaml", collection="collection: bdimages")
    report = run(file, capfd)["index"]["result"]
    assert report["indexed"] == 11
    assert [Path(one["path"]).name for one in report["skipped"]] == ["stray.png"]
    check_upload_page(work, "bdimages")


def check_upload_page(work: Path, address: str) -> None:
    with lookalike.open(address) as shop:
        rows = shop.vectors([item.id for item in shop.items()])
        assert rows.shape[0] == 11
        assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-5
        assert {item.label for item in shop.items()} == {"chair", "lamp", "brick"}
    with serving(work / "home", address) as live:
        page = live.client.get("/")
        assert page.status_code == 200
        assert "html" in page.headers["content-type"]
        query = (work / "bdimage" / "Objects" / "lamp" / "image_0005.png").read_bytes()
        hits = live.client.post("/image_query?size=3", files={"image": query}).json()
        assert [len(hits), hits[0]["_source"]["label"]] == [3, "lamp"]
        assert set(hits[0]["_source"]) == {"image_path", "label", "image_url"}
        shown = live.client.get(hits[0]["_source"]["image_url"])
        assert shown.headers["content-type"].startswith("image/")
        too_many = live.client.post("/image_query?size=51", files={"image": query})
        assert too_many.status_code == 422


@pytest.fixture
def index(
    elasticsearch_url: str, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of an index on a server, which is named in the environment."""
    place = urlsplit(elasticsearch_url)
    monkeypatch.setenv("host", str(place.hostname))
    monkeypatch.setenv("port", str(place.port))
    monkeypatch.setenv("index_name", unique_name)
    yield f"elasticsearch://{place.netloc}/{unique_name}"
    for name in (unique_name, f"{unique_name}.lookalike"):
        engines.call(elasticsearch_url, "DELETE", f"/{name}")


@pytest.mark.engines
def test_the_upload_pages_server_is_taken_from_the_environment(
    work: Path,
    paint: Callable[[Path, int], Path],
    capfd: pytest.CaptureFixture[str],
    index: str,
) -> None:
    upload_tree(work, paint)
    assert run(take(work, "upload-page.yaml"), capfd)["index"]["result"]["indexed"] == 11
    check_upload_page(work, index)


# -- neighbours of a catalogue -----------------------------------------------------------------


def test_the_neighbours_of_a_catalogue_are_looked_up_without_the_encoder(
    work: Path,
    paint: Callable[[Path, int], Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    columns = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage"
    rows = []
    for number in range(14):
        paint(work / "fashion-dataset" / "images" / f"{100 + number}.jpg", number)
        kind = ("Shirts", "Watches")[number % 2]
        rows.append(f"{100 + number},Men,Apparel,Topwear,{kind},Blue,Fall,2011,Casual,Thing")
    (work / "fashion-dataset" / "styles.csv").write_text(
        "\n".join([f"{columns},productDisplayName", *rows]) + "\n"
    )
    steps = run(take(work, "fashion-neighbours.yaml"), capfd)
    assert {one["status"] for one in steps.values()} == {"done"}
    assert (
        "Precision" in (work / "fashion.html").read_text()
        or "P@" in (work / "fashion.html").read_text()
    )
    with lookalike.open("./fashion") as shop:
        assert shop.store.neighbours.state().k == 10
        expected = [(hit.item.id, hit.score) for hit in shop.similar("103", k=10)]
    (work / "home" / "encoders").unlink()  # and yet:
    capfd.readouterr()
    assert invoke(["similar", "103", "-c", "./fashion", "-k", "10", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["hits"]
    assert [one["id"] for one in found] == [id for id, _ in expected]
    assert "103" not in [one["id"] for one in found]
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)


# -- a category, then what is similar in it ----------------------------------------------------


def category_tree(work: Path) -> None:
    """Two classes that random weights tell apart: fine stripes and large discs."""
    y, x = np.mgrid[0:96, 0:96]
    for number in range(16):
        shade = np.array([200 - 5 * number, 90, 60 + 8 * number])
        stripes = ((x + number) // 3 % 2)[:, :, None] * shade
        disc = ((x - 48) ** 2 + (y - 40 - number) ** 2 < 900)[:, :, None] * shade
        for label, pixels in (("stripes", stripes), ("discs", disc)):
            path = work / "caltech_101" / label / f"image_{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)


def test_a_query_is_classified_and_searched_within_its_category(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    category_tree(work)
    file = take(work, "category-search.yaml", collection="collection: visual")
    steps = run(file, capfd)
    assert list(steps) == ["index", "categories", "evaluate"]
    with lookalike.open("visual") as shop:
        trained = categories.get_classifier_info(shop)
        assert trained is not None
        assert trained.labels == ("discs", "stripes")
    query = "caltech_101/stripes/image_0003.png"
    words = ["search", query, "-c", "visual", "--category", "auto", "-k", "5", "--json"]
    capfd.readouterr()
    assert invoke([*words, "--sheet", "results.png"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["category"]["predicted"][0]["label"] == "stripes"
    assert found["category"]["used"] == ["stripes"]
    assert found["category"]["scope"] == "category"
    assert len(found["hits"]) == 5
    assert {one["label"] for one in found["hits"]} == {"stripes"}
    assert "stripes/image_0003.png" not in [one["id"] for one in found["hits"]]
    assert (work / "results.png").stat().st_size > 0


def test_an_older_application_yaml_takes_the_encoder_that_was_made(work: Path) -> None:
    file = work / "application.yaml"
    file.write_text('dataset: "caltech_101"\npretrained: {model.type: "ResNet50"}\n')
    assert read_run_file(file, {}).file.encoder == "resnet50-max"


# -- real weights and real images --------------------------------------------------------------

needs_real = pytest.mark.skipif(not MOBILENETV2.exists(), reason="no real encoders and images")


@pytest.fixture
def real(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MobileNetV2 with real weights instead of what the files name."""
    write_real_mobilenetv2(work / "real.h5")
    (work / "home" / "encoders").unlink()
    add_converted(work / "real.h5", name="real", folder=work / "home" / "encoders")
    monkeypatch.setenv("ENCODER", "real")


@pytest.mark.real
@needs_real
@pytest.mark.usefixtures("real")
def test_categories_of_real_images(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wanted = ("accordion", "butterfly", "cup", "umbrella", "sunflower", "watch")
    with zipfile.ZipFile(CALTECH) as archive:
        for name in archive.namelist():
            label = Path(name).parent.name
            if label in wanted:
                target = work / "caltech_101" / label / Path(name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    steps = run(take(work, "category-search.yaml", collection="collection: visual"), capfd)
    assert steps["categories"]["result"]["accuracy"] > 0.9
    with lookalike.open("visual") as shop:
        for label in wanted:
            item = next(one for one in shop.items() if one.label == label)
            path = shop.file_of(item)
            assert path is not None
            hits = shop.search(path, k=5, category="auto")
            assert [one.item.label for one in hits] == [label] * 5


@pytest.mark.real
@needs_real
@pytest.mark.usefixtures("real")
def test_neighbours_of_real_products(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(MYNTRA) as archive:
        (table,) = (name for name in archive.namelist() if name.endswith("styles.csv"))
        lines = archive.read(table).decode().splitlines()
        kept = [line for line in lines[1:] if line.split(",")[4] in ("Watches", "Jeans", "Socks")]
        (work / "fashion-dataset" / "images").mkdir(parents=True)
        for line in kept[:150]:
            name = f"images/{line.split(',')[0]}.jpg"
            (member,) = (one for one in archive.namelist() if one.endswith(name))
            (work / "fashion-dataset" / name).write_bytes(archive.read(member))
    (work / "fashion-dataset" / "styles.csv").write_text("\n".join([lines[0], *kept[:150]]) + "\n")
    run(take(work, "fashion-neighbours.yaml"), capfd)
    with lookalike.open("./fashion") as shop:
        right = [
            hit.item.label == item.label
            for item in list(shop.items())[:50]
            for hit in shop.similar(item.id, k=10)
        ]
    assert np.mean(right) > 0.9
