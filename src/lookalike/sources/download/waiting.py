"""Schedule requests host by host: which is next, and when. Uses no network and no clock."""

import heapq
import itertools
from collections import deque
from typing import Generic, TypeVar

from lookalike.sources.download.politeness import Politeness

__all__ = ["Waiting"]

_Job = TypeVar("_Job")
_MANY_HOSTS = 10_000


class _Host(Generic[_Job]):
    __slots__ = ("dead", "failures", "free_at", "jobs", "listed", "name", "running")

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs: deque[_Job] = deque()
        self.running = 0
        self.free_at = 0.0  # the next request may begin
        self.failures = 0  # consecutive failed connections
        self.dead = False
        self.listed = False  # is in the queue of ready hosts


class Waiting(Generic[_Job]):
    """Jobs by host. Hosts take turns, so that one with many jobs does not delay the others.

    All times are seconds of one clock that the caller reads.
    """

    def __init__(self, politeness: Politeness) -> None:
        self._politeness = politeness
        self._gap = 0.0 if politeness.rate is None else 1 / politeness.rate
        self._hosts: dict[str, _Host[_Job]] = {}
        self._ready: list[tuple[float, int, _Host[_Job]]] = []
        self._later: list[tuple[float, int, str, _Job]] = []
        self._count = itertools.count()
        self._queued = 0
        self.running = 0

    def __len__(self) -> int:
        """Return the number of jobs that wait or run."""
        return self._queued + self.running

    def add(self, job: _Job, host: str, *, now: float, wait: float = 0.0) -> bool:
        """Add a job to start after ``wait`` seconds; ``False`` if its host has been given up."""
        place = self._host(host, now)
        if place.dead:
            return False
        self._queued += 1
        if wait > 0:
            heapq.heappush(self._later, (now + wait, next(self._count), host, job))
        else:
            place.jobs.append(job)
            self._list(place, now)
        return True

    def start(self, now: float) -> _Job | None:
        """Return the next job that may start now; it counts as running until ``end``."""
        while self._later and self._later[0][0] <= now:
            _, _, host, job = heapq.heappop(self._later)
            place = self._host(host, now)
            place.jobs.append(job)
            self._list(place, now)
        if self.running >= self._politeness.concurrent:
            return None
        while self._ready and self._ready[0][0] <= now:
            place = heapq.heappop(self._ready)[2]
            place.listed = False
            if not place.jobs:
                continue  # it was given up
            if place.free_at > now:  # it has asked for a pause since
                self._list(place, now)
                continue
            job = place.jobs.popleft()
            self._queued -= 1
            self.running += 1
            place.running += 1
            place.free_at = now + self._gap
            self._list(place, now)
            return job
        return None

    def wait(self, now: float) -> float | None:
        """Return the seconds until another job may start; ``None`` if one must end or be added
        first.
        """
        times = [self._later[0][0]] if self._later else []
        if self._ready and self.running < self._politeness.concurrent:
            times.append(self._ready[0][0])
        return max(min(times) - now, 0.0) if times else None

    def end(self, host: str, *, now: float, reached: bool, pause: float = 0.0) -> list[_Job]:
        """Note that a job of this host has ended; ``pause`` is how many seconds the host asked to
        wait.

        Return the host's waiting jobs if it is given up because of this failed connection.
        """
        place = self._hosts[host]
        self.running -= 1
        place.running -= 1
        place.free_at = max(place.free_at, now + pause)
        place.failures = 0 if reached else place.failures + 1
        if place.failures >= self._politeness.give_up_after:
            place.dead = True
            return self._drop(place)
        self._list(place, now)
        return []

    def _drop(self, place: _Host[_Job]) -> list[_Job]:
        dropped = [*place.jobs, *(one[3] for one in self._later if one[2] == place.name)]
        place.jobs.clear()
        self._later = [one for one in self._later if one[2] != place.name]
        heapq.heapify(self._later)
        self._queued -= len(dropped)
        return dropped

    def _list(self, place: _Host[_Job], now: float) -> None:
        if place.jobs and not place.listed and place.running < self._politeness.per_host:
            place.listed = True
            heapq.heappush(self._ready, (max(place.free_at, now), next(self._count), place))

    def _host(self, name: str, now: float) -> _Host[_Job]:
        place = self._hosts.get(name)
        if place is None:
            if len(self._hosts) >= _MANY_HOSTS:
                self._forget(now)
            place = self._hosts[name] = _Host(name)
        return place

    def _forget(self, now: float) -> None:
        """Forget hosts that have no state left."""
        delayed = {one[2] for one in self._later}
        self._hosts = {
            name: place
            for name, place in self._hosts.items()
            if place.jobs
            or place.running
            or place.listed
            or place.failures
            or place.free_at > now
            or name in delayed
        }
