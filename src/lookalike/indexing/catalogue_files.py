"""Which catalogue files a collection was indexed from."""

from pathlib import Path

from lookalike.core import settings_keys
from lookalike.core.protocols import Store
from lookalike.core.records import Json

__all__ = ["remember_catalogue"]


def remember_catalogue(store: Store, source: object) -> None:
    """Store the path of what was indexed, if it is a catalogue in one file."""
    path = getattr(source, "path", None)
    if not isinstance(path, Path) or not path.is_file():
        return
    name = str(path.resolve())

    def add_name(stored: Json) -> Json:
        before = stored if isinstance(stored, list) else []
        return [*before, *([] if name in before else [name])]

    before = store.settings.get(settings_keys.CATALOGUES)
    if add_name(before) != before:
        store.settings.change(settings_keys.CATALOGUES, add_name)
