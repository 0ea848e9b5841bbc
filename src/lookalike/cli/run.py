"""``lookalike run`` and ``lookalike init``."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import HELD_BACK
from lookalike.cli.options import format_option, json_option
from lookalike.cli.output import plain, print_json
from lookalike.cli.progress import Meter, duration, stop_on_signal
from lookalike.core.atomic_files import write_file
from lookalike.core.plurals import count_noun
from lookalike.errors import RunFileError
from lookalike.runfile.steps import STEPS, Step

if TYPE_CHECKING:
    from lookalike.analysis.categories import CategoryReport
    from lookalike.analysis.evaluation import Comparison
    from lookalike.core.records import Json
    from lookalike.runfile.plan import PlannedStep
    from lookalike.runfile.reading import LoadedRunFile
    from lookalike.runfile.step_results import StepOutcome

__all__ = ["init_command", "run_command"]

_WIDTH = 12
_NOTES = 10  # notes to show for a step; --json has all


@click.command("run")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would be done and why.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(STEPS),
    metavar="STEP",
    help="Run only this step. Repeat for several.",
)
@click.option(
    "--force",
    multiple=True,
    type=click.Choice(STEPS),
    metavar="STEP",
    help="Run this step even if it is up to date. Repeat for several. download and index also "
    "retry what failed before.",
)
@click.option(
    "--serve",
    "then_serve",
    is_flag=True,
    help="Afterwards, serve the collection with the settings of FILE's section service.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def run_command(
    ctx: click.Context,
    file: Path,
    *,
    dry_run: bool,
    only: tuple[Step, ...],
    force: tuple[Step, ...],
    then_serve: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run the steps of a run file (YAML or TOML) that are out of date.

    The steps are download, index, declare, categories, neighbours, evaluate and export; each is a
    section of FILE. Relative paths start at FILE's folder. If a step fails, only the steps that
    depend on it are not run. Ctrl-C stops, and the next run continues. `lookalike init` writes a
    FILE to start from.

    \b
      lookalike run shop.yaml
      lookalike run shop.yaml --dry-run
      lookalike run shop.yaml --only evaluate --force evaluate
      lookalike run shop.yaml --serve
    """
    from lookalike.runfile.reading import read_run_file

    loaded = read_run_file(file)
    for note in loaded.notes:
        click.echo(f"note: {plain(str(note))}", err=True)
    watches = _check(loaded, only, force, then_serve=then_serve)
    if dry_run:
        _show_plan(loaded, only, force, as_json=as_json)
        return
    began = time.monotonic()
    with stop_on_signal() as stop:
        outcomes = _run(loaded, only, force, stop, quiet=quiet, as_json=as_json)
        interrupted = stop() or any(one.status == "interrupted" for one in outcomes)
    seconds = time.monotonic() - began
    if as_json:
        print_json(
            {
                **_make_head(loaded),
                "interrupted": interrupted,
                "seconds": seconds,
                "steps": [_outcome_json(one) for one in outcomes],
            }
        )
    else:
        click.echo(_summarise(outcomes, seconds))
    if interrupted:
        click.echo("interrupted; the next run continues from here", err=True)
        ctx.exit(130)
    failed = [one for one in outcomes if one.status == "failed"]
    if failed:
        held_back = all(getattr(one.result, "problems", ()) for one in failed)
        ctx.exit(HELD_BACK if held_back else 1)
    if watches:
        _watch(loaded, only, as_json=as_json)
    elif then_serve:
        _serve(loaded)
    elif loaded.file.service is not None:
        click.echo(f"to serve it: lookalike run {plain(str(file))} --serve", err=True)


def _check(
    loaded: "LoadedRunFile", only: Sequence[Step], force: Sequence[Step], *, then_serve: bool
) -> bool:
    """Return whether the sources are watched after the run. Raise ``RunFileError``."""
    steps, index = loaded.file.steps(), loaded.file.index
    for step in (*only, *force):
        if step not in steps:
            raise RunFileError(f"{loaded.path} has no section {step!r}, only {', '.join(steps)}")
    watches = index is not None and index.watch and "index" in (only or steps)
    if then_serve and watches:
        raise RunFileError(
            f"{loaded.path}: index.watch and --serve both stay; run them as two commands"
        )
    return watches


