"""Which encoders have a name: those that come with lookalike, and the user's own."""

import os
import shlex
import sys
from pathlib import Path

from lookalike.core.arguments import checked
from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.cards.reading import read_card
from lookalike.encoders.cards.records import ModelCard
from lookalike.encoders.qualities import QUALITIES
from lookalike.errors import EncoderError, ModelCardError

__all__ = [
    "available_encoders",
    "card_path",
    "default_folder",
    "find_card",
    "hint_to_get",
    "shipped_encoders",
    "user_encoders",
]

_SHIPPED = Path(__file__).parents[1] / "shipped"


def default_folder() -> Path:
    """Return the folder for the cards of a user's own encoders, each in a folder of its name.

    It is ``encoders`` below ``$LOOKALIKE_HOME`` or below the system's own place for a user's data:
    ``$XDG_DATA_HOME`` or ``~/.local/share`` on Linux, ``~/Library/Application Support`` on macOS,
    ``%LOCALAPPDATA%`` on Windows; ``lookalike`` below it.
    """
    if home := os.environ.get("LOOKALIKE_HOME"):
        return Path(home) / "encoders"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", ""))
        if not base.is_absolute():  # unset, or invalid and to be ignored by the XDG specification
            base = Path.home() / ".local" / "share"
    return base / "lookalike" / "encoders"


def shipped_encoders() -> tuple[str, ...]:
    """Return the names of the encoders that come with lookalike."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def user_encoders(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of the user's own encoders, which lie in ``folder``."""
    folder = default_folder() if folder is None else folder
    try:
        found = [path.stem for path in folder.glob("*/*.toml") if path.stem == path.parent.name]
    except OSError:  # one that may not be looked into
        return ()
    return tuple(sorted(found))


@checked
def available_encoders(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of all encoders: those that come with lookalike, and the user's own.

    The weights of the former need not be installed. ``folder`` is where the latter lie,
    ``default_folder`` if it is not given.
    """
    return tuple(sorted({*shipped_encoders(), *user_encoders(folder)}))


def card_path(name: str, folder: Path | None = None) -> Path | None:
    """Return the card's file of a name or quality; ``None`` for an unknown one.

    Of two cards of one name, the one that comes with lookalike counts.
    """
    name = QUALITIES.get(name, name)
    if name in shipped_encoders():
        return _SHIPPED / f"{name}.toml"
    if name in user_encoders(folder):
        return (default_folder() if folder is None else folder) / name / f"{name}.toml"
    return None


def find_card(name_or_path: str | Path, *, folder: Path | None = None) -> ModelCard:
    """Return the card of that name or quality, or in that file if it looks like a path to a card.

    Qualities are ``fast``, ``balanced`` and ``best``. Of an ONNX file it is the card in ``folder``
    that ``encoder add`` made for it. ``folder`` is where the user's own encoders lie,
    ``default_folder`` if it is not given. Raise ``EncoderError`` for an unknown name, and
    ``ModelCardError`` for a card that cannot be used.
    """
    text = str(name_or_path)
    if text.lower().endswith(".onnx"):
        return _card_of_model(Path(name_or_path), folder)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return read_card(Path(name_or_path))
    path = card_path(text, folder)
    if path is None:
        if hint := hint_to_get(text):
            raise EncoderError(hint)
        known = available_encoders(folder)
        raise EncoderError(
            f"there is no encoder {text!r}; there are {', '.join(known)}, and any card by its path "
            f"(….toml){did_you_mean(text, known)}"
        )
    return read_card(path)


def hint_to_get(name: str) -> str | None:
    """Return how to get an encoder that can be pulled, or made of a file; else ``None``."""
    from lookalike.encoders.converting.architectures import (  # noqa: PLC0415 - for a mistake only
        ARCHITECTURES,
    )
    from lookalike.encoders.hub.curated import curated_encoder  # noqa: PLC0415 - likewise

    if curated_encoder(name) is not None:
        command = f"lookalike encoder pull {name}"
        return f"the encoder {name} is not on this machine; pull it first: {command}"
    if name in ARCHITECTURES:
        return (
            f"the encoder {name} is made of a file that you bring, of Keras, PyTorch or "
            f"TensorFlow Lite: lookalike encoder add FILE --architecture {name}"
        )
    return None


def _card_of_model(model: Path, folder: Path | None) -> ModelCard:
    """Return the user's card for an ONNX file. Raise ``EncoderError`` with what to do."""
    if not model.is_file():
        raise EncoderError(f"{model}: there is no such file")
    own = default_folder() if folder is None else folder
    for name in user_encoders(folder):
        try:
            card = read_card(own / name / f"{name}.toml")
        except ModelCardError:
            continue
        if (card.path.parent / card.weights.file).resolve() == model.resolve():
            return card
    beside = model.with_suffix(".toml")
    if beside.is_file():
        raise EncoderError(f"{model}: is a model; its card lies beside it: use {beside}")
    raise EncoderError(
        f"{model}: is a model without a card, which says how to prepare images; make one by: "
        f"lookalike encoder add {shlex.quote(str(model))}"
    )
