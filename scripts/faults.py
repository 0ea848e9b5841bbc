"""See ``scripts/faults``."""

import os
import sys
import time

from contracts.server import an_address, bound, removed
from contracts.store import an_item, random_rows
from lookalike.errors import StoreFullError
from lookalike.stores.servers.store import ServerStore

WAIT_S = 180
DISK = "cluster.routing.allocation.disk"


def limits(store: ServerStore, *, full: bool) -> None:
    """Ask for more room than any disk has, or for what is usual; looked at every ten seconds."""
    watermarks = ("watermark.low", "watermark.high", "watermark.flood_stage")
    values = {f"{DISK}.{name}": "900tb" if full else "1b" for name in watermarks}
    values |= {f"{DISK}.threshold_enabled": "true", "cluster.info.update.interval": "10s"}
    store.server.ask("PUT", "/_cluster/settings", {"transient": values})


def until(store: ServerStore, *, full: bool) -> str:
    """Write an item each second until the server takes it, or not; how that ends, in words."""
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < WAIT_S:
        number += 1
        try:
            store.items.upsert([an_item(f"{full}-{number}")], random_rows(1))
        except StoreFullError as error:
            if full:
                return f"after {time.monotonic() - began:.0f} s: {error}"
        else:
            if not full:
                return f"after {time.monotonic() - began:.0f} s: written again"
        time.sleep(1)
    sys.exit(f"{store.address}: nothing has changed in {WAIT_S} s")


def main() -> None:
    for kind in ("elasticsearch", "opensearch"):
        url = os.environ.get(f"LOOKALIKE_TEST_{kind.upper()}")
        if not url:
            sys.exit('no servers; start some: eval "$(scripts/engines --instance faults up)"')
        store = bound(an_address(kind, url))
        try:
            store.items.upsert([an_item(f"{number}") for number in range(20)], random_rows(20))
            limits(store, full=True)
            print(f"{kind}, full: {until(store, full=True)}")
            print(f"{kind}, full: {len(store.search.nearest(random_rows(1), k=20)[0])} hits of 20")
            limits(store, full=False)
            print(f"{kind}, room: {until(store, full=False)}")
        finally:
            limits(store, full=False)
            removed(store)


if __name__ == "__main__":
    main()
