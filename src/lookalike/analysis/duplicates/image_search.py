"""The items that duplicate an image, which need not be in the collection."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lookalike import images
from lookalike.analysis.duplicates.comparing import LIKELY, compare
from lookalike.analysis.duplicates.confirming import SIDE_SHOWN
from lookalike.analysis.duplicates.grouping import Duplicate
from lookalike.analysis.duplicates.image_signatures import load_signatures, load_view
from lookalike.analysis.duplicates.near_duplicate import is_shown, near_duplicate
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.analysis.duplicates.signatures import signature
from lookalike.analysis.duplicates.verification import Verifier
from lookalike.core.arguments import checked

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.core.records import Hit

__all__ = ["find_duplicates_of"]

_NEAREST = 30
_QUARTERS = (
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
)


@checked
def find_duplicates_of(
    collection: "Collection",
    source: str | os.PathLike[str] | bytes,
    *,
    marked: bool = False,
    cache: Path | None = None,
) -> list[Duplicate]:
    """Return the items that duplicate an image, the nearest first, without the item at its path.

    ``source`` is a file or the bytes of one; ``marked`` as for ``find``. Raises
    ``ImageError``, ``EncoderError``.
    """
    data = source if isinstance(source, bytes) else images.read(source, collection.limits)
    image = images.decode(data, limits=collection.limits).image
    view = load_view(data, side=SIDE_SHOWN, limits=collection.limits)
    itself = collection.encode(source).item
    hits: dict[str, Hit] = {}
    for degrees in (None, *_QUARTERS):  # the encoder does not know an image lying on its side
        query = image if degrees is None else image.transpose(degrees)
        for hit in collection.search(query, k=_NEAREST):
            hits.setdefault(hit.item.id, hit)
    if itself is not None:
        hits.pop(itself.id, None)
    digest = images.digest(data)
    kept = SignatureCache(cache)
    read, _ = load_signatures(collection, [hit.item for hit in hits.values()], kept)
    others = [hit for hit in hits.values() if hit.item.digest in read]
    mine = max((signature(ground) for ground in view.grounds), key=lambda one: float(one.std()))
    found = compare(
        np.stack([read[hit.item.digest] for hit in others]) if others else mine[None][:0],
        np.broadcast_to(mine, (len(others), *mine.shape)),
        marked=marked,
    )
    likely = np.flatnonzero(found.difference <= (1 if marked else LIKELY))
    verdicts = Verifier(collection, kept).against(
        view,
        [others[place].item for place in likely],
        found.turns[likely].tolist(),
    )
    near = {
        others[place].item.id: (min(far, 1.0), int(found.turns[place]), verdict)
        for place, verdict in zip(likely.tolist(), verdicts, strict=True)
        for far in [float(found.difference[place])]
        if is_shown(verdict, far, 1.0, marked=marked)
    }
    copies = []
    for hit in hits.values():
        if hit.item.digest == digest:
            copies.append(
                Duplicate(
                    item=hit.item, exact=True, difference=0.0, turn="", score=hit.score, sure=True
                )
            )
        elif hit.item.id in near:
            copies.append(near_duplicate(hit.item, *near[hit.item.id], score=hit.score))
    return sorted(copies, key=lambda copy: (not copy.exact, copy.difference, copy.item.id))
