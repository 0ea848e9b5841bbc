"""Real servers with TLS, roles and keys: what each role must allow, and what is said without it.

The roles are those that docs/servers.md gives.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engines import OwnServer, call
from networks import tiny_card

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.timeout(600)]

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "servers.md"
PASSWORD = "of-people-0.who+do=little"  # noqa: S105 - of users that end with their server


@dataclass(frozen=True, kw_only=True)
class Secured:
    """A server that lets nobody in but by name, with a collection ``shop`` to be."""

    server: OwnServer
    home: Path
    keys: dict[str, str] = field(default_factory=dict)  # variables that stand for who asks

    @property
    def address(self) -> str:
        netloc = urlsplit(self.server.url).netloc
        return f"{self.server.engine}+https://{netloc}/shop?ca={self.server.ca}"

    def asked(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        answer = call(self.server.url, method, path, body, ca=self.server.ca)
        assert answer.status < 300, answer
        return answer.body

    def who(self, role: str) -> "Secured":
        """The same server, asked as somebody who has that role and no other."""
        variable = f"LOOKALIKE_{self.server.engine.upper()}"
        return Secured(
            server=self.server,
            home=self.home,
            keys={f"{variable}_USER": role, f"{variable}_PASSWORD": PASSWORD},
        )

    def cli(
        self, *words: str | Path, address: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lookalike", *map(str, words)]
        return subprocess.run(
            [*command, "-c", address or self.address],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **self.keys, "LOOKALIKE_HOME": str(self.home)},
        )


def roles(engine: str) -> dict[str, dict[str, list[str]]]:
    """The lists of the table *Roles* of the document: reader, writer, mover."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("\n## Roles\n")[2].partition("\n## ")[0]
    found: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        match [cell.strip() for cell in line.strip("|").split("|")]:
            case [role, product, indexes, privileges, cluster] if product == engine:
                found[role] = {
                    "indexes": [
                        name.replace("NAME", "shop") for name in re.findall(r"`(.+?)`", indexes)
                    ],
                    "privileges": re.findall(r"`(.+?)`", privileges),
                    "cluster": re.findall(r"`(.+?)`", cluster),
                }
    return found


def grant(secured: Secured, role: str, what: dict[str, list[str]]) -> None:
    """Make the role, and a user of its name who has it."""
    indexes, privileges, cluster = what["indexes"], what["privileges"], what["cluster"]
    if secured.server.engine == "elasticsearch":
        given = {"cluster": cluster, "indices": [{"names": indexes, "privileges": privileges}]}
        secured.asked("PUT", f"/_security/role/{role}", given)
        user = {"password": PASSWORD, "roles": [role]}
        secured.asked("PUT", f"/_security/user/{role}", user)
    else:
        rights = [{"index_patterns": indexes, "allowed_actions": privileges}]
        given = {"cluster_permissions": cluster, "index_permissions": rights}
        secured.asked("PUT", f"/_plugins/_security/api/roles/{role}", given)
        user = {"password": PASSWORD, "opendistro_security_roles": [role]}
        secured.asked("PUT", f"/_plugins/_security/api/internalusers/{role}", user)


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def secured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    server = OwnServer(request.param, f"test-{os.urandom(6).hex()}", "--secured")
    try:
        made = Secured(server=server, home=tmp_path_factory.mktemp("home"))
        for role, what in roles(request.param).items():
            grant(made, role, what)
        yield made
    finally:
        server.remove()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, paint: Callable[[Path, int], Path]) -> Path:
    pictures = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        paint(pictures / f"{number}.png", number)
    return pictures


