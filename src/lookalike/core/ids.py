"""Which ids a new item may have: text that no program on the way misinterprets.

Ids are part of URLs, and many programs normalise those: ``…/items/..`` becomes ``…``, which is the
collection. So new ids that could be read as a step in a path are refused. Items that have such an
id already keep it; see ``is_plain``.
"""

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote

from lookalike.errors import InvalidIdError

__all__ = [
    "LONGEST",
    "alternative",
    "check_id",
    "id_from_name",
    "id_problem",
    "is_plain",
    "is_text",
]

LONGEST = 1024
"""Bytes of UTF-8 that a new id may have; percent-encoded, it still fits into one line of HTTP."""

_DOTS = frozenset({".", ".."})
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, surrogates, line separators
_DIGITS = 8  # of a digest, in an id that had to differ from another
_ROUNDS = 5  # of percent-decoding: nobody on the way decodes more often


def id_problem(text: object) -> str | None:  # noqa: PLR0911 - a case each
    """Return why ``text`` cannot be the id of a new item; ``None`` if it can.

    The reason is a phrase: "is empty", "has a control character".
    """
    if not isinstance(text, str):
        return f"must be text, not {type(text).__name__}"
    if not text.strip():
        return "is empty"
    if not is_text(text):
        return "has half a character (a surrogate alone)"
    if any(unicodedata.category(char) in _UNSEEN for char in text):
        return "has a control character"
    if text != text.strip():
        return "begins or ends with a space"
    if len(text.encode()) > LONGEST:
        return f"is longer than {LONGEST:,} bytes"
    if _has_dots(text):
        return 'has a part "." or "..", which addresses take for a step in a path'
    if text[0] in "/\\" or text[-1] in "/\\":
        return "begins or ends with a slash"
    return None


def check_id(text: str) -> None:
    """Raise ``InvalidIdError`` for what cannot be the id of a new item."""
    problem = id_problem(text)
    if problem is not None:
        raise InvalidIdError(f"the id {_display(text)} {problem}; give another one")


def is_plain(text: str) -> bool:
    """Return whether an id may stand as a segment of an address.

    Others are sent as a parameter: ``item?id=…``.
    """
    return id_problem(text) is None


def is_text(text: object) -> bool:
    """Return whether ``text`` is one that can be stored and sent: it has no lone surrogate."""
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def id_from_name(name: str, *, suffix: str) -> str:
    """Return an id for an image that came with a file name, or with a path below some folder.

    What an id cannot have is left out, so any name gives one. ``suffix`` (``.jpg``) is for an image
    whose name says nothing.
    """
    text = "".join(char for char in name if unicodedata.category(char) not in _UNSEEN)
    parts = [part.strip() for part in text.replace("\\", "/").split("/")]
    parts = [part for part in parts if part and not _has_dots(part)]
    if parts and len(parts[0]) == 2 and parts[0][1] == ":":  # noqa: PLR2004 - a Windows drive
        parts = parts[1:]
    text = _shorten("/".join(parts), LONGEST)
    return text if id_problem(text) is None else f"image{suffix}"


def alternative(text: str, digest: str, attempt: int) -> str:
    """Return the id for other content under a name that is taken: ``image-1f3a9c2e.jpg``.

    It depends on the name and on the content alone, so the same image is given the same id whenever
    it comes. ``digest`` is the content's, in hex; ``attempt`` 0 is the name itself, and each later
    one has more of the digest.
    """
    if attempt == 0:
        return text
    part = digest[: _DIGITS * attempt]
    folder, slash, file = text.rpartition("/")
    suffix = PurePosixPath(file).suffix if len(PurePosixPath(file).suffix) <= _DIGITS else ""
    stem = file.removesuffix(suffix) if suffix else file
    ending = f"-{part}{suffix}"
    room = LONGEST - len(ending.encode())
    return _cut(f"{folder}{slash}{stem}", room) + ending


def _has_dots(text: str) -> bool:
    """Return whether a program may read a part as a step: encoded, with backslashes or parameters.

    Several programs on the way may each decode it once.
    """
    for _ in range(_ROUNDS):
        for part in text.replace("\\", "/").split("/"):
            if part.partition(";")[0].strip() in _DOTS:
                return True
        decoded = unquote(text)
        if decoded == text:
            return False
        text = decoded
    return True


def _shorten(text: str, longest: int) -> str:
    """Return the text with its suffix, and as much of its beginning as fits."""
    if len(text.encode()) <= longest:
        return text
    suffix = PurePosixPath(text).suffix
    suffix = suffix if len(suffix.encode()) <= _DIGITS else ""
    return _cut(text, longest - len(suffix.encode())) + suffix


def _cut(text: str, longest: int) -> str:
    return text.encode()[:longest].decode("utf-8", "ignore").rstrip("/ ")


def _display(text: object) -> str:
    return ascii(text) if len(str(text)) <= 80 else f"{str(text)[:80]!a}…"  # noqa: PLR2004
