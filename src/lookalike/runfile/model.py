"""The keys of a run file: a section for each command, a key for each of its options.

Names are those of the commands. ``lookalike init`` and ``docs/run.md`` show the descriptions and
defaults from here.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from lookalike.analysis.evaluation import SAMPLE
from lookalike.core.filters import FIELDS, parse
from lookalike.core.suggestions import did_you_mean
from lookalike.errors import FilterError
from lookalike.images.thumbnails import check_side
from lookalike.output.export import FORMATS as TABLES
from lookalike.output.export import VECTORS, Vectors, format_of
from lookalike.runfile.steps import STEPS, Step
from lookalike.sources.catalogues import FORMATS
from lookalike.sources.download.politeness import USER_AGENT, Politeness

__all__ = [
    "CategoriesSection",
    "Columns",
    "DownloadSection",
    "EvaluateSection",
    "ExportSection",
    "IndexSection",
    "NeighboursSection",
    "RunFile",
    "ServiceSection",
]

_DEFAULT = Politeness()


def _alone(value: object) -> object:
    """Return one value where a list is expected is a list of one."""
    return [value] if isinstance(value, str | int | float) else value


def _filter(text: str) -> str:
    try:
        if text.strip():
            parse(text)
    except FilterError as error:
        raise ValueError(error.reason) from error
    return text


def _category(name: str) -> str:
    if name in FIELDS - {"label"}:
        raise ValueError(f"{name} is not a category; choose label or a metadata field")
    return name


def _among(*names: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names:
            hint = did_you_mean(value, names)
            raise ValueError(f"must be one of {', '.join(names)}, not {value!r}{hint}")
        return value

    return AfterValidator(check)


def _every(value: object) -> object:
    return None if value == "all" else value


def _no_nul(text: str) -> str:
    """Return a path or name that an operating system can take."""
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of text")
    return text


Text: TypeAlias = Annotated[str, StringConstraints(min_length=1), AfterValidator(_no_nul)]
Filter: TypeAlias = Annotated[str, AfterValidator(_filter)]
Texts: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_alone)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Size: TypeAlias = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    """A group of keys. A key without a value counts as not given."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, given: Any) -> Any:  # noqa: ANN401 - whatever stands there
        if not isinstance(given, Mapping):
            return given
        return {
            key: value
            for key, value in given.items()
            if value is not None or key not in cls.model_fields
        }


class Columns(_Section):
    """Which column of a table has what. Usual names are recognised."""

    file: Text | None = Field(default=None, description="of image files", examples=["image"])
    url: Text | None = Field(default=None, description="of URLs", examples=["image_url"])
    id: Text | None = Field(default=None, description="of ids", examples=["sku"])
    label: Text | None = Field(default=None, description="of labels", examples=["category"])
    group: Text | None = Field(
        default=None, description="of groups (products)", examples=["product"]
    )

    def given(self) -> dict[str, str] | None:
        """Return use → column, those that were named; ``None`` for none."""
        return self.model_dump(exclude_none=True) or None


class DownloadSection(_Section):
    """Download the images of a catalogue that lists URLs."""

    catalogue: Text = Field(
        description="an annotation file, or a table with a column of URLs", examples=["train.json"]
    )
    to: Text = Field(description="the folder to save the images in", examples=["images/"])
    labels: Texts = Field(
        default=(), description="only images with these labels", examples=[["12", "57"]]
    )
    limit: Count | None = Field(
        default=None,
        description="at most this many per label, or in all if no labels are given",
        examples=[500],
    )
    format: Annotated[str, _among("auto", *FORMATS)] = Field(
        default="auto", description="the catalogue's format; auto recognises it by its content"
    )
    columns: Columns = Field(default=Columns(), description="which column of a table has what")
    encoding: Text | None = Field(
        default=None, description="a table's text encoding", examples=["cp1252"]
    )
    concurrent: Count = Field(default=_DEFAULT.concurrent, description="requests at once")
    per_host: Count = Field(default=_DEFAULT.per_host, description="requests at once to one host")
    rate: Annotated[float, Field(ge=0)] = Field(
        default=_DEFAULT.rate or 0.0,
        description="requests per second to one host; 0 means no limit",
    )
    timeout: Size = Field(default=_DEFAULT.total_s, description="seconds for one image")
    attempts: Count = Field(
        default=_DEFAULT.attempts, description="attempts per URL, if the failure may be temporary"
    )
    user_agent: Annotated[Text, AfterValidator(_one_line)] = Field(
        default=USER_AGENT,
        description="the User-Agent header that hosts receive",
        examples=["Shop search (you@example.com)"],
    )
    max_megabytes: Size = Field(default=_DEFAULT.max_bytes / 1e6, description="skip larger files")
    allow_private: bool = Field(
        default=False, description="connect to this machine and its local network too"
    )
    retry_failed: bool = Field(default=False, description="request again URLs that failed before")


