"""Metadata as one list of tokens, which a server can look up exactly. Pure.

Metadata may be any JSON, and a field may be a number in one item, text in another and a list in a
third. With typed fields, a server refuses such documents or returns wrong results, and each new
name widens the mapping. So every value of every field becomes a token, and one keyword field holds
them all:

    {"price": 12.5, "tags": ["new", 7], "spec": {"wide": true}}

    price=e  price=nc029000000000000
    tags=e   tags=snew   tags=nc01c000000000000
    spec=e   spec.wide=e  spec.wide=btrue

``e`` means that the field has a value; ``b``, ``n`` and ``s`` are booleans, numbers and text.
Numbers are written so that their order as text is their order as numbers. Equality is a term,
"begins with" a prefix, and order a range; all are exact, for lists and mixed types as well.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from math import inf, isnan, nextafter

from lookalike.core.records import Json

__all__ = ["LONGEST", "first_after", "number", "path_name", "text", "tokens", "value_of"]

LONGEST = 7_900
"""Characters of a text that a token holds; of a longer one its beginning and its digest. A term
of a server has at most 32,766 bytes, and a character up to four."""

_NAME = 200
_SURROGATES = 0xD800  # to 0xDFFF: not characters by themselves
_WHOLE = 2**53  # beyond, doubles cannot represent every whole number
_SIGN = 1 << 63
_ALL = (1 << 64) - 1


def tokens(metadata: Mapping[str, Json]) -> list[str]:
    """Return the tokens of a document, each once, sorted."""
    found: set[str] = set()
    waiting: list[tuple[str, Json]] = [("", dict(metadata))]
    while waiting:
        path, value = waiting.pop()
        name = path_name(path)
        if path and value is not None and value != []:
            found.add(f"{name}=e")
        if isinstance(value, dict):
            # A filter splits names at dots, so a name that contains a dot has no path.
            waiting += [
                (f"{path}.{key}" if path else key, one)
                for key, one in value.items()
                if key and "." not in key
            ]
        elif isinstance(value, list):
            found.update(f"{name}={one}" for one in _scalars(value))
        else:
            found.update(f"{name}={one}" for one in _scalars([value]))
    return sorted(found)


def path_name(path: str) -> str:
    """Return a field's name in tokens: itself, or a digest if it would be ambiguous."""
    if len(path) <= _NAME and "=" not in path and not path.startswith("#"):
        return path
    return f"#{hashlib.sha256(path.encode()).hexdigest()}"


def text(value: str) -> str:
    """Return the token of a text: ordered by code point, up to ``LONGEST`` characters."""
    if len(value) <= LONGEST:
        return f"s{value}"
    return f"s{value[:LONGEST]}\0{hashlib.sha256(value.encode()).hexdigest()}"


def number(value: float) -> str:
    """Return the token of a number: ordered like numbers, including whole ones of any size.

    Numbers between two doubles have the lower one's token with a plus.
    """
    try:
        near = float(value)
    except OverflowError:
        near = inf if value > 0 else -inf
    if near > value:
        near = nextafter(near, -inf)
    (bits,) = struct.unpack(">Q", struct.pack(">d", near + 0.0))  # -0.0 + 0.0 is 0.0
    ordered = bits ^ (_ALL if bits & _SIGN else _SIGN)
    return f"n{ordered:016x}{'+' if near < value else ''}"


def first_after(start: str) -> str | None:
    """Return the least text greater than all with the prefix ``start``, by code point."""
    kept = start.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == _SURROGATES else following)


def value_of(token: str) -> str | float | bool:
    """Return the value of a token (without the field); a long text is shortened."""
    kind, rest = token[0], token[1:]
    if kind == "b":
        return rest == "true"
    if kind == "s":
        return rest if len(rest) <= LONGEST else f"{rest[:LONGEST]}…"
    ordered = int(rest[:16], 16)
    bits = ordered ^ (_SIGN if ordered & _SIGN else _ALL)
    (value,) = struct.unpack(">d", struct.pack(">Q", bits))
    exact = abs(value) < _WHOLE and float(value).is_integer()
    return int(value) if exact else float(value)


def _scalars(values: list[Json]) -> Iterator[str]:
    for value in values:
        if isinstance(value, bool):
            yield "btrue" if value else "bfalse"
        elif isinstance(value, str):
            yield text(value)
        elif isinstance(value, int) or (isinstance(value, float) and not isnan(value)):
            yield number(value)
