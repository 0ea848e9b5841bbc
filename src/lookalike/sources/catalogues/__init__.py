"""What a shop or a data set says about its images: one file per format, read as entries.

catalogue = open_catalogue(Path("fashion-dataset"))     # recognised by its content
for entry in catalogue.entries(): ...                   # Entry, or Skipped with a reason
"""

import inspect
from collections.abc import Callable
from pathlib import Path

from lookalike.core.protocols import Catalogue
from lookalike.errors import SourceError
from lookalike.sources.catalogues import (
    class_folders,
    downloads,
    imaterialist,
    in_shop,
    myntra,
    stanford_products,
    table,
)

__all__ = ["FORMATS", "open_catalogue", "recognise"]

# name → what opens it. Plain folders are no catalogue: `index_folder` sees to them.
FORMATS: dict[str, Callable[..., Catalogue]] = {
    "class-folders": class_folders.ClassFolders,
    "deepfashion-in-shop": in_shop.InShop,
    "downloads": downloads.Downloads,
    "imaterialist": imaterialist.IMaterialist,
    "myntra": myntra.Myntra,
    "stanford-online-products": stanford_products.StanfordProducts,
    "table": table.Table,
}

# What an option is called on the command line, where that is not its own name.
_FLAGS = {"root": "--root", "columns": "--file-column and the like"}


def recognise(path: Path) -> str:
    """Return the name of the format of a file or folder, ``"folder"`` for images and nothing else.

    Raise ``SourceError`` for a file that is none that can be read.
    """
    if path.is_dir():
        return _folder(path)
    suffix = path.suffix.lower()
    if suffix in table.SUFFIXES:
        return "table"
    if not path.exists():
        raise SourceError(f"{path} does not exist; give a folder of images or a table")
    if suffix == ".json":
        if imaterialist.looks_like(path):
            return "imaterialist"
        raise SourceError(
            f"{path} has no images or annotations at its beginning, so it is none of "
            "iMaterialist's; a table of JSON lines is called .jsonl"
        )
    known = ", ".join(sorted(table.SUFFIXES))
    raise SourceError(
        f"{path} is a file, and no table ({known}); give the folder that holds the images"
    )


def _folder(path: Path) -> str:
    if downloads.found_in(path):
        return "downloads"
    if myntra.found_in(path) is not None:
        return "myntra"
    if stanford_products.found_in(path) is not None:
        return "stanford-online-products"
    if in_shop.found_in(path) is not None:
        return "deepfashion-in-shop"
    return "class-folders" if class_folders.looks_like(path) else "folder"


def open_catalogue(path: Path, format: str, **options: object) -> Catalogue:
    """The catalogue at a path. ``options`` are those of the format's class; ``None`` is not given.

    Raise ``SourceError`` for an option that is another format's.
    """
    if format not in FORMATS:
        raise SourceError(f"there is no format {format!r}; there are {', '.join(FORMATS)}, folder")
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in _options(format):
            having = [other for other in FORMATS if name in _options(other)]
            flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
            whose = f"is for {' and '.join(having)}" if having else "is no catalogue's"
            raise SourceError(f"{flag} {whose}; {path} is read as {format}")
    return FORMATS[format](path, **given)


def _options(format: str) -> set[str]:
    parameters = inspect.signature(FORMATS[format]).parameters.values()
    return {one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}
