"""Settings from the environment, and what they mean: which place or server an address names.

Only the edges read settings: the command line, and ``lookalike.open``.
"""

import os
import re
import shlex
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from lookalike.core import settings_keys
from lookalike.core.arguments import checked
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.core.protocols import Encoder, Store, text_encoder_of
from lookalike.core.suggestions import closest, format_hint
from lookalike.encoders.qualities import DEFAULT_ENCODER
from lookalike.errors import (
    CollectionError,
    CollectionNotFoundError,
    EncoderError,
    LookalikeError,
    ModelCardError,
    StoreDeniedError,
    StoreReadOnlyError,
)
from lookalike.stores.embedded.own_files import DATABASE, holds_collection
from lookalike.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.encoders.adding import AddedEncoder, AddOptions, RemovedEncoder
    from lookalike.encoders.converting import ConvertedEncoder
    from lookalike.encoders.hub import PulledEncoder

__all__ = [
    "DEFAULT_ENCODER",
    "Settings",
    "add_encoder",
    "collection_folder",
    "collections",
    "collections_with",
    "convert_encoder",
    "encoder_of",
    "named_encoder",
    "open_collection",
    "pull_encoder",
    "remove_encoder",
    "settings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things are kept and which collection is meant when none is named.

    ``home`` holds the collections that go by a name (``LOOKALIKE_HOME``), ``cache`` what can be
    made again (``LOOKALIKE_CACHE``), ``collection`` is ``LOOKALIKE_COLLECTION``.
    """

    home: Path
    cache: Path
    collection: str = "default"


def settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that an environment makes."""
    home = environment.get("LOOKALIKE_HOME")
    cache = environment.get("LOOKALIKE_CACHE")
    return Settings(
        home=Path(home or platformdirs.user_data_dir("lookalike", appauthor=False)),
        cache=Path(cache or platformdirs.user_cache_dir("lookalike", appauthor=False)),
        collection=environment.get("LOOKALIKE_COLLECTION") or "default",
    )


def collection_folder(address: str | os.PathLike[str], known: Settings) -> Path:
    """Return the folder that an address names: ``shop`` lies under ``home``, ``./shop`` is a path.

    Raise ``CollectionError`` for an address that is neither.
    """
    text = os.fspath(address)
    if not isinstance(address, str) or re.search(r"[/\\]|^[.~]", text):
        return Path(os.path.expanduser(text))  # noqa: PTH111 - a Path's raises for an unknown ~user
    if not text.strip() or not text.isprintable():
        raise CollectionError(f"{text!r} cannot be a collection's name; use letters and digits")
    return known.home / "collections" / text


@partial(checked, name="open")
def open_collection(
    address: str | os.PathLike[str] | None = None,
    *,
    encoder: str | os.PathLike[str] | Encoder | None = None,
    create: bool = False,
    device: str = "auto",
    threads: int | None = None,
    known: Settings | None = None,
    search: bool = False,
    measured: bool | None = None,
) -> "Collection":
    """Open a collection by name, path or address; with ``create``, begin one that is not there.

    An address is ``elasticsearch://localhost:9200/shop`` or the like (docs/servers.md).

    ``encoder`` is a name (``lookalike.available_encoders()``) or a quality (``fast``, ``balanced``,
    ``best``), the path of a model card, or an object; ``None`` takes the one that the collection
    was made with, and for a new one ``balanced``. With ``search``, it begins to open at once, on a
    thread. ``device`` is ``auto``, ``cpu``, ``cuda`` …; ``threads`` how many cores an encoder on
    the processor uses, all by default. ``measured`` says whether an encoder runs as ``lookalike
    encoder bench`` found fastest: by default, unless with ``search``, because that may open later.

    Raise ``CollectionNotFoundError`` (without ``create``), ``FolderInUseError`` (with it, for a
    folder that holds other files), ``CollectionFormatError``, ``StoreError``.
    """
    known = settings() if known is None else known

    def make(store: Store) -> Encoder:
        if encoder is not None and not isinstance(encoder, str | os.PathLike):
            return encoder
        chosen = encoder_of(store) if encoder is None else encoder
        opened = named_encoder(
            chosen,
            device=device,
            threads=threads,
            known=known,
            start=search,
            measured=not search if measured is None else measured,
        )
        if Path(chosen).suffix == ".toml" and _is_new_card(store, opened):
            # Stored for the next time; a collection that may not be written is still searched.
            with suppress(StoreReadOnlyError, StoreDeniedError):
                store.settings.set(settings_keys.CARD, str(Path(chosen).resolve()))
        return opened

    store = _open_store(known.collection if address is None else address, known, create=create)
    begun = make(store) if search and store.bound() is not None else None
    from lookalike.collection import Collection  # noqa: PLC0415 - beside a network that opens

    return Collection(
        store,
        lambda store: begun or make(store),
        cache=known.cache,
        supports_words=lambda store: _supports_words(store, encoder, known),
    )


def _supports_words(
    store: Store, encoder: str | os.PathLike[str] | Encoder | None, known: Settings
) -> bool:
    """Return whether an encoder has a text encoder. Only its card is read."""
    if encoder is not None and not isinstance(encoder, str | os.PathLike):
        return text_encoder_of(encoder) is not None
    from lookalike.encoders import find_card  # noqa: PLC0415 - `import lookalike` loads none

    try:
        chosen = encoder_of(store) if encoder is None else encoder
        name = Path(chosen) if isinstance(chosen, os.PathLike) else chosen
        return find_card(name, folder=known.home / "encoders").words is not None
    except EncoderError:  # reported when something is encoded
        return False


def encoder_of(store: Store) -> str:
    """Return the encoder that a collection was made with, as a name or as the path of a card.

    For a collection without items, return the default encoder's name. Raise ``ModelCardError`` if
    the card was moved or deleted.
    """
    card, bound = store.settings.get(settings_keys.CARD), store.bound()
    if not isinstance(card, str):
        return bound[0] if bound else DEFAULT_ENCODER
    if not Path(card).exists():
        encoder = f"the encoder {bound[0]}" if bound else "its encoder"
        raise ModelCardError(
            f"{card}: the model card of {encoder} is not there; if it was moved, give its new path "
            "once, with --encoder CARD.toml (in Python: encoder=)"
        )
    return card


def _is_new_card(store: Store, encoder: Encoder) -> bool:
    """Return whether to remember an encoder's card: for a new collection, or one that was moved."""
    bound, stored = store.bound(), store.settings.get(settings_keys.CARD)
    if bound is None:
        return True
    moved = isinstance(stored, str) and not Path(stored).exists()
    return moved and encoder.fingerprint == bound[1]


def pull_encoder(
    reference: str,
    *,
    name: str | None = None,
    preset: str | None = None,
    words: bool = False,
    accept_licence: bool = False,
    progress: ProgressCallback = ignore_progress,
    known: Settings | None = None,
) -> "PulledEncoder":
    """Bring an encoder from a hub to where named encoders lie. As ``encoders.pull``."""
    from lookalike.encoders.hub import pull  # noqa: PLC0415 - only what pulls pays for it

    known = settings() if known is None else known
    return pull(
        reference,
        folder=known.home / "encoders",
        name=name,
        preset=preset,
        words=words,
        accept_licence=accept_licence,
        progress=progress,
    )


def convert_encoder(
    file: str | os.PathLike[str],
    *,
    name: str | None = None,
    architecture: str | None = None,
    size: int | None = None,
    title: str | None = None,
    licence: str | None = None,
    source: str | None = None,
    replace: bool = False,
    dry_run: bool = False,
    known: Settings | None = None,
) -> "ConvertedEncoder":
    """Convert a file of Keras, PyTorch or TensorFlow Lite and add it to the named encoders.

    As ``encoders.converting.add_converted``.
    """
    from lookalike.encoders.converting import add_converted  # noqa: PLC0415 - only who adds pays

    known = settings() if known is None else known
    return add_converted(
        Path(file),
        name=name,
        architecture=architecture,
        size=size,
        title=title,
        licence=licence,
        source=source,
        replace=replace,
        dry_run=dry_run,
        folder=known.home / "encoders",
    )


def add_encoder(
    file: str | os.PathLike[str],
    options: "AddOptions | None" = None,
    *,
    dry_run: bool = False,
    known: Settings | None = None,
) -> "AddedEncoder":
    """Make an encoder of an ONNX file, where named encoders lie. As ``encoders.add``.

    Raise ``EncoderError`` also for a collection that uses the encoder that would be replaced.
    """
    from lookalike.encoders.adding import add, name_for  # noqa: PLC0415 - only who adds pays for it

    known = settings() if known is None else known
    if options is not None and options.replace and not dry_run:
        name = options.name or name_for(Path(file))
        users = collections_with(name, known)
        if users:
            raise EncoderError(
                f"{name} is the encoder of {', '.join(users)}, which could not be searched with "
                "another one; choose another --name, and change to it by lookalike migrate"
            )
    return add(
        Path(file), options, folder=known.home / "encoders", cache=known.cache, dry_run=dry_run
    )


def remove_encoder(
    name: str, *, force: bool = False, known: Settings | None = None
) -> "RemovedEncoder":
    """Remove an encoder by name, as ``encoders.remove_encoder``.

    Raise ``EncoderError`` also for one that a collection by name uses, unless ``force``.
    """
    from lookalike.encoders.adding import remove_encoder as remove  # noqa: PLC0415 - likewise

    known = settings() if known is None else known
    users = [] if force else collections_with(name, known)
    if users:
        raise EncoderError(
            f"{name} is the encoder of {', '.join(users)}, which could not be searched without it; "
            "migrate first (lookalike migrate), or remove it all the same with --force"
        )
    return remove(name, folder=known.home / "encoders")


def collections_with(encoder: str, known: Settings) -> list[str]:
    """Return the names of the collections under ``home`` that an encoder of that name made."""
    card = known.home / "encoders" / encoder / f"{encoder}.toml"
    found = []
    for name in collections(known):
        try:
            with closing(EmbeddedStore.open(collection_folder(name, known))) as store:
                if encoder_of(store) in {encoder, str(card), str(card.resolve())}:
                    found.append(name)
        except LookalikeError:
            continue  # what cannot be opened is not used, and its own commands say why
    return found


def named_encoder(
    name: str | os.PathLike[str],
    *,
    device: str = "auto",
    threads: int | None = None,
    known: Settings | None = None,
    start: bool = True,
    measured: bool = True,
) -> Encoder:
    """Return the encoder of a name or of a model card's path. Raise ``EncoderError``.

    Its network opens on a thread: at once or, without ``start``, with the first image.
    """
    from lookalike.encoders import load_encoder  # noqa: PLC0415 - `import lookalike` loads none

    known = settings() if known is None else known
    return load_encoder(
        Path(name) if isinstance(name, os.PathLike) else name,
        device=device,
        threads=threads,
        cache=known.cache,
        folder=known.home / "encoders",
        background=True,
        start=start,
        measured=measured,
    )


def _open_store(address: str | os.PathLike[str], known: Settings, *, create: bool) -> Store:
    if isinstance(address, str) and "://" in address:
        # What speaks with servers costs time that collections on this machine should not pay.
        from lookalike.stores.servers.addresses import parse_address  # noqa: PLC0415

        server = parse_address(address)
        if server.kind == "opensearch":
            from lookalike.stores.servers.opensearch import open_opensearch  # noqa: PLC0415 - likewise

            return open_opensearch(server, create=create)
        from lookalike.stores.servers.elasticsearch import open_elasticsearch  # noqa: PLC0415 - likewise

        return open_elasticsearch(server, create=create)
    folder = collection_folder(address, known)
    try:
        return EmbeddedStore.open(folder, create=create)
    except CollectionNotFoundError:
        raise CollectionNotFoundError(_describe_not_found(address, folder, known)) from None


def _describe_not_found(address: str | os.PathLike[str], folder: Path, known: Settings) -> str:
    """Return that there is no collection, which ones exist, and what a mistyped name may mean."""
    named = folder.parent == known.home / "collections"
    from lookalike.moving.kept_versions import leave_out_versions  # noqa: PLC0415 - for a mistake

    there = leave_out_versions(folder.parent, _collections_in(folder.parent))
    near = next(iter(closest(folder.name, there)), None)
    if near is not None:
        meant = near if named else os.fspath(folder.with_name(near))
        hint = format_hint([meant])
    elif there and named:
        hint = f"; existing collections: {', '.join(there)}"
    else:
        hint = ""
    option = shlex.quote(os.fspath(address))
    return (
        f"there is no collection in {folder}{hint} (`lookalike index FOLDER -c {option}` makes one)"
    )


def collections(known: Settings) -> list[str]:
    """Return the sorted names of the collections under ``home``."""
    return _collections_in(known.home / "collections")


def _collections_in(folder: Path) -> list[str]:
    try:
        databases = list(folder.glob(f"*/{DATABASE}"))
    except OSError:  # it cannot be listed
        return []
    folders = [path.parent for path in databases if path.parent.name[0] != "."]  # drafts
    return sorted(folder.name for folder in folders if holds_collection(folder))
