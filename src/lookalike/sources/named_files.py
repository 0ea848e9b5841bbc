"""Image files that are named one by one or by a pattern: ``a.jpg``, ``photos/**/*.jpg``."""

import glob
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lookalike.errors import SourceError

__all__ = ["expand_pattern", "find_common_folders", "is_pattern"]


def is_pattern(path: Path) -> bool:
    """Return whether a path is a pattern, and not the name of something that exists."""
    return glob.has_magic(os.fspath(path)) and not path.exists()


def expand_pattern(path: Path) -> list[Path]:
    """Return the files that a pattern matches, in order; or the path, if it is none.

    ``**`` stands for any folders; hidden files match only where a dot is written. Raise
    ``SourceError`` if nothing matches.
    """
    if not is_pattern(path):
        return [path]
    found = [Path(one) for one in sorted(glob.glob(os.fspath(path), recursive=True))]  # noqa: PTH207 - Path.glob matches hidden files
    files = [one for one in found if one.is_file()]
    if not files:
        raise SourceError(f"{path} matches no file; give a folder, a file, or another pattern")
    return files


def find_common_folders(files: Iterable[Path]) -> Mapping[Path, list[Path]]:
    """Return files (absolute) by the folder that they share; by their own folder, if they share
    only the root of the file system.
    """
    files = list(files)
    if not files:
        return {}
    try:
        shared = Path(os.path.commonpath([one.parent for one in files]))
    except ValueError:  # different drives
        shared = Path("/")
    if shared != Path(shared.anchor):
        return {shared: files}
    by_folder: dict[Path, list[Path]] = {}
    for one in files:
        by_folder.setdefault(one.parent, []).append(one)
    return by_folder
