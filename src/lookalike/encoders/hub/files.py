"""Files of a hub: looked up, downloaded once, checked, and found in the cache ever after.

The cache is the one of huggingface_hub, so a file that another program downloaded is not
downloaded again. Requests go through that library's session, with its token, proxy and offline
mode. Only the transfer of a large file is our own: the library begins an interrupted file anew,
and some weights have more than a gigabyte.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.core.atomic_files import write_file
from lookalike.core.digests import sha256_of
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.encoders.hub.failures import explain, is_unreachable
from lookalike.encoders.hub.remote_file import Fetched, RemoteFile
from lookalike.encoders.hub.transfer import Transfer
from lookalike.errors import PullError

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

__all__ = ["Hub", "connect"]

_COMMIT = re.compile("[0-9a-f]{40}")


def connect() -> "Hub":
    """Return the hub that the environment names.

    ``HF_ENDPOINT``, ``HF_HUB_CACHE``, ``HF_HUB_OFFLINE`` and ``HF_HUB_DOWNLOAD_TIMEOUT`` mean
    what they mean to huggingface_hub. Raise ``PullError`` if that is not installed.
    """
    try:
        from huggingface_hub import constants  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PullError(
            "encoders are pulled by huggingface_hub, which is not installed; get it by: "
            "pip install 'lookalike[hub]'"
        ) from error
    environment = os.environ
    seconds = environment.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    offline = environment.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return Hub(
        endpoint=environment.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT,
        cache=Path(environment.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser(),
        timeout_s=float(seconds) if seconds.isdigit() else constants.HF_HUB_DOWNLOAD_TIMEOUT,
        offline=offline or constants.HF_HUB_OFFLINE,
    )


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A hub and the cache of what was downloaded from it. ``pause_s`` is waited after a break."""

    endpoint: str
    cache: Path
    timeout_s: float = 10.0
    offline: bool = False
    pause_s: float = 1.0

    def look_up(self, repository: str, path: str, revision: str = "main") -> RemoteFile:
        """Return what is known of a file. A commit that is in the cache needs no request.

        Without a connection, the cached file of that revision is returned. Raise ``PullError``.
        """
        if _COMMIT.fullmatch(revision) or self.offline:
            cached = self._cached(repository, path, revision)
            if cached is not None:
                return cached
        try:
            return self._ask(repository, path, revision)
        except PullError as error:
            cached = self._cached(repository, path, revision)
            if cached is None or not isinstance(error.__cause__, Exception):
                raise
            if not is_unreachable(error.__cause__):
                raise
            return cached

    def names(self, repository: str, revision: str = "main") -> list[str]:
        """Return the paths of a repository's files, sorted. Raise ``PullError``."""
        from huggingface_hub import HfApi  # noqa: PLC0415 - an extra

        with self._explained(repository, "the list of files", revision):
            listed = HfApi(endpoint=self.endpoint).list_repo_files(repository, revision=revision)
        return sorted(listed)

    def licence(self, repository: str, revision: str = "main") -> str | None:
        """Return the licence that a repository's card names, ``None`` if it names none."""
        from huggingface_hub import HfApi  # noqa: PLC0415 - an extra

        with self._explained(repository, "the model card", revision):
            known = HfApi(endpoint=self.endpoint).model_info(
                repository, revision=revision, timeout=self.timeout_s
            )
        named = known.card_data.get("license") if known.card_data is not None else None
        other = known.card_data.get("license_name") if known.card_data is not None else None
        found = other if named in {None, "other"} else named
        return found if isinstance(found, str) else None

    def missing_bytes(self, files: list[RemoteFile]) -> int:
        """Return how many bytes of these files are still to be downloaded."""
        return sum(
            file.size - min(_size(self._part(file)), file.size)
            for file in files
            if file.local is None
        )

    def check_space(self, files: list[RemoteFile], destination: Path, *, copied: int = 0) -> None:
        """Raise ``PullError`` if the disk has no room for these files.

        ``copied`` is how many bytes of the destination are no second name of what is in the cache.
        On another disk than the cache, nothing can be one.
        """
        missing, whole = self.missing_bytes(files), sum(file.size for file in files)
        here = _device(self.cache) == _device(destination)
        needs = [
            (self.cache, missing + copied * here, "set HF_HUB_CACHE to a folder on another disk")
        ]
        if not here:
            needs.append((destination, whole, "set LOOKALIKE_HOME to a folder on another disk"))
        for folder, needed, otherwise in needs:
            free = shutil.disk_usage(_existing(folder)).free
            if needed > free:
                raise PullError(
                    f"{needed / 1e6:,.0f} MB are needed in {folder}, and {free / 1e6:,.0f} MB "
                    f"are free; free some, or {otherwise}"
                )

    def fetch(self, file: RemoteFile, progress: ProgressCallback = ignore_progress) -> Fetched:
        """Return where a file lies in the cache, after downloading it if need be.

        An interrupted download is continued, and a damaged copy in the cache is replaced.
        ``progress`` counts bytes. Raise ``PullError``.
        """
        with self._explained(file.repository, file.path, file.revision):
            if file.local is not None:
                digest = sha256_of(file.local)
                if file.sha256 in {None, digest}:
                    return Fetched(path=file.local, sha256=digest)
                file.local.resolve().unlink()
                file.local.unlink(missing_ok=True)
                file = self._ask(file.repository, file.path, file.revision)
            self._bring(file, progress)
            found = self._linked(file)
            if file.branch is not None and ".." not in file.branch:
                # As the library notes it: what the branch is for who is offline.
                note = self._blob(file).parents[1] / "refs" / file.branch
                note.parent.mkdir(parents=True, exist_ok=True)
                write_file(note, file.revision)
            return Fetched(path=found, sha256=sha256_of(found))

    def _bring(self, file: RemoteFile, progress: ProgressCallback) -> None:
        """Put the content of a file into the cache. Processes take turns."""
        from filelock import FileLock  # noqa: PLC0415 - comes with the extra
        from huggingface_hub import hf_hub_url  # noqa: PLC0415 - an extra

        part, blob = self._part(file), self._blob(file)
        # Where the library has its own locks, under another name: it must not wait for this one.
        lock = self.cache / ".locks" / blob.parents[1].name / f"{blob.name}.lookalike-lock"
        for folder in (part.parent, lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            if blob.exists() and file.sha256 not in {None, sha256_of(blob)}:
                blob.unlink()
            if not blob.exists():
                url = hf_hub_url(
                    file.repository, file.path, revision=file.revision, endpoint=self.endpoint
                )
                Transfer(
                    file=file,
                    url=url,
                    timeout_s=self.timeout_s,
                    pause_s=self.pause_s,
                    progress=progress,
                ).run(part)
                part.replace(blob)

    def _linked(self, file: RemoteFile) -> Path:
        """Return the path of a file whose content is in the cache, by its name there."""
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - an extra

        found = hf_hub_download(
            file.repository,
            file.path,
            revision=file.revision,
            cache_dir=self.cache,
            endpoint=self.endpoint,
            etag_timeout=self.timeout_s,
        )
        return Path(found)

    def _cached(self, repository: str, path: str, revision: str) -> RemoteFile | None:
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - an extra

        with self._explained(repository, path, revision):
            found = try_to_load_from_cache(
                repository, path, cache_dir=self.cache, revision=revision
            )
        if not isinstance(found, str):
            return None
        local = Path(found)
        # snapshots/<commit>/<path>, a link to blobs/<etag>, or a copy where links are not possible
        commit = local.parents[path.count("/")].name
        etag = local.resolve().name if local.is_symlink() else ""
        return RemoteFile(
            repository=repository,
            path=path,
            revision=commit,
            size=local.stat().st_size,
            etag=etag,
            local=local,
        )

    def _ask(self, repository: str, path: str, revision: str) -> RemoteFile:
        from huggingface_hub import (  # noqa: PLC0415 - an extra
            get_hf_file_metadata,
            hf_hub_url,
        )

        with self._explained(repository, path, revision):
            url = hf_hub_url(repository, path, revision=revision, endpoint=self.endpoint)
            if self.offline:
                from huggingface_hub.errors import OfflineModeIsEnabled  # noqa: PLC0415 - an extra

                raise OfflineModeIsEnabled(url)
            known = get_hf_file_metadata(url, timeout=self.timeout_s, endpoint=self.endpoint)
        return self._checked(known, repository, path, revision)

    def _checked(
        self, known: "HfFileMetadata", repository: str, path: str, revision: str
    ) -> RemoteFile:
        """Return what a hub said of a file. Raise ``PullError`` if it is no hub."""
        etag, commit = known.etag or "", known.commit_hash or ""
        if known.size is None or not re.fullmatch(r"[\w.-]+", etag):
            commit = ""
        if not _COMMIT.fullmatch(commit):
            raise PullError(
                f"{self.endpoint} does not respond as a hub does for {path} of {repository}; "
                "check HF_ENDPOINT, and whether a proxy or a login page responds in its place"
            )
        cached = self._cached(repository, path, commit)
        return cached or RemoteFile(
            repository=repository,
            path=path,
            revision=commit,
            size=known.size or 0,
            etag=etag,
            branch=None if revision == commit else revision,
        )

    def _blob(self, file: RemoteFile) -> Path:
        from huggingface_hub.file_download import repo_folder_name  # noqa: PLC0415 - an extra

        name = repo_folder_name(repo_id=file.repository, repo_type="model")
        return self.cache / name / "blobs" / file.etag

    def _part(self, file: RemoteFile) -> Path:
        blob = self._blob(file)
        return blob.with_name(f"{blob.name}.lookalike-part")

    @contextlib.contextmanager
    def _explained(self, repository: str, path: str, revision: str) -> Iterator[None]:
        try:
            yield
        except PullError:
            raise
        except Exception as error:
            raise explain(
                error,
                endpoint=self.endpoint,
                repository=repository,
                path=path,
                revision=revision,
            ) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _device(folder: Path) -> int:
    return _existing(folder.absolute()).stat().st_dev
