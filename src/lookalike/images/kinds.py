"""Sound files of a known format, but of a kind that no reader here decodes."""

import re

__all__ = ["describe_kind"]

_FRAME = re.compile(
    rb"\xff([\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7])(..)(.)(..)(..)(.)", re.DOTALL
)
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_HIERARCHICAL = {0xC5, 0xC6, 0xCD, 0xCE}
_JPEG_LS = 0xF7
_UNSUPPORTED = re.compile(r"unsupported|not supported|no codec|not implemented", re.IGNORECASE)


def describe_kind(kind: str, data: bytes, error: BaseException) -> str | None:
    """Return the reason, where a file is not damaged but of a kind that is not read."""
    what = None
    if kind == "JPEG":
        what = _jpeg(data)
    elif kind in {"BMP", "DIB"}:
        if "Unsupported BMP" in str(error) and "Palette" not in str(error):
            what = _bmp(data)
    elif kind in {"HEIC", "AVIF"}:
        found = str(error)
        if _UNSUPPORTED.search(found) and "brand" not in found.lower():
            what = _boxes(data)
    elif kind == "PSD":
        if isinstance(error.__cause__ or error, KeyError):
            what = f"{int.from_bytes(data[22:24], 'big')} bits, {_PSD.get(data[25], 'unusual')}"
    elif _UNSUPPORTED.search(str(error)):
        what = "unusual"
    if what is None:
        return None
    name = {"HEIC": "HEIF", "DIB": "BMP"}.get(kind, kind)
    return f"a kind of {name} that is not read ({what})"


_PSD = {0: "bitmap", 1: "grey", 2: "palette", 3: "RGB", 4: "CMYK", 7: "channels", 9: "Lab"}


def _jpeg(data: bytes) -> str | None:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:  # noqa: PLR2004
        found = _FRAME.match(data, at)
        if found is None:
            if data[at + 1] == 0xFF:  # noqa: PLR2004 - fill bytes
                at += 1
                continue
            at += 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
            continue
        marker, bits, channels = found[1][0], found[3][0], found[6][0]
        if marker in _LOSSLESS:
            return "lossless"
        if marker == _JPEG_LS:
            return "JPEG-LS"
        if marker in _HIERARCHICAL:
            return "hierarchical"
        if bits not in {0, 8}:
            return f"{bits} bits per sample"
        return None if channels in {0, 1, 3, 4} else f"{channels} channels"
    return None


def _bmp(data: bytes) -> str:
    at = 14 if data.startswith(b"BM") else 0
    bits = int.from_bytes(data[at + 14 : at + 16], "little")
    compression = int.from_bytes(data[at + 16 : at + 20], "little")
    names = {
        1: "run-length",
        2: "run-length",
        3: "bit fields",
        4: "JPEG",
        5: "PNG",
        6: "bit fields",
    }
    return f"{bits} bits, {names.get(compression, f'compression {compression}')}"


_CODECS = {
    b"hvc1": "HEVC", b"av01": "AV1", b"avc1": "H.264", b"vvc1": "VVC", b"evc1": "EVC",
    b"jpeg": "JPEG", b"mjpg": "JPEG", b"j2k1": "JPEG 2000", b"unci": "uncompressed",
    b"grid": "tiles", b"iovl": "layers", b"tili": "tiles", b"mski": "mask", b"ccv1": "HEVC",
}  # fmt: skip


def _boxes(data: bytes) -> str:
    """Return how the items of a HEIF file are coded, from its item information."""
    at = data.find(b"iinf")
    head = data[at : at + 4096] if at >= 0 else b""
    names = [name for code, name in _CODECS.items() if code in head]
    return ", ".join(dict.fromkeys(names)) or "of an unknown codec"
