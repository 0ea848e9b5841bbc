"""What is made of an image beside its embedding: a thumbnail, and regions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lookalike import images
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import Entry, Item
from lookalike.errors import ImageError
from lookalike.images.thumbnails import make_thumbnail
from lookalike.indexing.file_reading import read_entry, skip
from lookalike.regions.making import make_regions
from lookalike.regions.table import regions_done

if TYPE_CHECKING:
    from lookalike.indexing.batch import Batch

__all__ = ["SideContent"]


@dataclass(slots=True, kw_only=True)
class SideContent:
    """Makes the thumbnails of a batch, of ``side`` pixels, and ``regions`` regions of each image.

    Thumbnails are made from the image that is decoded for the encoder, where possible. That image
    is never decoded larger for their sake, which would slightly change its vector.
    """

    batch: "Batch"
    store: Store
    encoder: Encoder
    side: int | None
    regions: int
    limits: images.Limits
    _sides: dict[str, int] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)

    def look_up(self, known: Iterable[Item]) -> None:
        """Find out what existing items have already."""
        items = list(known)
        if self.side is not None:
            self._sides = self.store.thumbnails.sides([item.id for item in items])
        self.look_for_regions({item.digest for item in items})

    def look_for_regions(self, digests: set[str]) -> None:
        """Find out which images have their regions already."""
        if self.regions and digests:
            self._done |= regions_done(self.store, digests, self.regions)

    def add(self, digest: str, data: bytes, decoded: images.DecodedImage | None = None) -> None:
        """Make what is wanted of new content. Raise ``ImageError``."""
        if self.side is not None and digest not in self.batch.thumbnails:
            thumbnail = make_thumbnail(data, self.side, limits=self.limits, decoded=decoded)
            self.batch.thumbnails[digest] = thumbnail
        if self._lacks_regions(digest):
            self.batch.regions[digest] = make_regions(
                self.encoder, data, self.regions, limits=self.limits
            )

    def complete(self, before: Item, entry: Entry, data: bytes | None = None) -> None:
        """Make what an item lacks, if the entry still has the content that was encoded."""
        bare = self.side is not None and self._sides.get(before.id) != self.side
        if not bare and not self._lacks_regions(before.digest):
            return
        try:
            read = read_entry(entry, self.limits)[1] if data is None else data
            if isinstance(read, bytes) and images.digest(read) == before.digest:
                self.add(before.digest, read)
                if bare:
                    self.batch.bare.append(before)
        except ImageError as error:
            self.batch.skipped.append((entry, skip(entry, error)))

    def _lacks_regions(self, digest: str) -> bool:
        return bool(self.regions) and not (digest in self._done or digest in self.batch.regions)
