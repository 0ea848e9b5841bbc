"""Which results are wanted: ``SearchOptions``, the same in every way in."""

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, TypedDict, get_args

from lookalike.core.arguments import check_flag, check_number, check_whole, checked, describe_value
from lookalike.core.filters import Condition, to_condition
from lookalike.search.directions import Mix
from lookalike.search.regions import RegionMode

if TYPE_CHECKING:
    from lookalike.analysis.calibration import Match

__all__ = ["Collapse", "SearchKeywords", "SearchOptions", "TextMode"]

Collapse: TypeAlias = Literal["exact", "near"]
MOST_EXPANDED = 100
"""Neighbours that a query can be expanded with."""
MOST_DIVERSE = 1000
"""Results that can be chosen for diversity: the cost grows with the square."""
TextMode: TypeAlias = Literal["auto", "encoder", "labels", "keywords", "fused"]


class SearchKeywords(TypedDict, total=False):
    """The fields of ``SearchOptions`` as keywords of ``search`` and ``similar``."""

    k: int
    min_score: float | None
    min_match: "Match | None"
    where: str | Condition | None
    category: str
    mass: float
    per_group: bool
    collapse: "Collapse | bool | None"
    exact: bool
    include_self: bool
    include_blank: bool
    text_mode: TextMode
    mix: Mix
    expand: int
    diversity: float
    any_orientation: bool
    regions: RegionMode


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """Which results are wanted. Every way in has these options, by these names.

    - ``k``: how many results, 1 or more.
    - ``min_score``: drop results with a lower cosine, in [-1, 1].
    - ``min_match``: drop results below this calibrated level: ``strong``, ``fair`` or ``weak``.
      With ``min_score`` the stricter of the two counts.
    - ``where``: only items that meet a filter, as text or as a condition. It comes before the
      search, so there are ``k`` results while ``k`` items meet it.
    - ``category``: ``auto`` predicts the label and searches among its items; a label searches among
      the items that have it; ``off`` searches everywhere. ``mass``, in (0, 1], is the probability
      that the predicted labels must have together.
    - ``per_group``: only the best item of each group.
    - ``collapse``: one item stands for its ``exact`` duplicates, or for its ``near`` ones too.
      ``True`` means ``exact``.
    - ``exact``: compare with every vector instead of asking the ANN index.
    - ``include_self``: keep the item that the query is.
    - ``include_blank``: keep blank images: nothing but white, black or one grey.
    - ``text_mode``: how words are searched. ``encoder``: by the encoder's understanding of text.
      ``labels``: by the images of the labels, or of the encoder's classes, that the words name.
      ``keywords``: by the words of labels, groups, ids, paths and metadata. ``fused``: by keywords
      and by the encoder, or labels where it has no text encoder, together. ``auto`` is ``encoder``
      where the encoder supports words, else ``fused``.
    - ``mix``: how several images, items, words and vectors are searched together. ``mean``: with
      the weighted mean of their vectors, for results like all of them. ``best``: with each, and an
      item has its best score, for results like any of them.
    - ``expand``: search again with so many of the nearest items mixed into the query, 0 to 100
      (``search.expansion``). 0 searches once.
    - ``diversity``: prefer results that are unlike those before them, in [0, 1]
      (``search.diversity``). 0 goes by the ranking alone. Needs ``k`` of at most 1000.

    - ``any_orientation``: search with the query's image turned and mirrored too, in eight
      orientations; an item has its best score (``search.orientations``).

    - ``regions``: compare with the region vectors of items too; an item has its best score, and a
      hit by a region its ``box``. ``auto`` does so where the collection has them (``index`` with
      ``regions``), for a query of one part without ``min_match``, ``expand`` and ``diversity``;
      ``on`` requires them; ``off`` does not.

    However they rank, a score is that of the query itself.

    Raise ``ValueError`` for a value out of range, and ``FilterError`` for a filter that cannot be
    read.
    """

    k: int = 10
    min_score: float | None = None
    min_match: "Match | None" = None
    where: str | Condition | None = None
    category: str = "off"
    mass: float = 0.9
    per_group: bool = False
    collapse: "Collapse | bool | None" = None
    exact: bool = False
    include_self: bool = False
    include_blank: bool = False
    text_mode: TextMode = "auto"
    mix: Mix = "mean"
    expand: int = 0
    diversity: float = 0.0
    any_orientation: bool = False
    regions: RegionMode = "auto"
    condition: Condition | None = field(init=False, repr=False, compare=False)
    """``where``, parsed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", check_whole("k", self.k, least=1))
        if self.min_score is not None:
            check_number("min_score", self.min_score, "from -1 to 1", low=-1, high=1)
        if self.min_match not in (None, "strong", "fair", "weak"):
            raise ValueError(f"min_match is {self.min_match!r}, but must be strong, fair or weak")
        above = 5e-324  # the least number above 0
        check_number("mass", self.mass, "above 0 and up to 1", low=above, high=1)
        if not isinstance(self.category, str):
            wanted = "must be text: off, auto or a label"
            raise TypeError(f"category is {describe_value(self.category)}, but {wanted}")
        flags = ("per_group", "exact", "include_self", "include_blank", "any_orientation")
        for name in flags:
            check_flag(name, getattr(self, name))
        self._check_choices()
        object.__setattr__(
            self, "expand", check_whole("expand", self.expand, least=0, most=MOST_EXPANDED)
        )
        check_number("diversity", self.diversity, "from 0 to 1", low=0, high=1)
        if self.diversity and self.k > MOST_DIVERSE:
            raise ValueError(f"diversity needs k of at most {MOST_DIVERSE}, but k is {self.k}")
        if isinstance(self.collapse, bool):
            object.__setattr__(self, "collapse", "exact" if self.collapse else None)
        object.__setattr__(self, "condition", to_condition(self.where))

    def _check_choices(self) -> None:
        if self.collapse not in (None, True, False, *get_args(Collapse)):
            raise ValueError(f"collapse is {self.collapse!r}, but must be exact or near")
        if self.text_mode not in get_args(TextMode):
            modes = ", ".join(get_args(TextMode)[:-1])
            raise ValueError(f"text_mode is {self.text_mode!r}, but must be {modes} or fused")
        if self.mix not in get_args(Mix):
            raise ValueError(f"mix is {self.mix!r}, but must be mean or best")
        if self.regions not in get_args(RegionMode):
            raise ValueError(f"regions is {self.regions!r}, but must be auto, on or off")

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the options."""
        return [one.name for one in fields(cls) if one.init]

    @classmethod
    def of(cls, options: Self | None, keywords: SearchKeywords) -> Self:
        """Return options with keywords on top: what ``search`` and ``similar`` are called with."""
        return cls(**keywords) if options is None else replace(options, **keywords)


# A misspelt option is named with the nearest one. The class itself says which values it takes.
SearchOptions.__init__ = checked(SearchOptions.__init__, name="SearchOptions", types=False)  # type: ignore[method-assign]
