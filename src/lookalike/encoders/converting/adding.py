"""Adding a converted encoder to the user's own: an ONNX file and its card, in a folder of its name.

The folder appears whole or not at all, and only after two images were encoded with it.
"""

import dataclasses
import hashlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.core.atomic_files import write_file
from lookalike.core.digests import sha256_of
from lookalike.encoders.cards import (
    ModelCard,
    Weights,
    card_text,
    default_folder,
    read_card,
    shipped_encoders,
)
from lookalike.encoders.converting.conversion import Conversion, convert
from lookalike.encoders.onnx_encoder import load_encoder
from lookalike.encoders.reserved_names import reserved_for
from lookalike.errors import EncoderError, WeightsError

__all__ = ["ConvertedEncoder", "add_converted"]

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # as in a card
_COMMENT = "Written by `lookalike encoder add`; every key is explained in docs/encoders.md."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedEncoder:
    """A new encoder: its card, and sentences on what could not be known from the file."""

    name: str
    card: Path
    title: str
    dim: int
    notes: Sequence[str]
    written: bool


def add_converted(
    path: Path,
    *,
    name: str | None = None,
    architecture: str | None = None,
    size: int | None = None,
    title: str | None = None,
    licence: str | None = None,
    source: str | None = None,
    replace: bool = False,
    dry_run: bool = False,
    folder: Path | None = None,
) -> ConvertedEncoder:
    """Convert a file and add it to the user's encoders, under ``name`` or its architecture's name.

    ``architecture`` and ``size`` are those of ``convert``; ``title``, ``licence``, ``source`` are
    for the card; ``folder`` is where the encoders lie. With ``replace``, an encoder of that name
    which this function wrote is replaced; with ``dry_run`` nothing is written.

    Raise ``EncoderError`` if there is an encoder of that name or the file cannot be used, and
    ``ValueError`` for a name, architecture or size that cannot be; all is as it was then.
    """
    if name is not None:
        _check_name(name, folder, replace=replace)
    conversion = convert(path, architecture=architecture, size=size)
    chosen = name or conversion.name
    place = _check_name(chosen, folder, replace=replace)
    conversion = dataclasses.replace(conversion, title=title or conversion.title)
    parent = Path(tempfile.gettempdir()) if dry_run else place.parent
    temporary = parent / f".lookalike-{secrets.token_hex(8)}.part"
    try:
        temporary.mkdir(parents=True)
        write_file(temporary / f"{chosen}.onnx", conversion.content)
        card = temporary / f"{chosen}.toml"
        made = _card(chosen, conversion, path, card)
        made = dataclasses.replace(made, licence=licence or "", source=source or made.source)
        write_file(card, card_text(made, comment=_COMMENT))
        _try(card, path)
        if not dry_run:
            _put(temporary, place)
    except OSError as error:
        raise EncoderError(f"{place}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ConvertedEncoder(
        name=chosen,
        card=place / card.name,
        title=conversion.title,
        dim=conversion.output.dim,
        notes=conversion.notes,
        written=not dry_run,
    )


def _check_name(name: str, folder: Path | None, *, replace: bool) -> Path:
    """Return the folder for an encoder of that name: a new one, or one that may be replaced."""
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            f"{name!r} cannot be an encoder's name: use letters, digits, '.', '_' and '-'"
        )
    place = (default_folder() if folder is None else folder) / name
    if reserved := reserved_for(name):
        raise EncoderError(f"{reserved}; choose another name (--name)")
    if name in shipped_encoders():
        raise EncoderError(f"{name} comes with lookalike; choose another name (--name)")
    if place.exists() and not replace:
        raise EncoderError(
            f"there is an encoder {name} already, in {place}; choose another name (--name), or "
            "replace it (--replace)"
        )
    if place.exists() and not _is_ours(place):
        raise EncoderError(
            f"{place}: holds more than a converted encoder, so it is not replaced; choose another "
            "name (--name)"
        )
    return place


def _is_ours(place: Path) -> bool:
    """Return whether a folder holds what was written here, and nothing else."""
    card = place / f"{place.name}.toml"
    try:
        written = card.read_text(encoding="utf-8").startswith(f"# {_COMMENT}\n")
        files = {one.name for one in place.iterdir()}
    except (OSError, UnicodeDecodeError):
        return False
    return written and files <= {card.name, f"{place.name}.onnx"}


def _put(made: Path, place: Path) -> None:
    """Give a new folder its name; one that is there already goes only when the new one is in."""
    if not place.exists():
        made.rename(place)
        return
    former = made.with_name(f"{made.name}.old")
    place.rename(former)
    try:
        made.rename(place)
    except BaseException:
        former.rename(place)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _card(name: str, conversion: Conversion, source: Path, path: Path) -> ModelCard:
    return ModelCard(
        name=name,
        title=conversion.title,
        licence="",
        source=f"converted from {source.name}, SHA-256 {sha256_of(source)}",
        weights=Weights(
            builder="onnx",
            file=f"{name}.onnx",
            sha256=hashlib.sha256(conversion.content).hexdigest(),
        ),
        input=conversion.input,
        output=conversion.output,
        map=conversion.map,
        logits=conversion.logits,
        path=path,
    )


def _try(card: Path, source: Path) -> None:
    """Encode two images. Raise ``WeightsError`` if they get no embeddings, or the same."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    noise[1] //= 4
    try:
        encoder = load_encoder(read_card(card).path, device="cpu")
        vectors = encoder.encode([encoder.prepare(Image.fromarray(one)) for one in noise])
    except EncoderError as error:
        raise WeightsError(f"{source}: gives no embeddings: {error}") from error
    if np.array_equal(vectors[0], vectors[1]):
        raise WeightsError(f"{source}: gives the same embedding for different images")
