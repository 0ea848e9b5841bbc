"""The documents say what the code does: examples run, every option is named, nothing is stale."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

import lookalike

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


_RENDER = """
import runpy, sys
from pathlib import Path
text = Path(sys.argv[2]).read_text(encoding="utf-8")
sys.stdout.buffer.write(runpy.run_path(sys.argv[1])["rendered"](text).encode())
"""


def test_the_help_in_the_docs_is_that_of_the_commands() -> None:
    page = ROOT / "docs" / "cli.md"
    # In a process of its own: click keeps the help of a command that another test has run.
    rendered = subprocess.run(
        [sys.executable, "-c", _RENDER, ROOT / "scripts" / "render_docs.py", page],
        capture_output=True,
        check=True,
    )
    assert page.read_text(encoding="utf-8") == rendered.stdout.decode(), (
        "run: python scripts/render_docs.py"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_the_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_python_examples_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos" / "red"
    photos.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (64, 48), (200 + number, 20 * number, 10)).save(photos / f"{number}.png")
    Image.new("RGB", (64, 48), (210, 30, 10)).save(tmp_path / "query.png")
    Image.new("RGB", (64, 48), (210, 30, 10)).save(tmp_path / "query.jpg")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), page, "exec"), {})  # noqa: S102 - our own page
    assert "red/" in capsys.readouterr().out


def test_decision_records_fit_a_page() -> None:
    for record in (ROOT / "docs" / "decisions").glob("*.md"):
        text = record.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 45, record.name
        for part in ("## Decision", "## Why", "## Rejected", "## Revisit when"):
            assert part in text, f"{record.name} lacks {part}"


def test_the_changelog_begins_with_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(r"^## \[([^]]+)\]", text, flags=re.MULTILINE)
    assert found is not None
    assert found.group(1) == lookalike.__version__


def test_every_public_name_is_there_and_listed_in_order() -> None:
    assert sorted(lookalike.__all__, key=lambda name: (name.islower(), name)) == lookalike.__all__
    for name in lookalike.__all__:
        assert getattr(lookalike, name) is not None
    assert dir(lookalike) == sorted(lookalike.__all__)


def test_every_module_lists_its_public_names() -> None:
    package = ROOT / "src" / "lookalike"
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name == "__init__.py" and not ast.parse(text).body[1:]:
            continue  # a docstring that says what lives in the folder
        if path != package / "__main__.py":
            assert "\n__all__" in text, path


def test_importing_lookalike_loads_no_network_runtime_and_no_framework() -> None:
    heavy = ["onnxruntime", "onnx", "usearch", "rich", "click", "pathspec", "PIL.ImageCms"]
    code = (
        "import sys, lookalike; lookalike.open; lookalike.Collection; lookalike.Limits\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert isinstance(lookalike, ModuleType)
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        lookalike.serach  # noqa: B018 - that it raises is the point


def test_nothing_in_the_repository_names_a_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    private = re.compile(r"/(?:home|root|Users)/\w|/work/(?:main|shared)")
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.suffix in {".py", ".md", ".toml", ".txt", ".json", ".yaml", ""}:
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            assert not private.search(text.replace(private.pattern, "")), name
