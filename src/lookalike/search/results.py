"""What a search returns."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

from lookalike.core.arguments import checked_methods
from lookalike.core.records import Hit, Note
from lookalike.images.turning import Orientation

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

    from lookalike.analysis.calibration import Calibration, Match
    from lookalike.analysis.categories.category_search import CategoryChoice
    from lookalike.core.protocols.viewing import ItemViewer
    from lookalike.display.contact_sheet import Theme
    from lookalike.search.query import Query

__all__ = ["Results"]


_SHOWN = 3  # hits in a repr


@checked_methods
class Results(list[Hit]):
    """Hits, best first, and what to say about them.

    - ``notes`` say why there are no hits, or what to know about them.
    - ``left_out`` are the ids of items that are the query itself.
    - ``best`` is the most similar item, where a threshold dropped every hit.
    - ``matches`` has the match level of each hit (``None`` for less than weak), or is empty where
      the collection is not calibrated; ``scale`` are the thresholds that gave them.
    - ``category`` says what was predicted and where the search looked, if a category was asked for.
    - ``score`` says what scores are: the ``cosine`` with the query or, where only keywords were
      searched, the share of the query's ``words`` that an item has, in (0, 1], rare words counting
      more.
    - ``orientations`` says, by id, in which orientation the query is most like each hit, if it was
      searched in any.
    - ``folded`` has, by id, how many near duplicates each hit stands for, if they were folded.
    - ``query`` is what was searched for, and ``collection`` where, so that results can show
      themselves: in a notebook, by ``show``, as a contact ``sheet``, or as a table (``to_pandas``).
    """

    def __init__(
        self,
        hits: Iterable[Hit] = (),
        *,
        notes: Sequence[Note] = (),
        left_out: Sequence[str] = (),
        best: Hit | None = None,
        matches: "Sequence[Match | None]" = (),
        scale: "Calibration | None" = None,
        category: "CategoryChoice | None" = None,
        folded: Mapping[str, int] | None = None,
        orientations: Mapping[str, Orientation] | None = None,
        score: Literal["cosine", "words"] = "cosine",
    ) -> None:
        super().__init__(hits)
        self.notes = tuple(notes)
        self.left_out = tuple(left_out)
        self.best = best
        self.matches = tuple(matches)
        self.scale = scale
        self.category = category
        self.folded = folded
        self.orientations = orientations
        self.score: Literal["cosine", "words"] = score
        self.query: Query | None = None
        self.collection: ItemViewer | None = None

    def shown_from(self, collection: "ItemViewer", query: "Query") -> Self:
        """Remember the collection and the query, so that hits and results can show themselves."""
        self.query, self.collection = query, collection
        self[:] = [replace(hit, collection=collection) for hit in self]
        if self.best is not None:
            self.best = replace(self.best, collection=collection)
        return self

    def to_pandas(self) -> "pd.DataFrame":
        """Return a ``DataFrame`` with a row for each hit, best first.

        Its columns are ``rank``, ``score``, ``match`` (where there are match levels),
        ``orientation`` (where the query was searched in any), ``id``,
        ``label``, ``group``, ``path`` of the file, ``width``, ``height``, ``digest``, and the
        metadata fields. Raise ``ExportError`` without pandas.
        """
        from lookalike.display.frames import items_frame  # noqa: PLC0415 - rarely used

        items = [hit.item for hit in self]
        files = [hit.path for hit in self]
        matches = {"match": self.matches} if self.matches else {}
        scores = [hit.score for hit in self]
        turns = self.orientations
        turned = {} if turns is None else {"orientation": [turns[hit.item.id] for hit in self]}
        first = {"rank": range(1, len(self) + 1), "score": scores, **matches, **turned}
        return items_frame(items, files, first)

    def sheet(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        title: str | None = None,
        columns: int = 5,
        cell: int = 220,
        theme: "Theme" = "light",
    ) -> "Image.Image":
        """Return the query and the hits as one image; with ``path``, write it to that file too.

        The arguments are those of ``lookalike.contact_sheet.contact_sheet``; ``title`` is the
        query's name by default. Raise ``ExportError`` for a file that cannot be written, or that is
        an image which lookalike did not write.
        """
        from lookalike.search.results_view import results_sheet  # noqa: PLC0415 - rarely used

        return results_sheet(self, path, title=title, columns=columns, cell=cell, theme=theme)

    def show(self) -> None:
        """Show the results: in the notebook, or as a contact sheet in the image viewer.

        Raise ``ExportError`` where there is neither.
        """
        from lookalike.display.showing import show  # noqa: PLC0415 - rarely used

        show(self, self.sheet)

    def __repr__(self) -> str:
        shown = [repr(hit) for hit in self[:_SHOWN]]
        if len(self) > _SHOWN:
            shown.append(f"… {len(self) - _SHOWN} more")
        return f"Results([{', '.join(shown)}])"

    def _repr_html_(self) -> str:
        """Return the query and the hits with their thumbnails, for notebooks."""
        from lookalike.search.results_view import results_html  # noqa: PLC0415 - rarely used

        return results_html(self)
