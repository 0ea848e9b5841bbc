"""Schemas of maps."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lookalike.analysis.mapping import SAMPLE, Layout
from lookalike.analysis.mapping.clusters import MOST_CLUSTERS
from lookalike.service.schemas.responses import NearestResponse, NoteResponse

__all__ = ["MapRequest", "MapResponse"]


class MapRequest(BaseModel):
    """What a map is made with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: Annotated[str | None, Field(max_length=4000, description="A filter.")] = None
    sample: Annotated[
        int, Field(ge=1, le=SAMPLE, description="Items to show, at most; of more, a sample.")
    ] = SAMPLE
    clusters: Annotated[int | None, Field(ge=1, le=MOST_CLUSTERS)] = None
    layout: Layout = "neighbours"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


_Share = Annotated[float, Field(ge=0, le=1)]


class MapClusterResponse(BaseModel):
    """A cluster with its name, its number of items and its middle."""

    name: str
    items: int
    x: _Share
    y: _Share


class MapPointResponse(BaseModel):
    """An item at its position, from the top left."""

    id: str
    label: str | None
    x: _Share
    y: _Share
    cluster: Annotated[int, Field(ge=0, description="The place of its cluster in `clusters`.")]
    nearest: Annotated[NearestResponse | None, Field(description="The most similar other item.")]
    uniqueness: Annotated[_Share, Field(description="1 - the mean score of the five nearest.")]
    outlier: Annotated[bool, Field(description="Far more unique than most items.")]
    alike: Annotated[bool, Field(description="The nearest is almost or exactly the same.")]


class MapResponse(BaseModel):
    items: Annotated[int, Field(description="Items that meet the filter.")]
    shown: int
    sampled: Annotated[bool, Field(description="Whether `points` are a sample of the items.")]
    layout: Literal["neighbours", "components"]
    neighbours_kept: Annotated[
        _Share | None, Field(description="Share of nearest neighbours that are near on the map.")
    ]
    seconds: float
    notes: Annotated[list[NoteResponse], Field(description="Why there are no items.")]
    clusters: list[MapClusterResponse]
    points: list[MapPointResponse]
