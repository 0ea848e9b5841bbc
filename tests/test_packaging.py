"""The wheel has all that it needs, and works away from the source tree."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--wheel-dir", out, ROOT),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (path,) = out.glob("lookalike-*.whl")
    return path


def test_the_wheel_holds_the_package_its_cards_its_page_and_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "lookalike/py.typed",
        "lookalike/encoders/shipped/efficientnet-lite0.toml",
        "lookalike/encoders/curated/clip-vit-b-32.toml",
        "lookalike/cli/search.py",
    ):
        assert name in names
    page = ROOT / "src" / "lookalike" / "service" / "page"
    for file in page.iterdir():
        assert f"lookalike/service/page/{file.name}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if not name.startswith("lookalike")]


def test_the_wheel_finds_look_alikes_by_itself(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(place)
    code = (
        "import lookalike, numpy as np\n"
        "from PIL import Image\n"
        "from pathlib import Path\n"
        "Path('p').mkdir()\n"
        "for n in range(3): Image.new('RGB', (64, 64), (80 * n, 10, 10)).save(f'p/{n}.png')\n"
        "with lookalike.open('./c', create=True) as c:\n"
        "    c.index('p')\n"
        "    hits = c.search(np.full((64, 64, 3), (160, 10, 10), np.uint8), k=1)\n"
        "print(lookalike.__file__, hits[0].item.id)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(place / "lookalike" / "__init__.py"), "2.png"]


def test_the_lock_has_every_extra_but_those_that_bring_gigabytes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = re.findall(r"--extra ([\w-]+)", (ROOT / "scripts/lock").read_text(encoding="utf-8"))
    assert {*locked, "export", "finetune"} == set(project["optional-dependencies"])
