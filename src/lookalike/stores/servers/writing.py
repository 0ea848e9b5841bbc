"""Writing items: many in one request, each of them whole, with a key that is its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.errors import ItemNotFoundError, StoreBusyError
from lookalike.records import Item
from lookalike.stores.servers.beside import Beside
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import check_texts, document, document_id, half_of
from lookalike.stores.servers.neighbour_table import NeighbourTable
from lookalike.stores.servers.reading import Reader
from lookalike.vectors import Matrix

__all__ = ["Writer", "no_item"]

_ROUNDS = 100  # of trying again what others were quicker at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """An item that is being written: its vector as ``half_of`` has it, and what it replaces."""

    item: Item
    half: str
    seen: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """What changes items, and what hangs on them in the index beside."""

    items: Reader
    beside: Beside
    table: NeighbourTable

    def upsert(self, items: Sequence[Item], vectors: Matrix) -> None:
        check_texts(items)
        rows = vectors.astype("<f2")
        last = {item.id: place for place, item in enumerate(items)}
        drafts = [
            _Draft(item=items[place], half=half_of(rows[place])) for place in sorted(last.values())
        ]
        gone = [self.table.forgetting(one.item.id) for one in drafts]
        gone += [self.beside.forgetting(one.item.root, one.item.path) for one in drafts]
        # A second round is for keys that others have read up to while the items were on their way
        # (see Beside): new ones, except for items that somebody has replaced since.
        while drafts:
            first = self.beside.claim_keys(len(drafts))
            puts = [self._put(one, key=first + place) for place, one in enumerate(drafts)]
            found = self.items.server.write([*puts, *gone])
            if self.beside.floor() < first:
                return
            drafts = [
                _Draft(item=one.item, half=one.half, seen=outcome.seen)
                for one, outcome in zip(drafts, found, strict=False)
                if outcome.done
            ]
            gone = []

    def update(self, items: Sequence[Item]) -> None:
        check_texts(items)
        waiting = list({item.id: item for item in items}.values())
        for _ in range(_ROUNDS):
            if not waiting:
                return
            ids = [document_id(item.id) for item in waiting]
            there = self.items.sources(ids, source=("key", "half"))
            puts = []
            for item, one in zip(waiting, there, strict=True):
                if one is None:
                    raise no_item(item.id)
                seen = (one["_seq_no"], one["_primary_term"])
                draft = _Draft(item=item, half=one["_source"]["half"], seen=seen)
                puts.append(self._put(draft, key=one["_source"]["key"]))
            found = self.items.server.write(puts)
            # what somebody else has changed in between is read again
            waiting = [
                item for item, outcome in zip(waiting, found, strict=True) if not outcome.done
            ]
        raise StoreBusyError(
            f"{self.items.server.address}: others keep changing {waiting[0].id!r}; try again"
        )

    def delete(self, ids: Sequence[str]) -> int:
        named = list(dict.fromkeys(ids))
        index = self.items.index
        actions = [Action(verb="delete", index=index, id=document_id(one)) for one in named]
        found = self.items.server.write([*actions, *map(self.table.forgetting, named)])
        return sum(one.done for one in found[: len(named)])

    def _put(self, draft: _Draft, *, key: int) -> Action:
        return Action(
            verb="index",
            index=self.items.index,
            id=document_id(draft.item.id),
            source=document(draft.item, key=key, half=draft.half),
            seen=draft.seen,
        )


def no_item(one: str) -> ItemNotFoundError:
    return ItemNotFoundError(f"there is no item {one!r}")