@pytest.fixture
def stocked(secured: Secured, folder: Path, card: Path) -> Secured:
    """The same, when the writer has indexed the pictures, or a test before."""
    done = secured.who("writer").cli("index", folder, "--encoder", card)
    assert done.returncode == 0, done.stderr
    return secured


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command says."""
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert PASSWORD not in line
    return line


def test_the_document_has_every_role() -> None:
    for engine in ("elasticsearch", "opensearch"):
        assert list(roles(engine)) == ["reader", "writer", "mover"]


def test_a_reader_may_do_all_that_reads(stocked: Secured, folder: Path, tmp_path: Path) -> None:
    reader = stocked.who("reader")
    for words in (
        ("search", folder / "1.png"),
        ("search", folder / "1.png", "--exact", "--where", "label!=cup"),
        ("similar", "1.png"),
        ("facets", "label"),
        ("info",),
        ("export", tmp_path / "items.csv"),
        ("doctor",),
    ):
        done = reader.cli(*words)
        assert done.returncode == 0, (words, done.stderr)
    assert "0 B" not in reader.cli("info").stdout
    assert len((tmp_path / "items.csv").read_text().splitlines()) == 7


def test_a_reader_writes_nothing(stocked: Secured, folder: Path, tmp_path: Path) -> None:
    reader, more = stocked.who("reader"), tmp_path / "more"
    more.mkdir()
    (more / "new.png").write_bytes((folder / "1.png").read_bytes())
    for words in (
        ("index", more),
        ("label", "mug", "1.png"),
        ("remove", "1.png"),
        ("remove", "--all", "--yes"),
        ("declare", "price"),
        ("migrate", "--encoder", "efficientnet-lite0"),
    ):
        line = said(reader.cli(*words))
        assert "these credentials do not allow that" in line, words
        assert "docs/servers.md" in line
    assert len(reader.cli("list").stdout.splitlines()) == 6


def test_a_writer_may_write_and_take_it_all_away(
    secured: Secured, folder: Path, card: Path
) -> None:
    writer = secured.who("writer")
    for words in (
        ("index", folder, "--encoder", card),
        ("label", "mug", "1.png"),
        ("declare", "price"),
        ("neighbours", "build"),
        ("remove", "2.png"),
        ("prune", folder),
        ("remove", "--all", "--yes"),
    ):
        done = writer.cli(*words)
        assert done.returncode == 0, (words, done.stderr)


def test_a_mover_may_migrate(
    secured: Secured, folder: Path, card: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tiny_card(tmp_path_factory.mktemp("others"), name="other", seed=5)
    mover = secured.who("mover")
    for words in (
        ("index", folder, "--encoder", card),
        ("migrate", "--encoder", other),
        ("migrate", "--drop-old"),
        ("remove", "--all", "--yes"),
    ):
        done = mover.cli(*words)
        assert done.returncode == 0, (words, done.stderr)
    assert "do not allow that" in said(
        secured.who("writer").cli("index", folder, address=_beside(secured))
    )


def _beside(secured: Secured) -> str:
    return secured.address.replace("/shop?", "/another?")


def test_who_is_not_known_is_told_how_to_say_it(stocked: Secured) -> None:
    variable = f"LOOKALIKE_{stocked.server.engine.upper()}"
    line = said(stocked.cli("info"))
    assert "requires credentials" in line
    assert f"set {variable}_USER and {variable}_PASSWORD" in line
    wrong = stocked.who("reader")
    wrong.keys[f"{variable}_PASSWORD"] = "wrong"
    assert "requires credentials" in said(wrong.cli("info"))


def test_a_certificate_of_nobody_is_not_trusted(stocked: Secured) -> None:
    line = said(stocked.who("reader").cli("info", address=stocked.address.partition("?")[0]))
    assert "its certificate is not trusted here" in line
    assert "?ca=FILE" in line


def test_an_api_key_stands_for_a_role_until_it_is_withdrawn(stocked: Secured, folder: Path) -> None:
    if stocked.server.engine != "elasticsearch":
        pytest.skip("OpenSearch has no API keys")
    what = roles("elasticsearch")["reader"]
    rights = {"names": what["indexes"], "privileges": what["privileges"]}
    key = stocked.asked(
        "POST",
        "/_security/api_key",
        {"name": "page", "role_descriptors": {"reader": {"indices": [rights]}}},
    )
    program = Secured(
        server=stocked.server,
        home=stocked.home,
        keys={"LOOKALIKE_ELASTICSEARCH_API_KEY": key["encoded"]},
    )
    assert program.cli("search", folder / "1.png").returncode == 0
    assert "do not allow that" in said(program.cli("remove", "1.png"))
    stocked.asked("DELETE", "/_security/api_key", {"ids": [key["id"]]})
    line = said(program.cli("search", folder / "1.png"))
    assert "requires credentials" in line
    assert key["api_key"] not in line
