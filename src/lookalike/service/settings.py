"""What may be set of a service, with the limits that protect it."""

import ipaddress
from dataclasses import dataclass

from lookalike.images.limits import Limits

__all__ = ["ServiceSettings", "is_loopback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How a service is reached, who may do what, and what a request may cost.

    ``read_key`` and ``write_key`` are asked for where they are set; with a read key alone nothing
    can be written. ``cors`` are origins whose pages may use the service, ``hosts`` the names it
    answers to beside its loopback names (empty: those alone, or any where it is bound wider).
    ``max_upload`` is in bytes of one picture, ``max_body`` of a whole request, ``max_held`` of
    all requests at work; ``max_pictures`` and ``max_queries`` are counts in one request. At
    most ``max_waiting`` pictures are in work at once; who comes then is told when to try again.
    ``body_s`` is how long a request may take to arrive. Without ``show_paths`` answers do not
    tell where files lie.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    read_key: str | None = None
    write_key: str | None = None
    cors: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    max_upload: int = 20 * 2**20
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
        """What a picture may cost that is decoded: files that were indexed may be larger."""
        return Limits(
            max_bytes=max(self.max_upload, Limits().max_bytes), max_pixels=self.max_pixels
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
