"""Text encoders that are ONNX models."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.core.vectors import Matrix, Vector, unit_rows
from lookalike.encoders.cards import ModelCard
from lookalike.encoders.inputs import number_type, stand_ins
from lookalike.encoders.runtimes.sessions import Session
from lookalike.encoders.text.card import TextCard
from lookalike.encoders.text.tokens import TokenIds, Tokens
from lookalike.encoders.weights import network, read_checked
from lookalike.errors import EncoderError, ModelCardError

if TYPE_CHECKING:
    from lookalike.encoders.weights import Network

__all__ = ["OnnxTextEncoder"]

_RUN = 16  # texts in one run
_SEGMENTS = "token_type_ids"  # of BERT: a text alone is the first segment
_KEPT = 1024  # vectors of texts that are kept in memory: 3 MB of 768 numbers


class OnnxTextEncoder:
    """Satisfies ``core.protocols.TextEncoder``; thread-safe.

    ``open_session`` opens a model, and ``shared`` returns the session of the images where their
    model has both halves. Nothing is read before the first text is encoded.
    """

    def __init__(
        self,
        card: ModelCard,
        words: TextCard,
        *,
        cache: Path,
        open_session: "Callable[[Network], Session]",
        shared: Callable[[], Session],
    ) -> None:
        self._card = card
        self._words = words
        self._cache = cache
        self._open_session = open_session
        self._shared = shared
        self._lock = threading.Lock()  # guards opening, and the vectors
        self._opened: _OpenText | None = None
        self._kept: OrderedDict[str, Vector] = OrderedDict()

    @property
    def digest(self) -> str:
        """Hex digits over all that decides what the vector of a text is."""
        facts = (self._words, self._card.fingerprint() if self._words.file is None else "")
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    def encode_words(self, texts: Sequence[str], /) -> Matrix:
        """See the protocol. The vectors of the texts used last are kept in memory.

        ``EncoderError`` also for a missing package, and for a text that the model gives zeros or
        no numbers for.
        """
        if not texts:
            return np.empty((0, self._card.output.dim), dtype=np.float32)
        with self._lock:
            known = {text: self._kept[text] for text in texts if text in self._kept}
            for text in known:
                self._kept.move_to_end(text)
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            vectors = self._encode(new)
            with self._lock:
                for text, vector in zip(new, vectors, strict=True):
                    self._kept[text] = known[text] = vector
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return np.stack([known[text] for text in texts])

    def _encode(self, texts: Sequence[str]) -> Matrix:
        opened = self._open()
        templates = self._words.templates or ("{}",)
        filled = [one.replace("{}", text) for text in texts for one in templates]
        try:
            rows = unit_rows(opened.run(filled)).reshape(len(texts), len(templates), -1)
            return unit_rows(rows.mean(axis=1)) if len(templates) > 1 else rows[:, 0]
        except ValueError as error:
            raise EncoderError(f"{self._card.name}: no vector for the words: {error}") from error

    def _open(self) -> "_OpenText":
        with self._lock:
            if self._opened is None:
                card, words = self._card, self._words
                # Either takes a second where it is large.
                with ThreadPoolExecutor(1, thread_name_prefix="lookalike-open") as pool:
                    opening = pool.submit(self._session)
                    tokenizer = read_checked(self._of(words.tokenizer, words.tokenizer_sha256))
                    tokens = Tokens(tokenizer, words)
                self._opened = _OpenText(opening.result(), tokens, card, words)
            return self._opened

    def _session(self) -> Session:
        words = self._words
        if words.file is None or words.sha256 is None:
            return self._shared()
        part = self._of(words.file, words.sha256, data=words.data)
        return self._open_session(network(part, cache=self._cache))

    def _of(self, file: str, sha256: str, *, data: tuple[tuple[str, str], ...] = ()) -> ModelCard:
        """Return the card with another file as its weights, which lies where those lie."""
        weights = replace(self._card.weights, builder="onnx", file=file, sha256=sha256, data=data)
        return replace(self._card, weights=weights)


class _OpenText:
    """A session with its tokenizer."""

    def __init__(
        self,
        session: Session,
        tokens: Tokens,
        card: ModelCard,
        words: TextCard,
    ) -> None:
        self._session = session
        self._tokens = tokens
        self._card = card
        self._words = words
        inputs = {one.name: one for one in session.get_inputs()}
        outputs = [one.name for one in session.get_outputs()]
        for key, name, there in (
            ("input", words.input, list(inputs)),
            ("output", words.output, outputs),
        ):
            if name not in there:
                raise ModelCardError(
                    f"{card.path}: words.{key} is {name!r}, but the model has {', '.join(there)}"
                )
        self._types = {
            name: number_type(inputs[name].type)
            for name in (words.input, words.mask, _SEGMENTS)
            if name in inputs
        }
        shape = inputs[words.input].shape
        if len(shape) > 1 and isinstance(shape[1], int) and shape[1] != words.length:
            raise ModelCardError(
                f"{card.path}: words.length is {words.length}, but the model takes {shape[1]}"
            )
        # Some exports take a fixed number of texts, mostly one.
        self._fixed = shape[0] if shape and isinstance(shape[0], int) else None
        self._others = stand_ins(session, self._types, image=card.input)

    def run(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the output for texts, pooled, (n, dim); not of length 1."""
        size = self._fixed or _RUN
        parts = [self._run(texts[start : start + size]) for start in range(0, len(texts), size)]
        return np.concatenate(parts).astype(np.float32, copy=False)

    def _run(self, texts: Sequence[str]) -> NDArray[Any]:
        words = self._words
        spare = [texts[0]] * (self._fixed - len(texts)) if self._fixed else []
        found = self._tokens.encode([*texts, *spare])
        feed = {words.input: found.ids, words.mask: found.mask, _SEGMENTS: found.ids * 0}
        typed = {name: feed[name].astype(kind) for name, kind in self._types.items()}
        try:
            (result,) = self._session.run([words.output], typed | self._others)
        except Exception as error:
            raise EncoderError(f"{self._card.name}: the text encoder failed: {error}") from error
        return self._pooled(np.asarray(result), found)[: len(texts)]

    def _pooled(self, rows: NDArray[Any], found: TokenIds) -> NDArray[Any]:
        """Return the output as (n, dim), pooled over the positions as the card says."""
        card, words = self._card, self._words
        if words.pooling != "none":
            if rows.ndim != 3:  # noqa: PLR2004 - (n, length, dim)
                raise ModelCardError(
                    f"{card.path}: words.pooling needs a vector for each position, but "
                    f"{words.output} is of shape {rows.shape}"
                )
            if words.pooling == "mean":
                weights = found.mask[:, :, None].astype(np.float32)
                rows = (rows * weights).sum(axis=1) / weights.sum(axis=1)
            else:
                # The first end, for the padding may be the same token.
                last = (
                    (found.ids == words.eos).argmax(axis=1)
                    if words.pooling == "eos"
                    else np.full(len(rows), rows.shape[1] - 1)
                )
                rows = rows[np.arange(len(rows)), last]
        if rows.shape != (len(found.ids), card.output.dim):
            raise ModelCardError(
                f"{card.path}: {words.output} gives arrays of shape {rows.shape} for "
                f"{len(found.ids)} texts, but embeddings of images have {card.output.dim} numbers"
            )
        return rows
