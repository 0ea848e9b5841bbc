"""Load or compute the signatures of items."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lookalike import images
from lookalike.analysis.duplicates.confirming import ImageView
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.analysis.duplicates.signatures import Signatures, signature
from lookalike.core.cpus import usable_cores
from lookalike.core.records import Item, Skipped
from lookalike.errors import ImageError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["compute_signature", "load_signatures", "load_view"]

_DECODE = (64, 64)  # a JPEG is not decoded below this


def compute_signature(seen: images.Layers) -> Signatures:
    """Return the signature of an image on the background on which it has more contrast."""
    return max((signature(ground) for ground in seen.grounds), key=lambda one: float(one.std()))


def load_view(data: bytes, *, side: int, limits: images.Limits) -> ImageView:
    """Decode an image to compare it at up to ``side`` pixels. Raise ``ImageError``."""
    # Twice the size, because a crop is compared at the size of what is left.
    seen = images.decode_layers(data, limits=limits, at_least=(2 * side, 2 * side))
    return ImageView(grounds=seen.grounds, several=seen.several).reduced(2 * side)


def load_signatures(
    collection: "Collection", items: Sequence[Item], kept: SignatureCache
) -> tuple[dict[str, Signatures], list[Skipped]]:
    """Return digest → signature, cached or computed now; and the items that could not be read.

    A file that has changed since it was indexed, is missing, or was added as bytes cannot be read.
    """
    wanted = {item.digest: item for item in items}
    found = kept.get(list(wanted))
    places = {root.name: root.path for root in collection.roots()}
    unread: list[Skipped] = []

    def compute(item: Item) -> Signatures | Skipped:
        if not item.path or item.root not in places:
            return Skipped(path=item.id, reason="it was added as bytes and has no file")
        place = places[item.root] / item.path
        try:
            data = images.read(place, collection.limits)
            if images.digest(data) != item.digest:
                return Skipped(path=str(place), reason="it has changed since it was indexed")
            seen = images.decode_layers(data, limits=collection.limits, at_least=_DECODE)
        except ImageError as error:
            return Skipped(path=str(place), reason=error.reason)
        return compute_signature(seen)

    missing = [item for digest, item in wanted.items() if digest not in found]
    if missing:
        new: dict[str, Signatures] = {}
        with ThreadPoolExecutor(usable_cores()) as pool:
            for item, one in zip(missing, pool.map(compute, missing), strict=True):
                if isinstance(one, Skipped):
                    unread.append(one)
                else:
                    new[item.digest] = one
        kept.put(new)
        found |= new
    return found, unread
