"""Name downloaded files: safe on every file system, never one name for two images."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator

__all__ = ["UNLABELLED", "key_of", "make_slug", "propose_paths", "suffix_of"]

UNLABELLED = "images"

_LONGEST_LABEL = 80  # bytes of UTF-8; file systems allow 255 per name
_LONGEST_ID = 120  # leaves room for a hash, a suffix and the temporary name
_UNSAFE = re.compile(r'[\\/:*?"<>|\s]+')
# Windows treats these as devices, whatever the suffix.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")
_SUFFIXES = {
    "AVIF": ".avif",
    "BMP": ".bmp",
    "DIB": ".dib",
    "GIF": ".gif",
    "HEIC": ".heic",
    "JPEG": ".jpg",
    "PNG": ".png",
    "TIFF": ".tif",
    "WebP": ".webp",
}


def suffix_of(kind: str) -> str:
    """Return the suffix for a format name of ``formats.format_of``."""
    return _SUFFIXES[kind]


def make_slug(text: str, longest: int = _LONGEST_ID) -> str:
    """Return ``text`` as one file name of at most ``longest`` bytes; empty if nothing is left.

    NFC, without separators, control characters, dots at either end, or names of devices.
    """
    text = unicodedata.normalize("NFC", text)
    text = "".join(char if char.isprintable() or char.isspace() else "-" for char in text)
    text = _UNSAFE.sub("-", text).strip("-. ")
    text = text.encode("utf-8", "ignore")[:longest].decode("utf-8", "ignore").rstrip("-. ")
    text = unicodedata.normalize("NFC", text)
    return f"_{text}" if _RESERVED.match(text) else text


def propose_paths(label: str | None, one: str) -> Iterator[str]:
    """Yield paths without a suffix for the image of an id, best first.

    First ``label/id``, then with more and more of the id's hash; an endless supply, so that one is
    free.
    """
    folder = make_slug(label, _LONGEST_LABEL) if label else ""
    name = make_slug(one)
    folder = folder or UNLABELLED
    if name:
        yield f"{folder}/{name}"
    digest = hashlib.sha256(one.encode("utf-8", "surrogatepass")).hexdigest()
    for length in range(8, len(digest)):
        yield f"{folder}/{name or 'image'}-{digest[:length]}"
    for number in range(2, 2**31):
        yield f"{folder}/{name or 'image'}-{digest}-{number}"


def key_of(path: str) -> str:
    """Return the same key for two paths (without suffix) that some file system treats as one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", path).casefold())
