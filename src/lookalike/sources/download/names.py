"""What a downloaded image's file is called: safe on every file system, never one for two."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator

__all__ = ["UNLABELLED", "candidates", "key_of", "slug", "suffix_of"]

UNLABELLED = "images"

_LONGEST_LABEL = 80  # bytes of UTF-8; file systems allow 255 for a name
_LONGEST_ID = 120  # leaves room for a hash, a suffix and the name while it is being written
_UNSAFE = re.compile(r'[\\/:*?"<>|\s]+')
# Windows takes these for devices, whatever the suffix.
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
    """Return the suffix for a format as ``formats.format_of`` calls it."""
    return _SUFFIXES[kind]


def slug(text: str, longest: int = _LONGEST_ID) -> str:
    """``text`` as one name of at most ``longest`` bytes: NFC, no separators, no control
    characters, no dot at either end, no name of a device. Empty if nothing is left of it.
    """
    text = unicodedata.normalize("NFC", text)
    text = "".join(char if char.isprintable() or char.isspace() else "-" for char in text)
    text = _UNSAFE.sub("-", text).strip("-. ")
    text = text.encode("utf-8", "ignore")[:longest].decode("utf-8", "ignore").rstrip("-. ")
    text = unicodedata.normalize("NFC", text)
    return f"_{text}" if _RESERVED.match(text) else text


def candidates(label: str | None, one: str) -> Iterator[str]:
    """Paths without a suffix for the image of an id, best first: ``label/id``, then with more
    and more of the id's hash. An endless supply of which one is free.
    """
    folder = slug(label, _LONGEST_LABEL) if label else ""
    name = slug(one)
    folder = folder or UNLABELLED
    if name:
        yield f"{folder}/{name}"
    digest = hashlib.sha256(one.encode("utf-8", "surrogatepass")).hexdigest()
    for length in range(8, len(digest)):
        yield f"{folder}/{name or 'image'}-{digest[:length]}"
    for number in range(2, 2**31):
        yield f"{folder}/{name or 'image'}-{digest}-{number}"


def key_of(path: str) -> str:
    """Return the same for two paths (without suffix) that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", path).casefold())
