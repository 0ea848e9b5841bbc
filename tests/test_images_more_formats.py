"""Camera raw files by their previews, and the formats beyond the usual ones."""

import io
import struct
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hostile import photo, saved
from lookalike import images
from lookalike.errors import BrokenImageError, ImageError, ImageTooLargeError, NotAnImageError
from lookalike.images.decoding import decode
from lookalike.images.limits import Limits
from lookalike.images.structure import jxl_size

tifffile = pytest.importorskip("tifffile", reason="writes the raw files of these tests")


def _pixels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(decode(data).image, dtype=np.int16)


def _dng(previews: list[bytes], *, turn: int = 1) -> bytes:
    """Return a DNG: a thumbnail of 8 x 8, sensor values inside, and JPEGs at the end."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(
            np.full((8, 8, 3), 200, np.uint8),
            photometric="rgb",
            subfiletype=1,
            subifds=1,
            metadata=None,
            extratags=[(50706, 1, 4, (1, 4, 0, 0), True), (274, 3, 1, turn, True)],
        )
        writer.write(np.full((64, 96), 900, np.uint16), photometric=32803, metadata=None)
    return file.getvalue() + b"".join(previews)


_SMALL = saved(photo(160, 120), "JPEG")
_LARGE = saved(photo(600, 400), "JPEG", quality=95)

_RAW: dict[str, Callable[[list[bytes]], bytes]] = {
    "DNG": _dng,
    "CR2": lambda previews: b"II*\0\x10\0\0\0CR\2\0\0\0\0\0" + b"\0" * 40 + b"".join(previews),
    "CR3": lambda previews: b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"".join(previews),
    "RAF": lambda previews: b"FUJIFILMCCD-RAW 0201" + b"\0" * 80 + b"".join(previews),
    "ORF": lambda previews: b"IIRO\x08\0\0\0\0\0\0\0\0\0" + b"".join(previews),
    "RW2": lambda previews: b"IIU\0\x08\0\0\0\0\0\0\0\0\0" + b"".join(previews),
    "IIQ": lambda previews: b"II*\0\x0c\0\0\0IIII\0\0\0\0\0\0" + b"".join(previews),
}


@pytest.mark.parametrize("kind", _RAW)
def test_a_raw_file_is_read_by_its_largest_preview_and_says_so(kind: str) -> None:
    decoded = decode(_RAW[kind]([_SMALL, _LARGE, _SMALL]))

    assert np.array_equal(np.asarray(decoded.image), np.asarray(decode(_LARGE).image))
    assert (decoded.width, decoded.height) == (600, 400)
    assert decoded.notes == ("the preview of 600 x 400 pixels in the raw file was used",)


@pytest.mark.parametrize("kind", [kind for kind in _RAW if kind != "DNG"])
@pytest.mark.parametrize("previews", [[], [_SMALL]])
def test_a_raw_file_without_a_preview_that_stands_for_it_is_refused(
    kind: str, previews: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)

    with pytest.raises(NotAnImageError, match="a camera raw file that has") as caught:
        decode(_RAW[kind](previews))

    assert "pip install 'lookalike[raw]'" in caught.value.reason
    assert ("160 x 120" in caught.value.reason) == bool(previews)


def test_the_thumbnail_of_a_dng_is_never_taken_for_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)

    with pytest.raises(NotAnImageError, match="no preview"):
        decode(_dng([]))


def test_a_broken_raw_file_is_an_image_error_also_with_rawpy() -> None:
    pytest.importorskip("rawpy")
    for make in _RAW.values():
        with pytest.raises(ImageError):
            decode(make([]))


def test_a_preview_is_turned_as_the_raw_file_says_unless_it_says_so_itself() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    own = saved(photo(600, 400), "JPEG", quality=95, exif=exif)

    assert decode(_dng([_LARGE], turn=6)).width == 400
    assert decode(_dng([own], turn=6)).width == 600


def test_a_preview_may_be_decoded_at_a_reduced_scale_and_the_limits_hold() -> None:
    data = _dng([_LARGE])

    assert decode(data, at_least=(60, 40)).image.size == (75, 50)
    with pytest.raises(ImageTooLargeError):
        decode(data, limits=Limits(max_pixels=600 * 400 - 1))


def test_the_values_of_the_sensor_as_a_lossless_jpeg_are_no_preview() -> None:
    at = _LARGE.index(b"\xff\xc0")
    sensor = _LARGE[: at + 1] + b"\xc3" + _LARGE[at + 2 :]
    bigger = saved(photo(700, 500), "JPEG")
    at = bigger.index(b"\xff\xc0")
    sensor = bigger[: at + 1] + b"\xc3" + bigger[at + 2 :]

    assert decode(_dng([sensor, _LARGE])).width == 600


def test_a_plain_tiff_is_no_raw_file() -> None:
    assert decode(saved(photo(), "TIFF", tiffinfo={271: "NIKON CORPORATION"})).notes == ()


# --- JPEG 2000, JPEG XL, PSD, ICO ----------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"no_jp2": True}], ids=["jp2", "bare"])
def test_jpeg_2000_is_read(options: dict[str, bool]) -> None:
    data = saved(photo(), "JPEG2000", **options)

    assert np.array_equal(_pixels(data), np.asarray(photo()))
    with pytest.raises(BrokenImageError):
        decode(data[: len(data) // 2])


def test_jpeg_2000_with_channels_that_would_come_out_wrong_is_refused_by_name() -> None:
    data = saved(photo(33, 33), "JPEG2000")
    at = data.index(b"\xff\x4f\xff\x51")
    coarse = data[: at + 46] + b"\2\2" + data[at + 48 :]
    order = b"\0\0\0\x1ccdef\0\3" + struct.pack(">9H", 0, 0, 3, 1, 0, 2, 2, 0, 1)
    place = data.index(b"jp2c") - 4

    for changed, words in (
        (coarse, "coarse channels, odd size"),
        (data[:place] + order + data[place:], "reordered channels"),
    ):
        with pytest.raises(NotAnImageError, match=words):
            decode(changed)


@pytest.mark.parametrize("size", [(96, 64), (64, 64), (333, 77), (5000, 3), (256, 192)])
def test_jpeg_xl_is_read_and_its_size_is_known_before(size: tuple[int, int]) -> None:
    pytest.importorskip("pillow_jxl")
    image = photo(*size)
    data = saved(image, "JXL", lossless=True)

    assert jxl_size(data) == size
    assert np.array_equal(_pixels(data), np.asarray(image))
    with pytest.raises(ImageTooLargeError):
        decode(data, limits=Limits(max_pixels=size[0] * size[1] - 1))


def test_without_its_plugin_jpeg_xl_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    monkeypatch.setitem(sys.modules, "pillow_jxl.JpegXLImagePlugin", None)

    with pytest.raises(NotAnImageError, match=r"pip install 'lookalike\[jxl\]'"):
        decode(b"\xff\x0a\xfa\x7f\x01" + b"\x80" * 20)


def _psd(channels: int, *, layers: int = 0, bits: int = 8) -> bytes:
    """Return a Photoshop document of 16 x 12: red, with a fourth channel that is half 0."""
    planes = [b"\xff" * 192, b"\0" * 192, b"\0" * 192, b"\0" * 96 + b"\xff" * 96][:channels]
    layer = struct.pack(">IIhxx", 8, 4, layers)
    return (
        b"8BPS\0\1"
        + b"\0" * 6
        + struct.pack(">HIIHH", channels, 12, 16, bits, 3)
        + struct.pack(">II", 0, 0)
        + layer[:10]
        + b"\0\0"
        + b"\0\0"
        + b"".join(planes)
    )


def test_a_photoshop_document_is_read_by_its_composite() -> None:
    assert (_pixels(_psd(3)) == (255, 0, 0)).all()


def test_a_stored_selection_of_a_photoshop_document_is_no_transparency() -> None:
    assert (_pixels(_psd(4, layers=1)) == (255, 0, 0)).all()
    assert (_pixels(_psd(4, layers=-1))[:6] == (255, 255, 255)).all()


def test_a_photoshop_document_of_16_bits_is_called_that() -> None:
    with pytest.raises(NotAnImageError, match=r"a kind of PSD that is not read \(16 bits, RGB\)"):
        decode(_psd(3, bits=16))


def test_the_largest_image_of_an_icon_is_read_and_a_large_one_inside_is_refused() -> None:
    data = saved(photo(64, 64), "ICO", sizes=[(16, 16), (64, 64)])

    assert np.array_equal(_pixels(data), np.asarray(photo(64, 64)))
    with pytest.raises(ImageTooLargeError):
        decode(data, limits=Limits(max_pixels=4000))


def test_scans_list_the_files_of_these_formats() -> None:
    assert {".dng", ".nef", ".cr2", ".cr3", ".jxl", ".jp2", ".psd", ".ico"} <= images.SUFFIXES
