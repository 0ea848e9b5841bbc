"""Listing, checking and removing encoders."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.digests import sha256_of
from lookalike.encoders.adding.comparing import InputComparison, compare
from lookalike.encoders.adding.labelled_images import images_for
from lookalike.encoders.adding.trials import Trial, try_encoder
from lookalike.encoders.cards import (
    ModelCard,
    available_encoders,
    card_path,
    default_folder,
    find_card,
    read_card,
    shipped_encoders,
)
from lookalike.encoders.onnx_encoder import OnnxEncoder
from lookalike.encoders.weights import weights_path
from lookalike.errors import EncoderError, LookalikeError, ModelCardError

__all__ = [
    "CheckedEncoder",
    "ListedEncoder",
    "RemovedEncoder",
    "check_encoder",
    "list_encoders",
    "remove_encoder",
]

_WRITTEN = "# Written by `lookalike encoder "


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEncoder:
    """An encoder that has a name. ``problem`` says why it cannot be used; ``None`` if it can.

    ``card`` is ``None`` only if it cannot be read.
    """

    name: str
    shipped: bool
    path: Path
    card: ModelCard | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedEncoder:
    """What a few images showed of an encoder, as ``AddedEncoder`` has it."""

    card: ModelCard
    fingerprint: str
    device: str
    trial: Trial
    comparisons: tuple[InputComparison, ...]
    compared_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedEncoder:
    """What was deleted, and what was not: the model that a user brought, and further files."""

    name: str
    deleted: tuple[Path, ...]
    kept: tuple[Path, ...]


def list_encoders(folder: Path | None = None) -> list[ListedEncoder]:
    """Return all encoders that have a name, by name. No model is opened."""
    found = []
    for name in available_encoders(folder):
        path = card_path(name, folder)
        if path is None:  # removed meanwhile
            continue
        card, problem = None, None
        try:
            card = read_card(path)
            weights_path(card)
        except EncoderError as error:
            problem = str(error)
        shipped = name in shipped_encoders()
        found.append(
            ListedEncoder(name=name, shipped=shipped, path=path, card=card, problem=problem)
        )
    return found


def check_encoder(
    name_or_card: str | Path,
    *,
    images: Path | None = None,
    comparing: bool = True,
    device: str = "auto",
    folder: Path | None = None,
    cache: Path | None = None,
) -> CheckedEncoder:
    """Open an encoder, try it, and compare ways to prepare images, on ``images`` or drawn ones.

    Raise ``EncoderError`` if it cannot be used.
    """
    encoder = OnnxEncoder(find_card(name_or_card, folder=folder), device=device, cache=cache)
    encoder.wait()
    labelled = images_for(images, comparing=comparing)
    trial = try_encoder(encoder, [one.image for one in labelled[:: max(len(labelled) // 6, 1)]])
    return CheckedEncoder(
        card=encoder.card,
        fingerprint=encoder.fingerprint,
        device=encoder.device,
        trial=trial,
        comparisons=tuple(compare(encoder, labelled)) if comparing else (),
        compared_on="drawn" if images is None else str(images),
    )


def remove_encoder(name: str, *, folder: Path | None = None) -> RemovedEncoder:
    """Remove an encoder that ``add`` or ``pull`` wrote: its card, and the copies of its files.

    A file is deleted only if it lies in the encoder's folder and is what the card names, by its
    digest. A model that was not copied stays where it is. Raise ``EncoderError`` for another card.
    """
    folder = default_folder() if folder is None else folder
    path = card_path(name, folder)
    if path is None or name in shipped_encoders():
        if path is not None:
            raise EncoderError(f"{name} comes with lookalike and cannot be removed")
        find_card(name, folder=folder)  # says which there are
        raise EncoderError(f"there is no encoder {name!r}")
    try:
        written = path.read_text(encoding="utf-8").startswith(_WRITTEN)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelCardError(f"{path}: cannot be read: {error}") from error
    if not written:
        raise EncoderError(
            f"{path}: was written by hand, so it is yours to delete; lookalike removes only what "
            "`encoder add` and `encoder pull` wrote"
        )
    deleted: list[Path] = []
    kept: list[Path] = []
    try:
        for place, digest in _files(path):
            own = place.parent == path.parent and place.is_file()
            if own and sha256_of(place) == digest:
                place.unlink()
                deleted.append(place)
            elif place.exists():
                kept.append(place)
        path.unlink()
        deleted.append(path)
        rest = sorted(path.parent.iterdir())
        kept += [one for one in rest if one not in kept]
        if not rest:
            path.parent.rmdir()
    except OSError as error:
        raise EncoderError(
            f"{path.parent}: cannot be removed: {error.strerror or error}"
        ) from error
    return RemovedEncoder(name=name, deleted=tuple(deleted), kept=tuple(kept))


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """The files that a card names, with their digests; none of a card that cannot be read."""
    try:
        card = read_card(path)
    except LookalikeError:
        return
    weights, words = card.weights, card.words
    named = [(weights.file, weights.sha256)]
    beside = list(weights.data)
    if weights.trained is not None and weights.trained_sha256 is not None:
        named.append((weights.trained, weights.trained_sha256))
    if words is not None:
        named += [(words.tokenizer, words.tokenizer_sha256)]
        beside += words.data
        if words.file is not None and words.sha256 is not None:
            named.append((words.file, words.sha256))
    places = [(path.parent / file, digest) for file, digest in named]
    yield from places
    above = places[0][0].parent
    yield from ((above / file, digest) for file, digest in beside)
