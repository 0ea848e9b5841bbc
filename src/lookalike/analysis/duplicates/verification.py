"""Confirm an item's likely duplicates in detail: read files, cache verdicts."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from lookalike import images
from lookalike.analysis.duplicates.confirming import (
    SIDE_SHOWN,
    ImageView,
    Verdict,
    confirm,
    has_detail,
)
from lookalike.analysis.duplicates.image_signatures import load_view
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.core.cpus import usable_cores
from lookalike.core.records import Item
from lookalike.errors import ImageError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["NOTHING_SHOWN", "Verifier"]

NOTHING_SHOWN = "it shows nothing"
_VIEWS = 64  # images held at a time: 200 MB at most


class Verifier:
    """Compares items pair by pair at ``SIDE_SHOWN`` pixels.

    If a file is missing, has changed or cannot be read, the verdict is that the images look the
    same but it is not sure, with the reason.
    """

    def __init__(self, collection: "Collection", kept: SignatureCache) -> None:
        self._collection = collection
        self._kept = kept
        self._roots = {root.name: root.path for root in collection.roots()}
        self._view = lru_cache(maxsize=_VIEWS)(self._read)
        self._shows: dict[str, bool] = {}

    def verdicts(self, kept: Item, copies: Sequence[Item], turns: Sequence[int]) -> list[Verdict]:
        """Return a verdict on each duplicate of ``kept``; ``turns`` orient each to match it."""
        known = self._kept.verdicts(kept.digest, [copy.digest for copy in copies])
        missing = [
            (copy, turn)
            for copy, turn in zip(copies, turns, strict=True)
            if copy.digest not in known
        ]
        if missing:
            found = self._compared(self._view(self._place(kept)), missing)
            new = {copy.digest: one for (copy, _), one in zip(missing, found, strict=True)}
            known |= new
            self._kept.put_verdicts(
                kept.digest,
                {copy: one for copy, one in new.items() if one.compared},
            )
        return [known[copy.digest] for copy in copies]

    def against(
        self, view: ImageView, copies: Sequence[Item], turns: Sequence[int]
    ) -> list[Verdict]:
        """Return verdicts against an image that is not an item."""
        return self._compared(view, list(zip(copies, turns, strict=True)))

    def _compared(self, kept: ImageView | str, copies: Sequence[tuple[Item, int]]) -> list[Verdict]:
        if isinstance(kept, str):
            return [_unread(kept)] * len(copies)
        if not has_detail(kept):
            return [_NOTHING] * len(copies)

        def one(pair: tuple[Item, int]) -> Verdict:
            copy, turn = pair
            view = self._view(self._place(copy))
            if isinstance(view, str):
                return _unread(view)
            if not self._shows.setdefault(copy.digest, has_detail(view)):
                return _NOTHING
            return confirm(kept, view, turn=turn)

        if len(copies) == 1:
            return [one(copies[0])]
        with ThreadPoolExecutor(usable_cores()) as pool:
            return list(pool.map(one, copies))

    def _place(self, item: Item) -> tuple[str, str, str]:
        return item.root, item.path, item.digest

    def _read(self, place: tuple[str, str, str]) -> ImageView | str:
        """Return an item's image, or why there is none."""
        root, path, digest = place
        if not path or root not in self._roots:
            return "it was added as bytes and has no file"
        try:
            data = images.read(self._roots[root] / path, self._collection.limits)
            if images.digest(data) != digest:
                return "it has changed since it was indexed"
            return load_view(data, side=SIDE_SHOWN, limits=self._collection.limits)
        except ImageError as error:
            return error.reason


_UNREAD = "not compared in detail: "
_NOTHING = Verdict(same=False, sure=False, difference=9.0, reason=NOTHING_SHOWN)


def _unread(reason: str) -> Verdict:
    return Verdict(same=True, sure=False, difference=1.0, reason=_UNREAD + reason, compared=False)
