"""A folder that ``lookalike download`` filled: its record says what each picture is."""

from collections.abc import Iterator
from pathlib import Path

from lookalike.download.record import NAME, DownloadRecord
from lookalike.errors import SourceError
from lookalike.records import Entry, Skipped
from lookalike.scan import stamp_of

__all__ = ["Downloads", "found_in"]


class Downloads:
    """The pictures that were downloaded, with label, group and metadata of the catalogue they came
    from and the ``url`` that they were had from. What failed is no entry: ``lookalike download
    --failures`` lists it.
    """

    format = "downloads"

    def __init__(self, path: Path) -> None:
        if not found_in(path):
            raise SourceError(f"{path} holds no {NAME}; `lookalike download` makes such a folder")
        self.root = path

    def entries(self) -> Iterator[Entry | Skipped]:
        with DownloadRecord(self.root) as record:
            for row in record.rows(ok=True):
                place = self.root / (row.file or "")
                yield Entry(
                    id=row.id,
                    picture=place,
                    path=row.file or "",
                    stamp=stamp_of(place),
                    label=row.label,
                    group=row.group,
                    metadata={**row.metadata, "url": row.url},
                )


def found_in(path: Path) -> bool:
    """Whether the folder holds a record of downloads."""
    return (path / NAME).is_file()
