"""Send requests to a server: JSON both ways, retries where they help, and lookalike's errors."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lookalike.errors import CollectionError, StoreError
from lookalike.stores.servers.addresses import ServerAddress
from lookalike.stores.servers.bulk import Action, BulkOutcome, again, as_json, chunks, outcomes
from lookalike.stores.servers.refusals import refusal

__all__ = ["Response", "Server", "Wire", "client_options", "iterate_pauses"]

_LATER = frozenset({429, 502, 503, 504})
_BUSY = 429
_PATIENCE_S = 60.0  # a busy server is retried for about this long
_WRITE_S = 1.0  # seconds that a server waits for a shard to write to; then we retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An HTTP status and the body, parsed as JSON (text if it is not JSON)."""

    status: int
    body: Any


def client_options(address: ServerAddress) -> dict[str, Any]:
    """Return the options that both official clients know by the same name.

    Raise ``CollectionError`` if the file of the certificate authority is not there.
    """
    options: dict[str, Any] = {
        "max_retries": address.retries,
        "retry_on_timeout": address.retries > 0,
        "retry_on_status": (),  # ``Server`` repeats these requests itself, after growing waits
    }
    if address.tls:
        options |= {"verify_certs": address.verify, "ssl_show_warn": False}
        if address.ca is not None:
            if not Path(address.ca).is_file():
                raise CollectionError(
                    f"ca={address.ca} in the address is not a file; give a PEM file"
                )
            options["ca_certs"] = address.ca
    return options


class Wire(Protocol):
    """What an official client does: one request, to whichever host is available."""

    def request(self, method: str, path: str, *, body: bytes | None, lines: bool) -> Response:
        """Send a request. ``path`` may include parameters; ``lines``: the body is one JSON per
        line.

        Raise ``StoreUnreachableError`` if no host responds, ``CollectionError`` for the wrong
        product.
        """

    def close(self) -> None:
        """Close connections."""


def iterate_pauses(
    total_s: float = _PATIENCE_S, *, chance: Callable[[], float] = random.random
) -> Iterator[float]:
    """Yield the seconds to wait before each retry: from 0.1 to 10, doubling, half of it random.

    They end when their sum exceeds ``total_s``.
    """
    waited, step = 0.0, 0.1
    while waited < total_s:
        pause = step * (0.5 + 0.5 * chance())
        yield pause
        waited += pause
        step = min(step * 2, 10.0)


class _Patience:
    """How long a request is retried.

    About a minute if the server is overloaded, which passes; ``timeout_s`` if a part of it is not
    available, because it may be starting, or gone.
    """

    def __init__(self, timeout_s: float) -> None:
        self._pauses = iterate_pauses()
        self._timeout_s = timeout_s
        self._began = time.monotonic()
        self._paused = 0.0

    def pause(self, *, busy: bool) -> float | None:
        """Return the seconds to wait before the next try; ``None`` if there is none."""
        pause = next(self._pauses, None)
        waited = max(self._paused, time.monotonic() - self._began)
        if pause is None or (not busy and waited + pause > self._timeout_s):
            return None
        self._paused += pause
        return pause


class Server:
    """A server. ``timeout_s`` is how long a response may take."""

    def __init__(
        self,
        wire: Wire,
        *,
        address: str,
        kind: str,
        timeout_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = address
        self.kind = kind
        self._wire = wire
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._closed = False

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        allow: Sequence[int] = (),
    ) -> Response:
        """Send a request. Statuses in ``allow`` are returned; any other error is raised."""
        data = None if body is None else as_json(body)
        return self._send_with_retries(method, path, data, lines=False, allow=allow)

    def ask_many(self, path: str, documents: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - JSON
        """Send a request whose body is one JSON document per line."""
        data = b"".join(as_json(one) + b"\n" for one in documents)
        return self._send_with_retries("POST", path, data, lines=True, allow=()).body

    def write(self, actions: Sequence[Action], *, refresh: bool = True) -> list[BulkOutcome]:
        """Carry out all actions and return their outcomes; retry those that the server was too busy
        for.

        When this returns, searches see the writes. Conflicts (409), and deletes and updates of
        missing documents (404) are outcomes; any other failure is raised after the rest has been
        written.
        """
        found: dict[int, BulkOutcome] = {}
        waiting = list(range(len(actions)))
        # By default a server waits a minute, and the client would give up before.
        path = f"/_bulk?timeout={round(min(_WRITE_S, self._timeout_s / 2) * 1000)}ms"
        path += "&refresh=true" if refresh else ""
        patience: _Patience | None = None
        while waiting:
            for places, body in _chunk_actions(actions, waiting):
                response = self._send_with_retries("POST", path, body, lines=True, allow=())
                found.update(zip(places, outcomes(response.body), strict=True))
            waiting = [place for place in waiting if again(found[place])]
            if waiting:
                patience = patience or _Patience(self._timeout_s)
                pause = patience.pause(busy=any(found[one].status == _BUSY for one in waiting))
                if pause is None:
                    break
                self._sleep(pause)
        self._raise_failed(actions, [found[place] for place in range(len(actions))])
        return [found[place] for place in range(len(actions))]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._wire.close()

    def _send_with_retries(
        self, method: str, path: str, body: bytes | None, *, lines: bool, allow: Sequence[int]
    ) -> Response:
        if self._closed:
            raise StoreError(f"{self.address} has been closed")
        patience = _Patience(self._timeout_s)
        while True:
            response = self._wire.request(method, path, body=body, lines=lines)
            if response.status < 300 or response.status in allow:  # noqa: PLR2004 - HTTP
                return response
            error = refusal(response.status, response.body, address=self.address, kind=self.kind)
            full = "cluster_block" in str(response.body)  # waiting does not free a disk
            if full or response.status not in _LATER:
                raise error
            pause = patience.pause(busy=response.status == _BUSY)
            if pause is None:
                raise error
            self._sleep(pause)

    def _raise_failed(self, actions: Sequence[Action], found: Sequence[BulkOutcome]) -> None:
        failed = [
            (action, outcome)
            for action, outcome in zip(actions, found, strict=True)
            if not outcome.done
            and outcome.status != 409  # noqa: PLR2004 - HTTP
            and not (outcome.status == 404 and action.verb in ("delete", "update"))  # noqa: PLR2004
        ]
        if not failed:
            return
        action, outcome = failed[0]
        error = refusal(
            outcome.status,
            {"error": {"type": outcome.kind, "reason": outcome.reason}},
            address=self.address,
            kind=self.kind,
        )
        if len(failed) == len(actions):
            raise error
        raise type(error)(
            f"{error} (of {len(actions)} writes {len(failed)} failed, first that of {action.id!r}; "
            "the others are stored)"
        )


def _chunk_actions(
    actions: Sequence[Action], places: Sequence[int]
) -> Iterator[tuple[list[int], bytes]]:
    """Yield chunks of some of the actions, with their positions."""
    start = 0
    for some, body in chunks([actions[place] for place in places]):
        yield list(places[start : start + len(some)]), body
        start += len(some)
