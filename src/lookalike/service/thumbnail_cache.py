"""A cache of recently made thumbnails."""

import threading
from collections import OrderedDict

__all__ = ["ThumbnailCache"]


class ThumbnailCache:
    """The most recently used thumbnails, up to ``most`` bytes. Thread-safe."""

    def __init__(self, most: int = 64 * 2**20) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int]) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[str, int], data: bytes) -> None:
        with self._lock:
            self._bytes += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._bytes > self._most:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone)
