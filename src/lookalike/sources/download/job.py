"""An entry on its way from the catalogue to a file."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from lookalike.core.records import Entry

__all__ = ["DownloadJob"]


@dataclass(slots=True, kw_only=True)
class DownloadJob:
    """An entry to download. ``key`` is its claim on a place; ``stem`` the path without suffix."""

    entry: Entry
    urls: tuple[str, ...]
    stem: str
    key: str
    own: str | None = None  # its file in the record, which may be replaced
    digest: str | None = None  # digest of that file, as it was written
    at: int = 0  # index of the URL
    attempt: int = 0  # for this URL
    requests: int = 0

    @property
    def host(self) -> str:
        return (urlsplit(self.urls[self.at]).hostname or "").lower()
