"""Recognising a file by its bytes: its format, what else it may be, whether its end is missing."""

import struct
import zlib
from typing import Literal

__all__ = ["DECODER_ERRORS", "describe_other", "format_of", "is_cut_off"]

# What Pillow's parsers and codecs raise on damaged input. 460,000 mutated files led to the first
# six; the others can be raised where Pillow's source trusts the numbers of a header.
DECODER_ERRORS = (
    OSError,
    SyntaxError,  # Pillow's word for a file that breaks its format's rules
    ValueError,
    RuntimeError,  # AVIF and HEIC codecs
    EOFError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    ZeroDivisionError,
    AssertionError,
    struct.error,
    zlib.error,
)

_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_STARTS = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS\0\1", "PSD"),
    *((start, "TIFF") for start in (b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"II+\0", b"MM\0+")),
)
_HEIF_BRANDS = (
    *(b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"avci", b"avcs", b"jpeg", b"jpgs"),
    *(b"j2ki", b"j2is", b"vvic", b"vvis", b"evbi", b"evmi", b"unif"),
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")

_SIGNATURES = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "an EPS or PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"version https://git-lfs", "a Git LFS pointer; `git lfs pull` fetches the image"),
    (b"FUJIFILMCCD-RAW", "a camera raw file"),
    (b"IIRO", "a camera raw file"),
    (b"IIRS", "a camera raw file"),
    (b"MMOR", "a camera raw file"),
    (b"IIU\0", "a camera raw file"),
    (b"\0MRM", "a camera raw file"),
    (b"FOVb", "a camera raw file"),
    (b"\0\0\1\0", "an icon"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"\0\0\1\xba", "a video"),
    (b"FLV\1", "a video"),
    (b"OggS", "a video or sound"),
    (b"ID3", "a sound"),
    (b"fLaC", "a sound"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


def format_of(data: bytes) -> str | None:
    """Return the format by the first bytes; ``None`` for one that cannot be read."""
    for start, kind in _STARTS:
        if data.startswith(start):
            # Canon's raw files are TIFFs too; Pillow would decode their thumbnail.
            return None if kind == "TIFF" and data[8:10] == b"CR" else kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"\0\0\1\0") and data[4:5] > b"\0" and data[5:6] == b"\0":
        return "ICO"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if int.from_bytes(data[:4], "little") in _BMP_HEADERS and data[12:14] == b"\1\0":
        return "DIB"
    return _format_of_boxes(data) if data[4:8] == b"ftyp" else None


def _format_of_boxes(data: bytes) -> str | None:
    """Return the format of a file that is built like MP4: AVIF, HEIC or ``None``."""
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    if any(brand in brands for brand in _HEIC_BRANDS):
        return "HEIC"
    if any(brand in brands for brand in _HEIF_BRANDS):  # the item itself says how it is coded
        items = data[data.find(b"iinf") :][:4096]
        return "AVIF" if b"av01" in items and b"hvc1" not in items else "HEIC"
    return None


def describe_other(data: bytes) -> str:
    """Return a phrase that says what a file that is not an image seems to be."""
    if not data.strip(b"\0"):
        return "nothing but zero bytes, as a failed download or copy leaves"
    guess = _guess_content(data)
    if guess is None:
        return "not a readable image; its first bytes match no known format"
    return f"not a readable image; it looks like {guess}"


def _guess_content(data: bytes) -> str | None:
    """Return what a file that is not an image seems to be; ``None`` if nothing is known of it."""
    for start, name in _SIGNATURES:
        if data.startswith(start):
            return name
    if data[:4] in {b"II*\0", b"MM\0*"} or data[8:11] == b"crx":
        return "a camera raw file"
    if data[4:8] in {b"ftyp", b"moov", b"mdat"}:
        return "a video"
    if data.startswith(b"RIFF"):
        return "a sound" if data[8:12] == b"WAVE" else "a video"
    return _guess_text(data[:1024])


def _guess_text(head: bytes) -> str | None:
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = head.decode("utf-16" if wide else "utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    # The last character may be cut in two; any other odd character means that this is not text.
    odd = (char == "\ufffd" or (char < " " and char not in "\t\r\n\f") for char in text[:-1])
    if text in {"", "\ufffd"} or any(odd):
        return None
    text = text.lower()
    if text.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "an HTML page, as a failed download leaves"
    if "<svg" in text:
        return "an SVG drawing"
    if text.startswith("<"):
        return "XML"
    return "JSON" if text.startswith(("{", "[")) else "text"


def is_cut_off(kind: str, data: bytes, error: BaseException) -> bool:
    """Return whether the damage that was found is a missing end."""
    missing = EOFError | struct.error | IndexError
    if "truncated" in str(error).lower() or isinstance(error.__cause__ or error, missing):
        return True
    if kind == "WebP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if kind == "BMP":
        return int.from_bytes(data[2:6], "little") > len(data)
    if kind == "TIFF":  # most writers put the directory last
        order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
        return int.from_bytes(data[4:8], order) >= len(data)
    if kind in {"AVIF", "HEIC"}:
        return _find_boxes_end(data) > len(data)
    ends = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b";"}
    return kind in ends and ends[kind] not in data[-16:]


def _find_boxes_end(data: bytes) -> int:
    """Return where the last of a file's boxes would end."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:  # noqa: PLR2004 - 0: up to the end; 1: a 64-bit size, rare in images
            return len(data)
        at += size
    return at
