"""A file of a hub, before and after it is brought."""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Fetched", "RemoteFile"]

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a repository in one revision.

    ``revision`` is a commit and ``size`` is in bytes. ``local`` is where it lies in the cache,
    ``None`` if it must be downloaded. ``branch`` is the name that led to the commit, if one did.
    ``sha256`` is what the hub says the digest is; it says so for large files only.
    """

    repository: str
    path: str
    revision: str
    size: int
    etag: str
    local: Path | None = None
    branch: str | None = None

    @property
    def sha256(self) -> str | None:
        return self.etag if _SHA256.fullmatch(self.etag) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file in the cache and the digest of its content."""

    path: Path
    sha256: str
