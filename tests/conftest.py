"""What many test modules share: places of their own, a small encoder, pictures."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

import engines
from drawn_catalogue import Drawn, draw
from lookalike.encoders import OnnxEncoder, load_encoder
from networks import tiny_card

# A busy machine is slow at times; pytest's own timeout ends what hangs.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the cache of the person who runs it; networks are built once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _own_home(
    _own_cache: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each test begins without collections and settings."""
    monkeypatch.setenv(
        "LOOKALIKE_HOME", str(tmp_path_factory.getbasetemp() / f"home-{os.urandom(4).hex()}")
    )
    monkeypatch.delenv("LOOKALIKE_COLLECTION", raising=False)


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of a tiny network, which tells colours and patterns apart."""
    return tiny_card(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="session")
def tiny(card: Path) -> OnnxEncoder:
    return load_encoder(card)


@pytest.fixture(scope="session")
def catalogue_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``catalogue`` lies; not to be written to."""
    return tmp_path_factory.mktemp("drawn") / "catalogue"


@pytest.fixture(scope="session")
def catalogue(catalogue_folder: Path) -> list[Drawn]:
    """Pictures of 24 products whose look-alikes are known by construction."""
    return draw(catalogue_folder, products=24)


def painted(path: Path, number: int) -> Path:
    """Save a small picture of its own colours and stripes; each ``number`` another one."""
    rng = np.random.default_rng(number)
    colours = rng.integers(0, 256, (2, 3))
    width = int(rng.integers(3, 14))
    stripes = (np.arange(64) // width % 2).astype(bool)
    pixels = np.where(stripes[None, :, None], colours[0], colours[1])
    pixels = np.broadcast_to(pixels, (48, 64, 3)).astype(np.uint8)
    if number % 2:
        pixels = pixels.transpose(1, 0, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return path


@pytest.fixture(scope="session")
def paint() -> Callable[[Path, int], Path]:
    """``paint(path, number)`` saves a small picture, unlike those of other numbers."""
    return painted


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder ``pictures`` of nine, from ``0.png`` to ``8.png``."""
    folder = tmp_path / "pictures"
    for number in range(9):
        painted(folder / f"{number}.png", number)
    return folder


_AS_NOBODY = """
import os, sys
from pathlib import Path
def become_nobody():
    if os.geteuid() == 0:
        os.setuid(65534)  # root may read anything
folder = Path(sys.argv[1])
"""


@pytest.fixture
def as_nobody(tmp_path: Path) -> Callable[[str], str]:
    """Run a script of its own process and answer what it prints.

    The script finds a writable ``folder``, and calls ``become_nobody()`` when it has imported
    everything: then permissions bind it even where the tests run as root.
    """
    folder = tmp_path / "nobody"
    folder.mkdir()
    folder.chmod(0o777)
    for part in (tmp_path, *tmp_path.parents):
        if part == Path(tempfile.gettempdir()):
            break
        part.chmod(part.stat().st_mode | 0o055)

    def run(script: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY + script, str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout

    return run


@pytest.fixture(scope="session")
def elasticsearch_url() -> str:
    """Where a real Elasticsearch answers; the test is skipped where none was started."""
    return engines.address("elasticsearch")


@pytest.fixture(scope="session")
def opensearch_url() -> str:
    """Where a real OpenSearch answers; the test is skipped where none was started."""
    return engines.address("opensearch")


@pytest.fixture
def unique_name() -> str:
    """A name for an index that no other test uses; real servers are shared."""
    return f"test-{os.urandom(6).hex()}"


@pytest.fixture(scope="module")
def own_server() -> Iterator[Callable[[str], engines.OwnServer]]:
    """``own_server("opensearch")`` runs for this module alone, whose tests may stop and kill it."""
    own: dict[str, engines.OwnServer] = {}

    def running(engine: str) -> engines.OwnServer:
        if engine not in own:
            own[engine] = engines.OwnServer(engine, f"test-{os.urandom(6).hex()}")
        own[engine].start()
        return own[engine]

    yield running
    for server in own.values():
        server.remove()
