"""Read images in one folder per class: the label is the name of the folder."""

from collections.abc import Collection, Iterator
from pathlib import Path

from lookalike import images
from lookalike.core.plurals import count_noun
from lookalike.core.records import Entry, Skipped
from lookalike.errors import SourceError
from lookalike.sources.scan import Listing, ScanOptions, scan_in_steps

__all__ = ["ClassFolders", "find_level", "looks_like"]

# Caltech-101's folder of images that belong to no class.
_NO_CLASS = "BACKGROUND_Google"
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_MOST_FOLDERS = 20  # looked into for a data set that has a folder around it


class ClassFolders:
    """A folder of class folders: ``accordion/image_0001.jpg`` has the label ``accordion``.

    ``label_level`` is the level of the folders that are classes: 1 is the first. By default, a
    folder that only wraps the others, and the folders of a split (train, test), are passed over
    (``find_level``). Images above that level have no label. Caltech-101's background folder is
    excluded. Ids and paths begin at ``path``, whatever the level.
    """

    format = "class-folders"

    def __init__(
        self, path: Path, *, options: ScanOptions = ScanOptions(), label_level: int | None = None
    ) -> None:
        if label_level is not None and label_level < 1:
            raise SourceError(f"the level of labels is {label_level}, but must be at least 1")
        self.root = path
        self._options = options
        self._level = label_level
        self.notes: tuple[str, ...] = ()

    def entries(self) -> Iterator[Entry | Skipped | None]:
        listing = Listing()
        for step in scan_in_steps(self.root, suffixes=images.SUFFIXES, options=self._options):
            listing = step
            yield None
        yield from listing.skipped
        level = find_level(listing.files) if self._level is None else self._level
        background = 0
        example = ""
        for path, stamp in listing.files.items():
            folders = path.split("/")[:-1]
            label = folders[level - 1] if len(folders) >= level else None
            if label == _NO_CLASS:
                background += 1
                continue
            example = example or (label or "")
            yield Entry(id=path, image=self.root / path, path=path, stamp=stamp, label=label)
        self.notes = (*self._note_level(level, example), *_note_background(background))

    def _note_level(self, level: int, example: str) -> Iterator[str]:
        if self._level is None and level > 1:
            yield (
                f"labels are the folders of level {level} in {self.root}, such as {example!r}; "
                "--label-level 1 takes those of the first"
            )


def _note_background(count: int) -> Iterator[str]:
    if count:
        left = "is left out, as it is" if count == 1 else "are left out, as they are"
        yield (
            f"{count_noun(count, 'image')} of {_NO_CLASS} {left} of no class; "
            "--format folder takes all images, without labels"
        )


def find_level(paths: Collection[str]) -> int:
    """Return the level of the folders that are classes, from the paths of all images.

    A level is passed over if all images lie deeper, in one of its folders or in those of a split;
    but only if below one folder there are several.
    """
    folders = {tuple(path.split("/")[:-1]) for path in paths}
    after_split = False
    level = 0
    while True:
        names = {one[level] for one in folders if len(one) > level} - {_NO_CLASS}
        split = len(names) > 1 and {name.casefold() for name in names} <= _SPLITS
        deep = all(len(one) > level + 1 for one in folders)
        if not deep or not (split or len(names) == 1):
            return level + 1 if len(names) > 1 or after_split else 1
        after_split = split
        level += 1


def looks_like(path: Path) -> bool:
    """Return whether this is Caltech-101, also with one or two folders around it.

    Other class folders look like any archive of folders.
    """
    return _holds_caltech(path, 2)


def _holds_caltech(path: Path, depth: int) -> bool:
    if (path / _NO_CLASS).is_dir():
        return True
    if not depth:
        return False
    try:
        folders = [one for one in path.iterdir() if one.is_dir() and not one.is_symlink()]
    except OSError:
        return False
    # A data set has few folders around it; an archive of many is not looked through.
    return len(folders) <= _MOST_FOLDERS and any(
        _holds_caltech(folder, depth - 1) for folder in folders
    )
