"""The address of a collection on a server, and the secrets that open it. Pure.

    elasticsearch://localhost:9200/shop
    elasticsearch+https://one.example:9200,two.example:9200/shop?ca=/etc/ca.pem
    opensearch+https://search.example:443/behind/a/proxy/shop?vectors=hnsw&candidates=300

Secrets are never part of an address, which shows in process lists, histories and messages: they
come from the environment (docs/servers.md).
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
"""How a server may index vectors; the first is what it does unless told otherwise."""

_PORT = 9200
_LONGEST = 240  # bytes of an index's name: servers take 255, and ours has a companion
_FORBIDDEN = frozenset('\\/*?"<>| ,#:')
_Host = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]@]+)(:(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine that listens; ``name`` of an IPv6 address is without brackets."""

    name: str
    port: int = _PORT

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What proves who we are. Never shown: not in messages, not by ``repr``."""

    api_key: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Which collection on which server, and how to speak with it.

    ``prefix`` is a path before the server's own, for one behind a proxy (``/search``). ``vectors``
    is how they are indexed when the collection is made; ``None`` leaves it to the collection.
    ``candidates`` are looked at for an approximate search, on each shard; ``oversample`` times as
    many as are asked for are compared again by their true vectors. ``timeout_s`` is for one
    request, ``retries`` for one that found no server. With ``aws``, a region (``eu-west-1``) or a
    region and a service (``eu-west-1:aoss``), requests are signed as Amazon's services ask for.
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
        """The address as it is shown; holds no secret."""
        scheme = f"{self.kind}+https" if self.tls else self.kind
        return f"{scheme}://{','.join(map(str, self.hosts))}{quote(self.prefix)}/{self.name}"

    def urls(self) -> list[str]:
        """Where the hosts are, for HTTP clients."""
        scheme = "https" if self.tls else "http"
        return [f"{scheme}://{host}{quote(self.prefix)}" for host in self.hosts]

    def secrets(self, environment: Mapping[str, str]) -> Secrets:
        """What the environment holds for this kind of server: ``LOOKALIKE_<KIND>_API_KEY``,
        ``…_USER`` and ``…_PASSWORD``.

        Raises ``CollectionError`` for half a name and password.
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
    """Whether an address is one of a server (of any kind), not a name or a path."""
    return "://" in address


_Reader: TypeAlias = Callable[[str], object]


def _whole(least: int, most: int) -> _Reader:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return read


def _number(least: float, most: float) -> _Reader:
    def read(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return read


def _one_of(*values: str) -> _Reader:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError
        return text

    return read


def _region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(:[a-z0-9-]+)?", text):
        raise ValueError
    return text


# The word in the address: the field, what it may be, and how it is read.
_OPTIONS: dict[str, tuple[str, str, _Reader]] = {
    "ca": ("ca", "the path of a PEM file", str),
    "verify": ("verify", "yes or no", lambda text: _one_of("yes", "no")(text) == "yes"),
    "vectors": ("vectors", f"one of {', '.join(VECTORS)}", _one_of(*VECTORS)),
    "candidates": ("candidates", "a whole number from 1 to 10000", _whole(1, 10_000)),
    "oversample": ("oversample", "a number from 1 to 10", _number(1, 10)),
    "shards": ("shards", "a whole number from 1 to 1024", _whole(1, 1024)),
    "replicas": ("replicas", "a whole number from 0 to 20", _whole(0, 20)),
    "timeout": ("timeout_s", "seconds, from 0.1 to 3600", _number(0.1, 3600)),
    "retries": ("retries", "a whole number from 0 to 20", _whole(0, 20)),
    "aws": ("aws", "a region, like eu-west-1, or with a service, like eu-west-1:aoss", _region),
}


def parse_address(text: str) -> ServerAddress:
    """Read an address. Raises ``CollectionError``, whose text repeats no secret."""
    scheme, _, rest = text.partition("://")
    kind, _, transport = scheme.lower().partition("+")
    if kind not in KINDS or transport not in ("", "http", "https"):
        raise CollectionError(
            f"{scheme}://… is no place for a collection; give a name, a path, or an address like "
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
        hosts=tuple(_host(one) for one in hosts.split(",")),
        name=_checked(unquote(name)),
        tls=transport == "https",
        prefix=f"/{unquote(prefix)}" if prefix else "",
        **given,  # type: ignore[arg-type]
    )


def _host(text: str) -> Host:
    match = _Host.fullmatch(text)
    if match is None or int(match["port"] or _PORT) not in range(1, 65_536):
        raise CollectionError(f"{text!r} in an address is no host; write it like localhost:9200")
    return Host(name=match["name"].strip("[]"), port=int(match["port"] or _PORT))


def _checked(name: str) -> str:
    """A name that servers take for an index."""
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
            f"{name!r} cannot be the name of a collection on a server; use small letters, digits, "
            "dashes and dots, beginning with a letter or digit"
        )
    return name
