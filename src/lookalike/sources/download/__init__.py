"""Download images to files in a folder, with a record of every entry.

download(catalogue.entries(), Path("images"), labels=["12"])
Downloads(Path("images"))                        # of lookalike.sources.catalogues: to index them
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.sources.download.politeness import Politeness
    from lookalike.sources.download.record import DownloadRecord, RecordRow
    from lookalike.sources.download.report import DownloadReport
    from lookalike.sources.download.run import download

__all__ = ["DownloadRecord", "DownloadReport", "Politeness", "RecordRow", "download"]

# Loaded on first use: reading a record for indexing needs no HTTP client.
_HOMES = {
    "DownloadRecord": "record",
    "DownloadReport": "report",
    "Politeness": "politeness",
    "RecordRow": "record",
    "download": "run",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"lookalike.sources.download.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lookalike.sources.download' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
