"""The address of a collection on a server, and its credentials. Pure.

    elasticsearch://localhost:9200/shop
    elasticsearch+https://one.example:9200,two.example:9200/shop?ca=/etc/ca.pem
    opensearch+https://search.example:443/behind/a/proxy/shop?vectors=hnsw&candidates=300

Secrets are never part of an address, because addresses appear in process lists, histories and
messages. They are read from the environment (docs/servers.md).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, unquote

from lookalike.errors import CollectionError

__all__ = ["KINDS", "VECTORS", "Host", "Secrets", "ServerAddress", "names_server", "parse_address"]

KINDS = ("elasticsearch", "opensearch")
VECTORS = ("int8_hnsw", "hnsw", "bbq_hnsw", "flat")
"""Ways in which a server may index vectors; the first is the default."""

_PORT = 9200
_LONGEST = 240  # bytes of an index's name: servers accept 255, and a companion has a suffix
_FORBIDDEN = frozenset('\\/*?"<>| ,#:')
_Host = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]@]+)(:(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host of a server; the ``name`` of an IPv6 address has no brackets."""

    name: str
    port: int = _PORT

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Credentials. Never shown in messages or by ``repr``."""

    api_key: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """A collection on a server, and how to connect to it.

    ``prefix`` is a path before the server's own, for one behind a proxy (``/search``). ``vectors``
    is how they are indexed when the collection is created; ``None`` leaves it to the collection.
    ``candidates`` are considered per shard by an approximate search; ``oversample`` times as many
    as requested are compared again by their full vectors. ``timeout_s`` is for one request;
    ``retries`` for one that reached no server. With ``aws``, a region (``eu-west-1``) or a region
    and a service (``eu-west-1:aoss``), requests are signed for Amazon's services.
    """

    kind: str
    hosts: tuple[Host, ...]
    name: str
    tls: bool = False
    prefix: str = ""
    ca: str | None = None
    verify: bool = True
    vectors: str | None = None
    candidates: int = 200
    oversample: float = 2.0
    shards: int = 1
    replicas: int | None = None
    timeout_s: float = 30.0
    retries: int = 3
    aws: str | None = None

    def __str__(self) -> str:
        """Return the address without secrets."""
        scheme = f"{self.kind}+https" if self.tls else self.kind
        return f"{scheme}://{','.join(map(str, self.hosts))}{quote(self.prefix)}/{self.name}"

    def urls(self) -> list[str]:
        """Return the URLs of the hosts, for HTTP clients."""
        scheme = "https" if self.tls else "http"
        return [f"{scheme}://{host}{quote(self.prefix)}" for host in self.hosts]

    def secrets(self, environment: Mapping[str, str]) -> Secrets:
        """Read the credentials for this kind of server from the environment.

        The variables are ``LOOKALIKE_<KIND>_API_KEY``, ``…_USER`` and ``…_PASSWORD``. Raise
        ``CollectionError`` if only one of user and password is set.
        """
        before = f"LOOKALIKE_{self.kind.upper()}"
        api_key = environment.get(f"{before}_API_KEY") or None
        user = environment.get(f"{before}_USER") or None
        password = environment.get(f"{before}_PASSWORD") or None
        if (user is None) != (password is None):
            lacks = "PASSWORD" if password is None else "USER"
            raise CollectionError(f"{before}_{lacks} is not set, though its companion is; set both")
        if api_key is not None and user is not None:
            raise CollectionError(f"{before}_API_KEY and {before}_USER are both set; set one")
        return Secrets(api_key=api_key, user=user, password=password)


def names_server(address: str) -> bool:
    """Return whether an address is that of a server (of any kind), not a name or a path."""
    return "://" in address


_Reader: TypeAlias = Callable[[str], object]


def _parse_whole(least: int, most: int) -> _Reader:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return read


def _parse_number(least: float, most: float) -> _Reader:
    def read(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return read


def _parse_choice(*values: str) -> _Reader:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError
        return text

    return read


def _parse_region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(:[a-z0-9-]+)?", text):
        raise ValueError
    return text


# Option in the address → field, allowed values, and parser.
_OPTIONS: dict[str, tuple[str, str, _Reader]] = {
    "ca": ("ca", "the path of a PEM file", str),
    "verify": ("verify", "yes or no", lambda text: _parse_choice("yes", "no")(text) == "yes"),
    "vectors": ("vectors", f"one of {', '.join(VECTORS)}", _parse_choice(*VECTORS)),
    "candidates": ("candidates", "a whole number from 1 to 10000", _parse_whole(1, 10_000)),
    "oversample": ("oversample", "a number from 1 to 10", _parse_number(1, 10)),
    "shards": ("shards", "a whole number from 1 to 1024", _parse_whole(1, 1024)),
    "replicas": ("replicas", "a whole number from 0 to 20", _parse_whole(0, 20)),
    "timeout": ("timeout_s", "seconds, from 0.1 to 3600", _parse_number(0.1, 3600)),
    "retries": ("retries", "a whole number from 0 to 20", _parse_whole(0, 20)),
    "aws": (
        "aws",
        "a region, like eu-west-1, or with a service, like eu-west-1:aoss",
        _parse_region,
    ),
}


def parse_address(text: str) -> ServerAddress:
    """Parse an address. Raise ``CollectionError``, whose text contains no secret."""
    scheme, _, rest = text.partition("://")
    kind, _, transport = scheme.lower().partition("+")
    if kind not in KINDS or transport not in ("", "http", "https"):
        raise CollectionError(
            f"{scheme}://… cannot hold a collection; give a name, a path, or an address like "
            "elasticsearch://localhost:9200/shop, opensearch+https://localhost:9200/shop"
        )
    place, _, query = rest.partition("?")
    hosts, _, path = place.partition("/")
    if "@" in hosts:
        raise CollectionError(
            "a name or password does not belong in an address, where others can read it; set "
            f"LOOKALIKE_{kind.upper()}_USER and LOOKALIKE_{kind.upper()}_PASSWORD"
        )
    prefix, _, name = path.strip("/").rpartition("/")
    given: dict[str, object] = {}
    for word, value in parse_qsl(query, keep_blank_values=True):
        if word not in _OPTIONS:
            raise CollectionError(
                f"an address has no option {word!r}; it may have {', '.join(_OPTIONS)} (secrets "
                "come from the environment)"
            )
        if word == "aws" and kind != "opensearch":
            raise CollectionError("aws= is for OpenSearch alone; Amazon hosts no Elasticsearch")
        option, meaning, read = _OPTIONS[word]
        try:
            given[option] = read(value)
        except ValueError:
            raise CollectionError(f"{word}={value} in an address must be {meaning}") from None
    return ServerAddress(
        kind=kind,
        hosts=tuple(_parse_host(one) for one in hosts.split(",")),
        name=_check_name(unquote(name)),
        tls=transport == "https",
        prefix=f"/{unquote(prefix)}" if prefix else "",
        **given,  # type: ignore[arg-type]
    )


def _parse_host(text: str) -> Host:
    match = _Host.fullmatch(text)
    if match is None or int(match["port"] or _PORT) not in range(1, 65_536):
        raise CollectionError(f"{text!r} in an address is not a host; write it like localhost:9200")
    return Host(name=match["name"].strip("[]"), port=int(match["port"] or _PORT))


def _check_name(name: str) -> str:
    """Return a name that servers accept for an index. Raise ``CollectionError``."""
    if not name:
        raise CollectionError("the address names no collection; put one at its end, like …/shop")
    wrong = (
        name != name.lower()
        or name[0] in "-_+."
        or not name.isprintable()
        or bool(_FORBIDDEN & set(name))
    )
    if wrong or len(name.encode()) > _LONGEST:
        raise CollectionError(
            f"{name!r} cannot be the name of a collection on a server; use lower-case letters, "
            "digits, "
            "dashes and dots, beginning with a letter or digit"
        )
    return name