class IndexSection(_Section):
    """Index folders and catalogues of images, or sync the collection with them."""

    source: Texts = Field(
        default=(),
        description="folders or catalogues; by default, what download has saved",
        examples=["images/"],
    )
    format: Annotated[str, _among("auto", "folder", *FORMATS)] = Field(
        default="auto", description="auto recognises it; class-folders: each folder is a label"
    )
    root: Text | None = Field(
        default=None,
        description="the folder of a table's files, if not beside the table",
        examples=["photos/"],
    )
    columns: Columns = Field(default=Columns(), description="which column of a table has what")
    encoding: Text | None = Field(
        default=None, description="a table's text encoding", examples=["cp1252"]
    )
    include: Texts = Field(
        default=(),
        description="only files that match these patterns (as in .gitignore)",
        examples=[["*.jpg"]],
    )
    exclude: Texts = Field(
        default=(),
        description="skip files and folders that match these patterns",
        examples=[["thumbs/"]],
    )
    hidden: bool = Field(
        default=False, description="include files and folders whose names begin with a dot"
    )
    follow_links: bool = Field(default=False, description="follow symbolic links")
    keep_missing: bool = Field(default=False, description="keep items whose file has gone")
    allow_removals: bool = Field(
        default=False,
        description="remove missing items even if that is all, or more than 3 and one in ten",
    )
    retry_skipped: bool = Field(
        default=False, description="try again unchanged files that could not be used before"
    )
    overwrite_by_hand: bool = Field(
        default=False, description="let a catalogue overwrite values that were set by hand"
    )
    as_new: bool = Field(
        default=False,
        description="index the folder as a new one, even if it looks like a moved one",
    )
    thumbnails: Annotated[int, AfterValidator(check_side)] | None = Field(
        default=None,
        description="store thumbnails with the items, 32 to 1024 pixels a side; 0: none",
        examples=[256],
    )
    max_megapixels: Size = Field(default=100.0, description="skip larger images")
    max_megabytes: Size = Field(default=100.0, description="skip larger files")


class CategoriesSection(_Section):
    """Train a classifier on the labels. Leave the section out if the items have no labels."""

    by: Annotated[Text, AfterValidator(_category)] = Field(
        default="label", description="the field to train on: label, or a metadata field"
    )
    levels: bool = Field(default=False, description="treat labels like Clothing/Tops as paths")
    where: Filter | None = Field(
        default=None,
        description="train only on items that match a filter",
        examples=["gender=Men"],
    )
    seed: int = Field(default=0, description="seed of the choice of held-out items")


class NeighboursSection(_Section):
    """Precompute each item's nearest neighbours, so that searches by item only look them up."""

    k: Count = Field(default=50, description="neighbours stored for each item")


class EvaluateSection(_Section):
    """Measure how good the results are. Needs labels (or groups) that say what is right."""

    by: Text = Field(
        default="label",
        description="what a right result shares with its query: label, group or a field",
    )
    where: Filter | None = Field(
        default=None, description="only items that match a filter", examples=["gender=Men"]
    )
    query_where: Filter | None = Field(
        default=None, description="of these, items used as queries", examples=["split=query"]
    )
    gallery_where: Filter | None = Field(
        default=None, description="of these, items that are searched", examples=["split=gallery"]
    )
    queries: Annotated[Count | None, BeforeValidator(_every)] = Field(
        default=SAMPLE, description="at most this many, drawn at random; or all"
    )
    k: Annotated[tuple[Count, ...], BeforeValidator(_alone), Field(min_length=1)] = Field(
        default=(1, 5, 10), description="how many results the measures use"
    )
    distractors: bool = Field(
        default=False, description="keep items without a label, as wrong results"
    )
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="seed of the random draw")
    worst: Annotated[int, Field(ge=0)] = Field(
        default=10, description="how many of the worst queries the report shows"
    )
    report: Text | None = Field(default="report.html", description="an HTML report, in one file")
    json_: Text | None = Field(
        default=None,
        alias="json",
        description="all figures, as JSON",
        examples=["report.json"],
    )


