"""Schemas of proposed crops."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lookalike.service.schemas.examples import example
from lookalike.service.schemas.requests import Id

__all__ = ["CropsRequest", "CropsResponse"]


class CropsRequest(BaseModel):
    """An image to propose crops of: one of ``id``, ``image_base64`` and ``image_url``."""

    model_config = ConfigDict(extra="forbid", frozen=True, **example(id="2024/cat.jpg", count=4))

    id: Annotated[Id | None, Field(description="An item of the collection.")] = None
    image_base64: Annotated[str | None, Field(description="An image file's bytes.")] = None
    image_url: Annotated[
        str | None, Field(max_length=8192, description="Only where the service allows URLs.")
    ] = None
    count: Annotated[
        int | None, Field(ge=1, le=100, description="How many crops to propose, at most.")
    ] = None

    def sources(self) -> list[str]:
        """Return which of the sources are given."""
        names = ("id", "image_base64", "image_url")
        return [name for name in names if getattr(self, name) is not None]


class CropsResponse(BaseModel):
    query: dict[str, Any]
    seconds: float
    crops: Annotated[
        list[Annotated[list[float], Field(min_length=4, max_length=4)]],
        Field(description="Left, top, right and bottom of each, the most salient first."),
    ]
