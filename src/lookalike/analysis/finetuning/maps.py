"""Compute and cache the feature maps of the frozen part of the network."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import onnx.shape_inference
import onnx.utils
from numpy.typing import NDArray

from lookalike import images
from lookalike.analysis.finetuning.augmentation import augment
from lookalike.analysis.finetuning.data_split import Rows
from lookalike.core.protocols import Prepared
from lookalike.core.records import Item, Skipped
from lookalike.encoders.cards import ModelCard, Output, PatchMap, Weights
from lookalike.encoders.checkpoint import Arrays
from lookalike.encoders.efficientnet_lite import IMAGE, STAGES, blocks_of, build_network
from lookalike.encoders.onnx_encoder import OnnxEncoder
from lookalike.errors import ImageError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["Maps", "front_of"]

_CACHE_BYTES = 8e9
_VIEWS = 4  # cached views of each image; later epochs use them again


def front_of(
    card: ModelCard, arrays: Arrays, stages: int, folder: Path, *, threads: int
) -> OnnxEncoder:
    """Return the network before its last ``stages`` as an encoder whose map is their input."""
    before = [block for block in blocks_of(arrays) if block.stage < STAGES - stages]
    network = build_network(arrays, width=card.input.width, height=card.input.height)
    name = before[-1].output
    known = onnx.shape_inference.infer_shapes(
        network
    )  # an inner tensor needs a type to be an output
    part = onnx.utils.Extractor(known).extract_model([IMAGE], [name])
    content = part.SerializeToString()
    path = folder / "front.onnx"
    path.write_bytes(content)
    out = arrays[f"_blocks.{before[-1].index}._project_conv.weight"].shape[0]
    return OnnxEncoder(
        ModelCard(
            name=f"{card.name}-front",
            title=card.title,
            licence=card.licence,
            source=card.source,
            weights=Weights(builder="onnx", file=path.name, sha256=sha256(content).hexdigest()),
            input=card.input,
            output=Output(name=name, dim=out, pooling="mean", layout="nchw"),
            map=PatchMap(name=name, layout="nchw"),
            logits=None,
            path=folder / "front.toml",
        ),
        threads=threads,
    )


class Maps:
    """Feature maps of items, (n, rows, columns, channels) float16, by row of ``items``.

    View 0 of an image is the unchanged image; others are seeded by ``seed``, the item's id and
    their number, so that a continued training sees the same views.
    """

    def __init__(
        self,
        collection: "Collection",
        items: Sequence[Item],
        front: OnnxEncoder,
        *,
        folder: Path,
        seed: int,
    ) -> None:
        self._items = items
        self._front = front
        self._folder = folder
        self._seed = seed
        self._limits = collection.limits
        self._files = [collection.file_of(item) for item in items]
        self._pool = ThreadPoolExecutor(thread_name_prefix="lookalike-read")
        self._views: list[NDArray[np.float16]] = []
        self._made: list[NDArray[np.bool_]] = []
        self._place: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._views.clear()

    def remember(self, rows: Rows) -> None:
        """Cache the views of these rows in files of ``folder``, as far as there is space."""
        if not len(rows):
            return
        shape = self._front.patches([self._blank()]).shape[1:]
        size = 2 * len(rows) * int(np.prod(shape))  # bytes
        room = min(_CACHE_BYTES, shutil.disk_usage(self._folder).free / 2)
        count = min(_VIEWS, int(room // max(size, 1)))
        for view in range(count if count > 1 else 0):  # a single view would be the only one used
            path = self._folder / f"view-{view}.f2"
            self._views.append(np.memmap(path, np.float16, "w+", shape=(len(rows), *shape)))
            self._made.append(np.zeros(len(rows), dtype=bool))
        self._place = {row: place for place, row in enumerate(rows.tolist())}

    def plain(self, rows: Rows) -> tuple[NDArray[np.float16], Rows, list[Skipped]]:
        """Return maps of the unchanged images: the rows that could be read, and the others."""
        read = list(self._pool.map(lambda row: self._read(row, 0), rows.tolist()))
        skipped = [one for one in read if isinstance(one, Skipped)]
        good = [at for at, one in enumerate(read) if not isinstance(one, Skipped)]
        maps = self._run([one for one in read if not isinstance(one, Skipped)])
        self._keep(0, rows[good].tolist(), maps)
        return maps, rows[good], skipped

    def views(self, rows: Rows, epoch: int) -> tuple[NDArray[np.float16], Rows]:
        """Return maps of the views of an epoch (from 0); missing files are left out."""
        view = (1 + epoch) % len(self._views) if self._views else 1 + epoch
        wanted = [row for row in rows.tolist() if not self._knows(view, row)]
        read = list(self._pool.map(lambda row: self._read(row, view), wanted))
        gone = [row for row, one in zip(wanted, read, strict=True) if isinstance(one, Skipped)]
        fresh = self._run([one for one in read if not isinstance(one, Skipped)])
        left = rows[~np.isin(rows, gone)]
        if not self._views:
            return fresh, left
        self._keep(view, [row for row in wanted if row not in gone], fresh)
        return self._views[view][[self._place[row] for row in left.tolist()]], left

    def _read(self, row: int, view: int) -> Prepared | Skipped:
        item, path = self._items[row], self._files[row]
        if path is None:
            return Skipped(path=item.id, reason="it was added as bytes, so there is no file")
        try:
            data = images.read(path, limits=self._limits)
            image = images.decode(data, limits=self._limits, at_least=self._front.decode_size).image
        except ImageError as error:
            return Skipped(path=str(path), reason=error.reason)
        if not view:
            return self._front.prepare(image)
        seed = int.from_bytes(sha256(f"{self._seed} {view} {item.id}".encode()).digest()[:8])
        return augment(image, self._front.prepare, np.random.default_rng(seed))

    def _blank(self) -> Prepared:
        spec = self._front.card.input
        return np.zeros((spec.height, spec.width, 3), dtype=np.uint8)

    def _run(self, prepared: Sequence[Prepared]) -> NDArray[np.float16]:
        return self._front.patches(prepared).astype(np.float16, order="C")

    def _knows(self, view: int, row: int) -> bool:
        return bool(self._views) and row in self._place and bool(self._made[view][self._place[row]])

    def _keep(self, view: int, rows: Sequence[int], maps: NDArray[np.float16]) -> None:
        if view >= len(self._views):
            return
        for row, one in zip(rows, maps, strict=True):
            if row in self._place:
                self._views[view][self._place[row]] = one
                self._made[view][self._place[row]] = True
