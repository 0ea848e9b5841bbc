"""Which archive each name stands for: ids begin with it, so two archives must not share one."""

from pathlib import Path

from lookalike.core import settings_keys
from lookalike.core.protocols import Store
from lookalike.core.records import Json
from lookalike.errors import SourceError

__all__ = ["claim_name"]


def claim_name(store: Store, archive: Path) -> None:
    """Store that ids which begin with an archive's name are of this archive.

    An archive that was moved keeps its name. Raise ``SourceError`` where another archive of that
    name, which is still there, has items: they would be replaced.
    """
    name, place = archive.name, str(archive.resolve())
    before = _paths(store.settings.get(settings_keys.ARCHIVES)).get(name)
    if before == place:
        return
    if before is not None and Path(str(before)).exists():
        raise SourceError(
            f"{archive}: the collection has the images of another archive of this name, {before}, "
            "and would replace them; rename one of the two, or index it into another collection"
        )
    store.settings.change(settings_keys.ARCHIVES, lambda stored: {**_paths(stored), name: place})


def _paths(stored: Json) -> dict[str, Json]:
    return dict(stored) if isinstance(stored, dict) else {}
