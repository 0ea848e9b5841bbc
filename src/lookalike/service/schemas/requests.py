"""Schemas of requests."""

import dataclasses
import json
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

import lookalike.search
from lookalike.analysis.calibration import Match
from lookalike.core.filters import Compare, Value, all_of
from lookalike.core.ids import is_text
from lookalike.images.cropping import Box, Crop
from lookalike.service.schemas.examples import example

__all__ = [
    "BatchRequest",
    "ImageRef",
    "ItemFields",
    "Metadata",
    "NewItem",
    "NewItems",
    "Options",
    "PutItem",
    "SearchRequest",
    "Strict",
    "UrlSearchOptions",
]

MOST_K = 1000
_LONGEST_ID = 4096
_METADATA_BYTES = 64 * 1024
_OWN = frozenset(
    {"rank", "score", "id", "path", "label", "group", "metadata", "width", "height", "digest"}
    | {"match", "orientation", "box", "thumbnail", "image"}
)

Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID)]
Name: TypeAlias = Annotated[str, Field(max_length=1000)]
Metadata: TypeAlias = dict[str, Any]


def _words(value: str | None) -> str | None:
    return None if value is None else lookalike.search.Words(value).text


class Strict(BaseModel):
    """A schema that refuses members that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Options(Strict):
    """Which results are wanted: ``lookalike.SearchOptions``, and how to return them."""

    k: Annotated[int, Field(ge=1, le=MOST_K, description="How many results to return.")] = 10
    min_score: Annotated[
        float | None,
        Field(ge=-1, le=1, allow_inf_nan=False, description="Drop results with a lower score."),
    ] = None
    min_match: Annotated[
        Match | None,
        Field(
            description="Drop results below this calibrated match level. With `min_score`, the "
            "stricter counts."
        ),
    ] = None
    where: Annotated[
        str | None, Field(max_length=4000, description="A filter: `label=mug and price<20`.")
    ] = None
    label: Annotated[Name | None, Field(description="Search only items of this label.")] = None
    category: Annotated[
        Name,
        Field(description="`auto` predicts the label and searches within it; or give a label."),
    ] = "off"
    mass: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="With `category=auto`, the probability that the labels must have together.",
        ),
    ] = 0.9
    per_group: Annotated[bool, Field(description="Return only the best item of each group.")] = (
        False
    )
    collapse: Annotated[
        Literal["exact", "near"] | bool | None,
        Field(
            description="One item stands for its `exact` duplicates, or for its `near` ones too; "
            "`true` means `exact`."
        ),
    ] = None
    exact: Annotated[bool, Field(description="Compare with every item, without the ANN index.")] = (
        False
    )
    include_self: Annotated[bool, Field(description="Keep the item that the query itself is.")] = (
        False
    )
    include_blank: Annotated[
        bool, Field(description="Keep blank images: nothing but white, black or one grey.")
    ] = False
    text_mode: Annotated[
        Literal["auto", "encoder", "labels", "keywords", "fused"],
        Field(
            description="How words are searched: by the text encoder, by the images of the labels "
            "that they name, by keywords, or by keywords and one of the others together (`fused`)."
        ),
    ] = "auto"
    mix: Annotated[
        Literal["mean", "best"],
        Field(
            description="How several images, items, words and vectors are searched together: by "
            "the `mean` of their vectors, or by the `best` score with any of them."
        ),
    ] = "mean"
    expand: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Search again with so many of the nearest items mixed into the query.",
        ),
    ] = 0
    diversity: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="Prefer results that are unlike those before them.",
        ),
    ] = 0.0
    any_orientation: Annotated[
        bool,
        Field(description="Search with the image turned and mirrored too, in eight orientations."),
    ] = False
    regions: Annotated[
        Literal["auto", "on", "off"],
        Field(description="Compare with the regions of items too: `auto`, if there are any."),
    ] = "auto"
    fields: Annotated[
        list[Annotated[str, Field(max_length=200)]] | None,
        Field(
            max_length=100,
            description="Members of a hit to return (rank, score and id always come): "
            "`label`, `metadata`, `metadata.price` …",
        ),
    ] = None

    def search_options(self) -> lookalike.search.SearchOptions:
        """Return the options of the search itself. Raise ``FilterError``."""
        names = lookalike.search.SearchOptions.names()
        options = lookalike.search.SearchOptions(**{name: getattr(self, name) for name in names})
        if self.label is None:
            return options
        of_label = Compare("label", "=", Value.of(self.label))
        return dataclasses.replace(options, where=all_of(options.condition, of_label))

    @field_validator("fields")
    @classmethod
    def _known(cls, value: list[str] | None) -> list[str] | None:
        for one in value or ():
            if one not in _OWN and not one.startswith("metadata."):
                known = ", ".join(sorted(_OWN))
                raise ValueError(f"{one!r} is not a member of a hit; use {known}, metadata.NAME")
        return value


Text: TypeAlias = Annotated[
    str | None,
    Field(max_length=4000, description="Words, if the encoder supports them."),
    AfterValidator(_words),
]


class UrlSearchOptions(Options):
    """Options of a search by a raw image, or by words alone."""

    text: Text = None

    crop: Annotated[
        str | None,
        Field(
            max_length=200,
            description="Search by a part: `left,top,right,bottom`, 0 to 1; or `auto`, the part "
            "that stands out most.",
        ),
    ] = None


class ImageRef(Strict):
    """An image, words or a vector: one of ``id``, ``image_base64``, ``image_url``, ``text`` and
    ``vector``.

    ``crop`` takes a part of an image.
    """

    id: Annotated[Id | None, Field(description="An item of the collection.")] = None
    image_base64: Annotated[str | None, Field(description="An image file's bytes.")] = None
    image_url: Annotated[
        str | None, Field(max_length=8192, description="Only where the service allows URLs.")
    ] = None
    text: Text = None
    vector: Annotated[
        list[Annotated[float, Field(allow_inf_nan=False)]] | None,
        Field(
            min_length=1,
            max_length=16_000,
            description="An embedding of the collection's encoder, of any length but 0.",
        ),
    ] = None
    crop: Annotated[
        Box | Literal["auto"] | None,
        Field(
            description="Left, top, right, bottom, from 0 to 1 of the upright image; or `auto`, "
            "the part that stands out most."
        ),
    ] = None
    weight: Annotated[
        float | None,
        Field(gt=0, le=1000, allow_inf_nan=False, description="Its weight in the query."),
    ] = None

    @field_validator("crop", mode="before")
    @classmethod
    def _typed(cls, value: object) -> object:
        if not isinstance(value, str) or value.strip() == "auto":
            return value.strip() if isinstance(value, str) else value
        return value.strip("[] ").split(",")

    @field_validator("crop")
    @classmethod
    def _box(cls, value: Crop | None) -> Crop | None:
        if value is not None and value != "auto":
            left, top, right, bottom = value
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError("a crop is [left, top, right, bottom], from 0 to 1, in that order")
        return value

    def sources(self) -> list[str]:
        """Return which of the sources are given."""
        names = ("id", "image_base64", "image_url", "text", "vector")
        return [name for name in names if getattr(self, name) is not None]


class _OneSource(ImageRef):
    @model_validator(mode="after")
    def _one(self) -> "_OneSource":
        if len(self.sources()) != 1:
            raise ValueError(
                "give one of id, image_base64, image_url, text and vector (in a form, image too)"
            )
        return self


class WeightedPart(_OneSource):
    """A part of a query with its weight: 1 by default, below 0 for results less like it."""

    image: Annotated[
        int | None,
        Field(ge=0, lt=100, description="In a form: an uploaded image, counted from 0."),
    ] = None
    weight: Annotated[
        float | None, Field(ge=-1000, le=1000, allow_inf_nan=False, description="Not 0.")
    ] = None

    def sources(self) -> list[str]:
        """Return which of the sources are given."""
        return [*super().sources(), *([] if self.image is None else ["image"])]


Refs: TypeAlias = Annotated[list[_OneSource | Id], Field(max_length=100)]


class SearchRequest(ImageRef, Options):
    """A query: an image, words or both, or several parts; with likes and dislikes."""

    model_config = example(id="2024/cat.jpg", k=5, where="label=cat", negative=["2024/dog.jpg"])

    weights: Annotated[
        list[Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]] | None,
        Field(max_length=100, description="One for each image of a form, in order."),
    ] = None
    parts: Annotated[
        list[WeightedPart],
        Field(
            max_length=100,
            description="The query as weighted parts, instead of one image; in a form, JSON.",
        ),
    ] = []
    positive: Annotated[Refs, Field(description="More like these: items' ids, or images.")] = []
    negative: Annotated[Refs, Field(description="Less like these.")] = []

    @model_validator(mode="after")
    def _at_most_one(self) -> "SearchRequest":
        if len(self.sources()) > 1 + (self.text is not None):
            raise ValueError(
                "give one of id, image_base64, image_url and vector; others go into parts"
            )
        return self


class BatchRequest(Strict):
    model_config = example(
        queries=[{"id": "2024/cat.jpg"}, {"positive": ["a.jpg", "b.jpg"], "k": 3}]
    )

    queries: Annotated[list[SearchRequest], Field(min_length=1, max_length=64)]


class ItemFields(Strict):
    """Label, group and metadata of an item; omitted fields stay as they are."""

    label: Name | None = None
    group: Name | None = None
    metadata: Metadata | None = None

    @field_validator("label", "group")
    @classmethod
    def _text(cls, value: str | None) -> str | None:
        if value is not None and not is_text(value):
            raise ValueError("a lone surrogate (half a character) cannot be stored")
        return value

    @field_validator("metadata")
    @classmethod
    def _json(cls, value: Metadata | None) -> Metadata | None:
        """Accept only what can be stored as JSON: no NaN, no lone surrogates."""
        try:
            size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
        except (ValueError, RecursionError) as error:
            raise ValueError("metadata must be a JSON object of numbers and text") from error
        if size > _METADATA_BYTES:
            raise ValueError(f"metadata has {size:,} bytes; the limit is {_METADATA_BYTES:,}")
        return value


class NewItem(ItemFields):
    """An image with an ``id`` replaces the item that has it; with only a ``name``, none."""

    # Any text: an image with an invalid id is skipped with a reason, and the others are added.
    id: Annotated[str | None, Field(description="Replaces the item that has it, if any.")] = None
    name: Annotated[
        str | None,
        Field(max_length=4096, description="A file name; by default that of the form's part."),
    ] = None
    image_base64: Annotated[
        str | None, Field(description="The image, where it is not a part of a form.")
    ] = None


class PutItem(ItemFields):
    model_config = example(image_base64="iVBORw0KGgo=", label="mug", metadata={"price": 12.5})

    image_base64: str


class NewItems(Strict):
    model_config = example(items=[{"id": "mug-1", "label": "mug", "image_base64": "iVBORw0KGgo="}])

    items: Annotated[list[NewItem], Field(max_length=1000)]
