"""How a collection shows itself, on this machine or of a service, and ``shop["id"]``."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from lookalike.core.arguments import checked_methods
from lookalike.core.plurals import count_noun
from lookalike.core.records import Hit, Item
from lookalike.display import frames
from lookalike.display.cards import Card, cards_html, facts_html
from lookalike.display.contact_sheet import Cell, contact_sheet
from lookalike.display.hit_cards import hit_cards, thumbnail_of
from lookalike.display.showing import show
from lookalike.errors import LookalikeError

if TYPE_CHECKING:
    import pandas as pd

    from lookalike.collection_info import CollectionInfo

__all__ = ["CollectionView"]

_SHOWN = 8  # items and labels of a collection that it shows of itself


class _Items(Protocol):
    """What a collection has that shows itself."""

    def __len__(self) -> int: ...
    def get(self, id: str) -> Item: ...
    def info(self) -> "CollectionInfo": ...
    def items(self, where: str | None = None) -> Iterator[Item]: ...
    def sample(self, k: int, *, seed: int = 0) -> list[Item]: ...
    def facets(
        self, field: str, *, limit: int = 100
    ) -> Sequence[tuple[str | float | bool, int]]: ...
    def thumbnail(self, id: str, *, side: int = 320) -> bytes: ...
    def file_of(self, item: Item) -> Path | None: ...
    def files_of(self, items: Iterable[Item]) -> list[Path | None]: ...
    def previews(self, items: Iterable[Item], *, side: int) -> Iterator[Image.Image | None]: ...
    def render(self, hits: Sequence[Hit]) -> str: ...


@checked_methods
class CollectionView:
    """The part of a collection that shows it."""

    def __getitem__(self: _Items, id: str) -> Item:
        """Return the item with an id. Raise ``ItemNotFoundError``."""
        return self.get(id)

    def to_pandas(self: _Items, where: str | None = None) -> "pd.DataFrame":
        """Return a ``DataFrame`` with a row for each item, all or those that meet a filter.

        Its columns are those of ``Results.to_pandas`` without rank and score. Raise ``ExportError``
        without pandas, and ``FilterError``.
        """
        items = [*self.items(where)]
        return frames.items_frame(items, self.files_of(items))

    def show(self: _Items) -> None:
        """Show the collection with a sample of its items: in the notebook, or as an image.

        Raise ``ExportError`` where neither can be shown.
        """

        def draw() -> Image.Image:
            items = _sample(self)
            images = self.previews(items, side=440)
            cells = [
                Cell(image=image, caption=item.id, note=item.label or "")
                for item, image in zip(items, images, strict=True)
            ]
            return contact_sheet(None, cells, title=_heading(self), columns=4)

        show(self, draw)

    def render(self: _Items, hits: Sequence[Hit]) -> str:
        """Return HTML that shows hits with their thumbnails and scores."""
        return cards_html(hit_cards(self, hits, ranked=len(hits) > 1))

    def __repr__(self: _Items) -> str:
        kind = type(self).__name__
        try:
            info = self.info()
        except (LookalikeError, OSError):  # closed, or the server is away
            return f"<{kind}>"
        return f"<{kind} {info.address!r}: {count_noun(info.items, 'item')}, {info.encoder}>"

    def _repr_html_(self: _Items) -> str:
        """Return what the collection holds, with a sample of its images, for notebooks."""
        info = self.info()
        facts = [("address", info.address), ("encoder", info.encoder or "none yet")]
        if info.dim:
            facts.append(("embeddings", f"{info.dim} dimensions, in {info.store}"))
        if info.items:
            labels = self.facets("label", limit=_SHOWN + 1)
            named = [f"{label} ({count:,})" for label, count in labels[:_SHOWN]]
            if named:
                facts.append(("labels", ", ".join(named) + ("…" if labels[_SHOWN:] else "")))
        facts += [(f"indexed from {root.name}".rstrip(), str(root.path)) for root in info.roots]
        if info.skipped:
            facts.append(("skipped", count_noun(sum(info.skipped.values()), "file")))
        cards = [
            Card(jpeg=thumbnail_of(self, item.id), title=item.id, lines=(item.label or "",))
            for item in _sample(self)
        ]
        return facts_html(_heading(self), facts, cards_html(cards))


def _heading(shop: _Items) -> str:
    name = shop.info().address.rstrip("/").rpartition("/")[2]
    return f"{name}: {count_noun(len(shop), 'item')}"


def _sample(shop: _Items) -> list[Item]:
    return shop.sample(_SHOWN) if len(shop) else []
