"""Start and stop real Elasticsearch and OpenSearch servers, for the tests of the server stores.

The servers are assembled from Maven Central into build/engines, which takes a JDK, Maven and, the
first time, the network. They listen on loopback alone, run as an unprivileged user also when root
starts them, and are left alone by the tests' own instances (--instance). What these servers lack
beside the official distributions stands in docs/decisions/0014-real-engines-in-tests.md.

`up` prints the variables that the tests read: eval "$(scripts/engines up)" && pytest -m engines
"""

import argparse
import base64
import contextlib
import fcntl
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import engine_security as security

from engine_assembly import (
    BUILD,
    ENGINES,
    Engine,
    EngineError,
    assemble,
    java_home,
    java_homes,
    say,
)

OPENSEARCH_NODE = Path(__file__).with_name("OpenSearchNode.java")
NOBODY = 65534  # the number of the user without rights, whatever a system calls it
START_S = 180
STOP_S = 30
HEAP = "512m"
FAST_HEAP = "2g"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What is written down of a started server."""

    pid: int  # of the first process, and of its group
    began: str  # when that process began, so that another of the same number is not taken for it
    port: int
    transport_port: int


class Server:
    """One engine of one instance: a folder with its home, its data and what is known of it."""

    def __init__(self, engine: Engine, instance: str, *, fast: bool = False) -> None:
        self.engine = engine
        self._fast = fast
        self.cluster = f"lookalike-{instance}-{engine.name}"
        self.folder = BUILD / "instances" / instance / f"{engine.name}-{engine.version}"
        self.home = self.folder / "home"
        self.log = Path(f"{self.folder}.log")
        self._state = Path(f"{self.folder}.json")

    @property
    def last(self) -> Running | None:
        """How it was started last; it may have ended since."""
        try:
            return Running(**json.loads(self._state.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    @property
    def runs(self) -> bool:
        last = self.last
        return (
            last is not None and _began(last.pid) in (last.began, None) and _group_lives(last.pid)
        )

    @property
    def url(self) -> str:
        last = self.last
        scheme = "https" if self.secured else "http"
        return "" if last is None else f"{scheme}://127.0.0.1:{last.port}"

    @property
    def secured(self) -> bool:
        return security.certificate(self.home).exists()

    def prepare(self, *, secured: bool) -> None:
        """A home without data. The large files are links into what was assembled."""
        self.remove()
        shutil.copytree(self.engine.assembled, self.home, copy_function=os.link)
        shutil.rmtree(self.home / "config")
        shutil.copytree(self.engine.assembled / "config", self.home / "config")
        if self.engine.name == "opensearch":
            shutil.copy(OPENSEARCH_NODE, self.home)
        for name in ("data", "logs"):
            (self.home / name).mkdir(exist_ok=True)
        if secured:
            security.secure(self.home, self.engine, java_home(self.engine))

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others of the instance may be left
            self.folder.parent.rmdir()

    def launch(self) -> None:
        """Start the process and return at once; on the ports it had, when it had some."""
        java = java_home(self.engine)
        last = self.last
        port, transport_port = (last.port, last.transport_port) if last else _free_ports(2)
        home = self.home if os.geteuid() else Path("/tmp/home")  # noqa: S108  # see _unprivileged
        settings = {
            "cluster.name": self.cluster,
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": port,
            "transport.port": transport_port,
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        if self.secured:
            settings |= security.settings(self.engine)
        environment = {**os.environ, "ES_JAVA_HOME": str(java), "HOME": str(home)}
        # Without the optimising compiler a start takes a bit more than half the processor time.
        heap = FAST_HEAP if self._fast else HEAP
        java_options = [f"-Xms{heap}", f"-Xmx{heap}"]
        if not self._fast:
            java_options.append("-XX:TieredStopAtLevel=1")
        elif self.engine.name == "opensearch":  # Elasticsearch asks for it by itself
            java_options.append("--add-modules=jdk.incubator.vector")
        if self.engine.name == "opensearch":
            path, plugins = f"{home}/lib/*", "org.opensearch.knn.plugin.KNNPlugin"
            if self.secured:
                path += f":{home}/security/*"
                plugins += ",org.opensearch.security.OpenSearchSecurityPlugin"
            command = [f"{java}/bin/java", *java_options, "-cp", path]
            command += [
                f"{home}/{OPENSEARCH_NODE.name}",
                "-numOfNode",
                "1",
                "-basePath",
            ]
            command += [f"{home}/data", "-confPath", f"{home}/config"]
            # The runner listens on the number of the node past its base.
            command += ["-baseHttpPort", str(port - 1), "-clusterName", self.cluster]
            command += ["-pluginTypes", plugins]
        else:
            command = [f"{home}/bin/elasticsearch"]
            settings.setdefault("xpack.security.enabled", False)
            quiet = [
                "-Xlog:disable",
                "-Xlog:all=warning:stderr",
            ]  # no gigabytes of gc.log
            environment["ES_JAVA_OPTS"] = " ".join([*java_options, *quiet])
        kind = self.engine.name.removesuffix("8")
        (self.home / "config" / f"{kind}.yml").write_text(
            "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items()),
            encoding="utf-8",
        )
        if os.geteuid() == 0:
            command = _unprivileged(command, self.folder)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running = Running(
            pid=process.pid,
            began=_began(process.pid) or "",
            port=port,
            transport_port=transport_port,
        )
        self._state.write_text(json.dumps(asdict(running)), encoding="utf-8")

    def wait(self) -> None:
        """Return when the server responds; an EngineError when it ends or is not ready in time."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.healthy:
                return
            last = self.last
            with contextlib.suppress(ChildProcessError):
                os.waitpid(last.pid if last else 0, os.WNOHANG)
            if not self.runs:
                raise EngineError(f"{self.engine.name} ended while it started:\n{self.tail()}")
            time.sleep(0.25)
        self.end(signal.SIGKILL)
        raise EngineError(f"{self.engine.name} was not ready in {START_S} s:\n{self.tail()}")

    @property
    def healthy(self) -> bool:
        """Whether this very server responds on its port and takes documents."""
        last = self.last
        if last is None:
            return False
        connection = http.client.HTTPConnection("127.0.0.1", last.port, timeout=5)
        headers = {}
        if self.secured:
            trust = ssl.create_default_context(cafile=security.certificate(self.home))
            connection = http.client.HTTPSConnection(
                "127.0.0.1", last.port, timeout=5, context=trust
            )
            known = base64.b64encode(f"{security.USER}:{security.PASSWORD}".encode()).decode()
            headers["Authorization"] = f"Basic {known}"
        try:
            connection.request("GET", "/_cluster/health", headers=headers)
            health = json.load(connection.getresponse())
        except (OSError, ValueError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return (health.get("cluster_name"), health.get("status")) in (
            (self.cluster, "green"),
            (self.cluster, "yellow"),
        )

    def end(self, how: signal.Signals) -> None:
        """End the server's processes and wait until they have gone; the data stays."""
        last = self.last
        if last is None or not self.runs:
            return
        for sign, patience_s in ((how, STOP_S), (signal.SIGKILL, STOP_S)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(last.pid, sign)
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(last.pid, os.WNOHANG)
                if not _group_lives(last.pid):
                    return
                time.sleep(0.1)
        raise EngineError(f"{self.engine.name} (process {last.pid}) cannot be ended")

    def tail(self, lines: int = 30) -> str:
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def _unprivileged(command: list[str], folder: Path) -> list[str]:
    """The command as root has to run it: as nobody, seeing ``folder`` as its own /tmp.

    Elasticsearch refuses root. Nobody may not be able to reach this checkout, nor to write to the
    system's /tmp, where every JVM that loads an agent puts a socket; a mount of the folder that
    only this process sees cures both.
    """
    for name in ("unshare", "setpriv"):
        if shutil.which(name) is None:
            raise EngineError(f"as root this needs {name} (util-linux); or run it as another user")
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() or path.stat().st_nlink == 1:  # what is linked stays root's own
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    as_nobody = f"exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --no-new-privs"
    mounted = f'mount --bind "$0" /tmp && cd /tmp && {as_nobody} "$@"'
    return ["unshare", "--mount", "sh", "-c", mounted, str(folder), *command]


def _began(pid: int) -> str | None:
    """What tells a process from a later one of the same number; None when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607  # a system without /proc
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # root began it
        return True
    return True


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that outgoing connections are given.

    So a stopped server finds its port free when it is started again.
    """
    free: list[int] = []
    for port in random.sample(range(20_000, 30_000), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        free.append(port)
        if len(free) == count:
            return free
    raise EngineError("no free port between 20000 and 30000")


# The commands


def up(servers: Sequence[Server], *, keep: bool, secured: bool) -> None:
    """Start what does not run, all at once, and wait until everything responds."""
    begun = time.monotonic()
    starting = [server for server in servers if not (server.runs and server.healthy)]
    for server in starting:
        server.end(signal.SIGTERM)
        java_home(server.engine)  # before the download
        assemble(server.engine)
        if not (keep and server.last):
            server.prepare(secured=secured)
    _start(starting)
    for server in servers:
        say(f"{server.engine.name} {server.engine.version}: {server.url}")
    if starting:
        say(f"ready after {time.monotonic() - begun:.0f} s")


def start(servers: Sequence[Server]) -> None:
    """Start servers that were stopped, with the data and on the port they had."""
    for server in servers:
        if server.last is None:
            raise EngineError(f"{server.engine.name} was never up; call: scripts/engines up")
    _start([server for server in servers if not server.runs])


def _start(servers: Sequence[Server]) -> None:
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
    except BaseException:
        for server in servers:
            server.end(signal.SIGKILL)
        raise


def down(servers: Sequence[Server]) -> None:
    """End the servers and remove their data."""
    for server in servers:
        server.end(signal.SIGTERM)
        server.remove()


def status(servers: Sequence[Server]) -> None:
    for server in servers:
        if server.healthy:
            print(f"{server.engine.name} {server.engine.version}: {server.url}")
        elif server.runs:
            print(f"{server.engine.name}: started, does not respond")
        else:
            print(f"{server.engine.name}: " + ("never up" if server.last is None else "stopped"))


def variables(servers: Sequence[Server]) -> None:
    for server in servers:
        if server.runs:
            print(f"export {server.engine.variable}={server.url}")
        if server.runs and server.secured:
            print(f"export {server.engine.variable}_CA={security.certificate(server.home)}")


def chosen(
    command: str, names: Sequence[str], instance: str, *, fast: bool = False
) -> list[Server]:
    """The servers meant: "all" brings up one Elasticsearch, and later means what is up."""
    if names and "all" not in names:
        return [Server(ENGINES[name], instance, fast=fast) for name in names]
    if command == "up":
        newest = max(java_homes(), default=0) >= ENGINES["elasticsearch"].java
        names = ["elasticsearch" if newest else "elasticsearch8", "opensearch"]
        return [Server(ENGINES[name], instance, fast=fast) for name in names]
    servers = [Server(engine, instance, fast=fast) for engine in ENGINES.values()]
    return [server for server in servers if server.last]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One command at a time in this checkout."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("`up`")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--instance",
        default="default",
        help="servers of one's own (default: %(default)s)",
    )
    parser.add_argument("--keep", action="store_true", help="up: with the data of the last time")
    parser.add_argument(
        "--fast",
        action="store_true",
        help=f"up, start: with the optimising compiler and {FAST_HEAP} of heap, for benchmarks",
    )
    parser.add_argument(
        "--secured",
        action="store_true",
        help=f"up: with TLS, roles and API keys; its first user is {security.USER}, with the "
        f"password {security.PASSWORD}",
    )
    parser.add_argument(
        "command",
        choices=["up", "down", "start", "stop", "kill", "status", "env", "logs"],
        help="up: assemble and start without data; down: end and remove the data; stop, kill, "
        "start: end gently or at once, and go on with the same data on the same port; env: the "
        "variables that the tests read",
    )
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=f"{', '.join(ENGINES)} or all")
    options = parser.parse_args()
    if unknown := set(options.engines) - {*ENGINES, "all"}:
        parser.error(f"no such engine: {', '.join(unknown)}; there are {', '.join(ENGINES)}, all")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)  # the unprivileged user has to read what root unpacks
    try:
        if options.command in ("status", "env", "logs"):
            _tell(
                options.command,
                chosen(options.command, options.engines, options.instance),
            )
        else:
            with _alone():
                servers = chosen(
                    options.command, options.engines, options.instance, fast=options.fast
                )
                _act(options.command, servers, keep=options.keep, secured=options.secured)
    except EngineError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _tell(command: str, servers: Sequence[Server]) -> None:
    if command == "status":
        status(servers)
    elif command == "env":
        variables(servers)
    else:
        for server in servers:
            print(server.tail(200))


def _act(command: str, servers: Sequence[Server], *, keep: bool, secured: bool) -> None:
    if command == "up":
        up(servers, keep=keep, secured=secured)
        variables(servers)
    elif command == "start":
        start(servers)
    elif command == "down":
        down(servers)
    else:
        for server in servers:
            server.end(signal.SIGKILL if command == "kill" else signal.SIGTERM)


if __name__ == "__main__":
    main()
