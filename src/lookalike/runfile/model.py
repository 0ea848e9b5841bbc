"""A whole run file: its general keys, and the sections that are its steps.

``lookalike init`` and ``docs/run.md`` show the descriptions and defaults of the keys from here and
from ``sections``.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    Field,
    model_validator,
)

from lookalike.runfile.sections import (
    CategoriesSection,
    DownloadSection,
    EvaluateSection,
    ExportSection,
    IndexSection,
    NeighboursSection,
    ServiceSection,
)
from lookalike.runfile.steps import STEPS, Step
from lookalike.runfile.values import Count, Section, Text, Texts

__all__ = ["RunFile"]


class RunFile(Section):
    """A whole run file. Each section that is present is a step."""

    collection: Text = Field(
        default="default",
        description="a name, a path (with a slash), or a store's address",
        examples=["shop"],
    )
    encoder: Text | None = Field(
        default=None,
        description="a name or a model card; default: the collection's own, or balanced",
        examples=["balanced"],
    )
    pull: bool = Field(
        default=False, description="download the encoder from a hub if it is not there yet"
    )
    accept_licence: bool = Field(
        default=False, description="with pull: accept a licence that restricts use"
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
        if self.pull and self.encoder is None:
            raise ValueError("pull is for an encoder; name it: encoder: clip-vit-b-32")
        if self.index is not None and not self.index.source and self.download is None:
            raise ValueError("index.source is missing: name a folder or a catalogue of images")
        return self

    def steps(self) -> tuple[Step, ...]:
        """Return the steps of the file, in the order in which they run."""
        return tuple(step for step in STEPS if getattr(self, step) not in (None, ()))
