"""Make entries of files that are named one by one, with the ids that indexing a folder gives."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lookalike.core import settings_keys
from lookalike.core.protocols import Store
from lookalike.core.records import Entry, id_of
from lookalike.core.roots import Root, innermost, read_roots
from lookalike.errors import SourceError
from lookalike.sources.named_files import find_common_folders
from lookalike.sources.scan import stamp_of

__all__ = ["list_files"]


def list_files(
    store: Store, files: Iterable[Path], register: Callable[[Path], tuple[Root, str]]
) -> Iterator[Entry]:
    """Return the entries of files, each below the root that it lies in.

    Files outside of every root share a new one: the folder that they have in common; ``register``
    adds it. Raise ``SourceError`` for a file that does not exist.
    """
    places = []
    for file in files:
        if not file.is_file():
            what = "is no file" if file.exists() else "does not exist"
            raise SourceError(f"{file} {what}; give an image, a folder or a catalogue")
        places.append(file.parent.resolve() / file.name)  # a link keeps its name
    roots = read_roots(store.settings.get(settings_keys.ROOTS))
    outside = [place for place in places if innermost(roots, place.parent) is None]
    for folder in find_common_folders(outside):
        register(folder)
    return _iterate_entries(store, places)


def _iterate_entries(store: Store, places: Iterable[Path]) -> Iterator[Entry]:
    roots = read_roots(store.settings.get(settings_keys.ROOTS))
    known: dict[str, dict[str, str]] = {}  # root → path → id, which a catalogue may have given
    for place in dict.fromkeys(places):
        root = innermost(roots, place.parent)
        if root is None:
            raise SourceError(
                f"{place.parent} has just been removed from the collection; try again"
            )
        if root.name not in known:
            stamps = store.items.stamps(root.name)
            known[root.name] = {path: one for path, (one, _) in stamps.items() if path}
        path = place.relative_to(root.path).as_posix()
        yield Entry(
            id=known[root.name].get(path) or id_of(root.name, path),
            image=place,
            root=root.name,
            path=path,
            stamp=stamp_of(place),
        )
