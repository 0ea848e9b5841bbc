"""REST, and the page that is built on it: one process that serves collections.

    app = create_app(collections, settings, metrics)

Nothing here is global: each app has its own parts. ``lookalike serve`` runs one.
"""
