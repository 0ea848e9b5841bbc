"""What became of a step: its outcome, whether it changed anything, and what went wrong."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from lookalike.core.records import IndexReport
from lookalike.runfile.model import RunFile
from lookalike.runfile.sections import Columns
from lookalike.runfile.steps import Step

if TYPE_CHECKING:
    from lookalike.analysis.categories import CategoryReport
    from lookalike.analysis.evaluation import Comparison
    from lookalike.analysis.neighbours import BuildReport
    from lookalike.indexing.differences import VerificationReport
    from lookalike.output.export import ExportReport
    from lookalike.sources.download.report import DownloadReport

__all__ = [
    "Result",
    "StepOutcome",
    "describe_fault",
    "has_changed",
    "name_keys",
]

Result: TypeAlias = (
    "DownloadReport | IndexReport | VerificationReport | CategoryReport | BuildReport | Comparison "
    "| ExportReport | None"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """What became of a step.

    ``done``; ``current``, because it was up to date; ``failed``, with ``why``; ``left``, because
    a step that it needs failed; ``interrupted``: the next run continues. ``result`` is the step's
    report. ``notes`` name what looks like a mistake.
    """

    step: Step
    status: Literal["done", "current", "failed", "left", "interrupted"]
    why: str
    seconds: float = 0.0
    result: Result = None
    notes: tuple[str, ...] = ()


def has_changed(result: Result) -> bool:
    """Return whether a step that only checks has changed anything."""
    counts = ("indexed", "reused", "removed", "downloaded", "updated")
    return any(getattr(result, name, 0) for name in counts)


def describe_fault(result: Result) -> str:
    """Return what is wrong with a finished step; empty if nothing is."""
    if problems := getattr(result, "problems", ()):
        return "; ".join(problems)
    counts: dict[str, int] = getattr(result, "count", dict)()
    if counts:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
        return f"files differ from their items: {kinds}"
    if not getattr(result, "nothing_usable", False):
        return ""
    if isinstance(result, IndexReport):
        notes = [note for note in result.notes if note.startswith("no usable images in ")]
        counts = Counter(one.reason for one in result.skipped)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common(5))
        return "; ".join([*notes, *([f"nothing could be used: {reasons}"] if reasons else [])])
    return "nothing could be downloaded; `lookalike download --failures` lists why"


def name_keys(step: Step, file: RunFile, text: str) -> str:
    """Return a message with the file's keys in place of the command's flags."""
    section = getattr(file, step)

    def key(found: re.Match[str]) -> str:
        name, column, _ = found[1].partition("-column")
        if name == "force":
            return f"--force {step}"
        if column and name in Columns.model_fields:
            return f"{step}.columns.{name}"
        name = name.replace("-", "_")
        return f"{step}.{name}" if hasattr(section, name) else found[0]

    return re.sub(r"(?<![\w/.-])--([a-z][a-z-]*)(?: \([a-z_]+=True\))?", key, text)
