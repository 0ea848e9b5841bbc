"""Decide what a run will do, and why: pure, from the file and the known state."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal, TypeAlias

from lookalike.core.records import Json
from lookalike.runfile.model import RunFile
from lookalike.runfile.steps import STEPS, Step

__all__ = [
    "NEEDS",
    "ItemsView",
    "KnownState",
    "PlannedStep",
    "Status",
    "StepRecord",
    "decide",
    "options_of",
    "outputs_of",
    "plan",
    "selected",
    "view_of",
]

Status: TypeAlias = Literal["due", "look", "current"]
"""Due; to be checked (only the step itself can tell, at little cost); up to date."""

# What must not have failed in a run for a step to make sense.
NEEDS: Mapping[Step, frozenset[Step]] = {
    "download": frozenset(),
    "index": frozenset({"download"}),
    "declare": frozenset({"index"}),
    "categories": frozenset({"index"}),
    "neighbours": frozenset({"index"}),
    "evaluate": frozenset({"index"}),
    "export": frozenset({"index"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsView:
    """What a step sees of the items: those that meet a filter, and of them some fields.

    Of every item the id, digest and group are seen; ``fields`` of ``None`` is everything.
    """

    where: str | None = None
    fields: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What was kept of a step when it was done last: digests of its options and of what it saw.

    ``made`` tells what it made: a model's fingerprint, or files with their stamps.
    """

    options: str
    state: str
    made: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownState:
    """What there is before a step. ``states`` are digests of what each step sees now.

    ``model`` is the fingerprint of the latest classifier, ``neighbours`` the k of a table that is
    complete (0: none is), ``files`` the stamps of the files that a step has
    written, ``None`` for those that are gone.
    """

    exists: bool = False
    downloaded: bool = False
    declared: tuple[str, ...] = ()
    model: str | None = None
    neighbours: int = 0
    states: Mapping[Step, str] = field(default_factory=dict)
    files: Mapping[str, Json] = field(default_factory=dict)
    done: Mapping[Step, StepRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step, its status, and the reason as a phrase."""

    step: Step
    status: Status
    why: str


def options_of(file: RunFile, step: Step) -> str:
    """Return a digest of a step's section: another one means that something was changed in the
    file.
    """
    section = getattr(file, step)
    text = str(section) if step == "declare" else section.model_dump_json(by_alias=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def view_of(file: RunFile, step: Step) -> ItemsView | None:
    """Return what of the items a step depends on; ``None`` for those that look for themselves."""
    match step:
        case "categories" if file.categories is not None:
            return ItemsView(where=file.categories.where, fields=(file.categories.by,))
        case "neighbours":
            return ItemsView()
        case "evaluate" if (wanted := file.evaluate) is not None:
            split = wanted.query_where is not None or wanted.gallery_where is not None
            return ItemsView(where=wanted.where, fields=None if split else (wanted.by,))
        case "export" if file.export is not None:
            return ItemsView(where=file.export.where, fields=None)
    return None


def outputs_of(file: RunFile, step: Step) -> tuple[str, ...]:
    """Return the files that a step writes, as the run file names them."""
    if step == "evaluate" and file.evaluate is not None:
        return tuple(one for one in (file.evaluate.report, file.evaluate.json_) if one)
    if step == "export" and file.export is not None:
        beside = PurePath(file.export.file).with_suffix(".vectors.npy")
        return (file.export.file, *([str(beside)] if file.export.vectors == "npy" else []))
    return ()


def plan(
    file: RunFile,
    known: KnownState,
    *,
    only: Collection[Step] = (),
    force: Collection[Step] = (),
) -> tuple[PlannedStep, ...]:
    """Return what a run would do, as far as can be known before it starts.

    A step that is up to date now may become due when ``index`` finds changes; its reason says so.
    """
    made = []
    before: set[Step] = set()
    for step in selected(file, only):
        one = decide(file, step, known, forced=step in force)
        if one.status == "current" and before & NEEDS[step]:
            why = f"{one.why}, unless index finds changes"
            one = PlannedStep(step=step, status="current", why=why)
        before.add(step)
        made.append(one)
    return tuple(made)


def selected(file: RunFile, only: Collection[Step]) -> tuple[Step, ...]:
    """Return the steps that run, in their order."""
    return tuple(step for step in STEPS if step in file.steps() and (not only or step in only))


def decide(file: RunFile, step: Step, known: KnownState, *, forced: bool = False) -> PlannedStep:
    """Return whether a step is due now, and why."""
    if step == "download":
        if not known.downloaded:
            return PlannedStep(step=step, status="due", why="nothing has been downloaded yet")
        again = ", and URLs that failed before" if forced else ""
        return PlannedStep(step=step, status="look", why=f"downloads what is missing{again}")
    if step == "index":
        if not known.exists:
            return PlannedStep(step=step, status="due", why="the collection does not exist yet")
        again = ", and files that could not be used before" if forced else ""
        why = f"checks every file, reads new and changed ones{again}"
        return PlannedStep(step=step, status="look", why=why)
    why = "forced by --force" if forced else _explain_outdated(file, step, known)
    return PlannedStep(step=step, status="due" if why else "current", why=why or "up to date")


def _explain_outdated(file: RunFile, step: Step, known: KnownState) -> str:
    """Return why a step must be done, or nothing."""
    if not known.exists:
        return "the collection does not exist yet"
    if step == "declare":
        missing = [one for one in file.declare if one not in known.declared]
        return f"not indexed yet: {', '.join(missing)}" if missing else ""
    if step == "categories" and known.model is None:
        return "no classifier has been trained yet"
    if step == "neighbours" and not known.neighbours:
        return "no complete neighbour table exists"
    done = known.done.get(step)
    if done is None:
        return "not done by a run yet"
    reasons = {
        "the options in the run file have changed": done.options != options_of(file, step),
        "the items have changed": done.state != known.states.get(step),
        "the classifier was trained again since": step == "categories" and done.made != known.model,
        f"the table has {known.neighbours} neighbours for each item": step == "neighbours"
        and done.made != known.neighbours,
    }
    return next(
        (why for why, holds in reasons.items() if holds), _explain_lost(file, step, done, known)
    )


def _explain_lost(file: RunFile, step: Step, done: StepRecord, known: KnownState) -> str:
    made = done.made if isinstance(done.made, dict) else {}
    for name in outputs_of(file, step):
        stamp = known.files.get(name)
        if stamp is None:
            return f"{name} does not exist"
        if stamp != made.get(name):
            return f"{name} has changed since it was written"
    return ""
