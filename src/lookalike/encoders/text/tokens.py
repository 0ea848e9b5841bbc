"""Text → token ids of a fixed length, as a text encoder was trained with."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.text.card import TextCard
from lookalike.encoders.text.cleaning import clean
from lookalike.errors import EncoderError

__all__ = ["TokenIds", "Tokens"]


class TokenIds(NamedTuple):
    """Ids of n texts, (n, length) int64, and a mask of that shape: 1 where no padding is."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


class Tokens:
    """A tokenizer with a card's rules. Thread-safe.

    ``content`` is that of the file ``tokenizer.json``. Raise ``EncoderError`` where it is none, or
    where the package that reads it is missing.
    """

    def __init__(self, content: bytes, card: TextCard) -> None:
        try:
            import tokenizers  # noqa: PLC0415 - of an extra, and only for words
        except ImportError as error:
            raise EncoderError(
                "search by words needs tokenizers; run: pip install 'lookalike[words]'"
            ) from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # a plain Exception is what the package raises
            raise EncoderError(f"{card.tokenizer}: is no tokenizer.json: {error}") from error
        self._card = card
        # What the file says of lengths is for training, or for another model.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if card.eos is None:
            self._tokenizer.enable_truncation(card.length)

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return the ids of texts: cleaned, cut to the length with the end kept, and padded."""
        card = self._card
        ids = np.full((len(texts), card.length), card.pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(texts):
            found = self._ids(clean(text, card.cleaning))
            ids[row, : len(found)] = found
            mask[row, : len(found)] = 1
        return TokenIds(ids, mask)

    def _ids(self, text: str) -> list[int]:
        card = self._card
        if card.eos is None:  # the tokenizer adds its own begin and end, and leaves room for them
            return list(self._tokenizer.encode(text).ids)
        begin = [] if card.bos is None else [card.bos]
        found = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [*begin, *found[: card.length - len(begin) - 1], card.eos]
