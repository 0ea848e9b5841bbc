"""Remember which catalogue files a collection was indexed from."""

from pathlib import Path

from lookalike.core import settings_keys
from lookalike.core.protocols import Store
from lookalike.core.records import Json

__all__ = ["remember_catalogue"]


def remember_catalogue(store: Store, source: object) -> None:
    """Store the paths of the files that a catalogue is read from: its ``path``, or ``files``."""
    path = getattr(source, "path", None)
    files = (path,) if isinstance(path, Path) else getattr(source, "files", ())
    names = [str(one.resolve()) for one in files if one.exists()]
    if not names:
        return

    def add_names(stored: Json) -> Json:
        before = stored if isinstance(stored, list) else []
        return [*before, *(name for name in names if name not in before)]

    before = store.settings.get(settings_keys.CATALOGUES)
    if add_names(before) != before:
        store.settings.change(settings_keys.CATALOGUES, add_names)
