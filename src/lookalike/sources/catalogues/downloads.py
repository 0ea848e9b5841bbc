"""Read a folder that ``lookalike download`` filled: its record describes each image."""

from collections.abc import Iterator
from pathlib import Path

from lookalike.core.records import Entry, Remote, Skipped
from lookalike.errors import SourceError
from lookalike.sources.download.record import NAME, DownloadRecord
from lookalike.sources.scan import stamp_of

__all__ = ["Downloads", "find_in"]


class Downloads:
    """The downloaded images, with the label, group and metadata of their catalogue, and their
    ``url``.

    A failed download is an entry that is skipped, with the reason.
    """

    format = "downloads"

    def __init__(self, path: Path) -> None:
        if not find_in(path):
            raise SourceError(f"{path} holds no {NAME}; `lookalike download` makes such a folder")
        self.root = path
        self.files = (path / NAME,)

    def entries(self) -> Iterator[Entry | Skipped]:
        there = False
        with DownloadRecord(self.root) as record:
            for row in record.rows(ok=True):
                there = True
                place = self.root / (row.file or "")
                yield Entry(
                    id=row.id,
                    image=place,
                    path=row.file or "",
                    stamp=stamp_of(place),
                    label=row.label,
                    group=row.group,
                    metadata={**row.metadata, "url": row.url},
                )
            failed = 0
            for row in record.rows(ok=False):
                failed += 1
                reason = f"not downloaded: {row.reason or row.status}"
                yield Entry(id=row.id, image=Remote(row.urls, reason))
            if failed and not there:
                raise SourceError(
                    f"none of the {failed:,} images of {self.root} could be downloaded; `lookalike "
                    f"download --to {self.root} --failures` says why"
                )


def find_in(path: Path) -> bool:
    """Return whether the folder holds a record of downloads."""
    return (path / NAME).is_file()
