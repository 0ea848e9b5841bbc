"""Collections, results and hits show themselves in a notebook, as tables and as sheets."""

import re
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lookalike
from live import Live, serving
from lookalike import Hit, Item, ItemRef, QueryPart, Words
from lookalike.client import RemoteCollection, connect
from lookalike.display import showing
from lookalike.display.cards import Card, cards_html, facts_html
from lookalike.errors import ExportError, ItemNotFoundError

NOTEBOOK = Path(__file__).parents[1] / "examples" / "search.ipynb"
EVIL = "<script>alert(1)</script>\"'&"

Shop = lookalike.Collection | RemoteCollection


class _Page(HTMLParser):
    """The images and texts of HTML, and whether its tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.alts: list[str] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            named = dict(attrs)
            self.sources.append(named["src"] or "")
            self.alts.append(named["alt"] or "")
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Path:
    home = tmp_path_factory.mktemp("notebook")
    for number in range(5):
        paint(home / "images" / f"{number}.png", number)
    with lookalike.open(home / "collections" / "shop", encoder=card, create=True) as shop:
        shop.index(home / "images")
        shop.add(f"x/{EVIL}", home / "images" / "0.png", label=EVIL, metadata={"id": 7, "p": EVIL})
        shop.label(["0.png", "1.png"], "mug")
    return home


@pytest.fixture(scope="module")
def live(home: Path) -> Iterator[Live]:
    with serving(home) as live:
        yield live


@pytest.fixture(params=["local", "served"])
def shop(request: pytest.FixtureRequest, home: Path, live: Live) -> Iterator[Shop]:
    if request.param == "local":
        with lookalike.open(home / "collections" / "shop") as shop:
            yield shop
    else:
        with connect(live.address, collection="shop") as remote:
            yield remote


def test_a_collection_is_like_a_mapping_from_ids_to_items(shop: Shop) -> None:
    assert shop["0.png"].id == "0.png"
    assert "0.png" in shop
    assert len(shop) == 6
    with pytest.raises(ItemNotFoundError, match="nothing"):
        shop["nothing"]
    with pytest.raises(TypeError, match="id is 0, but must be text"):
        shop[0]  # type: ignore[index]


def test_reprs_are_short_and_name_what_matters(shop: Shop) -> None:
    results = shop.similar("0.png", k=5)
    assert all(repr(hit).startswith(f"Hit({hit.id!r}, score=") for hit in results)
    assert repr(results).startswith("Results([Hit(")
    assert repr(results).endswith("… 2 more])")
    assert "6 items" in repr(shop)
    assert repr(lookalike.Results()) == "Results([])"


def test_a_hit_knows_its_id_and_its_file(shop: Shop, home: Path) -> None:
    hit = next(hit for hit in shop.similar("0.png", k=6) if hit.id == "1.png")
    local = isinstance(shop, lookalike.Collection)
    assert hit.path == (home / "images" / "1.png" if local else None)
    assert Hit(item=hit.item, score=hit.score) == hit
    assert Hit(item=hit.item, score=1.0).path is None


def test_results_show_the_query_and_every_hit_with_its_score(shop: Shop) -> None:
    results = shop.similar("0.png", k=3)
    page = _Page(results._repr_html_())
    assert page.alts == ["0.png", *(hit.id for hit in results if hit.item.label != EVIL)]
    assert page.texts.count("no image") == 1  # of the one that came as bytes
    assert all(one.startswith("data:image/jpeg;base64,/9j/") for one in page.sources)
    for hit in results:
        assert f"{hit.score:.3f}" in page.texts
    assert "3 results for 0.png" in page.texts


def test_every_text_is_escaped(shop: Shop) -> None:
    results = shop.search(
        [QueryPart(source=ItemRef(f"x/{EVIL}")), QueryPart(source=Words(EVIL))], k=6
    )
    one = next(hit for hit in shop.similar("0.png", k=6) if hit.item.label == EVIL)
    shown = (results._repr_html_(), one._repr_html_() or "", shop._repr_html_())
    for text in (*shown, facts_html(EVIL, [(EVIL, EVIL)]), cards_html([], notes=[EVIL])):
        page = _Page(text)
        assert not page.tags & {"script", "b"}
        assert EVIL in "".join(page.texts) or any(EVIL in alt for alt in page.alts)


def test_no_results_say_why(shop: Shop) -> None:
    page = _Page(shop.similar("0.png", where="label=zzz")._repr_html_())
    assert "0 results for 0.png" in page.texts
    assert any("label = 'zzz'" in text for text in page.texts)


def test_a_collection_shows_what_it_holds(shop: Shop) -> None:
    page = _Page(shop._repr_html_())
    assert "shop: 6 items" in page.texts
    assert any("mug (2)" in text for text in page.texts)
    assert len(page.sources) == 5  # of exact duplicates only one


def test_an_empty_collection_shows_itself(tmp_path: Path, card: Path) -> None:
    with lookalike.open(tmp_path / "new", encoder=card, create=True) as shop:
        assert "new: 0 items" in _Page(shop._repr_html_()).texts
        assert "0 items" in repr(shop)


def test_many_hits_are_shown_up_to_a_bound(
    tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> None:
    for number in range(30):
        paint(tmp_path / "images" / f"{number}.png", number)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(tmp_path / "images")
        page = _Page(shop.similar("0.png", k=29)._repr_html_())
        assert len(page.sources) == 1 + 24
        assert "and 5 more; .to_pandas() has all of them" in page.texts


def test_what_cannot_be_shown_any_more_is_said_so(home: Path) -> None:
    with lookalike.open(home / "collections" / "shop") as shop:
        results = shop.similar("0.png", k=2)
    page = _Page(results._repr_html_())  # the collection is closed
    assert page.sources == []
    assert page.texts.count("no image") == 2
    assert repr(shop) == "<Collection>"


@pytest.mark.parametrize("query", ["path", "image", "array", "words", "vector", "encoded"])
def test_any_query_is_named(home: Path, query: str) -> None:
    file = home / "images" / "2.png"
    with lookalike.open(home / "collections" / "shop") as shop, Image.open(file) as image:
        asked: dict[str, tuple[Any, str, int]] = {
            "path": (file, "2.png", 1),
            "image": (image, "an image", 1),
            "array": (__import__("numpy").asarray(image), "an image", 1),
            "words": ("mug", "'mug'", 0),
            "vector": (shop.vectors(["2.png"])[0], "a vector", 0),
            "encoded": (shop.encode(file), "2.png", 1),
        }
        source, name, images = asked[query]
        results = shop.search(source, k=2)
        page = _Page(results._repr_html_())
        assert f"2 results for {name}" in page.texts
        assert len(page.sources) == 2 + images


def test_a_crop_of_the_query_is_shown_as_it_was_searched(home: Path, tmp_path: Path) -> None:
    half = Image.new("RGB", (200, 100), "red")
    half.paste((0, 0, 255), (0, 0, 100, 100))
    half.save(tmp_path / "query.png")
    with lookalike.open(home / "collections" / "shop") as shop:
        sheet = shop.search(tmp_path / "query.png", crop=(0, 0, 0.5, 1), k=1).sheet()
    colours = sheet.convert("RGB").getcolors(10**6) or []
    seen = {colour for count, colour in colours if count > 500}
    assert (0, 0, 255) in seen
    assert (255, 0, 0) not in seen


def test_results_become_a_table(shop: Shop) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    results = shop.similar("0.png", k=6)
    table = results.to_pandas()
    assert list(table["id"]) == [hit.id for hit in results]
    assert list(table["rank"]) == [1, 2, 3, 4, 5]
    assert list(table["score"]) == [hit.score for hit in results]
    assert {"label", "group", "path", "width", "height", "digest", "p"} <= {*table.columns}
    odd = table[table["id"] == f"x/{EVIL}"].iloc[0]
    assert odd["metadata.id"] == 7  # beside the item's own
    assert len(shop.to_pandas()) == 6
    assert len(shop.to_pandas("label=mug")) == 2
    assert "rank" not in shop.to_pandas().columns


def test_without_pandas_the_message_says_how_to_install_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ExportError, match="pip install pandas"):
        shop.similar("0.png").to_pandas()


def test_a_sheet_is_written_and_never_over_an_image_of_the_user(shop: Shop, tmp_path: Path) -> None:
    results = shop.similar("0.png", k=3)
    sheet = results.sheet(tmp_path / "results.png", columns=3, title="Three")
    with Image.open(tmp_path / "results.png") as written:
        assert written.size == sheet.size
    results.sheet(tmp_path / "results.png")  # its own sheet may be replaced
    Image.new("RGB", (9, 9)).save(tmp_path / "mine.png")
    with pytest.raises(ExportError, match="lookalike did not write"):
        results.sheet(tmp_path / "mine.png")
    with pytest.raises(ExportError, match=r"give a \.png or \.jpg file"):
        results.sheet(tmp_path / "results.unknown")
    with pytest.raises(TypeError, match="columns is 'x', but must be a whole number"):
        results.sheet(columns="x")  # type: ignore[arg-type]


def test_show_without_notebook_and_viewer_says_what_to_do(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not showing.in_notebook()
    monkeypatch.setattr("PIL.ImageShow._viewers", [])
    for one in (shop, shop.similar("0.png", k=1)):
        with pytest.raises(ExportError, match="neither a notebook nor an image viewer"):
            one.show()


def test_show_opens_the_image_viewer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageShow  # noqa: PLC0415 - beside its patch

    shown: list[tuple[int, int]] = []

    class Viewer(ImageShow.Viewer):
        def show(self, image: Image.Image, **_: object) -> int:
            shown.append(image.size)
            return 1

    monkeypatch.setattr(ImageShow, "_viewers", [Viewer()])
    results = shop.similar("0.png", k=2)
    results.show()
    shop.show()
    assert shown[0] == results.sheet().size
    assert len(shown) == 2


def test_a_card_without_an_image_says_so() -> None:
    page = _Page(cards_html([Card(jpeg=None, title="a/b.jpg", score=-0.5)]))
    assert page.texts == ["no image", "-0.500", "b.jpg"]
    assert "width:0.0%" in cards_html([Card(jpeg=None, title="a", score=-0.5)])


def test_a_hit_made_by_hand_has_no_html() -> None:
    assert Hit(item=Item(id="a", digest="", width=1, height=1), score=0.5)._repr_html_() is None


@pytest.mark.slow
def test_the_notebook_runs_and_shows_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("pandas", reason="pandas is not installed")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "clear the outputs"
    client = nbclient.NotebookClient(
        book, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    html = [one["data"]["text/html"] for one in outputs if "text/html" in one.get("data", {})]
    assert sum("data:image/jpeg" in one for one in html) >= 3
    assert any(re.search(r"6 results for query\.jpg", one) for one in html)
    assert any("<table" in one and "colour" in one for one in html)
    assert any("image/png" in one.get("data", {}) for one in outputs)
    assert (tmp_path / "notebook-out" / "results.png").is_file()
