"""``OnnxPatchEncoder``: the embeddings of an ONNX encoder, divided over positions.

The embedding of many encoders is a pooled map inside the model: a vector for each position. The
model is opened once more, with these maps as its outputs.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.core.protocols import Prepared
from lookalike.core.vectors import unit_rows
from lookalike.encoders.cards import ModelCard
from lookalike.encoders.efficientnet_lite import FEATURES, MAP
from lookalike.encoders.graph_cutting import cut_graph, parse_model
from lookalike.encoders.open_model import OpenModel
from lookalike.encoders.patch_shares import PooledMap, divide_all
from lookalike.encoders.pooled_embedding import LENGTHS, POOLED, embedding_parts
from lookalike.encoders.pooled_graph import pooled_maps
from lookalike.encoders.pooling import pool
from lookalike.encoders.weights import network, read_weights
from lookalike.errors import ExplanationError

if TYPE_CHECKING:
    from lookalike.encoders.weights import Network

__all__ = ["OnnxPatchEncoder", "find_maps"]

# Cosine between the embedding and the sum of the shares: what is pooled inside a model is found by
# the form of its graph, and only the numbers show that nothing else happens to it. 8-bit arithmetic
# rounds.
_SAME = 1 - 1e-3


class OnnxPatchEncoder:
    """Satisfies ``core.protocols.PatchEncoder``; thread-safe.

    ``open_model`` opens a model that has other outputs. Nothing is read before the first image.
    """

    def __init__(
        self, card: ModelCard, *, cache: Path, open_model: "Callable[[Network], OpenModel]"
    ) -> None:
        self._card = card
        self._cache = cache
        self._open_model = open_model
        self._lock = threading.Lock()
        self._opened: tuple[OpenModel, Sequence[PooledMap]] | None = None

    def shares(self, batch: Sequence[Prepared], /) -> NDArray[np.float32]:
        """See the protocol. Raise ``ExplanationError`` where the model has no map that is pooled
        to the embedding.
        """
        model, maps = self._model()
        output = self._card.output
        names = list(dict.fromkeys([output.name, *(one.tensor for one in maps)]))
        found = dict(zip(names, model.run_several(batch, names), strict=True))
        spec = self._card.input
        try:
            shares = divide_all(
                [found[one.tensor] for one in maps], maps, aspect=spec.width / spec.height
            )
            vectors = unit_rows(pool(found[output.name], output))
        except ValueError as error:
            raise self._no_map(str(error)) from error
        sums = shares.sum(axis=(1, 2))
        if sums.shape != vectors.shape or (sums * vectors).sum(axis=1).min() < _SAME:
            raise self._no_map("the model computes more of its map than its pooling")
        return shares.astype(np.float32)

    def _model(self) -> tuple[OpenModel, Sequence[PooledMap]]:
        with self._lock:
            if self._opened is None:
                found = network(self._card, cache=self._cache)
                content = found if isinstance(found, bytes) else found.read_bytes()
                maps = find_maps(self._card, content)
                if not maps:
                    raise self._no_map("the model pools no map to its embedding")
                wanted = {one.tensor: "map" for one in maps} | {self._card.output.name: "output"}
                cut = cut_graph(content, wanted, self._card.path)
                self._opened = self._open_model(cut), maps
            return self._opened

    def _no_map(self, reason: str) -> ExplanationError:
        return ExplanationError(
            f"{self._card.name}: its embeddings cannot be divided over positions: {reason}"
        )


def find_maps(card: ModelCard, content: bytes) -> list[PooledMap]:
    """Return the maps that are pooled to a card's embedding, in the order of its values.

    ``content`` is the model. The list is empty where the embedding is not pooled from maps, as that
    of a class token.
    """
    output = card.output
    if card.weights.builder == "efficientnet-lite" and output.name == POOLED:
        parts = embedding_parts(read_weights(card))
        return [
            PooledMap(tensor=part.tensor, pooling=part.pooling, length=length)  # type: ignore[arg-type]
            for part, length in zip(parts, LENGTHS, strict=True)
            if length
        ]
    if card.weights.builder == "efficientnet-lite" and output.name == FEATURES:
        return [PooledMap(tensor=MAP, pooling="mean")]
    if output.pooling == "cls":
        return []
    if output.pooling != "none":
        return [
            PooledMap(
                tensor=output.name,
                pooling="mean" if output.pooling == "mean_tokens" else output.pooling,
                layout=output.layout,
                gem_p=output.gem_p,
                prefix_tokens=output.prefix_tokens,
            )
        ]
    return pooled_maps(parse_model(content), output.name)
