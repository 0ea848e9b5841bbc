"""The documents say what the code does: examples run, every option is named, nothing is stale."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import lookalike
from drawn_catalogue import draw, draw_query
from lookalike.cli import invoke

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


_RENDER = """
import runpy, sys
from pathlib import Path
text = Path(sys.argv[2]).read_text(encoding="utf-8")
sys.stdout.buffer.write(runpy.run_path(sys.argv[1])[sys.argv[3]](text).encode())
"""


@pytest.mark.parametrize(
    ("name", "render"),
    [
        ("cli.md", "rendered"),
        ("encoders.md", "with_encoders"),
        ("encoder-quality.md", "with_measurements"),
    ],
)
def test_what_is_rendered_in_the_docs_is_what_the_code_says(name: str, render: str) -> None:
    """The help of every command, the encoders that can be pulled, and those that were measured."""
    page = ROOT / "docs" / name
    # In a process of its own: click keeps the help of a command that another test has run.
    rendered = subprocess.run(
        [sys.executable, "-c", _RENDER, ROOT / "scripts" / "render_docs.py", page, render],
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


# A line above a code block: why it does not run, or with which code its last command exits.
_MARK = re.compile(
    r"<!-- (?:(?P<setup>setup)|not run: (?P<reason>.+)|exits with (?P<code>\d+)) -->"
)
_SETUP = {
    "python examples/drawn_catalogue.py photos --query query.jpg",
    "lookalike index photos/catalogue.csv -c shop",
}


class Block(NamedTuple):
    """A code block of a page. ``code`` is that of a console block's last command."""

    line: int
    language: str
    text: str
    skip: bool
    setup: bool
    code: int


def _blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    language, start = "", 0
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start:
            mark = _MARK.fullmatch(lines[start - 2]) if start > 1 else None
            yield Block(
                line=start,
                language=language,
                text="\n".join(lines[start:number]),
                skip=mark is not None and mark["reason"] is not None,
                setup=mark is not None and mark["setup"] is not None,
                code=int(mark["code"]) if mark is not None and mark["code"] else 0,
            )
            start = 0
        else:
            language, start = line.removeprefix("```"), number + 1


def _commands(block: Block) -> list[str]:
    """The commands of a console block, without prompt, comment and output."""
    joined = block.text.replace("\\\n", " ")
    return [line[2:].split("  #")[0].strip() for line in joined.splitlines() if line[:2] == "$ "]


_RUNNABLE = [
    page
    for page in PAGES
    if any(
        block.language in {"console", "python"} and not block.skip and not block.setup
        for block in _blocks(page)
    )
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_have_a_form_that_the_tests_run(page: Path) -> None:
    for block in _blocks(page):
        where = f"{page.name}:{block.line}"
        assert block.language not in {"sh", "bash", "shell", "py"}, f"{where}: console or python"
        if block.language == "console" and not block.skip:
            assert _commands(block), f"{where}: a command begins with '$ '"
        if block.setup:
            assert set(_commands(block)) <= _SETUP, where


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where the pages' examples run, and what lies there at first: the shop of docs/index.md."""
    work, template = (tmp_path_factory.mktemp("docs") / name for name in ("work", "template"))
    draw(work / "photos", products=48)
    draw_query(work / "query.jpg", "mug-003")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_HOME", str(work / "home"))
        patch.chdir(work)
        assert invoke(["index", "photos/catalogue.csv", "-c", "shop"]) == 0
    shutil.move(work, template)
    return work, template


@pytest.mark.parametrize("page", _RUNNABLE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_run(
    page: Path,
    shop: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    work, template = shop
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(template, work)
    monkeypatch.setenv("LOOKALIKE_HOME", str(work / "home"))
    monkeypatch.chdir(work)
    names: dict[str, object] = {}
    for block in _blocks(page):
        if block.skip or block.setup:
            continue
        where = f"{page.name}:{block.line}"
        if block.language == "python":
            source = "\n" * block.line + block.text
            exec(compile(source, str(page), "exec"), names)  # noqa: S102 - our own page
        elif block.language == "console":
            commands = _commands(block)
            for command in commands:
                code = _exit_code(command)
                wanted = block.code if command is commands[-1] else 0
                assert code == wanted, f"{where}: {command}: {code}\n{capfd.readouterr().err}"


def _exit_code(command: str) -> int:
    words = shlex.split(command)
    if words[0] == "lookalike":
        return invoke(words[1:])
    return subprocess.run(["/bin/sh", "-c", command], check=False).returncode


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_headings_lead_to_a_heading(page: Path) -> None:
    for target, heading in re.findall(
        r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")
    ):
        other = page.parent / target if target else page
        headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), flags=re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
        assert heading in slugs, f"{page.name}: {target}#{heading}"


def test_the_front_page_names_every_page() -> None:
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in text, page.name


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "lookalike"
    for line in text.splitlines():
        if line.startswith("| "):
            for name in re.findall(r"`([a-z_/]+(?:\.py|/))`", line):
                found = any((base / name).exists() for base in (package, *package.iterdir()))
                assert found, name


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
