"""Telling collections from the versions of them that migrations build or have kept."""

import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.moving.migrating import is_version
from lookalike.stores.embedded.store import EmbeddedStore

__all__ = ["leave_out_versions"]

_VERSION = re.compile(r"(.+)-[0-9a-f]{8}")  # see ``migrating.version_name``


def leave_out_versions(folder: Path, names: Sequence[str]) -> list[str]:
    """Return the names of collections in ``folder`` without those of versions of others.

    A name is read from disk only if it looks like a version's. What cannot be opened stays.
    """
    return [one for one in names if not _is_version(folder, one, names)]


def _is_version(folder: Path, name: str, names: Sequence[str]) -> bool:
    named = _VERSION.fullmatch(name)
    if named is None or named[1] not in names:
        return False
    try:
        with closing(EmbeddedStore.open(folder / name)) as store:
            return is_version(store)
    except LookalikeError:
        return False
