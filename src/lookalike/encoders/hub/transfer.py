"""The transfer of one file, continued after a break and from one run to the next."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lookalike.core.digests import sha256_of
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.encoders.hub.failures import is_break
from lookalike.encoders.hub.remote_file import RemoteFile
from lookalike.errors import PullError

__all__ = ["Transfer"]

_ATTEMPTS = 5  # to continue after a break, without a byte more than before
_LONGEST_PAUSE_S = 8.0
_PARTIAL = 206
_NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A file to download from ``url``; ``pause_s`` is waited after a first break, then more."""

    file: RemoteFile
    url: str
    timeout_s: float
    pause_s: float
    progress: ProgressCallback

    def run(self, part: Path) -> None:
        """Bring the whole file to ``part``; what is there is continued. Raise ``PullError``."""
        file = self.file
        with part.open("ab") as out:
            best, attempts = out.tell(), 0
            while out.tell() != file.size:
                try:
                    self._stream(out)
                    broken: Exception | None = None
                except Exception as error:
                    if not is_break(error):
                        raise
                    broken = error
                if out.tell() == file.size:
                    break
                # A server that ignores ranges begins anew each time: only new bytes count.
                attempts = 0 if out.tell() > best else attempts + 1
                best = max(best, out.tell())
                if attempts >= _ATTEMPTS:
                    raise PullError(
                        f"{file.path} of {file.repository} was cut off after "
                        f"{out.tell() / 1e6:,.1f} of {file.size / 1e6:,.1f} MB; the same command "
                        "continues from there"
                    ) from broken
                time.sleep(min(self.pause_s * 2**attempts, _LONGEST_PAUSE_S))
        if file.sha256 is not None and sha256_of(part) != file.sha256:
            part.unlink()
            raise PullError(
                f"{file.path} of {file.repository} was damaged on the way: its SHA-256 is not the "
                "one that the hub names; pull again"
            )

    def _stream(self, out: BinaryIO) -> None:
        """Append what is missing to ``out``, as far as one response brings it."""
        from huggingface_hub import get_session  # noqa: PLC0415 - an extra
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # noqa: PLC0415 - likewise; documented, though not listed
            build_hf_headers,
            hf_raise_for_status,
        )

        # Compressed, a range would count other bytes.
        headers = build_hf_headers(library_name="lookalike") | {"accept-encoding": "identity"}
        if out.tell():
            headers["range"] = f"bytes={out.tell()}-"
        file, session = self.file, get_session()
        with session.stream("GET", self.url, headers=headers, timeout=self.timeout_s) as response:
            if response.status_code == _NOT_SATISFIABLE:
                _empty(out)
                return
            if response.is_error:
                response.read()
            hf_raise_for_status(response)
            if response.status_code != _PARTIAL:
                _empty(out)
            for chunk in response.iter_bytes():
                if out.tell() + len(chunk) > file.size:
                    _empty(out)
                    raise PullError(
                        f"{file.path} of {file.repository} is larger than the {file.size:,} bytes "
                        "that the hub names; pull again"
                    )
                out.write(chunk)
                self.progress(Progress(done=out.tell(), total=file.size, stage=file.path))


def _empty(out: BinaryIO) -> None:
    out.seek(0)
    out.truncate()
