"""The settings of a service, with the limits that protect it."""

import ipaddress
from dataclasses import dataclass

from lookalike.images.limits import Limits

__all__ = ["ServiceSettings", "is_loopback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The address of a service, its access rules, and its limits.

    ``read_key`` and ``write_key`` are required where they are set; with only a read key, nothing
    can be written. Pages of the origins in ``cors`` may use the service. It accepts the host names
    in ``hosts`` and the loopback names (if ``hosts`` is empty: the loopback names alone, or any
    name where it listens on other addresses). ``max_upload`` is the limit in bytes for one image,
    ``max_body`` for a whole request, and ``max_held`` for all requests in progress. ``max_images``
    and ``max_queries`` are counts per request. At most ``max_waiting`` images are processed at
    once; further requests get 503 with ``Retry-After``. A request must arrive within ``body_s``
    seconds. Without ``show_paths``, responses do not contain file paths.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    read_key: str | None = None
    write_key: str | None = None
    cors: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    max_upload: int = 20_000_000
    max_body: int = 256 * 2**20
    max_held: int = 512 * 2**20
    max_pixels: int = 100_000_000
    max_images: int = 100
    max_queries: int = 64
    max_k: int = 1000
    max_waiting: int = 128
    body_s: float = 60.0
    allow_urls: bool = False
    read_only: bool = False
    show_paths: bool = True

    @property
    def limits(self) -> Limits:
        """Return the limits for decoding an image; indexed files may be larger than uploads."""
        return Limits(
            max_bytes=max(self.max_upload, Limits().max_bytes), max_pixels=self.max_pixels
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a socket at ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