def _watch(loaded: "LoadedRunFile", only: Sequence[Step], *, as_json: bool) -> None:
    from lookalike.cli.watch_run import watch_run

    with stop_on_signal() as stop:
        watch_run(
            loaded,
            only,
            stop,
            describe=lambda one: _format_line(one.step, _describe_status(one, loaded)),
            as_document=_outcome_json,
            as_json=as_json,
        )


def _serve(loaded: "LoadedRunFile") -> None:
    from lookalike.cli.serve import serve
    from lookalike.runfile.known_state import address_of
    from lookalike.runfile.sections import ServiceSection

    service = loaded.file.service or ServiceSection()
    serve(
        [address_of(loaded)],
        device=loaded.file.device,
        threads=loaded.file.threads,
        host=service.host,
        port=service.port,
        read_key=service.read_key,
        write_key=service.write_key,
        read_only=service.read_only,
        cors=service.cors,
        hosts=service.allow_hosts,
        max_upload=int(service.max_upload_megabytes * 1e6),
        allow_urls=service.allow_urls,
        show_paths=service.show_paths,
    )


def _show_plan(
    loaded: "LoadedRunFile", only: Sequence[Step], force: Sequence[Step], *, as_json: bool
) -> None:
    from lookalike.runfile.known_state import read_state
    from lookalike.runfile.plan import plan

    steps = plan(loaded.file, read_state(loaded), only=only, force=force)
    if as_json:
        planned: list[Json] = [
            {"step": one.step, "status": one.status, "why": one.why} for one in steps
        ]
        print_json({**_make_head(loaded), "dry_run": True, "steps": planned})
        return
    for one in steps:
        before = {"due": "would run: ", "look": "would check: ", "current": ""}[one.status]
        click.echo(_format_line(one.step, before + plain(one.why)))


def _run(
    loaded: "LoadedRunFile",
    only: Sequence[Step],
    force: Sequence[Step],
    stop: Callable[[], bool],
    *,
    quiet: bool,
    as_json: bool,
) -> list["StepOutcome"]:
    """Run the steps, and print a line as each begins and ends."""
    from lookalike.runfile.execution import execute

    def begins(planned: "PlannedStep") -> None:
        if not quiet:
            click.echo(f"{planned.step}: {plain(planned.why)}", err=True)

    outcomes = []
    for one in execute(
        loaded,
        only=only,
        force=force,
        begins=begins,
        shown=lambda what: Meter(plain(what), quiet=quiet),
        stop=stop,
    ):
        outcomes.append(one)
        for note in _list_notes(one)[:_NOTES]:
            click.echo(f"note: {plain(note)}", err=True)
        if one.status == "failed":
            click.echo(f"error: {one.step}: {one.why}", err=True)
        if not as_json:
            click.echo(_format_line(one.step, _describe_status(one, loaded)))
    return outcomes


def _format_line(step: str, text: str) -> str:
    return f"{step:<{_WIDTH}}{text}"


def _summarise(outcomes: Sequence["StepOutcome"], seconds: float) -> str:
    counts = {
        "done": "done",
        "current": "up to date",
        "failed": "failed",
        "left": "not run",
        "interrupted": "interrupted",
    }
    parts = [
        f"{count} {word}"
        for status, word in counts.items()
        if (count := sum(one.status == status for one in outcomes))
    ]
    return _format_line("", f"{', '.join(parts) or 'nothing done'}, in {duration(seconds)}")


def _list_notes(one: "StepOutcome") -> list[str]:
    notes = list(one.notes)
    skipped = getattr(one.result, "skips", ())
    return notes + [f"skipped {skip.path}: {skip.reason}" for skip in skipped]


def _describe_status(one: "StepOutcome", loaded: "LoadedRunFile") -> str:
    if one.status == "left":
        return f"not run: {one.why}"
    if one.status == "failed":
        result = _describe_result(one, loaded)
        return f"failed{f': {result}' if result else ''}"
    result = _describe_result(one, loaded)
    if one.status == "interrupted":
        return f"interrupted{f': {result}' if result else ''}"
    if one.status == "current":
        return f"up to date{f': {result}' if result else ''}"
    return result or f"done in {duration(one.seconds)}"


