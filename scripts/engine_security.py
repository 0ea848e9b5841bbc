"""What a server of the tests gets by `up --secured`: TLS, users, and keys for programs."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

from engine_assembly import Engine, EngineError

USER, PASSWORD = "admin", "lookalike"  # who may do everything; tests make who may do less
_HASH = "$2a$10$2SjLjScACHd/3flyPM1GueEFP4PsjiPGDYw547YyqIig5iXDfkezO"  # the password, by bcrypt
_CERTIFICATE, _KEY = "certificate.pem", "key.pem"
_ANALYSIS = Path(__file__).with_name("EmailAnalysis.java")


def certificate(home: Path) -> Path:
    """What clients are to trust; there for a server that was secured, and only then."""
    return home / "config" / _CERTIFICATE


def secure(home: Path, engine: Engine, java: Path) -> None:
    """Give a home that was never started a certificate and its first user."""
    _certify(home)
    if engine.name == "opensearch":
        config = home / "config" / "opensearch-security"
        shutil.copytree(home / "security" / "config", config)
        users = {
            "_meta": {"type": "internalusers", "config_version": 2},
            USER: {"hash": _HASH, "reserved": True, "backend_roles": ["admin"]},
        }
        (config / "internal_users.yml").write_text(json.dumps(users), encoding="utf-8")
    else:
        for name, line in (("users", f"{USER}:{_HASH}"), ("users_roles", f"superuser:{USER}")):
            (home / "config" / name).write_text(f"{line}\n", encoding="utf-8")
        _add_analysis(home, engine, java)


def settings(engine: Engine) -> dict[str, object]:
    """What a secured server's configuration says; the files lie beside it."""
    if engine.name != "opensearch":
        http = "xpack.security.http.ssl"
        return {
            "xpack.security.enabled": True,
            f"{http}.enabled": True,
            f"{http}.certificate": _CERTIFICATE,
            f"{http}.key": _KEY,
        }
    ssl = "plugins.security.ssl"
    return {
        f"{ssl}.http.enabled": True,
        f"{ssl}.http.pemcert_filepath": _CERTIFICATE,
        f"{ssl}.http.pemkey_filepath": _KEY,
        f"{ssl}.transport.pemcert_filepath": _CERTIFICATE,
        f"{ssl}.transport.pemkey_filepath": _KEY,
        f"{ssl}.transport.pemtrustedcas_filepath": _CERTIFICATE,
        f"{ssl}.transport.enforce_hostname_verification": False,
        "plugins.security.allow_default_init_securityindex": True,
        "plugins.security.restapi.roles_enabled": ["all_access"],
    }


def _certify(home: Path) -> None:
    """A certificate of its own for loopback, for as long as tests run."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise EngineError("a secured server needs openssl to make its certificate; install openssl")
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made += ["-keyout", str(home / "config" / _KEY), "-out", str(certificate(home))]
    done = subprocess.run(made, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"openssl could not make a certificate: {done.stderr.strip()}")


def _add_analysis(home: Path, engine: Engine, java: Path) -> None:
    """Elasticsearch keeps API keys in an index that wants more than Maven has; see the plugin."""
    folder = home / "plugins" / "email-analysis"
    folder.mkdir(parents=True)
    compiled = folder / "classes"
    compile_ = [f"{java}/bin/javac", "--release", str(engine.java), "-d", str(compiled)]
    done = subprocess.run(
        [*compile_, "-cp", f"{home}/lib/*", str(_ANALYSIS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineError(f"{_ANALYSIS.name} cannot be compiled:\n{done.stderr or done.stdout}")
    with zipfile.ZipFile(folder / "email-analysis.jar", "w") as jar:
        for path in sorted(compiled.iterdir()):
            jar.write(path, path.name)
    shutil.rmtree(compiled)
    described = {
        "name": folder.name,
        "description": "for the index of API keys",
        "version": "1",
        "classname": _ANALYSIS.stem,
        "java.version": str(engine.java),
        "elasticsearch.version": engine.version,
    }
    (folder / "plugin-descriptor.properties").write_text(
        "".join(f"{name}={value}\n" for name, value in described.items()), encoding="utf-8"
    )
