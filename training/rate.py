"""Progress on stderr: how many, how fast, how much longer."""

import sys
import time

__all__ = ["Rate"]


class Rate:
    """Says every ``every`` seconds how far it came."""

    def __init__(self, what: str, total: int, every: float = 30.0) -> None:
        self._what, self._total, self._every = what, total, every
        self._began = self._said = time.monotonic()
        self._done = 0

    def step(self, count: int = 1, note: str = "") -> None:
        """Count what was done."""
        self._done += count
        now = time.monotonic()
        if now - self._said < self._every and self._done < self._total:
            return
        self._said = now
        rate = self._done / max(now - self._began, 1e-9)
        left = (self._total - self._done) / max(rate, 1e-9)
        print(
            f"{self._what}: {self._done:,} of {self._total:,}, {rate:.1f}/s, "
            f"{left / 60:.0f} min left{f', {note}' if note else ''}",
            file=sys.stderr,
            flush=True,
        )
