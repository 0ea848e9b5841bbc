"""A folder of broken, hostile and merely odd files, made by program; the same on every run.

``build(folder)`` makes it and says of each file what may come of it. Take it to test whatever
meets files from outside: reading, decoding, scanning, indexing, uploading.
"""

import io
import os
import random
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, features

from lookalike.errors import (
    BrokenImageError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    UnreadableImageError,
)

__all__ = ["Case", "build", "photo", "saved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One file. ``outcomes`` are the allowed ends: classes of error, or ``None`` for a picture.

    ``left_out``: a scan with default options does not list it (links, folders, and names that
    are not UTF-8, which it reports).
    """

    path: bytes
    outcomes: frozenset[type[ImageError] | None]
    left_out: bool = False

    @property
    def name(self) -> str:
        """Printable, for test output."""
        return os.path.basename(self.path).decode("utf-8", "backslashreplace")  # noqa: PTH119


_FINE = frozenset[type[ImageError] | None]({None})
_BROKEN = frozenset[type[ImageError] | None]({BrokenImageError})
_ALIEN = frozenset[type[ImageError] | None]({NotAnImageError})
_LARGE = frozenset[type[ImageError] | None]({ImageTooLargeError})
_UNREADABLE = frozenset[type[ImageError] | None]({UnreadableImageError})
_ANY = _FINE | _BROKEN | _ALIEN | _LARGE

_FLIPS_EACH = 4
_CUTS = (0.02, 0.25, 0.5, 0.8, 0.95)


def build(folder: Path) -> list[Case]:
    """Fill ``folder`` (which must exist) with about 200 files; takes under two seconds."""
    cases = []
    for name, data, outcomes in _contents():
        path = folder / name
        path.write_bytes(data)
        cases.append(Case(path=os.fsencode(path), outcomes=outcomes))
    return cases + list(_odd_names(folder)) + list(_odd_places(folder))


def photo(width: int = 96, height: int = 64, *, seed: int = 7) -> Image.Image:
    """An RGB picture with slopes, edges and some grain, so that every codec has work to do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / max(width - 1, 1)
    green = 255 * y / max(height - 1, 1)
    blue = 128 + 100 * np.sin(x / 9) * np.cos(y / 7)
    pixels = np.stack([red, green, blue], axis=-1)
    pixels[height // 4 : height // 2, width // 3 : width // 2] = (250, 240, 20)
    pixels += rng.normal(0, 6, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file of Pillow's format ``kind``."""
    file = io.BytesIO()
    image.copy().save(file, kind, **options)  # a copy: JPEG leaves options behind in the image
    return file.getvalue()


_Content: TypeAlias = tuple[str, bytes, frozenset[type[ImageError] | None]]


def _whole() -> dict[str, bytes]:
    """Sound files, one for each codec: what is cut, flipped and patched below."""
    image = photo()
    palette = image.quantize(64)
    files = {
        "baseline.jpg": saved(image, "JPEG", quality=90),
        "progressive.jpg": saved(image, "JPEG", quality=90, progressive=True),
        "cmyk.jpg": saved(image.convert("CMYK"), "JPEG", quality=90),
        "rgb.png": saved(image, "PNG"),
        "palette.png": saved(palette, "PNG"),
        "lossy.webp": saved(image, "WEBP", quality=90),
        "lossless.webp": saved(image, "WEBP", lossless=True),
        "one.gif": saved(palette, "GIF"),
        "raw.tif": saved(image, "TIFF"),
        "lzw.tif": saved(image, "TIFF", compression="tiff_lzw"),
        "deflate.tif": saved(image, "TIFF", compression="tiff_adobe_deflate"),
        "rgb.bmp": saved(image, "BMP"),
    }
    if features.check("avif"):
        files["one.avif"] = saved(image, "AVIF", quality=90)
    return files


def _contents() -> Iterator[_Content]:
    whole = _whole()
    for name, data in whole.items():
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        yield f"whole-{name}", data, _FINE
        for cut in _CUTS:
            yield f"cut-{stem}-{cut:.0%}{suffix}", data[: int(len(data) * cut)], _BROKEN | _ALIEN
        for number in range(_FLIPS_EACH):
            yield f"flip-{stem}-{number}{suffix}", _flipped(data, f"{name}{number}"), _ANY
    yield from _alien(whole)
    yield from _bombs(whole)
    yield from _bad_tiffs()
    yield from _bad_headers(whole)
    yield from _odd_but_fine(whole)


def _flipped(data: bytes, seed: str) -> bytes:
    rng = random.Random(seed)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 4, 32))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _alien(whole: dict[str, bytes]) -> Iterator[_Content]:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40
    files = {
        "html.jpg": b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>",
        "html-late.jpg": b"\xef\xbb\xbf \n\n<html><head><title>Sign in</title></head></html>",
        "xml.jpg": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "svg.png": b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>',
        "svg-xml.png": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        "json.jpg": b'{"message": "Not Found"}',
        "text.jpg": "nur ein Stück Text\n".encode(),
        "text-bm.bmp": b"BMW builds motor cars, among other things.",
        "text-utf16.jpg": "a note".encode("utf-16"),
        "pdf.jpg": b"%PDF-1.7\n1 0 obj\n" + whole["baseline.jpg"],
        "zip.jpg": b"PK\x03\x04\x14\0\0\0\x08\0" + b"\x55" * 60,
        "gzip.png": b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\x33" * 30,
        "eps.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) (w) file\nshowpage\n",
        "eps-dos.jpg": b"\xc5\xd0\xd3\xc6" + b"\0" * 28 + b"%!PS-Adobe-3.0",
        "psd.jpg": b"8BPS\0\1\0\0\0\0\0\0\0\3\0\0\0\x10\0\0\0\x10\0\x08\0\3" + b"\0" * 40,
        "lfs.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
        "mp4.jpg": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0" * 40,
        "mkv.jpg": b"\x1aE\xdf\xa3" + b"\x93" * 40,
        "cr2.tif": b"II*\0\x10\0\0\0CR\2\0" + b"\0" * 40,
        "cr3.jpg": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"\0" * 40,
        "raf.jpg": b"FUJIFILMCCD-RAW 0201" + b"\0" * 40,
        "jxl.jpg": b"\xff\x0a\xfa\x7f\x01" + b"\x80" * 20,
        "jp2.jpg": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40,
        "ico.png": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + b"\0" * 40,
        "ppm.png": b"P6\n2 2\n255\n" + b"\xf0" * 12,
        "zeros.jpg": b"\0" * 4096,
        "zero-bytes.jpg": b"",
        "one-byte.jpg": b"\xff",
        "two-letters.jpg": b"GI",
        "noise.jpg": random.Random(1).randbytes(4096),
    }
    headers = {"psd.jpg", "cr2.tif", "cr3.jpg", "raf.jpg", "jxl.jpg", "jp2.jpg", "ico.png"}
    for name, data in files.items():
        yield name, data, _ALIEN | _BROKEN if name in headers else _ALIEN
    yield "heic-header.heic", heic, _ALIEN | _BROKEN  # the one without pillow-heif, or with it


def _bombs(whole: dict[str, bytes]) -> Iterator[_Content]:
    yield "bomb-60000x60000.png", _png(60_000, 60_000, [(b"IDAT", zlib.compress(b"\0"))]), _LARGE
    lines = zlib.compress(b"\0" * (2501 * 20_000), 9)
    yield "bomb-valid-1bit.png", _png(20_000, 20_000, [(b"IDAT", lines)], depth=1), _LARGE
    yield "bomb-2e31.png", _png(2**31 - 1, 2**31 - 1, []), _LARGE | _BROKEN
    zeros = zlib.compress(b"\0" * 50_000_000, 9)  # 49 kB
    scanlines = zlib.compress(b"".join(b"\0" + b"\x40" * 24 for _ in range(8)))
    pixels = (b"IDAT", scanlines)
    text = (b"zTXt", b"Comment\0\0" + zeros)
    international = (b"iTXt", b"Comment\0\1\0\0\0" + zeros)
    profile = (b"iCCP", b"ICC\0\0" + zeros)
    yield "bomb-ztxt.png", _png(8, 8, [text, pixels]), _BROKEN | _FINE
    yield "bomb-ztxt-after.png", _png(8, 8, [pixels, text]), _BROKEN | _FINE
    yield "bomb-ztxt-many.png", _png(8, 8, [text] * 20 + [pixels]), _BROKEN | _FINE
    yield "bomb-itxt.png", _png(8, 8, [international, pixels]), _BROKEN | _FINE
    yield "bomb-iccp.png", _png(8, 8, [profile, pixels]), _BROKEN | _FINE
    yield "chunks-20000.png", _png(8, 8, [(b"teSt", b"")] * 20_000 + [pixels]), _FINE
    gif = bytearray(whole["one.gif"])
    gif[6:10] = b"\xff\xff\xff\xff"
    yield "bomb-canvas.gif", bytes(gif), _LARGE
    at = whole["one.gif"].index(b",\0\0\0\0")
    gif = bytearray(whole["one.gif"])
    gif[at + 1 : at + 9] = b"\xff" * 8
    yield "bomb-frame.gif", bytes(gif), _LARGE
    jpeg = bytearray(whole["baseline.jpg"])
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    yield "bomb-65500.jpg", bytes(jpeg), _LARGE
    yield "bomb-scans.jpg", _many_scans(whole["progressive.jpg"]), _BROKEN
    bmp = bytearray(whole["rgb.bmp"])
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    yield "bomb-60000.bmp", bytes(bmp), _LARGE
    flat = b"VP8X\x0a\0\0\0\0\0\0\0" + (16_382).to_bytes(3, "little") * 2
    yield "bomb-canvas.webp", _riff(flat + whole["lossy.webp"][12:]), _LARGE
    huge = b"VP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6
    yield "bomb-2e24.webp", _riff(huge + whole["lossy.webp"][12:]), _LARGE
    if "one.avif" in whole:
        avif = whole["one.avif"]
        at = avif.index(b"ispe") + 8
        size = struct.pack(">II", 60_000, 60_000)
        yield "bomb-60000.avif", avif[:at] + size + avif[at + 8 :], _LARGE | _BROKEN


def _many_scans(jpeg: bytes) -> bytes:
    """The last scan of a progressive JPEG a thousand times over."""
    start, end = jpeg.rindex(b"\xff\xda"), jpeg.rindex(b"\xff\xd9")
    return jpeg[:end] + jpeg[start:end] * 1000 + jpeg[end:]


def _bad_tiffs() -> Iterator[_Content]:
    grey = bytes(range(16))
    sound: list[tuple[int, int, int, int]] = [
        (256, 4, 1, 4),  # width
        (257, 4, 1, 4),  # height
        (258, 3, 1, 8),  # bits per sample
        (259, 3, 1, 1),  # compression: none
        (262, 3, 1, 1),  # black is zero
        (273, 4, 1, 8),  # the strip lies right after the header
        (277, 3, 1, 1),  # samples per pixel
        (278, 4, 1, 4),  # rows per strip
        (279, 4, 1, 16),  # bytes of the strip
    ]

    def with_tags(*changes: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
        changed = {tag: entry for entry in (*sound, *changes) for tag in entry[:1]}
        return [changed[tag] for tag in sorted(changed)]

    yield "sound.tif", _tiff(sound, grey), _FINE
    yield "bomb-100000.tif", _tiff(with_tags((256, 4, 1, 10**5), (257, 4, 1, 10**5)), grey), _LARGE
    widest = with_tags((256, 4, 1, 2**32 - 1), (257, 4, 1, 2**32 - 1))
    yield "bomb-2e32.tif", _tiff(widest, grey), _LARGE
    yield "zero-width.tif", _tiff(with_tags((256, 4, 1, 0)), grey), _BROKEN
    yield "loop-to-itself.tif", _tiff(sound, grey, following=24), _FINE | _BROKEN
    yield "loop-to-header.tif", _tiff(sound, grey, following=1), _FINE | _BROKEN
    yield "strip-beyond.tif", _tiff(with_tags((273, 4, 1, 2**31)), grey), _BROKEN
    yield "strips-2e28.tif", _tiff(with_tags((273, 4, 2**28, 8)), grey), _BROKEN | _FINE
    yield "samples-60000.tif", _tiff(with_tags((277, 3, 1, 60_000)), grey), _ALIEN
    yield "no-tags.tif", _tiff([], grey), _BROKEN
    yield "directory-beyond.tif", b"II*\0" + struct.pack("<I", 2**31), _BROKEN
    many = [*sound, *((tag, 4, 1, 0) for tag in range(300, 20_000))]
    yield "tags-20000.tif", _tiff(many, grey), _FINE | _BROKEN
    large = [*sound, *((tag, 2, 2**28, 0) for tag in range(300, 4_000))]
    yield "tags-too-long.tif", _tiff(large, grey), _FINE | _BROKEN
    tile = with_tags((259, 3, 1, 8), (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8))
    tile = [entry for entry in tile if entry[0] not in {273, 278, 279}]
    yield "tile-60000.tif", _tiff([*tile, (325, 4, 1, 16)], grey), _BROKEN | _LARGE
    rows = with_tags((259, 3, 1, 5), (278, 4, 1, 2**32 - 1))
    yield "rows-per-strip-2e32.tif", _tiff(rows, grey), _BROKEN
    yield "unknown-compression.tif", _tiff(with_tags((259, 3, 1, 777)), grey), _BROKEN
    big = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60)
    yield "big-tags-2e60.tif", big + b"\0" * 400, _BROKEN


def _bad_headers(whole: dict[str, bytes]) -> Iterator[_Content]:
    image = photo()
    jpeg = bytearray(whole["baseline.jpg"])
    at = jpeg.index(b"\xff\xc0")
    yield "no-height.jpg", bytes(jpeg[: at + 5] + b"\0\0" + jpeg[at + 7 :]), _BROKEN
    yield "no-width.jpg", bytes(jpeg[: at + 7] + b"\0\0" + jpeg[at + 9 :]), _BROKEN
    yield "no-scan.jpg", bytes(jpeg[: jpeg.index(b"\xff\xda")]) + b"\xff\xd9", _BROKEN
    yield "only-markers.jpg", b"\xff\xd8" + b"\xff\xe1\0\2" * 10_000 + b"\xff\xd9", _BROKEN
    yield "no-size.png", _png(0, 8, [(b"IDAT", zlib.compress(b""))]), _BROKEN
    yield "no-pixels.png", _png(8, 8, []), _BROKEN
    yield "few-pixels.png", _png(64, 64, [(b"IDAT", zlib.compress(b"\0" * 100))]), _BROKEN
    png = whole["rgb.png"]
    yield "line-ends.png", png.replace(b"\r\n", b"\n", 1), _BROKEN
    yield "bad-checksum.png", png[:29] + b"\0\0\0\0" + png[33:], _BROKEN
    bmp = whole["rgb.bmp"]
    yield "no-width.bmp", bmp[:18] + b"\0" * 4 + bmp[22:], _BROKEN
    yield "least-height.bmp", bmp[:22] + struct.pack("<i", -(2**31)) + bmp[26:], _BROKEN | _LARGE
    yield "palette-2e31.bmp", bmp[:28] + b"\x08\0" + bmp[30:46] + b"\xff" * 4 + bmp[50:], _BROKEN
    gif = whole["one.gif"]
    yield "no-canvas.gif", gif[:6] + b"\0" * 4 + gif[10:], _FINE | _BROKEN  # the frame has a size
    yield "no-frame.gif", gif[:13] + b";", _BROKEN
    yield "script.gif", b"GIF89a/*\1\0\1\0*/=alert(1);" + b" " * 40, _ANY
    webp = whole["lossy.webp"]
    yield "size-lies.webp", webp[:4] + b"\xff\xff\xff\x7f" + webp[8:], _BROKEN | _FINE
    yield "no-chunks.webp", _riff(b""), _BROKEN
    yield "exif-noise.jpg", saved(image, "JPEG", exif=b"Exif\0\0" + b"\x49\x49\x2a\0" * 50), _FINE
    yield "exif-beyond.jpg", saved(image, "JPEG", exif=_exif(6, count=2**31)), _FINE
    yield "exif-99.jpg", saved(image, "JPEG", exif=_exif(99)), _FINE
    yield "exif-cut.jpg", saved(image, "JPEG", exif=_exif(6)[:17]), _FINE
    yield "icc-noise.jpg", saved(image, "JPEG", icc_profile=b"\0\0\2\0noise" * 60), _FINE
    yield "icc-noise.png", saved(image, "PNG", icc_profile=b"RGB " * 99), _FINE
    yield "icc-noise.webp", saved(image, "WEBP", icc_profile=b"acsp" * 99), _FINE
    yield "icc-noise.tif", saved(image, "TIFF", icc_profile=b"acsp" * 99), _FINE


def _odd_but_fine(whole: dict[str, bytes]) -> Iterator[_Content]:

    def animated(kind: str) -> bytes:
        frames = [photo(seed=seed) for seed in range(3)]
        return saved(frames[0], kind, save_all=True, append_images=frames[1:])

    files = {
        "png-in-truth.jpg": whole["rgb.png"],
        "webp-in-truth.png": whole["lossy.webp"],
        "jpeg-in-truth.gif": whole["baseline.jpg"],
        "mpo.jpg": animated("MPO"),
        "animated.gif": animated("GIF"),
        "animated.webp": animated("WEBP"),
        "animated.png": animated("PNG"),
        "pages.tif": animated("TIFF"),
        "one-pixel.png": saved(photo(1, 1), "PNG"),
        "one-pixel.jpg": saved(photo(1, 1), "JPEG"),
        "one-pixel.webp": saved(photo(1, 1), "WEBP"),
        "one-pixel.gif": saved(photo(1, 1), "GIF"),
        "thread.png": saved(photo(1, 10_000), "PNG"),
        "thread.jpg": saved(photo(10_000, 1), "JPEG"),
        "polyglot-zip.jpg": whole["baseline.jpg"] + b"PK\x05\x06" + b"\0" * 18,
        "polyglot-html.png": whole["rgb.png"] + b"<script>alert(1)</script>",
        "motion.jpg": whole["baseline.jpg"] + b"\0\0\0\x18ftypmp42" + b"\xff\xda\x01" * 500,
        "rle.bmp": _rle_bmp(),
    }
    for name, data in files.items():
        yield name, data, _FINE


def _odd_names(folder: Path) -> Iterator[Case]:
    """A sound picture under names that have broken programs before."""
    data = saved(photo(8, 8), "PNG")
    names = [
        b"new\nline.png",
        b"tab\tand\x1b[31mescape.png",
        b"\x01\x7f.png",
        "\N{GRINNING FACE} \N{FAMILY}.png".encode(),
        "e\N{COMBINING ACUTE ACCENT}.png".encode(),
        "\N{LATIN SMALL LETTER E WITH ACUTE}.png".encode(),
        "\N{RIGHT-TO-LEFT OVERRIDE}gnp.png".encode(),
        b"n" * 251 + b".png",
        b"-rf.png",
        b" space .png",
        b"%s{0}$HOME.png",
        b"<img src=x onerror=alert(1)>.png",
        b"'; DROP TABLE items; --.png",
        b'quote".png',
        b"back\\slash.png",
        b"UPPER.PNG",
    ]
    for name in names:
        yield Case(path=_write(folder, name, data), outcomes=_FINE)
    yield Case(path=_write(folder, b"caf\xe9.png", data), outcomes=_FINE, left_out=True)


def _write(folder: Path, name: bytes, data: bytes) -> bytes:
    path = os.path.join(os.fsencode(folder), name)  # noqa: PTH118 - a Path cannot be bytes
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(data)
    return path


def _odd_places(folder: Path) -> Iterator[Case]:
    """Things that are no plain readable files."""

    def case(name: str, outcomes: frozenset[type[ImageError] | None]) -> Case:
        link = (folder / name).is_symlink()
        left_out = link or (folder / name).is_dir()
        return Case(path=os.fsencode(folder / name), outcomes=outcomes, left_out=left_out)

    (folder / "folder.jpg").mkdir()
    yield case("folder.jpg", _ALIEN)
    (folder / "link-to-nothing.jpg").symlink_to("nothing.jpg")
    yield case("link-to-nothing.jpg", _UNREADABLE)
    (folder / "link-to-itself.jpg").symlink_to("link-to-itself.jpg")
    yield case("link-to-itself.jpg", _UNREADABLE)
    (folder / "link-there.jpg").symlink_to("link-back.jpg")
    (folder / "link-back.jpg").symlink_to("link-there.jpg")
    yield case("link-there.jpg", _UNREADABLE)
    yield case("link-back.jpg", _UNREADABLE)
    (folder / "link-to-picture.jpg").symlink_to("whole-baseline.jpg")
    yield case("link-to-picture.jpg", _FINE)
    (folder / "link-to-device.jpg").symlink_to("/dev/zero")
    yield case("link-to-device.jpg", _ALIEN)
    os.mkfifo(folder / "pipe.jpg")
    yield case("pipe.jpg", _ALIEN)
    locked = folder / "locked.jpg"
    locked.write_bytes(saved(photo(8, 8), "JPEG"))
    locked.chmod(stat.S_IWUSR)
    # The superuser reads it all the same.
    yield case("locked.jpg", _FINE if os.access(locked, os.R_OK) else _UNREADABLE)


def _png(width: int, height: int, chunks: list[tuple[bytes, bytes]], *, depth: int = 8) -> bytes:
    """A PNG of these chunks; RGB at 8 bits, grey at 1."""
    colour = 2 if depth == 8 else 0
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [(b"IHDR", header), *chunks, (b"IEND", b"")]
    )


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _tiff(entries: list[tuple[int, int, int, int]], data: bytes, *, following: int = 0) -> bytes:
    """Little-endian: header, ``data`` at 8, then a directory of (tag, type, count, value).

    ``following`` is where the next directory is said to be.
    """
    directory = b"".join(
        struct.pack("<HHI", tag, kind, count)
        + (struct.pack("<HH", value, 0) if kind == 3 and count == 1 else struct.pack("<I", value))
        for tag, kind, count, value in entries
    )
    start = struct.pack("<I", 8 + len(data))
    count = struct.pack("<H", len(entries))
    return b"II*\0" + start + data + count + directory + struct.pack("<I", following)


def _exif(orientation: int, *, count: int = 1) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, count, orientation, 0)
    return b"Exif\0\0II*\0\x08\0\0\0\1\0" + entry + b"\0\0\0\0"


def _rle_bmp() -> bytes:
    """4 x 2 pixels of two colours, run-length encoded."""
    palette = b"\0\0\xff\0" + b"\0\xff\0\0" + b"\0" * 4 * 254
    rows = b"\4\0\0\0" + b"\4\1\0\0" + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 8, 1, len(rows), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIII", b"BM", start + len(rows), 0, start) + header + palette + rows