class ExportSection(_Section):
    """Export the items as a table."""

    file: Text = Field(
        description="the suffix sets the format: csv, tsv, jsonl, parquet",
        examples=["items.csv"],
    )
    where: Filter | None = Field(
        default=None, description="only items that match a filter", examples=["price<1000"]
    )
    format: Annotated[str, _among(*dict.fromkeys(TABLES.values()))] | None = Field(
        default=None, description="the format, if the suffix does not tell", examples=["csv"]
    )
    vectors: Vectors = Field(
        default="none", description=f"also export the vectors: {', '.join(VECTORS)}"
    )
    facts: bool = Field(default=False, description="also export each image's path, size and digest")

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        format_of(self.file, self.format, self.vectors)
        return self


class ServiceSection(_Section):
    """How `lookalike run --serve` serves the collection after the steps."""

    host: Text = Field(default="127.0.0.1", description="the address to listen on; 0.0.0.0 for all")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8000, description="0 for any free port"
    )
    read_key: Text | None = Field(
        default=None,
        description="required for every request",
        examples=["a long secret"],
    )
    write_key: Text | None = Field(
        default=None,
        description="required for every change",
        examples=["another one"],
    )
    read_only: bool = Field(default=False, description="refuse every change")
    cors: Texts = Field(
        default=(),
        description="web pages of these origins may use the service",
        examples=[["https://shop.example"]],
    )
    allow_hosts: Texts = Field(
        default=(),
        description="accepted Host names; default: loopback names, or any if not on loopback",
        examples=[["search.shop.example"]],
    )
    max_upload_megabytes: Size = Field(default=20, description="the largest accepted image")
    allow_urls: bool = Field(default=False, description="let searches name images by URL")
    show_paths: bool | None = Field(
        default=None,
        description="include file paths in responses; by default only on loopback",
        examples=[False],
    )


class RunFile(_Section):
    """A whole run file. Each section that is present is a step."""

    collection: Text = Field(
        default="default",
        description="a name, a path (with a slash), or a store's address",
        examples=["shop"],
    )
    encoder: Text | None = Field(
        default=None,
        description="a name or a model card; default: the collection's own, or efficientnet-lite0",
        examples=["efficientnet-lite0"],
    )
    device: Text = Field(
        default="auto", description="the device that runs the encoder: auto, cpu, cuda …"
    )
    threads: Count | None = Field(
        default=None, description="processor cores to use; default: all", examples=[2]
    )
    download: DownloadSection | None = None
    index: IndexSection | None = None
    declare: Texts = Field(
        default=(),
        description="metadata fields to index, because filters use them often",
        examples=[["price", "season"]],
    )
    categories: CategoriesSection | None = None
    neighbours: NeighboursSection | None = None
    evaluate: EvaluateSection | None = None
    export: ExportSection | None = None
    service: ServiceSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, given: Any) -> Any:  # noqa: ANN401 - as in a section
        """``neighbours:`` with nothing below it is the section with its defaults."""
        if not isinstance(given, Mapping):
            return given
        named = {*STEPS, "service"} - {"declare"}
        return {
            key: {} if value is None and key in named else value
            for key, value in given.items()
            if value is not None or key in named or key not in cls.model_fields
        }

    @model_validator(mode="after")
    def _has_work(self) -> Self:
        if not self.steps() and self.service is None:
            raise ValueError(f"there is nothing to do; add a step: {', '.join(STEPS)}")
        if self.index is not None and not self.index.source and self.download is None:
            raise ValueError("index.source is missing: name a folder or a catalogue of images")
        return self

    def steps(self) -> tuple[Step, ...]:
        """Return the steps of the file, in the order in which they run."""
        return tuple(step for step in STEPS if getattr(self, step) not in (None, ()))
