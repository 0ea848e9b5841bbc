"""Security headers of all responses, and the refusal of requests from other sites."""

from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.service.problems import Problem, problem_response
from lookalike.service.settings import ServiceSettings, is_loopback

__all__ = ["SecurityHeaders"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HERE = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Load balancers and orchestrators use IP addresses; these responses reveal nothing about contents.
_PROBES = frozenset({"/health/live", "/health/ready"})


class SecurityHeaders:
    """Middleware that sets security headers, and checks the host name and origin of requests.

    Without keys, a service on this machine would be open to every page in the user's browser: a
    page can send forms to it, and with DNS rebinding it could even read responses.
    """

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings) -> None:
        self._app = app
        self._cors = frozenset(settings.cors)
        self._hosts = frozenset(one.lower() for one in settings.hosts)
        if self._hosts or is_loopback(settings.host):
            # No page of another site has one of these names, whatever its DNS name resolves to.
            self._hosts |= _HERE | {settings.host.lower()}
        self._resources = "cross-origin" if settings.cors else "same-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._find_problem(scope)
        app = self._app if problem is None else problem_response(Request(scope), problem)
        await app(scope, receive, self._add_headers(send))

    def _add_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cross-Origin-Resource-Policy", self._resources)
            await send(message)

        return send_with_headers

    def _find_problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if self._hosts and name not in self._hosts and scope["path"] not in _PROBES:
            return Problem(
                421, "unknown-host", "the service does not accept this host name; see --allow-host"
            )
        origin = headers.get("origin")
        if scope["method"] in _SAFE or origin is None or origin in self._cors:
            return None
        if "*" in self._cors or urlsplit(origin).netloc.lower() == host:
            return None
        return Problem(
            403, "other-site", "requests from pages of other sites are refused; see --cors"
        )
