"""What can show items: a collection, on this machine or of a service."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image

from lookalike.core.records import Hit, Item

__all__ = ["ItemViewer"]


class ItemViewer(Protocol):
    """Shows items with their images."""

    def thumbnail(self, id: str, *, side: int = 320) -> bytes:
        """Return a JPEG of an item, at most ``side`` pixels on the longer side."""

    def file_of(self, item: Item) -> Path | None:
        """Return the path of an item's file; ``None`` where it has none that can be read here."""

    def files_of(self, items: Iterable[Item]) -> list[Path | None]:
        """Return ``file_of`` each item."""

    def previews(self, items: Iterable[Item], *, side: int) -> Iterator[Image.Image | None]:
        """Yield an image to show of each item, or ``None``."""

    def render(self, hits: Sequence[Hit]) -> str:
        """Return HTML that shows hits with their thumbnails and scores."""
