"""What answers look like."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lookalike.analysis.calibration import Match
from lookalike.core.records import Outcome
from lookalike.service.schemas.examples import example
from lookalike.service.schemas.requests import Metadata

__all__ = [
    "AccessAnswer",
    "AddedAnswer",
    "BatchAnswer",
    "CollectionAnswer",
    "CollectionsAnswer",
    "FacetsAnswer",
    "HitAnswer",
    "ItemAnswer",
    "ItemsAnswer",
    "JobAnswer",
    "JobsAnswer",
    "LiveAnswer",
    "NoteAnswer",
    "ProblemAnswer",
    "PutAnswer",
    "ReadyAnswer",
    "SearchAnswer",
    "StatsAnswer",
]


class ProblemAnswer(BaseModel):
    """Problem details (RFC 9457); some codes have further members."""

    model_config = example(
        type="about:blank",
        title="Unprocessable Entity",
        status=422,
        code="bad-filter",
        detail="a value is missing",
        at=6,
        filter="label=",
        instance="/v1/search",
    )

    type: Annotated[str, Field(description="Always `about:blank`: `code` says what it is.")]
    title: Annotated[str, Field(description="The status in words.")]
    status: int
    code: Annotated[str, Field(description="For programs; docs/service.md lists them by status.")]
    detail: Annotated[str, Field(description="For people.")]
    instance: Annotated[str | None, Field(description="The path that was asked.")] = None
    errors: Annotated[
        list[dict[str, Any]] | None,
        Field(description="Of `invalid-request`: `at` and `message` of each place."),
    ] = None
    filter: Annotated[str | None, Field(description="Of `bad-filter`.")] = None
    at: Annotated[int | None, Field(description="Where in `filter`, from 0.")] = None
    limit: Annotated[int | None, Field(description="Of `too-large`, in bytes.")] = None


class ItemAnswer(BaseModel):
    id: str
    path: str | None
    label: str | None
    group: str | None
    metadata: Metadata
    width: int
    height: int
    digest: str
    thumbnail: str | None
    image: str | None


class HitAnswer(BaseModel):
    rank: int
    score: float
    match: Match | None = None
    id: str
    path: str | None = None
    label: str | None = None
    group: str | None = None
    metadata: Metadata | None = None
    width: int | None = None
    height: int | None = None
    digest: str | None = None
    thumbnail: str | None = None
    image: str | None = None


class CollectionSummary(BaseModel):
    name: str
    items: int
    updated_at: str | None
    encoder: str | None


class CategoryAnswer(BaseModel):
    predicted: list[dict[str, Any]]
    used: list[str]
    scope: Literal["category", "all"]
    reason: str


class NearestAnswer(BaseModel):
    id: str
    score: float


class MatchesAnswer(BaseModel):
    """From which score on a match is strong, fair or weak; and why there are no hits."""

    min: Match | None
    strong: float
    fair: float
    weak: float
    measured: bool
    reason: str | None
    nothing: str | None
    nearest: NearestAnswer | None


class NoteAnswer(BaseModel):
    """Why nothing was found, say; some codes have further members, such as `field`."""

    model_config = ConfigDict(extra="allow")

    code: Annotated[str, Field(description="For programs; docs/filters.md lists them.")]
    message: Annotated[str, Field(description="For people.")]


class SearchAnswer(BaseModel):
    query: dict[str, Any]
    seconds: float
    total: int
    score: Literal["cosine"]
    collection: CollectionSummary
    category: CategoryAnswer | None = None
    matches: MatchesAnswer | None = None
    best: Annotated[
        NearestAnswer | None, Field(description="The best item, where all score too low.")
    ] = None
    left_out: Annotated[list[str], Field(description="Items that are the query itself.")]
    notes: Annotated[list[NoteAnswer], Field(description="Why there are no hits.")]
    hits: list[HitAnswer]


class BatchAnswer(BaseModel):
    results: list[SearchAnswer | ProblemAnswer]


class ItemsAnswer(BaseModel):
    items: list[ItemAnswer]
    total: int | None
    next: str | None
    notes: Annotated[list[NoteAnswer], Field(description="Why there are no items.")]


class MissingAnswer(BaseModel):
    """An item whose file has gone, with what was said of it."""

    id: str
    digest: str
    width: int
    height: int
    label: str | None
    group: str | None
    metadata: dict[str, Any]
    since: str


class MissingItemsAnswer(BaseModel):
    items: list[MissingAnswer]
    total: int


class SkippedAnswer(BaseModel):
    id: str
    reason: str


class PutAnswer(ItemAnswer):
    outcome: Outcome


class FileAnswer(BaseModel):
    """What became of one image: ``id`` is null and ``reason`` is not where it was skipped."""

    name: str
    id: str | None
    outcome: Outcome | Literal["skipped"]
    reason: str | None


class AddedAnswer(BaseModel):
    indexed: int
    reused: int
    replaced: int
    unchanged: int
    restored: int
    relabelled: int
    kept_by_hand: int
    files: list[FileAnswer]
    items: list[ItemAnswer]
    skipped: list[SkippedAnswer]


class CollectionAnswer(CollectionSummary):
    default: bool
    missing: int
    store: str
    fingerprint: str | None
    dim: int | None
    bytes: int | None
    ann_index_rows: int
    thumbnail_side: int | None
    thumbnails: int
    thumbnail_bytes: int
    roots: list[dict[str, Any]]
    skipped: dict[str, int]
    declared: list[str]


class AwayAnswer(BaseModel):
    """Why a collection cannot be asked; ``code`` is a problem's."""

    code: str
    detail: str


class CollectionEntry(BaseModel):
    """A collection; of one that cannot be asked all but ``name`` and ``error`` is null."""

    name: str
    items: int | None
    updated_at: str | None
    encoder: str | None
    error: AwayAnswer | None


class CollectionsAnswer(BaseModel):
    collections: list[CollectionEntry]
    default: str | None


class StatsAnswer(BaseModel):
    items: int
    labels: dict[str, int]
    distinct_labels: int
    unlabelled: int
    groups: int
    fields: list[dict[str, Any]] | None = None


class FacetValue(BaseModel):
    value: str | bool | float
    count: int


class FacetAnswer(BaseModel):
    field: str
    distinct: int
    values: list[FacetValue]


class FacetsAnswer(BaseModel):
    total: int
    facets: list[FacetAnswer]
    notes: Annotated[list[NoteAnswer], Field(description="Why a field has no values.")]


class JobAnswer(BaseModel):
    id: str
    collection: str
    kind: Literal["folder", "images"]
    state: Literal["waiting", "running", "done", "cancelled", "failed"]
    done: int
    total: int | None
    skipped: int
    rate: float | None
    eta_s: float | None
    started_at: str | None
    ended_at: str | None
    report: dict[str, Any] | None
    error: str | None


class JobsAnswer(BaseModel):
    jobs: list[JobAnswer]


class LiveAnswer(BaseModel):
    status: Literal["ok"]


class ReadyCounts(BaseModel):
    """How many collections can be asked, and how many cannot."""

    ready: int
    away: int


class ReadyAnswer(LiveAnswer):
    version: str
    collections: ReadyCounts


class AccessAnswer(BaseModel):
    read: bool
    write: bool
