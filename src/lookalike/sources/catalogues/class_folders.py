"""Read images in one folder per class: the label is the name of the first folder."""

from collections.abc import Iterator
from pathlib import Path

from lookalike import images
from lookalike.core.records import Entry, Skipped
from lookalike.sources.scan import Listing, ScanOptions, scan_in_steps

__all__ = ["ClassFolders", "looks_like"]

# Caltech-101's folder of images that belong to no class.
_NO_CLASS = "BACKGROUND_Google"


class ClassFolders:
    """A folder of class folders: ``accordion/image_0001.jpg`` has the label ``accordion``.

    Images that are not in a class folder have no label. Caltech-101's background folder is
    excluded.
    """

    format = "class-folders"

    def __init__(self, path: Path, *, options: ScanOptions = ScanOptions()) -> None:
        self.root = path
        self._options = options

    def entries(self) -> Iterator[Entry | Skipped | None]:
        listing = Listing()
        for step in scan_in_steps(self.root, suffixes=images.SUFFIXES, options=self._options):
            listing = step
            yield None
        yield from listing.skipped
        for path, stamp in listing.files.items():
            label, slash, _ = path.partition("/")
            if slash and label == _NO_CLASS:
                continue
            yield Entry(
                id=path,
                image=self.root / path,
                path=path,
                stamp=stamp,
                label=label if slash else None,
            )


def looks_like(path: Path) -> bool:
    """Return whether this is Caltech-101. Other class folders look like any archive of folders."""
    return (path / _NO_CLASS).is_dir()
