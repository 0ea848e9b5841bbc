"""Read the labels and metadata that a shop or data set has for its images: one file per format.

catalogue = open_catalogue(Path("fashion-dataset"))     # recognised by its content
for entry in catalogue.entries(): ...                   # Entry, or Skipped with a reason
"""

import inspect
from collections.abc import Callable
from pathlib import Path

from lookalike import images
from lookalike.core.arguments import checked
from lookalike.core.protocols import Catalogue
from lookalike.errors import SourceError
from lookalike.sources.archives import is_archive
from lookalike.sources.catalogues import (
    class_folders,
    downloads,
    imaterialist,
    in_shop,
    myntra,
    object_folder,
    stanford_products,
    table,
)
from lookalike.sources.catalogues.rows import find_json_rows
from lookalike.sources.named_files import is_pattern

__all__ = ["FORMATS", "IMAGES_ALONE", "open_catalogue", "recognise"]

# name → class. A plain folder is not a catalogue: `index_folder` reads it.
FORMATS: dict[str, Callable[..., Catalogue]] = {
    "class-folders": class_folders.ClassFolders,
    "deepfashion-in-shop": in_shop.InShop,
    "downloads": downloads.Downloads,
    "imaterialist": imaterialist.IMaterialist,
    "myntra": myntra.Myntra,
    "object-storage": object_folder.ObjectFolder,
    "stanford-online-products": stanford_products.StanfordProducts,
    "table": table.Table,
}

IMAGES_ALONE = ("folder", "files", "archive")

_SPREADSHEETS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"})

# Names of options on the command line that differ from those in Python.
_FLAGS = {
    "root": "--root",
    "columns": "--file-column and the like",
    "column_types": "--column-type",
}


@checked
def recognise(path: Path) -> str:
    """Return the name of the format of a file or folder; one of ``IMAGES_ALONE`` if it gives no
    labels: a ``folder``, ``files`` (an image, or a pattern of some), an ``archive``.

    Raise ``SourceError`` for a file of no known format.
    """
    if path.is_dir():
        return _recognise_folder(path)
    suffix = path.suffix.lower()
    if is_pattern(path):
        return "files"
    if suffix in table.SUFFIXES:
        return "table"
    if not path.exists():
        raise SourceError(f"{path} does not exist; give a folder of images or a table")
    if suffix == ".json":
        return _recognise_json(path)
    if suffix in images.SUFFIXES or is_archive(path):
        return "files" if suffix in images.SUFFIXES else "archive"
    if suffix in _SPREADSHEETS:
        raise SourceError(
            f"{path} is a spreadsheet, which is not read; save its sheet as CSV (UTF-8), then give "
            "that file"
        )
    known = ", ".join(sorted(table.SUFFIXES))
    raise SourceError(
        f"{path} is a file, but not an image, an archive, or a table ({known}); give the folder "
        "that holds the images"
    )


def _recognise_json(path: Path) -> str:
    if find_json_rows(path):
        return "table"
    if imaterialist.looks_like(path):
        return "imaterialist"
    raise SourceError(
        f"{path} has no images or annotations at its beginning, so it is none of "
        "iMaterialist's; and no list of objects, so it is no table"
    )


def _recognise_folder(path: Path) -> str:
    if downloads.find_in(path):
        return "downloads"
    if object_folder.find_in(path):
        return "object-storage"
    if myntra.find_in(path) is not None:
        return "myntra"
    if stanford_products.find_in(path) is not None:
        return "stanford-online-products"
    if in_shop.find_in(path) is not None:
        return "deepfashion-in-shop"
    return "class-folders" if class_folders.looks_like(path) else "folder"


@checked
def open_catalogue(path: Path, format: str, **options: object) -> Catalogue:
    """Return the catalogue at a path. ``options`` are those of the format's class; ``None`` is
    ignored.

    Raise ``SourceError`` for an option of another format.
    """
    if format in IMAGES_ALONE:
        raise SourceError(f"{path} holds images alone ({format}); this needs a catalogue")
    if format not in FORMATS:
        raise SourceError(
            f"there is no format {format!r}; the formats are {', '.join(FORMATS)}, folder"
        )
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in _list_options(format):
            having = [other for other in FORMATS if name in _list_options(other)]
            flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
            whose = f"is for {' and '.join(having)}" if having else "belongs to no format"
            raise SourceError(f"{flag} {whose}; {path} is read as {format}")
    return FORMATS[format](path, **given)


def _list_options(format: str) -> set[str]:
    parameters = inspect.signature(FORMATS[format]).parameters.values()
    return {one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}
