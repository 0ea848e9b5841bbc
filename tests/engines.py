"""The real servers that some tests talk to, and servers of a test's own to stop and start."""

import base64
import http.client
import json
import os
import shlex
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "engines"
VARIABLES = {
    "elasticsearch": "LOOKALIKE_TEST_ELASTICSEARCH",
    "opensearch": "LOOKALIKE_TEST_OPENSEARCH",
}


def address(engine: str) -> str:
    """Where a real server answers; skips the test when nobody has started one.

    Two workers may use the server at once: a test's indices need names of their own.
    """
    url = os.environ.get(VARIABLES[engine])
    if not url:
        pytest.skip(f'{VARIABLES[engine]} is not set; start servers: eval "$(scripts/engines up)"')
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: Any  # JSON


def call(
    url: str,
    method: str,
    path: str,
    body: object = None,
    *,
    lines: Sequence[object] = (),
    ca: Path | None = None,
) -> Answer:
    """One plain HTTP request; ``lines`` makes it a bulk request of these JSON lines.

    With ``ca`` over TLS, as the first user of a secured server.
    """
    sent = None if body is None else json.dumps(body)
    kind = "application/json"
    if lines:
        sent = "".join(json.dumps(line) + "\n" for line in lines)
        kind = "application/x-ndjson"
    place = urlsplit(url)
    host, sending = place.hostname or "", {"Content-Type": kind}
    connection = http.client.HTTPConnection(host, place.port, timeout=60)
    if ca is not None:
        trust = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection(host, place.port, timeout=60, context=trust)
        sending["Authorization"] = f"Basic {base64.b64encode(b'admin:lookalike').decode()}"
    try:
        connection.request(method, path, sent, sending)
        answer = connection.getresponse()
        text = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(status=answer.status, headers=headers, body=json.loads(text))
    finally:
        connection.close()


class OwnServer:
    """A server that a test may stop, kill and start as it likes.

    Data and address stay the same through all of that.
    """

    def __init__(self, engine: str, instance: str, *options: str) -> None:
        address(engine)  # nobody wants servers where nobody started the shared ones
        self.engine = engine
        self._instance = instance
        told = shlex.split(self._run(*options, "up"))
        values = dict(one.split("=", 1) for one in told if "=" in one)
        self.url = values[VARIABLES[engine]]
        ca = values.get(f"{VARIABLES[engine]}_CA")
        self.ca = Path(ca) if ca else None  # of a secured one

    def start(self) -> None:
        """Start it again where it does not run."""
        self._run("start")

    def stop(self) -> None:
        """End it gently."""
        self._run("stop")

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self._run("kill")

    def remove(self) -> None:
        self._run("down")

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [str(SCRIPT), "--instance", self._instance, *words, self.engine],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
