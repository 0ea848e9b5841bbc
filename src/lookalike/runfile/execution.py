"""Run what a run file describes, step by step; each is decided after those before it are done."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager

from lookalike.config import pull_encoder
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.runfile.known_state import is_card
from lookalike.runfile.plan import NEEDS, PlannedStep, selected
from lookalike.runfile.reading import LoadedRunFile
from lookalike.runfile.step_results import StepOutcome
from lookalike.runfile.step_runner import StepRunner
from lookalike.runfile.steps import Step

__all__ = ["execute"]


def execute(
    loaded: LoadedRunFile,
    *,
    only: Collection[Step] = (),
    force: Collection[Step] = (),
    begins: Callable[[PlannedStep], None] = lambda planned: None,  # noqa: ARG005 - says nothing
    shown: Callable[[str], AbstractContextManager[ProgressCallback]],
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[StepOutcome]:
    """Run the steps that are out of date, and yield the outcome of each as it ends.

    ``begins`` is called before each step that runs; ``shown(what)`` returns its progress display.
    A step that fails stops those that need it, and no other. When ``stop`` returns true the step
    in progress ends early and no other starts; what was done is stored, and the next run continues.

    Where the file allows it, the encoder is pulled first. Raise ``PullError`` if that fails.
    """
    if loaded.file.pull:
        _pull(loaded, shown)
    steps = selected(loaded.file, only)
    run = StepRunner(loaded=loaded, steps=steps, force=force, shown=shown, stop=stop)
    failed: set[Step] = set()
    try:
        for step in steps:
            if stop():
                return
            if missing := NEEDS[step] & failed:
                failed.add(step)
                yield StepOutcome(step=step, status="left", why=f"{', '.join(missing)} failed")
                continue
            outcome = run.step(step, begins)
            if outcome.status == "failed":
                failed.add(step)
            yield outcome
            if outcome.status == "interrupted":
                return
    except BaseException:
        run.close(failed=True)
        raise
    finally:
        run.close()


def _pull(
    loaded: LoadedRunFile, shown: Callable[[str], AbstractContextManager[ProgressCallback]]
) -> None:
    """Pull the file's encoder unless its name means one that is there."""
    from lookalike.encoders.cards import card_path  # noqa: PLC0415 - few files pull

    name = loaded.file.encoder or ""
    if card_path(name) is not None or is_card(name):
        return
    with shown("pull, MB") as show:

        def progress(now: Progress) -> None:
            total = None if now.total is None else now.total // 1_000_000
            show(Progress(done=now.done // 1_000_000, total=total, stage=now.stage))

        pull_encoder(name, accept_licence=loaded.file.accept_licence, progress=progress)
