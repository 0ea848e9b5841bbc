"""Schemas of responses."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lookalike.analysis.calibration import Match
from lookalike.core.records import Outcome
from lookalike.images.turning import Orientation
from lookalike.service.schemas.examples import example
from lookalike.service.schemas.requests import Metadata

__all__ = [
    "AccessResponse",
    "AddedResponse",
    "BatchResponse",
    "CollectionResponse",
    "CollectionsResponse",
    "ExplanationResponse",
    "FacetsResponse",
    "HitResponse",
    "ItemResponse",
    "ItemsResponse",
    "JobResponse",
    "JobsResponse",
    "LiveResponse",
    "NoteResponse",
    "ProblemResponse",
    "PutResponse",
    "ReadyResponse",
    "SearchResponse",
    "StatsResponse",
]


class ProblemResponse(BaseModel):
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

    type: Annotated[str, Field(description="Always `about:blank`; `code` identifies the problem.")]
    title: Annotated[str, Field(description="The status in words.")]
    status: int
    code: Annotated[str, Field(description="For programs; docs/service.md lists them by status.")]
    detail: Annotated[str, Field(description="For people.")]
    instance: Annotated[str | None, Field(description="The path of the request.")] = None
    errors: Annotated[
        list[dict[str, Any]] | None,
        Field(description="For `invalid-request`: `at` and `message` of each error."),
    ] = None
    filter: Annotated[str | None, Field(description="For `bad-filter`: the filter.")] = None
    at: Annotated[
        int | None, Field(description="For `bad-filter`: the position in `filter`, from 0.")
    ] = None
    limit: Annotated[int | None, Field(description="For `too-large`: the limit in bytes.")] = None


class ItemResponse(BaseModel):
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


class HitResponse(BaseModel):
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
    orientation: Orientation | None = None
    box: Annotated[
        list[float] | None,
        Field(description="The region that was more alike than the whole image, if one was."),
    ] = None
    thumbnail: str | None = None
    image: str | None = None


class CollectionSummary(BaseModel):
    name: str
    items: int
    updated_at: str | None
    encoder: str | None


class CategoryResponse(BaseModel):
    predicted: list[dict[str, Any]]
    used: list[str]
    scope: Literal["category", "all"]
    reason: str


class NearestResponse(BaseModel):
    id: str
    score: float


class MatchesResponse(BaseModel):
    """The lowest score of each match level, and why there are no hits."""

    min: Match | None
    strong: float
    fair: float
    weak: float
    measured: bool
    reason: str | None
    nothing: str | None
    nearest: NearestResponse | None


class NoteResponse(BaseModel):
    """A note, such as why nothing was found; some codes have further members, such as `field`."""

    model_config = ConfigDict(extra="allow")

    code: Annotated[str, Field(description="For programs; docs/filters.md lists them.")]
    message: Annotated[str, Field(description="For people.")]


class SearchResponse(BaseModel):
    query: dict[str, Any]
    seconds: float
    total: int
    score: Literal["cosine", "words"]
    collection: CollectionSummary
    category: CategoryResponse | None = None
    matches: MatchesResponse | None = None
    best: Annotated[
        NearestResponse | None, Field(description="The best item, where all scores are too low.")
    ] = None
    left_out: Annotated[list[str], Field(description="Items left out because they are the query.")]
    notes: Annotated[list[NoteResponse], Field(description="Why there are no hits.")]
    hits: list[HitResponse]


class ExplainedImageResponse(BaseModel):
    name: str
    area: Annotated[
        tuple[float, float, float, float],
        Field(description="What the grid covers: left, top, right, bottom of the upright image."),
    ]
    contributions: Annotated[
        list[list[float]], Field(description="What each position, by row, adds to the score.")
    ]


class ExplanationResponse(BaseModel):
    score: float
    method: Literal["map", "occlusion"]
    adds_up: Annotated[
        bool, Field(description="Whether the contributions of an image add up to the score.")
    ]
    id: str
    orientation: Annotated[Orientation, Field(description="In which the query was compared.")]
    query: Annotated[
        ExplainedImageResponse | None, Field(description="Null where it is not one image.")
    ]
    item: ExplainedImageResponse
    pairs: Annotated[
        list[list[list[list[float]]]] | None,
        Field(description="For each position of the query, what each of the item shares with it."),
    ]


class BatchResponse(BaseModel):
    results: list[SearchResponse | ProblemResponse]


class ItemsResponse(BaseModel):
    items: list[ItemResponse]
    total: int | None
    next: str | None
    notes: Annotated[list[NoteResponse], Field(description="Why there are no items.")]


class MissingResponse(BaseModel):
    """An item whose file is missing, with its label, group and metadata."""

    id: str
    digest: str
    width: int
    height: int
    label: str | None
    group: str | None
    metadata: dict[str, Any]
    since: str


class MissingItemsResponse(BaseModel):
    items: list[MissingResponse]
    total: int


class SkippedResponse(BaseModel):
    id: str
    reason: str


class PutResponse(ItemResponse):
    outcome: Outcome


class FileResponse(BaseModel):
    """What happened to one image; a skipped one has a ``reason``, and its ``id`` is null."""

    name: str
    id: str | None
    outcome: Outcome | Literal["skipped"]
    reason: str | None


class AddedResponse(BaseModel):
    indexed: int
    reused: int
    replaced: int
    unchanged: int
    restored: int
    relabelled: int
    kept_by_hand: int
    files: list[FileResponse]
    items: list[ItemResponse]
    skipped: list[SkippedResponse]


class CollectionResponse(CollectionSummary):
    default: bool
    words: Annotated[bool, Field(description="Whether it supports search by words.")]
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


class AwayResponse(BaseModel):
    """Why a collection is unavailable; ``code`` is that of a problem."""

    code: str
    detail: str


class CollectionEntry(BaseModel):
    """A collection; if it is unavailable, all members except ``name`` and ``error`` are null."""

    name: str
    items: int | None
    updated_at: str | None
    encoder: str | None
    words: Annotated[bool | None, Field(description="Whether it supports search by words.")]
    error: AwayResponse | None


class CollectionsResponse(BaseModel):
    collections: list[CollectionEntry]
    default: str | None


class StatsResponse(BaseModel):
    items: int
    labels: dict[str, int]
    distinct_labels: int
    unlabelled: int
    groups: int
    fields: list[dict[str, Any]] | None = None


class FacetValue(BaseModel):
    value: str | bool | float
    count: int


class FacetResponse(BaseModel):
    field: str
    distinct: int
    values: list[FacetValue]


class FacetsResponse(BaseModel):
    total: int
    facets: list[FacetResponse]
    notes: Annotated[list[NoteResponse], Field(description="Why a field has no values.")]


class JobResponse(BaseModel):
    id: str
    collection: str
    kind: Literal["folder", "images", "watch"]
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


class JobsResponse(BaseModel):
    jobs: list[JobResponse]


class LiveResponse(BaseModel):
    status: Literal["ok"]


class ReadyCounts(BaseModel):
    """How many collections are available, and how many are not."""

    ready: int
    away: int


class ReadyResponse(LiveResponse):
    version: str
    collections: ReadyCounts


class AccessResponse(BaseModel):
    read: bool
    write: bool
    max_upload: int = Field(description="The most bytes that one image may have.")
    max_body: int = Field(description="The most bytes that one request may have.")
    max_images: int = Field(description="The most images that one request may add.")
