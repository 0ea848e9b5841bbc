"""Limit the load on hosts: requests at once, rates, timeouts, and when to try again."""

import email.utils
import math
from dataclasses import dataclass
from importlib import import_module

__all__ = ["USER_AGENT", "Politeness", "compute_delay", "is_temporary"]

# Not by an import statement: importing the package would depend on every layer above.
_VERSION: str = import_module("lookalike").__version__
USER_AGENT = f"lookalike/{_VERSION} (visual search; fetches the images of a catalogue)"

# Failures that may be temporary. All others are final.
_PASSING = frozenset({"timeout", "unreachable", "cut-off", "http-408", "http-425", "http-429"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Politeness:
    """Limits of a download.

    ``concurrent`` and ``per_host`` are requests in progress; ``rate`` is requests per second and
    host (``None``: no limit). ``connect_s`` is for one connection, ``read_s`` for the longest
    silence, ``total_s`` for one image including redirects. ``attempts`` are made per URL, after
    waits of ``backoff_s``, then twice as long, and so on up to ``longest_wait_s``. After
    ``give_up_after`` consecutive failed connections to a host, the rest of its URLs fail without
    being tried. ``allow_private`` permits addresses that are not on the public Internet.
    """

    concurrent: int = 32
    per_host: int = 4
    rate: float | None = 20.0
    user_agent: str = USER_AGENT
    connect_s: float = 10.0
    read_s: float = 20.0
    total_s: float = 60.0
    attempts: int = 3
    backoff_s: float = 1.0
    longest_wait_s: float = 60.0
    redirects: int = 5
    max_bytes: int = 20_000_000  # 32 at once may hold 640 MB, if hosts are malicious
    give_up_after: int = 20
    allow_private: bool = False

    def __post_init__(self) -> None:
        counts = self.concurrent, self.per_host, self.attempts, self.max_bytes, self.give_up_after
        if min(counts) < 1 or self.redirects < 0:
            raise ValueError("counts of politeness must be at least 1")
        times = self.connect_s, self.read_s, self.total_s
        if min(times) <= 0 or min(self.backoff_s, self.longest_wait_s) < 0:
            raise ValueError("times of politeness must be above 0")
        if self.rate is not None and not self.rate > 0:
            raise ValueError("a rate must be above 0; None is for no limit")
        if not self.user_agent.isprintable():
            raise ValueError("a user agent is one line of text")


def is_temporary(status: str) -> bool:
    """Return whether a failure may be temporary."""
    return status in _PASSING or status.startswith("http-5")


def compute_delay(
    attempt: int, retry_after: str | None, *, politeness: Politeness, now: float, chance: float
) -> float | None:
    """Return the seconds to wait after failed attempt 1, 2 …; ``None`` if the host asks for too
    long.

    ``retry_after`` is the header's text (seconds or a date; nonsense counts as missing), ``now`` is
    in seconds since 1970. ``chance`` is a random number in [0, 1) that decides half of the wait, so
    that requests that failed together are not repeated together.
    """
    longest = politeness.longest_wait_s
    doubled = math.ldexp(politeness.backoff_s, min(attempt - 1, 60))
    ours = min(doubled, longest) * (0.5 + chance / 2)
    asked = _parse_retry_after(retry_after, now)
    if asked is None:
        return ours
    return None if asked > longest else max(asked, ours)


def _parse_retry_after(retry_after: str | None, now: float) -> float | None:
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else math.inf  # noqa: PLR2004 - over 30 years
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
