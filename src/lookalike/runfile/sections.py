"""The sections of a run file: one for each command, with a key for each of its options.

Names are those of the commands.
"""

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)

from lookalike.analysis.evaluation import SAMPLE
from lookalike.core.filters import FIELDS
from lookalike.images.thumbnails import check_side
from lookalike.indexing.fitting import ProjectionDim, parse_dim
from lookalike.output.export import FORMATS as TABLES
from lookalike.output.export import VECTORS, Vectors, format_of
from lookalike.regions.table import MOST
from lookalike.runfile.values import (
    Count,
    Filter,
    Section,
    Size,
    Text,
    Texts,
    all_as_none,
    among,
    as_list,
    check_one_line,
)
from lookalike.sources.catalogues import FORMATS
from lookalike.sources.catalogues.value_types import DECIMALS, TYPES
from lookalike.sources.download.politeness import USER_AGENT, Politeness

__all__ = [
    "CategoriesSection",
    "Columns",
    "DownloadSection",
    "EvaluateSection",
    "ExportSection",
    "IndexSection",
    "NeighboursSection",
    "ServiceSection",
]


_DEFAULT = Politeness()


def _check_category(name: str) -> str:
    if name in FIELDS - {"label"}:
        raise ValueError(f"{name} is not a category; choose label or a metadata field")
    return name


class Columns(Section):
    """Which column of a table has what. Usual names are recognised."""

    file: Texts = Field(default=(), description="of image files", examples=["image"])
    url: Texts = Field(default=(), description="of URLs", examples=["image_url"])
    id: Text | None = Field(default=None, description="of ids", examples=["sku"])
    label: Text | None = Field(default=None, description="of labels", examples=["category"])
    group: Text | None = Field(
        default=None, description="of groups (products)", examples=["product"]
    )

    def given(self) -> dict[str, str | tuple[str, ...]] | None:
        """Return use → column or columns, those that were named; ``None`` for none."""
        return {use: name for use, name in self.model_dump().items() if name} or None


class DownloadSection(Section):
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
    format: Annotated[str, among("auto", *FORMATS)] = Field(
        default="auto", description="the catalogue's format; auto recognises it by its content"
    )
    columns: Columns = Field(default=Columns(), description="which column of a table has what")
    column_types: dict[Text, Annotated[str, among(*TYPES)]] = Field(
        default={},
        description="types of a table's columns, if not as recognised",
        examples=[{"ean": "text"}],
    )
    decimal: Annotated[str, among(*DECIMALS)] | None = Field(
        default=None, description="what numbers in a CSV file have", examples=["comma"]
    )
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
    user_agent: Annotated[Text, AfterValidator(check_one_line)] = Field(
        default=USER_AGENT,
        description="the User-Agent header that hosts receive",
        examples=["Shop search (you@example.com)"],
    )
    max_megabytes: Size = Field(default=_DEFAULT.max_bytes / 1e6, description="skip larger files")
    allow_private: bool = Field(
        default=False, description="connect to this machine and its local network too"
    )
    retry_failed: bool = Field(default=False, description="request again URLs that failed before")


class IndexSection(Section):
    """Index folders and catalogues of images, or sync the collection with them."""

    source: Texts = Field(
        default=(),
        description="folders or catalogues; by default, what download has saved",
        examples=["images/"],
    )
    format: Annotated[str, among("auto", "folder", *FORMATS)] = Field(
        default="auto", description="auto recognises it; class-folders: each folder is a label"
    )
    root: Text | None = Field(
        default=None,
        description="the folder of a table's files, if not beside the table",
        examples=["photos/"],
    )
    columns: Columns = Field(default=Columns(), description="which column of a table has what")
    column_types: dict[Text, Annotated[str, among(*TYPES)]] = Field(
        default={},
        description="types of a table's columns, if not as recognised",
        examples=[{"ean": "text"}],
    )
    decimal: Annotated[str, among(*DECIMALS)] | None = Field(
        default=None, description="what numbers in a CSV file have", examples=["comma"]
    )
    encoding: Text | None = Field(
        default=None, description="a table's text encoding", examples=["cp1252"]
    )
    label_level: Count | None = Field(
        default=None, description="of class folders, the level that is the label", examples=[2]
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
    reread: bool = Field(
        default=False, description="read every file, also if size and time have not changed"
    )
    verify: bool = Field(
        default=False,
        description="change nothing, and fail if a file's digest is not that of its item",
    )
    settle: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None,
        description="leave files that changed less than so many seconds ago for the next run; by "
        "default 0, or 2 with watch",
        examples=[10],
    )
    watch: bool = Field(
        default=False,
        description="after the run, stay and run again when a source changes, until Ctrl-C",
    )
    poll: Annotated[float, Field(ge=0.1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="with watch: look every so many seconds, where no changes are reported",
        examples=[60],
    )
    overwrite_by_hand: bool = Field(
        default=False, description="let a catalogue overwrite values that were set by hand"
    )
    as_new: bool = Field(
        default=False,
        description="index the folder as a new one, even if it looks like a moved one",
    )
    regions: int | None = Field(
        default=None,
        ge=0,
        le=MOST,
        description="region vectors of each image, 1 to 16 at most; 0: none",
        examples=[4],
    )
    thumbnails: Annotated[int, AfterValidator(check_side)] | None = Field(
        default=None,
        description="store thumbnails with the items, 32 to 1024 pixels a side; 0: none",
        examples=[256],
    )
    dim: Annotated[ProjectionDim, BeforeValidator(parse_dim)] = Field(
        default="auto",
        description="for a new collection: project its embeddings to so many dimensions; auto: 128 "
        "from 384 images on; off: not at all",
        examples=[128],
    )
    max_megapixels: Size = Field(default=100.0, description="skip larger images")
    max_megabytes: Size = Field(default=100.0, description="skip larger files")


class CategoriesSection(Section):
    """Train a classifier on the labels. Leave the section out if the items have no labels."""

    by: Annotated[Text, AfterValidator(_check_category)] = Field(
        default="label", description="the field to train on: label, or a metadata field"
    )
    levels: bool = Field(default=False, description="treat labels like Clothing/Tops as paths")
    where: Filter | None = Field(
        default=None,
        description="train only on items that match a filter",
        examples=["gender=Men"],
    )
    seed: int = Field(default=0, description="seed of the choice of held-out items")


class NeighboursSection(Section):
    """Precompute each item's nearest neighbours, so that searches by item only look them up."""

    k: Count = Field(default=50, description="neighbours stored for each item")


class EvaluateSection(Section):
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
    queries: Annotated[Count | None, BeforeValidator(all_as_none)] = Field(
        default=SAMPLE, description="at most this many, drawn at random; or all"
    )
    k: Annotated[tuple[Count, ...], BeforeValidator(as_list), Field(min_length=1)] = Field(
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


class ExportSection(Section):
    """Export the items as a table."""

    file: Text = Field(
        description="the suffix sets the format: csv, tsv, jsonl, parquet",
        examples=["items.csv"],
    )
    where: Filter | None = Field(
        default=None, description="only items that match a filter", examples=["price<1000"]
    )
    format: Annotated[str, among(*dict.fromkeys(TABLES.values()))] | None = Field(
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


class ServiceSection(Section):
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
