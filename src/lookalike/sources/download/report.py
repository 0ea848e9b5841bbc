"""The report of a download."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lookalike.core.plurals import reasons_text
from lookalike.core.progress import Progress
from lookalike.core.records import Skipped

__all__ = ["DownloadReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadReport:
    """What a download did.

    ``already`` files existed; ``updated`` of them got another label, group or metadata. ``failed``
    is status → entries of this run; ``failed_before`` were not tried again. ``local`` entries need
    no download. ``skipped`` counts lines that are not entries; ``skips`` holds the first thousand
    with their reasons. ``bytes`` is the size of the downloaded files. ``interrupted``: the next run
    continues.
    """

    downloaded: int = 0
    already: int = 0
    updated: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    failed_before: int = 0
    local: int = 0
    skipped: int = 0
    skips: tuple[Skipped, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0
    bytes: int = 0

    @property
    def nothing_usable(self) -> bool:
        """Return whether there were entries, and not one of them has a file now."""
        failed = sum(self.failed.values()) + self.failed_before + self.skipped
        here = self.downloaded + self.already + self.local
        return bool(failed) and not here and not self.interrupted

    @property
    def done(self) -> int:
        """How many entries are finished."""
        return self.downloaded + self.already + sum(self.failed.values()) + self.failed_before

    def progress(self) -> Progress:
        """Return how far the download is, with the reasons of failures."""
        note = f"failed: {reasons_text(self.failed)}" if self.failed else ""
        return Progress(done=self.done, note=note)
