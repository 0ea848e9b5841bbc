"""Files that are written replace neither images nor catalogues nor a collection's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import lookalike
from lookalike.cli import cli
from lookalike.display.outputs import save_sheet
from lookalike.errors import ExportError
from lookalike.runfile.execution import execute
from lookalike.runfile.reading import read_run_file
from lookalike.stores.embedded.own_files import DATABASE
from test_folder_safety import contents, quiet

Paint = Callable[[Path, int], Path]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


@pytest.fixture
def shop(tmp_path: Path, pictures: Path, card: Path) -> Path:
    """A collection that was indexed from a table beside its images."""
    table = tmp_path / "table.csv"
    lines = [
        f"{path.relative_to(tmp_path)},{'even' if number % 2 == 0 else 'odd'}"
        for number, path in enumerate(sorted(pictures.iterdir()))
    ]
    table.write_text("\n".join(["file,label", *lines]) + "\n")
    folder = tmp_path / "shop"
    assert run("index", table, "-c", folder, "--encoder", card).exit_code == 0
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("search", "{query}", "--sheet", "{target}"),
        ("similar", "1", "--sheet", "{target}"),
        ("evaluate", "--report", "{target}", "-k", "1"),
        ("duplicates", "--report", "{target}"),
        ("categories", "train", "--report", "{target}"),
        ("export", "{target}", "--format", "csv", "--force"),
    ],
)
@pytest.mark.parametrize(
    "target", ["query.png", "elsewhere.jpg", "pictures/1.png", "table.csv", "shop/" + DATABASE]
)
def test_no_output_replaces_an_image_a_catalogue_or_a_collections_own_file(
    shop: Path, tmp_path: Path, paint: Paint, command: tuple[str, ...], target: str
) -> None:
    query = paint(tmp_path / "query.png", 3)
    paint(tmp_path / "elsewhere.png", 4).rename(tmp_path / "elsewhere.jpg")
    with lookalike.open(shop) as opened:
        first = next(iter(opened)).id
    before = contents(tmp_path)
    words = [
        word.format(query=query, target=tmp_path / target) if word != "1" else first
        for word in command[:2]
    ] + [word.format(query=query, target=tmp_path / target) for word in command[2:]]
    done = run(*words, "-c", shop)
    assert isinstance(done.exception, ExportError), done.output
    assert contents(tmp_path) == before


def test_the_query_is_not_replaced_through_a_link_or_another_name(
    shop: Path, tmp_path: Path, paint: Paint
) -> None:
    query = paint(tmp_path / "query.png", 3)
    (tmp_path / "link.png").symlink_to(query)
    before = contents(tmp_path)
    for target in (tmp_path / "link.png", tmp_path / "pictures" / ".." / "query.png"):
        done = run("search", query, "--sheet", target, "-c", shop)
        assert "is an input of this command" in str(done.exception)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_an_earlier_sheet_is_replaced(shop: Path, tmp_path: Path, suffix: str) -> None:
    sheet = tmp_path / f"sheet.{suffix}"
    for number in (1, 2):
        done = run("search", tmp_path / "pictures" / f"{number}.png", "--sheet", sheet, "-c", shop)
        assert done.exit_code == 0, done.output
    with Image.open(sheet) as image:
        assert image.width > 100


def test_reports_and_tables_of_ones_own_are_replaced(shop: Path, tmp_path: Path) -> None:
    for name in ("report.html", "out.csv"):
        (tmp_path / name).write_text("from last week")
    assert run("duplicates", "--report", tmp_path / "report.html", "-c", shop).exit_code == 0
    assert "<html" in (tmp_path / "report.html").read_text()
    assert run("export", tmp_path / "out.csv", "--force", "-c", shop).exit_code == 0
    assert (tmp_path / "out.csv").read_text().startswith("id,")


@pytest.mark.parametrize("step", ["export: {file: %s}", "evaluate: {k: [1], json: %s}"])
@pytest.mark.parametrize("target", ["table.csv", "pictures/1.png", "run.yaml"])
def test_a_run_replaces_none_of_its_inputs(
    shop: Path, tmp_path: Path, card: Path, step: str, target: str
) -> None:
    file = tmp_path / "run.yaml"
    if step.startswith("export"):
        step = step.replace("}", ", format: csv}")
    file.write_text(
        f"collection: {shop}\nencoder: {card}\nindex: {{source: table.csv}}\n{step % target}\n"
    )
    before = contents(tmp_path / "pictures"), file.read_bytes()
    table = (tmp_path / "table.csv").read_bytes()
    for _ in range(2):
        *_, last = execute(read_run_file(file, {}), shown=quiet)
        assert last.status == "failed"
    assert (contents(tmp_path / "pictures"), file.read_bytes()) == before
    assert (tmp_path / "table.csv").read_bytes() == table


def test_a_sheet_of_a_format_without_marks_is_written_once(tmp_path: Path) -> None:
    sheet = Image.new("RGB", (8, 8))
    save_sheet(sheet, tmp_path / "sheet.bmp")
    with pytest.raises(ExportError, match="delete it first"):
        save_sheet(sheet, tmp_path / "sheet.bmp")


def test_a_sheet_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    place = tmp_path / "sheet.png"
    save_sheet(Image.new("RGB", (8, 8)), place)
    before = contents(tmp_path)
    with pytest.raises(TypeError):
        save_sheet(Image.new("RGB", (9, 9)), place, compress_level="none")
    with pytest.raises(ValueError, match="unknown file extension"):
        save_sheet(Image.new("RGB", (9, 9)), tmp_path / "sheet.nothing")
    assert contents(tmp_path) == before


def test_no_output_replaces_a_file_of_a_data_set(tmp_path: Path, paint: Paint, card: Path) -> None:
    data = tmp_path / "myntra"
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
    row = "1,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,A shirt"
    paint(data / "images/1.jpg", 1)
    table, details = data / "styles.csv", data / "styles/1.json"
    table.write_text(f"{header}productDisplayName\n{row}\n")
    details.parent.mkdir()
    details.write_text("{}")
    shop = tmp_path / "shop"
    assert run("index", data, "-c", shop, "--encoder", card).exit_code == 0
    before = contents(data)
    for target in (table, details):
        done = run("export", target, "--format", "csv", "--force", "-c", shop)
        assert "is a file of a catalogue that" in str(done.exception)
    assert contents(data) == before
    new = tmp_path / "moved"
    data.rename(new)
    assert run("relocate", data, new, "-c", shop).exit_code == 0
    done = run("export", new / table.name, "--force", "-c", shop)
    assert "is a file of a catalogue that" in str(done.exception)
    assert contents(new) == before
