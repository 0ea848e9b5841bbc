"""Limits on the size of images, checked before any pixel is decoded."""

from dataclasses import dataclass

from lookalike.errors import ImageTooLargeError

__all__ = ["DEFAULT_LIMITS", "Limits", "check_bytes", "check_pixels", "format_megapixels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that an image may cost: bytes of the file, and pixels of the whole canvas.

    While decoding, a pixel takes 4 bytes (JPEG) to 24 (WebP with alpha, floats). For some formats
    Pillow stops by itself at 179 million pixels (twice ``PIL.Image.MAX_IMAGE_PIXELS``), however
    high ``max_pixels`` is.
    """

    max_bytes: int = 100_000_000
    max_pixels: int = 100_000_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ValueError("limits must be at least 1")


DEFAULT_LIMITS = Limits()


def check_bytes(size: int, limits: Limits, path: str | None = None) -> None:
    """Raise ``ImageTooLargeError`` for a file of more bytes than the limit."""
    if size > limits.max_bytes:
        raise ImageTooLargeError(
            f"{_format_megabytes(size)}; the limit is {_format_megabytes(limits.max_bytes)}",
            path=path,
        )


def check_pixels(size: tuple[int, int], limits: Limits) -> None:
    """Raise ``ImageTooLargeError`` for a (width, height) of more pixels than the limit."""
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"{format_megapixels(width * height)} ({width} x {height}); "
            f"the limit is {format_megapixels(limits.max_pixels)}"
        )


def format_megapixels(pixels: int) -> str:
    """Return ``12.3 megapixels``."""
    return f"{pixels / 1e6:.0f} megapixels" if pixels >= 10**9 else f"{pixels / 1e6:.3g} megapixels"


def _format_megabytes(size: int) -> str:
    """Return ``12.3 MB``: millions of bytes, as every option counts them."""
    if size < 10**6:
        return f"{size} bytes"
    return f"{size / 1e6:.4g} MB" if size < 10**9 else f"{size / 1e6:.0f} MB"
