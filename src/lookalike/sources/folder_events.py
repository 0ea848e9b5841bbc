"""Hear of changes below folders from the operating system.

Events may be lost, and some file systems (network shares) send none, so whoever listens also looks
by itself now and then.
"""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["FolderEvents"]

_GROUP_MS = 200  # events so close together are one
_TIMEOUT_MS = 250  # how often the thread looks whether it is to end

_Identity = tuple[int, int] | None


class FolderEvents:
    """Calls ``changed`` on its own thread when something changes below one of the ``folders``.

    Changes below the ``apart`` folders do not count. ``refresh`` begins anew where a folder has
    vanished, come back or been replaced, for example by mounting a disk.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        changed: Callable[[], None],
        *,
        apart: Sequence[Path] = (),
    ) -> None:
        self._folders = [Path(os.path.realpath(one)) for one in folders]
        self._apart = tuple(os.path.realpath(one) for one in apart)
        self._changed = changed
        self._seen: list[_Identity] = [None] * len(folders)
        self._end = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem: str | None = None
        """Why no events can be received, if so."""

    def refresh(self) -> bool:
        """Listen to the folders that are there now; return whether that are others than before."""
        now = [_identify(one) for one in self._folders]
        if now == self._seen:
            return False
        self._seen = now
        self.close()
        there = [one for one, known in zip(self._folders, now, strict=True) if known is not None]
        if there:
            self._end, self._ready = threading.Event(), threading.Event()
            self._thread = threading.Thread(
                target=self._listen,
                args=(there, self._end, self._ready),
                name="lookalike-watch",
                daemon=True,
            )
            self._thread.start()
            self._ready.wait()
        return True

    def close(self) -> None:
        """Stop listening."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _listen(
        self, folders: Sequence[Path], end: threading.Event, ready: threading.Event
    ) -> None:
        import watchfiles  # noqa: PLC0415 - only for whoever watches

        self.problem = None
        try:
            for changes in watchfiles.watch(
                *folders,
                watch_filter=None,
                debounce=_GROUP_MS,
                step=50,
                stop_event=end,
                rust_timeout=_TIMEOUT_MS,
                yield_on_timeout=True,  # the first time, it says that all folders are listened to
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                ready.set()
                if any(self._counts(path) for _, path in changes):
                    self._changed()
        except (OSError, RuntimeError) as error:  # no folder any more, or too many of them
            if not isinstance(error, FileNotFoundError):
                self.problem = str(error)
        finally:
            ready.set()

    def _counts(self, path: str) -> bool:
        return not any(path == one or path.startswith(one + os.sep) for one in self._apart)


def _identify(folder: Path) -> _Identity:
    try:
        stat = folder.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
