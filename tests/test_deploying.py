"""The container, the units and the proxies of docs/deploying.md are what the tools take."""

import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest
import yaml

import lookalike
from contracts.collection import stock
from live import Live, serving
from lookalike.config import Settings
from lookalike.service.settings import ServiceSettings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "examples" / "deploy"

# -- the container ------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    pairs = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [(word, " ".join(rest.split())) for word, rest in pairs]


def given(word: str) -> list[str]:
    return [rest for one, rest in instructions() if one == word]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets a path of the repository into a build: the last rule decides."""
    kept = True
    for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n"):
        pattern = rule.strip().removeprefix("!").removeprefix("**/")
        if not pattern or pattern.startswith("#"):
            continue
        parts = Path(path).parts
        about = {"/".join(parts[: end + 1]) for end in range(len(parts))}
        about |= set(parts) if "**/" in rule else set()
        if any(fnmatch(one, pattern) for one in about):
            kept = rule.startswith("!")
    return kept


def test_the_dockerfile_has_no_instruction_that_docker_lacks() -> None:
    known = {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "VOLUME", "EXPOSE"}
    known |= {"HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in instructions()} == known


def test_everything_that_is_copied_is_there_and_reaches_the_build() -> None:
    sources = [
        source
        for rest in given("COPY")
        if not rest.startswith("--from=")
        for source in shlex.split(rest)[:-1]
    ]
    assert "src" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert in_context(source), source
    for kept_out in ("tests/conftest.py", ".git/config", ".venv/bin/python", "keys"):
        assert not in_context(kept_out), kept_out
    assert not in_context("src/lookalike/__pycache__/errors.cpython-311.pyc")
    assert in_context("src/lookalike/encoders/shipped/efficientnet-lite0.toml")


def test_what_the_wheel_is_built_from_is_copied() -> None:
    copied = " ".join(given("COPY"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'readme = "README.md"' in project
    assert 'license-files = ["LICENSE"]' in project
    for needed in ("pyproject.toml", "README.md", "LICENSE", "src", "requirements"):
        assert needed in copied


def test_the_container_is_not_root_and_keeps_what_it_stores() -> None:
    (user,) = given("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    after = [word for word, _ in instructions()]
    last_run = max(at for at, word in enumerate(after) if word == "RUN")
    assert after.index("USER") > last_run
    (volume,) = given("VOLUME")
    (environment,) = [one for one in given("ENV") if "LOOKALIKE_HOME" in one]
    assert f"LOOKALIKE_HOME={volume}" in environment.split()
    assert f"install -d -o lookalike -g lookalike {volume}" in " ".join(given("RUN"))
    assert f"useradd --system --uid {user.split(':')[0]} " in " ".join(given("RUN"))
    # A base that has a name, and the same one that it was built on.
    assert len({one.split(" ")[0] for one in given("FROM")}) == 1


def test_what_is_installed_is_locked_and_never_compiled() -> None:
    installs = re.findall(r"pip install ([^&]*)", " ".join(given("RUN")))
    assert installs[0].split() == [
        *("--require-hashes", "--only-binary", ":all:", "-r", "requirements/runtime.txt"),
    ]
    assert [one.split()[0] for one in installs[1:]] == ["--no-deps"]


def test_the_tools_that_build_are_locked_as_well(tmp_path: Path) -> None:
    (command,) = re.findall(r"(sed -n .*?) > tools.txt", " ".join(given("RUN")))
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    done = subprocess.run(
        shlex.split(command), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert all(re.fullmatch(r"[a-z0-9.-]+==[\w.]+", line) for line in lines)
    assert any(line.startswith("hatchling==") for line in lines)


def test_the_commands_that_the_container_runs_are_ours() -> None:
    assert given("ENTRYPOINT") == ['["lookalike"]']
    assert given("CMD") == ['["serve"]']
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'lookalike = "lookalike.cli:main"' in project
    from lookalike.cli.serve import serve_command  # noqa: PLC0415 - the command line is not cheap

    known = {str(option.envvar) for option in serve_command.params if hasattr(option, "envvar")}
    known |= set(re.findall(r"LOOKALIKE_\w+", Settings.__doc__ or ""))
    for name in re.findall(r"LOOKALIKE_\w+", " ".join(given("ENV"))):
        assert name in known, name


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Path:
    home = tmp_path_factory.mktemp("deployed")
    stock(home, card, paint)
    return home


def healthy(port: int) -> "subprocess.CompletedProcess[str]":
    (health,) = given("HEALTHCHECK")
    command = re.search(r'CMD \["python", "/opt/lookalike/(\S+)"\]', health)
    assert command is not None
    return subprocess.run(
        [sys.executable, DEPLOY / command[1]],
        env={"LOOKALIKE_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_container_is_healthy_when_the_service_can_search(home: Path) -> None:
    with serving(home) as live:
        port = int(live.address.rpartition(":")[2])
        done = healthy(port)
        assert (done.returncode, done.stderr) == (0, "")
        assert '"ok"' in done.stdout
        live.app.state.service.closing.set()
        assert healthy(port).returncode == 1
        live.app.state.service.closing.clear()
    done = healthy(port)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("not ready: ")


def test_it_is_healthy_too_where_it_answers_to_chosen_names(home: Path) -> None:
    with serving(home, settings=ServiceSettings(hosts=("images.example",))) as live:
        port = int(live.address.rpartition(":")[2])
        assert healthy(port).returncode == 0


def test_the_compose_file_adds_no_power() -> None:
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    service = document["services"]["lookalike"]
    assert (DEPLOY / service["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    (volume,) = given("VOLUME")
    assert f"lookalike:{volume}" in service["volumes"]
    assert set(document["volumes"]) == {"lookalike"}


# -- systemd ------------------------------------------------------------------------------------


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in DEPLOY.glob("lookalike*.[st]*"):
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(
            text.replace("/opt/lookalike/bin/lookalike", sys.executable)
        )
    return tmp_path


@pytest.mark.parametrize(
    "unit", ["lookalike.service", "lookalike-index.service", "lookalike-index.timer"]
)
def test_systemd_takes_the_units(units: Path, unit: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", units / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    about = [line for line in done.stderr.splitlines() if "lookalike" in line]
    assert about == []
    assert done.returncode == 0, done.stderr


def test_systemd_thinks_the_service_well_shut_in(units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", units / "lookalike.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level.*?: (\d+\.\d+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) < 3


def test_units_run_commands_that_there_are() -> None:
    for unit in ("lookalike.service", "lookalike-index.service"):
        text = (DEPLOY / unit).read_text(encoding="utf-8")
        (command,) = re.findall(r"^ExecStart=/opt/lookalike/bin/lookalike (.*)", text, re.MULTILINE)
        name = command.split()[0]
        done = subprocess.run(
            [sys.executable, "-m", "lookalike", name, "--help"], capture_output=True, check=False
        )
        assert done.returncode == 0


# -- reverse proxies ----------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(command: list[str | Path], port: int, log: Path) -> Iterator[None]:
    """A proxy in a process of its own, once it accepts connections."""
    with log.open("w") as errors, subprocess.Popen(command, stdout=errors, stderr=errors) as one:
        try:
            for _ in range(400):
                assert one.poll() is None, log.read_text()
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield
        finally:
            one.terminate()
            one.wait(20)


@pytest.fixture
def live(home: Path) -> Iterator[Live]:
    settings = ServiceSettings(hosts=("images.example", "127.0.0.1"))
    with serving(home, settings=settings) as live:
        yield live


@pytest.fixture
def nginx(live: Live, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the service behind nginx with examples/deploy/nginx.conf."""
    program, openssl = shutil.which("nginx"), shutil.which("openssl")
    if program is None or openssl is None:
        pytest.skip("nginx and openssl are not both installed")
    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=images.example"),
            *("-addext", "subjectAltName=DNS:images.example,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    port, plain = free_port(), free_port()
    site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    site = site.replace("listen 80", f"listen 127.0.0.1:{plain}")
    site = site.replace("/etc/ssl/images.example", str(tmp_path))
    site = site.replace("127.0.0.1:8000", live.address.removeprefix("http://"))
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        site += f"{kind}_temp_path {tmp_path / kind};\n"
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"daemon off; pid {tmp_path / 'pid'}; error_log stderr; worker_processes 1;\n"
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{site}}}\n"
    )
    command: list[str | Path] = [program, "-p", tmp_path, "-e", "stderr", "-c", whole]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr, checked.stderr
    with running(command, port, tmp_path / "log"):
        trusting = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            verify=trusting,
            headers={"Host": "images.example"},
            timeout=60,
        ) as client:
            yield client


