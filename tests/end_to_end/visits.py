"""A service, a person at its page: what they do and see, and what may not happen meanwhile."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

__all__ = ["DESKTOP", "PHONE", "Service", "Visit", "serving", "visiting"]

DESKTOP = (1280, 900)
PHONE = (390, 844)
_REFUSED = re.compile(r"Failed to load resource")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that runs in a process of its own."""

    address: str
    home: Path

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=60)

    def ids(self, collection: str = "shop") -> list[str]:
        with self.client as client:
            found = client.get(f"/v1/collections/{collection}/items?limit=1000").json()["items"]
        return [item["id"] for item in found]


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[Service]:
    """`lookalike serve` over ``home`` in a process of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-m", "lookalike", "serve", "--port", "0", "--threads", "2"],
        env={
            **kept,
            "LOOKALIKE_HOME": str(home),
            "LOOKALIKE_CACHE": os.environ["LOOKALIKE_CACHE"],
            **environment,
        },
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stderr is not None
            found = re.search(r"http://\S+", running.stderr.readline())
            assert found, running.stderr.read()
            _wait_for(found[0], until=time.monotonic() + 60)
            yield Service(address=found[0], home=home)
        finally:
            running.terminate()
            running.wait(60)


def _wait_for(address: str, *, until: float) -> None:
    while True:
        try:
            httpx.get(f"{address}/health/live")
        except httpx.TransportError:
            assert time.monotonic() < until, "the service did not start"
            time.sleep(0.05)
        else:
            return


@dataclass(kw_only=True)  # without slots: playwright marks what hears its events
class Visit:
    """A tab on a service. ``refusals`` says that the service is expected to refuse something."""

    page: Page
    service: Service
    refusals: bool = False
    searches: list[Request] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def open(self, query: str = "") -> None:
        self.page.goto(f"{self.service.address}/{query}")
        self.settled()
        # Chromium drops what is typed before it has painted once.
        self.page.evaluate("new Promise((go) => requestAnimationFrame(() => setTimeout(go)))")

    def settled(self) -> None:
        """Wait until all requests are done."""
        self.until(
            "document.querySelector('#collection').options.length"
            " && !document.body.classList.contains('wait')"
            " && !document.querySelector('.card.waiting, #facets[aria-busy]')"
        )

    def until(self, condition: str) -> None:
        """Wait until a JavaScript expression holds.

        Playwright's own wait evaluates a string in the page, which the page's policy forbids.
        """
        self.page.evaluate(
            f"""(left) => new Promise((done, fail) => {{
              const look = () => {{
                if ({condition}) done();
                else if ((left -= 1) < 0) fail(new Error("it never came to hold"));
                else setTimeout(look, 20);
              }};
              look();
            }})""",
            1000,
        )

    def __getitem__(self, selector: str) -> Locator:
        return self.page.locator(selector)

    @property
    def cards(self) -> Locator:
        return self.page.locator("#grid .card:visible")

    def ids(self) -> list[str]:
        found: list[str] = self.cards.evaluate_all("all => all.map((one) => one.dataset.id)")
        return found

    def scores(self) -> list[float]:
        values = "all => all.map((one) => +one.value)"
        found: list[float] = self["#grid .card:visible data"].evaluate_all(values)
        return found

    def act(self, what: Literal["like", "dislike", "compare"], at: int) -> str:
        """Press one of a card's buttons; the item's id."""
        card = self.cards.nth(at)
        identity = card.get_attribute("data-id") or ""
        card.hover()
        card.locator(f"[data-act={what}]").click()
        self.settled()
        return identity

    def slide(self, selector: str, value: int) -> None:
        self[selector].fill(str(value))

    def status(self, text: str) -> None:
        expect(self["#status"]).to_contain_text(text)

    def state(self, title: str) -> None:
        """Expect this heading in the place of the results."""
        expect(self["#empty h2"]).to_have_text(title)

    def drag(self, paths: Sequence[Path], *, drop: bool = True) -> None:
        """Drag files or folders from the desktop over the page, and let them go."""
        session = self.page.context.new_cdp_session(self.page)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", *(["drop"] if drop else [])):
            session.send(
                "Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 400, "data": data}
            )

    def evaluate(self, module: str, code: str, argument: object = None) -> Any:  # noqa: ANN401 - JSON
        """The value of ``code``, a function of a module of the page and of ``argument``."""
        main = self["script[type=module]"].get_attribute("src") or ""
        path = f"/{main.rpartition('/')[0]}/{module}.js"  # the page's own instance
        return self.page.evaluate(
            f"async (given) => ({code})(await import('{path}'), given)", argument
        )

    def heard(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if not (self.refusals and _REFUSED.search(message.text)):
            self.faults.append(f"{message.type}: {message.text}")

    def asked(self, request: Request) -> None:
        if request.url.endswith("/search"):
            self.searches.append(request)
        parts = urlsplit(request.url)
        if parts.scheme == "http" and f"http://{parts.netloc}" != self.service.address:
            self.faults.append(f"another host was asked: {request.url}")


@contextmanager
def visiting(
    browser: Browser,
    service: Service,
    *,
    size: tuple[int, int] = DESKTOP,
    theme: Literal["light", "dark"] = "light",
) -> Iterator[Visit]:
    """A tab of a browser that remembers nothing; it ends without errors on the console."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        has_touch=size == PHONE,
        is_mobile=size == PHONE,
        reduced_motion="reduce",
        permissions=["camera"],
        locale="en-GB",
    )
    context.set_default_timeout(20_000)
    visit = Visit(page=context.new_page(), service=service)
    visit.page.on("console", visit.heard)
    visit.page.on("pageerror", lambda error: visit.faults.append(str(error)))
    visit.page.on("request", visit.asked)
    try:
        yield visit
        assert not visit.faults
    finally:
        context.close()
