"""Check that a server is the product that its address names."""

import re
from typing import Any

from lookalike.errors import CollectionError
from lookalike.stores.servers.dialect import Dialect
from lookalike.stores.servers.server import Server

__all__ = ["check_product", "product_of"]

# Some servers do not report their version, or only with the privilege `monitor`.
_SILENT = (400, 403, 404, 405)


def check_product(server: Server, dialect: Dialect) -> str:
    """Return the server's version; empty if it is not reported.

    Raise ``CollectionError`` for another product, or a version that is too old.
    """
    response = server.ask("GET", "/", allow=_SILENT)
    if response.status in _SILENT:
        response = server.ask("GET", "/_nodes/_local/version,name", allow=_SILENT)
    if response.status == 403:  # noqa: PLR2004 - HTTP
        return ""  # the next request shows whether we have the privileges
    product, version = product_of(response.body)
    if product != dialect.kind:
        hint = f"; begin the address with {product}://" if product else ""
        raise CollectionError(
            f"{server.address} is not {dialect.product}, but {product or 'something else'}{hint}"
        )
    numbers = tuple(int(one) for one in re.findall(r"\d+", version)[:2])
    if numbers < dialect.oldest:
        raise CollectionError(
            f"{server.address} is {dialect.product} {version}; lookalike needs "
            f"{'.'.join(map(str, dialect.oldest))} or later"
        )
    return version


def product_of(description: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
    """Return (kind, version) from a server's description of itself; ("", "") for other products."""
    if not isinstance(description, dict):
        return "", ""
    version = description.get("version")
    if isinstance(version, dict) and "number" in version:
        kind = "opensearch" if version.get("distribution") == "opensearch" else "elasticsearch"
        return kind, str(version["number"])
    nodes = description.get("nodes")
    if isinstance(nodes, dict):
        for node in nodes.values():
            if "version" in node:
                return "elasticsearch", str(node["version"])
    return "", ""
