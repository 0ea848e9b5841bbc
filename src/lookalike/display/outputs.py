"""Output files of commands: which files they may replace.

A report, a table or a sheet may replace an existing file: the user has named it. It never replaces
an image, an indexed catalogue, an input of the command, or a collection's own files, which are
named only by mistake. Contact sheets are images; those that lookalike wrote carry its mark.
"""

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from lookalike.core import settings_keys
from lookalike.core.atomic_files import write_file
from lookalike.errors import ExportError
from lookalike.images.formats import format_of
from lookalike.stores.embedded import own_files

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["check_output", "save_sheet", "write_sheet"]

_SOFTWARE = 0x0131  # the EXIF tag
_MARK = "lookalike contact sheet"
_HEAD = 64  # bytes that tell an image's format


def check_output(
    target: Path, shops: "Sequence[Collection]" = (), *, inputs: Iterable[Path] = ()
) -> None:
    """Check that ``target`` may be written; a file that does not exist may.

    ``shops`` are the collections that the command works with, ``inputs`` the files that it reads.
    Raise ``ExportError``.
    """
    if not os.path.lexists(target):
        return
    if any(_is_same(target, one) for one in inputs):
        raise ExportError(
            f"{target} is an input of this command and would be overwritten; give another file"
        )
    place = target.resolve()
    if place.name in {path.name for path in _list_own(place.parent)}:
        raise ExportError(
            f"{target} is a file of the collection in {target.parent}; give another file"
        )
    for shop in shops:
        stored = shop.store.settings.get(settings_keys.CATALOGUES)
        names = stored if isinstance(stored, list) else []
        if any(_is_of(target, Path(one)) for one in names if isinstance(one, str)):
            raise ExportError(
                f"{target} is a file of a catalogue that the collection was indexed from, and "
                "would be lost; give another file"
            )
    if place.is_file() and _is_image(place) and not _is_sheet(place):
        raise ExportError(
            f"{target} is an image that lookalike did not write, and would be lost; give another "
            "file, or delete it first"
        )


def save_sheet(
    sheet: Image.Image,
    target: Path,
    shops: "Sequence[Collection]" = (),
    *,
    inputs: Iterable[Path] = (),
    **options: Any,  # noqa: ANN401 - Pillow's
) -> None:
    """Write a contact sheet whole, with a mark by which a later one may replace it.

    Raise ``ExportError`` as ``check_output``, ``OSError``, and ``ValueError`` for a suffix that no
    image format has.
    """
    check_output(target, shops, inputs=inputs)
    exif = Image.Exif()
    exif[_SOFTWARE] = _MARK
    content = io.BytesIO()
    content.name = str(target)  # Pillow chooses the format by its suffix
    sheet.save(content, exif=exif, **options)
    write_file(target, content.getvalue())


def write_sheet(
    sheet: Image.Image,
    target: Path,
    shops: "Sequence[Collection]" = (),
    *,
    inputs: Iterable[Path] = (),
) -> None:
    """Write a contact sheet as ``save_sheet``; every failure is an ``ExportError``."""
    try:
        save_sheet(sheet, target, shops, inputs=inputs)
    except OSError as error:
        what = error.strerror or str(error)
        raise ExportError(f"cannot write the sheet to {target}: {what}") from error
    except ValueError as error:  # the suffix of no image format
        raise ExportError(
            f"cannot write the sheet to {target}: {error}; give a .png or .jpg file"
        ) from error


def _list_own(folder: Path) -> list[Path]:
    if not own_files.holds_collection(folder):
        return []
    return own_files.own_files(folder)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _is_of(file: Path, catalogue: Path) -> bool:
    """Return whether a file is a catalogue's, or lies in a folder of a catalogue's files."""
    if catalogue.is_dir():
        return file.resolve().is_relative_to(catalogue.resolve())
    return _is_same(file, catalogue)


def _is_image(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return format_of(file.read(_HEAD)) is not None
    except OSError:  # writing it says what is wrong
        return False


def _is_sheet(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.getexif().get(_SOFTWARE) == _MARK
    except (OSError, ValueError, SyntaxError):
        return False
