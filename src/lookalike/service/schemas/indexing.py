"""Schemas of requests that start indexing or create collections."""

from typing import Annotated

from pydantic import Field

from lookalike.regions.table import MOST
from lookalike.service.schemas.examples import example
from lookalike.service.schemas.requests import Name, Strict

__all__ = ["NewCollection", "NewJob"]


class NewJob(Strict):
    model_config = example(root="")

    root: Annotated[
        Name, Field(description="The name of a known folder; that of the first one is empty.")
    ]
    overwrite_by_hand: Annotated[
        bool, Field(description="Let the source change labels, groups and metadata set by hand.")
    ] = False
    allow_removals: Annotated[
        bool,
        Field(
            description="Remove vanished items even if these are all items, or more than three "
            "and more than one in ten."
        ),
    ] = False
    reread: Annotated[
        bool, Field(description="Read every file, also if size and time have not changed.")
    ] = False
    verify: Annotated[
        bool,
        Field(
            description="Change nothing: compare the digest of each file with that of its item; "
            "the report lists `differences`."
        ),
    ] = False
    watch: Annotated[
        bool,
        Field(
            description="Go on and index what changes in the folder, until the job is cancelled or "
            "the service ends. `settle` is then 2 seconds by default."
        ),
    ] = False
    settle: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="Leave files that changed less than so many seconds ago for a later job.",
        ),
    ] = 0.0
    regions: Annotated[
        int | None,
        Field(
            ge=0,
            le=MOST,
            description="Region vectors of each image from now on, at most; 0 drops them.",
        ),
    ] = None


class NewCollection(Strict):
    model_config = example(name="shop", encoder="balanced")

    name: Annotated[str, Field(min_length=1, max_length=63)]
    encoder: Annotated[
        Name | None,
        Field(description="The encoder: fast, balanced (the default), best, or another name."),
    ] = None
    regions: Annotated[
        int, Field(ge=0, le=MOST, description="Region vectors of each image, at most; 0: none.")
    ] = 0
