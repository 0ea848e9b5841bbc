"""How hosts are treated: how many requests at once, how fast, how long, and when to try again."""

import email.utils
import math
from dataclasses import dataclass
from importlib import import_module

__all__ = ["USER_AGENT", "Politeness", "delay", "worth_another_try"]

# Not by an import statement: the package's public names reach every layer above this one.
_VERSION: str = import_module("lookalike").__version__
USER_AGENT = f"lookalike/{_VERSION} (visual search; fetches the images of a catalogue)"

# Failures that may be gone a moment later. Everything else stays what it is.
_PASSING = frozenset({"timeout", "unreachable", "cut-off", "http-408", "http-425", "http-429"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Politeness:
    """What a download may ask of hosts and of this machine.

    ``concurrent`` and ``per_host`` are requests in flight, ``rate`` is requests begun per second
    and host (``None``: as fast as they are answered). ``connect_s`` is for one connection,
    ``read_s`` the longest silence, ``total_s`` for one image with its redirects. ``attempts``
    are for one URL; between them ``backoff_s`` is waited, then twice as long, and so on up to
    ``longest_wait_s``. After ``give_up_after`` connections to one host that failed in a row, the
    rest of that host fails without being tried. ``allow_private`` permits addresses that are not
    of the public Internet.
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
    max_bytes: int = 20_000_000  # 32 at once may hold 640 MB, if hosts are out to do harm
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


def worth_another_try(status: str) -> bool:
    """Return whether a failure may pass by itself."""
    return status in _PASSING or status.startswith("http-5")


def delay(
    attempt: int, retry_after: str | None, *, politeness: Politeness, now: float, chance: float
) -> float | None:
    """Seconds to wait after failed attempt 1, 2 …; ``None`` when the host asks for too long a wait.

    ``retry_after`` is the header's text (seconds or a date; nonsense counts as missing), ``now``
    in seconds since 1970, ``chance`` a random number in [0, 1): half of the wait is left to it,
    so that requests that failed together do not come back together.
    """
    longest = politeness.longest_wait_s
    doubled = math.ldexp(politeness.backoff_s, min(attempt - 1, 60))
    ours = min(doubled, longest) * (0.5 + chance / 2)
    asked = _seconds(retry_after, now)
    if asked is None:
        return ours
    return None if asked > longest else max(asked, ours)


def _seconds(retry_after: str | None, now: float) -> float | None:
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else math.inf  # noqa: PLR2004 - over 30 years
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
