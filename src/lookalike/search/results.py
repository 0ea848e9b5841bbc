"""What a search returns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from lookalike.core.records import Hit, Note

if TYPE_CHECKING:
    from lookalike.analysis.calibration import Calibration, Match
    from lookalike.analysis.categories.category_search import CategoryChoice

__all__ = ["Results"]


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
    - ``folded`` has, by id, how many near duplicates each hit stands for, if they were folded.
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
        self.score: Literal["cosine", "words"] = score