def _describe_result(one: "StepOutcome", loaded: "LoadedRunFile") -> str:  # noqa: PLR0911 - a report each
    """Return the result of a step as one line."""
    from lookalike.analysis.categories import CategoryReport
    from lookalike.analysis.evaluation import Comparison
    from lookalike.analysis.neighbours import BuildReport
    from lookalike.cli import download, index_results, neighbours, verify
    from lookalike.core.records import IndexReport
    from lookalike.indexing.differences import VerificationReport
    from lookalike.output.export import ExportReport

    result = one.result
    match result:
        case None:
            return ""
        case IndexReport():
            return index_results.summary(result)
        case VerificationReport():
            return verify.summary(result)
        case BuildReport():
            return neighbours.summary(result)
        case CategoryReport():
            return _describe_training(result)
        case Comparison():
            return _describe_evaluation(result, loaded)
        case ExportReport():
            place = plain(str(result.path))
            return f"{count_noun(result.items, 'item')} written to {place} in {one.seconds:.1f} s"
    return download.done(result).replace("--retry-failed", "--force download")


def _describe_training(report: "CategoryReport") -> str:
    text = f"trained on {count_noun(report.items, 'item')} of {count_noun(report.classes, 'label')}"
    if report.accuracy is not None:
        text += f", {report.accuracy:.1%} of {count_noun(report.held_out, 'held-out item')} correct"
    return f"{text} in {report.seconds:.1f} s"


def _describe_evaluation(found: "Comparison", loaded: "LoadedRunFile") -> str:
    one, wanted = found.evaluations[0], loaded.file.evaluate
    first = one.scores.get("R@1")
    parts = [
        f"{one.scores[one.headline].micro:.0%} of the first {one.headline[2:]} results correct"
    ]
    if first is not None and one.headline != "P@1":
        parts.insert(0, f"{first.micro:.0%} of first results correct")
    text = f"{', '.join(parts)} ({count_noun(one.queries, 'query', 'queries')})"
    if wanted is None:
        return text
    files = [plain(str(loaded.place(name))) for name in (wanted.report, wanted.json_) if name]
    return f"{text} in {one.seconds:.1f} s{', see ' + ' and '.join(files) if files else ''}"


def _make_head(loaded: "LoadedRunFile") -> dict[str, "Json"]:
    notes: list[Json] = [str(note) for note in loaded.notes]
    return {"path": str(loaded.path), "collection": loaded.file.collection, "notes": notes}


def _outcome_json(one: "StepOutcome") -> "Json":
    from lookalike.analysis.evaluation import Comparison
    from lookalike.output.result_files import document, plain_json

    result = document(one.result) if isinstance(one.result, Comparison) else plain_json(one.result)
    return {
        "step": one.step,
        "status": one.status,
        "why": one.why,
        "seconds": round(one.seconds, 3),
        "notes": [*one.notes],
        "result": result,
    }


@click.command("init")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--source", metavar="SOURCE", help="The folder or catalogue to index.")
@format_option
@click.option("--toml", is_flag=True, help="Write TOML.  [default: by FILE's suffix, or YAML]")
@click.option("--force", is_flag=True, help="Overwrite an existing FILE.")
@json_option
def init_command(
    file: Path | None,
    *,
    source: str | None,
    format_: str,
    toml: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write a commented run file that lists every key with its purpose and default.

    FILE defaults to lookalike.yaml. The content of SOURCE decides its format, whether it has
    labels, and whether its images must be downloaded.

    \b
      lookalike init
      lookalike init shop.yaml --source products.csv
      lookalike init shop.yaml --source photos/ --format class-folders
      lookalike run shop.yaml --dry-run
    """
    from lookalike.runfile.template import start_with, template

    target = file or Path("lookalike.toml" if toml else "lookalike.yaml")
    suffix = target.suffix.lower()
    if suffix not in (".yaml", ".yml", ".toml"):
        raise click.UsageError("the name of FILE must end with .yaml, .yml or .toml")
    if toml and suffix != ".toml":
        raise click.UsageError("with --toml, the name of FILE must end with .toml")
    path = Path(source).expanduser() if source is not None else None
    name = target.stem if target.stem.isidentifier() and file is not None else "shop"
    start = start_with(path, kind=format_, folder=target.parent, name=name)
    text = template(start.values, name=plain(target.name), toml=suffix == ".toml")
    try:
        write_file(target, text, exclusive=not force)
    except FileExistsError as error:
        raise RunFileError(f"{target} already exists; use --force to overwrite it") from error
    except OSError as error:
        raise RunFileError(f"cannot write {target}: {error.strerror}") from error
    if start.note:
        click.echo(plain(start.note), err=True)
    if as_json:
        print_json({"path": str(target), "note": start.note or None})
        return
    click.echo(f"wrote {plain(str(target))}; next: lookalike run {plain(str(target))} --dry-run")