@pytest.fixture
def caddy(live: Live, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the service behind Caddy with examples/deploy/Caddyfile, without TLS."""
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy is not installed")
    port = free_port()
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    text = text.replace("\nimages.example {", f"\nhttp://images.example:{port} {{")
    text = text.replace("127.0.0.1:8000", live.address.removeprefix("http://"))
    file = tmp_path / "Caddyfile"
    file.write_text("{\n\tadmin off\n}\n" + text)
    command: list[str | Path] = [program, "run", "--config", file, "--adapter", "caddyfile"]
    with running(command, port, tmp_path / "log"):
        headers = {"Host": f"images.example:{port}"}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60
        ) as client:
            yield client


def through(client: httpx.Client, home: Path) -> None:
    """What must hold behind any proxy."""
    data = (home / "pictures" / "0.png").read_bytes()
    answer = client.post("/v1/search", files={"image": data})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["hits"]) == 8  # an upload finds its exact duplicates too
    for one in ("mugs%2Fa%20b.png", "mugs%2F100%25.png", "mugs%2Fa%3Fb%26c%3Dd%23e%2Bf.png"):
        found = client.get(f"/v1/items/{one}")
        assert found.status_code == 200, found.text
        picture = client.get(found.json()["image"])
        assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")
    problem = client.get("/v1/items/a%2F%2Fnothing")
    assert (problem.status_code, problem.json()["code"]) == (404, "no-such-item")
    assert "'a//nothing'" in problem.json()["detail"]
    assert client.get("/metrics").status_code == 404
    large = client.post("/v1/search", content=b"x" * (21 * 2**20))
    assert large.status_code in {413, 415}
    job = client.post("/v1/jobs", json={"root": ""})
    assert job.status_code == 202, job.text
    with client.stream("GET", f"/v1/jobs/{job.json()['id']}/events") as events:
        text = "".join(events.iter_text())
    assert "event: end" in text


def test_all_goes_through_nginx(nginx: httpx.Client, home: Path) -> None:
    through(nginx, home)
    assert nginx.get("/health/live").headers["strict-transport-security"]


def test_all_goes_through_caddy(caddy: httpx.Client, home: Path) -> None:
    through(caddy, home)


def test_a_client_asks_through_nginx(
    nginx: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "fullchain.pem"))
    with lookalike.connect(str(nginx.base_url)) as shop:
        assert len(shop) == 8
        assert shop.get("mugs/a b.png").label == "mug"


# -- the document -------------------------------------------------------------------------------


def test_every_file_for_deploying_is_in_the_document() -> None:
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    for file in [*DEPLOY.iterdir(), ROOT / "Dockerfile"]:
        if file.name not in {"healthy.py", "__pycache__"}:
            assert f"{file.name})" in page, file.name


def test_the_metrics_that_the_document_names_are_there(home: Path) -> None:
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\blookalike_[a-z_]+", page))
    assert len(named) > 3
    with serving(home) as live:
        live.client.get("/v1/items/0.png")
        text = live.client.get("/metrics").text
    for name in named:
        assert name in text, name


def test_the_scrape_names_the_route(home: Path) -> None:
    document = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))
    (job,) = document["scrape_configs"]
    with serving(home, settings=ServiceSettings(read_key="k", write_key="w")) as live:
        assert live.client.get(job["metrics_path"]).status_code == 401
        bearer = {"Authorization": "Bearer k"}
        assert live.client.get(job["metrics_path"], headers=bearer).status_code == 200
