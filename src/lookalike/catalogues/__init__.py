"""What a shop or a data set says about its pictures: one file per format, read as entries.

catalogue = open_catalogue(Path("fashion-dataset"))     # recognised by its content
for entry in catalogue.entries(): ...                   # Entry, or Skipped with a reason
"""

from collections.abc import Callable
from pathlib import Path

from lookalike.catalogues import class_folders, myntra, table
from lookalike.errors import SourceError
from lookalike.protocols import Catalogue

__all__ = ["FORMATS", "open_catalogue", "recognise"]

# name → what opens it. Plain folders are no catalogue: `index_folder` sees to them.
FORMATS: dict[str, Callable[..., Catalogue]] = {
    "class-folders": class_folders.ClassFolders,
    "myntra": myntra.Myntra,
    "table": table.Table,
}


def recognise(path: Path) -> str:
    """The name of the format of a file or folder, ``"folder"`` for pictures and nothing else.

    Raises ``SourceError`` for a file that is none that can be read.
    """
    if path.is_dir():
        if myntra.found_in(path) is not None:
            return "myntra"
        return "class-folders" if class_folders.looks_like(path) else "folder"
    if path.suffix.lower() in table.SUFFIXES:
        return "table"
    if not path.exists():
        raise SourceError(f"{path} does not exist; give a folder of pictures or a table")
    known = ", ".join(sorted(table.SUFFIXES))
    raise SourceError(
        f"{path} is a file, and no table ({known}); give the folder that holds the pictures"
    )


def open_catalogue(path: Path, format: str, **options: object) -> Catalogue:  # noqa: A002 - its name
    """The catalogue at a path. ``options`` are those of the format's class."""
    if format not in FORMATS:
        raise SourceError(f"there is no format {format!r}; there are {', '.join(FORMATS)}, folder")
    return FORMATS[format](path, **options)
