"""The folder of a pulled encoder: what is put there, and taken away again if the pull fails."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.core.atomic_files import write_file
from lookalike.core.protocols import text_encoder_of
from lookalike.errors import EncoderError, PullError

__all__ = ["Undo", "try_card", "undone_on_failure"]

_FOR_WORDS = ("ftfy", "tokenizers")


class Undo:
    """What a pull has put into a folder, so that a failure can take it away again."""

    def __init__(self) -> None:
        self._new: list[Path] = []
        self._old: dict[Path, bytes] = {}

    def place(self, source: Path, target: Path, *, copy: bool = False) -> None:
        """Give a file of the cache a second name, or copy it: by choice, or where it must be."""
        self._remember(target)
        part = target.with_name(f".lookalike-{secrets.token_hex(8)}.part")
        try:
            if copy or not _linked(source.resolve(), part):
                shutil.copyfile(source, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def replace(self, target: Path, text: str) -> None:
        if target.is_file():
            self._old[target] = target.read_bytes()
        self._remember(target)
        write_file(target, text)

    def undo(self) -> None:
        for path in self._new:
            path.unlink(missing_ok=True)
        for path, content in self._old.items():
            write_file(path, content)

    def _remember(self, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            self._new.append(target)


@contextlib.contextmanager
def undone_on_failure(folder: Path) -> Iterator[Undo]:
    undo, new = Undo(), not folder.exists()
    try:
        yield undo
    except BaseException as error:
        undo.undo()
        if new:
            with contextlib.suppress(OSError):  # not there, or something else lies in it by now
                folder.rmdir()
        if isinstance(error, OSError):
            raise PullError(f"{folder}: cannot be written: {error.strerror or error}") from error
        raise


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # on another disk, or on one without such links
        return False
    return True


def try_card(card: Path) -> None:
    """Open the encoder and encode two images and two texts. Raise ``PullError`` if it fails.

    Texts are left out where the packages that they need are not installed.
    """
    from lookalike.encoders.onnx_encoder import load_encoder  # noqa: PLC0415 - loads the runtime

    try:
        encoder = load_encoder(card, device="cpu")
        noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
        vectors = encoder.encode([encoder.prepare(Image.fromarray(one)) for one in noise])
        text_encoder = text_encoder_of(encoder)
        if text_encoder is not None and all(map(find_spec, _FOR_WORDS)):
            text_encoder.encode_words(["a red bag", "two cats"])
    except EncoderError as error:
        raise PullError(f"what was pulled cannot be used, and was not kept: {error}") from error
    if np.allclose(vectors[0], vectors[1], atol=1e-6):
        raise PullError(
            "what was pulled gives the same embedding for different images, and was not kept"
        )
