"""Schemas of the requests of explanations."""

from typing import Annotated, Literal

from pydantic import Field

from lookalike.service.schemas.examples import example
from lookalike.service.schemas.requests import Id, SearchRequest, Strict

__all__ = ["ExplainItemOptions", "ExplainOptions", "ExplainRequest", "UrlExplainOptions"]


class ExplainOptions(Strict):
    """How to explain, and what to return."""

    method: Annotated[
        Literal["auto", "map", "occlusion"],
        Field(description="By the encoder's map, or by hiding regions in turn."),
    ] = "auto"
    format: Annotated[
        Literal["json", "png"] | None,
        Field(description="Numbers, or an image of both. By default, what `Accept` prefers."),
    ] = None
    side: Annotated[
        int, Field(ge=160, le=2048, description="The longer side of each image of the PNG.")
    ] = 480


class UrlExplainOptions(ExplainOptions):
    """Options of an explanation in the query string."""

    any_orientation: Annotated[
        bool, Field(description="Turn and mirror the query to be most like the item.")
    ] = False

    crop: Annotated[
        str | None,
        Field(max_length=200, description="Take a part: `left,top,right,bottom`, 0 to 1."),
    ] = None


class ExplainItemOptions(UrlExplainOptions):
    """Options of the explanation of two items."""

    query: Annotated[Id, Field(description="The item that is the query, by its id.")]


class ExplainRequest(SearchRequest, ExplainOptions):
    """The query of a search. What chooses results (`k`, `where` …) has no effect; `any_orientation`
    has."""

    model_config = example(id="2024/cat.jpg")
