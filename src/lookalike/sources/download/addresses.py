"""Decide which addresses may be connected to: the check happens where the socket is created.

A name is resolved once, and the address that is checked is the one that is connected to, so no
later response of a name server can slip in between. Literal addresses and redirects pass here too.
"""

import ipaddress
import socket
from typing import Any

__all__ = ["PrivateAddressError", "is_public", "open_public_socket", "open_socket"]

# 64:ff9b::/96 carries an IPv4 address in its last four bytes, for networks without IPv4.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddressError(OSError):
    """The address is not on the public Internet. Never leaves ``sources.download``.

    It is an ``OSError`` because aiohttp then tries the name's next address.
    """


def is_public(address: str) -> bool:
    """Return whether an IP address (perhaps with a zone) is on the public Internet."""
    try:
        one = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour or (one.teredo[1] if one.teredo else None)
        if inner is None and one in _NAT64:
            inner = ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return one.is_global and not one.is_multicast


def open_socket(info: tuple[Any, ...]) -> socket.socket:
    """Return a socket for a result of ``getaddrinfo``: (family, type, protocol, name, address)."""
    family, kind, protocol, _, _ = info
    return socket.socket(family=family, type=kind, proto=protocol)


def open_public_socket(info: tuple[Any, ...]) -> socket.socket:
    """Return a socket, as ``open_socket``. Raise ``PrivateAddressError`` for a private address."""
    if not is_public(str(info[4][0])):
        # Without the address: aiohttp joins differing texts into another error.
        raise PrivateAddressError("it leads to a private address")
    return open_socket(info)
