"""Write items: many in one request, each of them complete, with a unique key."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lookalike.core.records import Item, Json, Thumbnail
from lookalike.core.vectors import Matrix
from lookalike.errors import ItemNotFoundError, StoreBusyError
from lookalike.stores.servers.bulk import Action, BulkOutcome
from lookalike.stores.servers.documents import (
    check_texts,
    document,
    document_id,
    graph_vector,
    half_of,
    make_item_fields,
)
from lookalike.stores.servers.keywords import ServerKeywords
from lookalike.stores.servers.neighbour_table import ServerNeighbours
from lookalike.stores.servers.reading import Reader
from lookalike.stores.servers.settings import skip_deletion
from lookalike.stores.servers.side_index import SideIndex
from lookalike.stores.servers.thumbnail_table import ServerThumbnails

__all__ = ["Writer", "no_item"]

_CREATED = 201  # HTTP status for a missing document
_MISSING = 404
_CONFLICT = 409  # it exists already, or was changed by another process
_ROUNDS = 100  # retries after conflicts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """An item to be written: its vector as ``half_of`` encodes it, and what it replaces."""

    item: Item
    half: str
    thumbnail: Thumbnail | None = None
    seen: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Writes items, and what belongs to them in the side index.

    ``whole`` means that `_source` contains all fields, as from the second format on.
    """

    items: Reader
    side: SideIndex
    neighbours: ServerNeighbours
    thumbnails: ServerThumbnails
    words: ServerKeywords
    whole: bool = True

    def upsert(
        self, items: Sequence[Item], vectors: Matrix, thumbnails: Sequence[Thumbnail | None]
    ) -> None:
        check_texts(items)
        rows = vectors.astype("<f2")
        last = {item.id: place for place, item in enumerate(items)}
        drafts = [
            _Draft(item=items[place], half=half_of(rows[place]), thumbnail=thumbnails[place])
            for place in sorted(last.values())
        ]
        self.words.prepare()
        if any(one.thumbnail is not None for one in drafts):
            self.thumbnails.prepare()
        gone = [self.neighbours.forgetting(one.item.id) for one in drafts]
        gone += [skip_deletion(self.side, one.item.root, one.item.path) for one in drafts]
        # The second round gives new keys to items whose keys others have read past meanwhile (see
        # SideIndex), except for items that have been replaced since.
        while drafts:
            first = self.side.claim_keys(len(drafts))
            keyed = list(enumerate(drafts, first))
            shown = [
                self.thumbnails.putting(one.item.id, one.thumbnail, key=key)
                for key, one in keyed
                if one.thumbnail is not None
            ]
            found = self._write(keyed, [*shown, *gone])
            self._forget_thumbnails(drafts, found)
            if self.side.floor() < first:
                return
            drafts = [
                replace(one, seen=outcome.seen)
                for one, outcome in zip(drafts, found, strict=True)
                if outcome.done
            ]
            gone = []

    def insert(
        self, items: Sequence[Item], vectors: Matrix, thumbnails: Sequence[Thumbnail | None]
    ) -> set[str]:
        """Write new items; if others write the same ids, the server decides whose are stored.

        Return the ids that were taken.
        """
        check_texts(items)
        rows = vectors.astype("<f2")
        first: dict[str, _Draft] = {}
        taken: set[str] = set()
        for item, row, thumbnail in zip(items, rows, thumbnails, strict=True):
            if item.id in first:
                taken.add(item.id)
            else:
                first[item.id] = _Draft(item=item, half=half_of(row), thumbnail=thumbnail)
        drafts = list(first.values())
        if not drafts:
            return taken
        self.words.prepare()
        start = self.side.claim_keys(len(drafts))
        puts = [self._make((key, one)) for key, one in enumerate(drafts, start)]
        found = self.items.server.write(puts)
        made = [
            (key, replace(one, seen=outcome.seen))
            for key, (one, outcome) in enumerate(zip(drafts, found, strict=True), start)
            if outcome.done
        ]
        taken |= set(first) - {one.item.id for _, one in made}
        while made and self.side.floor() >= start:  # others have read past these: see ``upsert``
            start = self.side.claim_keys(len(made))
            keyed = [(key, one) for key, (_, one) in enumerate(made, start)]
            found = self.items.server.write([self._change(pair) for pair in keyed])
            made = [
                (key, replace(one, seen=outcome.seen))
                for (key, one), outcome in zip(keyed, found, strict=True)
                if outcome.done
            ]
        # Only now, so that data of an existing item with the same id stays unchanged.
        shown = [
            (key, one.item.id, one.thumbnail) for key, one in made if one.thumbnail is not None
        ]
        if shown:
            self.thumbnails.prepare()
        self.items.server.write(
            [
                *(self.thumbnails.putting(id_, small, key=key) for key, id_, small in shown),
                *(self.neighbours.forgetting(one.item.id) for _, one in made),
                *(skip_deletion(self.side, one.item.root, one.item.path) for _, one in made),
            ]
        )
        return taken

    def _write(
        self, keyed: Sequence[tuple[int, _Draft]], others: Sequence[Action]
    ) -> list[BulkOutcome]:
        """Write drafts under their keys, and with the first request the other actions.

        New documents are created; existing ones are updated field by field, because other programs
        may have added some. A draft whose ``seen`` document has changed meanwhile is not written.
        """
        found: dict[int, BulkOutcome] = {}
        waiting = list(range(len(keyed)))
        there: set[int] = {place for place in waiting if keyed[place][1].seen is not None}
        for _ in range(_ROUNDS):
            actions = [
                self._change(keyed[place]) if place in there else self._make(keyed[place])
                for place in waiting
            ]
            outcomes = self.items.server.write([*actions, *others])[: len(actions)]
            others = ()
            found.update(zip(waiting, outcomes, strict=True))
            waiting = [
                place for place in waiting if not found[place].done and keyed[place][1].seen is None
            ]
            if not waiting:
                break
            # created or removed by another process meanwhile, or existed before
            there = {place for place in waiting if found[place].status == _CONFLICT}
        return [found[place] for place in range(len(keyed))]

    def _forget_thumbnails(self, drafts: Sequence[_Draft], found: Sequence[BulkOutcome]) -> None:
        """Delete the thumbnails of replaced content. A new item cannot have one."""
        self.items.server.write(
            [
                self.thumbnails.forgetting(one.item.id)
                for one, outcome in zip(drafts, found, strict=True)
                if one.thumbnail is None and outcome.done and outcome.status != _CREATED
            ]
        )

    def update(self, items: Sequence[Item]) -> None:
        check_texts(items)
        self.words.prepare()
        waiting = list({item.id: item for item in items}.values())
        # An index of the first format keeps no vector in `_source`, so it is sent again.
        source = ("key",) if self.whole else ("key", "half")
        for turn in range(_ROUNDS):
            if not waiting:
                return
            if turn == 0 or not self.whole:
                there = self.items.sources([document_id(one.id) for one in waiting], source=source)
            changes = []
            for item, one in zip(waiting, there, strict=True):
                if one is None:
                    raise no_item(item.id)
                fields = make_item_fields(item)
                if not self.whole:
                    fields |= graph_vector(one["_source"].get("half"))
                changes.append(self._action("update", item.id, fields))
            found = self.items.server.write(changes)
            for item, outcome in zip(waiting, found, strict=True):
                if outcome.status == _MISSING:
                    raise no_item(item.id)
            kept = [place for place, outcome in enumerate(found) if not outcome.done]
            # a server gives up if others change the same item at this moment
            waiting, there = [waiting[one] for one in kept], [there[one] for one in kept]
        raise StoreBusyError(
            f"{self.items.server.address}: others keep changing {waiting[0].id!r}; try again"
        )

    def delete(self, ids: Sequence[str]) -> int:
        named = list(dict.fromkeys(ids))
        index = self.items.index
        actions = [Action(verb="delete", index=index, id=document_id(one)) for one in named]
        gone = [
            table.forgetting(one) for table in (self.neighbours, self.thumbnails) for one in named
        ]
        found = self.items.server.write([*actions, *gone])
        return sum(one.done for one in found[: len(named)])

    def _make(self, keyed: tuple[int, _Draft]) -> Action:
        key, draft = keyed
        return self._action("create", draft.item.id, document(draft.item, key=key, half=draft.half))

    def _change(self, keyed: tuple[int, _Draft]) -> Action:
        key, draft = keyed
        fields = document(draft.item, key=key, half=draft.half)
        return self._action("update", draft.item.id, fields, seen=draft.seen)

    def _action(
        self,
        verb: str,
        one: str,
        fields: dict[str, Json],
        *,
        seen: tuple[int, int] | None = None,
    ) -> Action:
        return Action(
            verb=verb, index=self.items.index, id=document_id(one), source=fields, seen=seen
        )


def no_item(one: str) -> ItemNotFoundError:
    return ItemNotFoundError(f"there is no item {one!r}")
