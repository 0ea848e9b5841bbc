"""Open the text files that catalogues are, in any encoding, so that no byte of them can raise.

A byte that the encoding does not have becomes half a character (a lone surrogate), so that the line
that holds it can be reported, and the others read.
"""

import codecs
from collections.abc import Iterable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TextIO

from lookalike.errors import SourceError

__all__ = ["find_wrong_byte", "open_text"]

_HEAD = 4096  # bytes that show whether there are two for each character
# The longer first: UTF-32's begins with UTF-16's. Each stands with the encoding that skips it.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ERRORS = "lookalike-escape"


def open_text(path: Path, encoding: str | None) -> TextIO:
    """Open a file as text; line ends stay as they are, a byte-order mark is left out.

    ``encoding`` is by default what the byte-order mark says, UTF-16 where every other byte is zero,
    else UTF-8. Raise ``SourceError`` for a file that cannot be read, an encoding that does not
    exist or is not for text, and one that the byte-order mark contradicts.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    chosen = _choose_encoding(path, head, encoding)
    try:
        # Some that are not for text refuse only now: base64, those for host names, "undefined".
        TextIOWrapper(BytesIO(head), encoding=chosen, errors=_ERRORS).read()
        return path.open(encoding=chosen, errors=_ERRORS, newline="")
    except (LookupError, ValueError) as error:
        raise SourceError(
            f"{path} cannot be read as {encoding!r} ({error}); leave the encoding out for UTF-8, "
            "or give one for text, such as cp1252"
        ) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def find_wrong_byte(texts: Iterable[str], encoding: str = "utf-8") -> str | None:
    """Return the problem if a text holds a byte that its encoding does not have, else ``None``."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) & 0xFF
        name = encoding.upper().replace("-SIG", "") if encoding.startswith("utf") else encoding
        return (
            f"byte {byte:#x} is not {name}; save the table as UTF-8, or give its encoding "
            "(--encoding cp1252)"
        )
    return None


def _choose_encoding(path: Path, head: bytes, wanted: str | None) -> str:
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if wanted is None:
        return marked or _guess_wide(head) or "utf-8"
    try:
        name = codecs.lookup(wanted).name
    except (LookupError, ValueError) as error:
        raise SourceError(f"there is no encoding {wanted!r}; try utf-8 or cp1252") from error
    if marked is not None:
        if name.split("-")[:2] != marked.split("-")[:2]:
            raise SourceError(
                f"{path} is not {wanted}: it begins with the byte-order mark of "
                f"{marked.upper().removesuffix('-SIG')}; leave the encoding out"
            )
        return marked
    if name in ("utf-16", "utf-32"):  # without a mark, Python's decoders refuse or misread it
        return _guess_wide(head) or f"{name}-le"
    return name


def _guess_wide(head: bytes) -> str | None:
    """Return which UTF-16 text without a byte-order mark is, from the zeros of ASCII in it."""
    half = len(head) // 2
    even, odd = head[0 : 2 * half : 2].count(0), head[1::2].count(0)
    if half and odd > half // 2 and not even:
        return "utf-16-le"
    if half and even > half // 2 and not odd:
        return "utf-16-be"
    return None


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return half a character for each byte that cannot be decoded.

    Unlike ``surrogateescape`` it also takes bytes below 128, of which half a UTF-16 character may
    consist.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in wrong), error.end


codecs.register_error(_ERRORS, _escape)
