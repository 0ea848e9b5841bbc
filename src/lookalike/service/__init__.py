"""The REST API and the web page: one process that serves collections.

    app = create_app(collections, settings, metrics)

There is no global state: each app has its own parts. ``lookalike serve`` runs one.
"""

from lookalike.service.app import create_app
from lookalike.service.collections import Collections
from lookalike.service.metrics import Metrics
from lookalike.service.run import bind_socket, create_server
from lookalike.service.settings import ServiceSettings

__all__ = [
    "Collections",
    "Metrics",
    "ServiceSettings",
    "bind_socket",
    "create_app",
    "create_server",
]
