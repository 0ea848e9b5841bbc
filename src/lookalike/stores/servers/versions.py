"""Making sure that a server is what its address says."""

import re
from typing import Any

from lookalike.errors import CollectionError
from lookalike.stores.servers.dialect import Dialect
from lookalike.stores.servers.server import Server

__all__ = ["check_product", "product_of"]

# Some servers do not introduce themselves, and some not to everybody: that needs `monitor`.
_SILENT = (400, 403, 404, 405)


def check_product(server: Server, dialect: Dialect) -> str:
    """The server's version, empty where we may not know it.

    Raises ``CollectionError`` for another product, or one too old.
    """
    answer = server.ask("GET", "/", allow=_SILENT)
    if answer.status in _SILENT:
        answer = server.ask("GET", "/_nodes/_local/version,name", allow=_SILENT)
    if answer.status == 403:  # noqa: PLR2004 - HTTP
        return ""  # whether we may do what we came for, the next request tells
    product, version = product_of(answer.body)
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


def product_of(told: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
    """(kind, version) by what a server says of itself; ("", "") for something else."""
    if not isinstance(told, dict):
        return "", ""
    version = told.get("version")
    if isinstance(version, dict) and "number" in version:
        kind = "opensearch" if version.get("distribution") == "opensearch" else "elasticsearch"
        return kind, str(version["number"])
    nodes = told.get("nodes")
    if isinstance(nodes, dict):
        for node in nodes.values():
            if "version" in node:
                return "elasticsearch", str(node["version"])
    return "", ""
