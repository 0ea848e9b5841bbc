"""``lookalike categories``: learn the labels, predict them."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import NOTHING_FOUND, of_batch
from lookalike.cli.options import collection_option, encoder_options, json_option, opened
from lookalike.cli.output import plain, print_json, print_table
from lookalike.core.atomic_files import write_file
from lookalike.errors import ExportError, ImageError
from lookalike.output.json_documents import error_json, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lookalike.analysis.categories import CategoryReport, ClassifierInfo, ClassifierStatus
    from lookalike.core.records import Json

__all__ = ["categories_command", "standing_text"]

_NAMES = 3  # labels that are named where many have come or gone


@click.group("categories")
def categories_command() -> None:
    """Learn the collection's labels, and tell what a picture is.

    \b
      lookalike categories train -c shop
      lookalike categories predict query.jpg -c shop
      lookalike search query.jpg -c shop --category auto
    """


@categories_command.command("train")
@collection_option
@click.option(
    "--by", default="label", show_default=True, metavar="FIELD", help="What to learn: a field."
)
@click.option("--levels", is_flag=True, help="Labels like Clothing/Tops are paths, level by level.")
@click.option("--where", metavar="FILTER", help="Learn only from items that meet a filter.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Which items judge, not teach."
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Write a page: accuracy, calibration, what is taken for what, every label.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
def train_command(
    *,
    collection: str | None,
    by: str,
    levels: bool,
    where: str | None,
    seed: int,
    report: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Learn to tell labels apart, from the vectors that are there; no picture is read.

    First a fifth of the items is held out to tell how good it is, then all teach the model that
    is kept. Nothing is kept before the end.

    \b
      lookalike categories train -c shop
      lookalike categories train -c shop --report shop.html
      lookalike categories train -c shop --by category_path --levels
    """
    from lookalike.analysis import categories
    from lookalike.cli.progress import Meter
    from lookalike.output.outputs import check_output

    with opened(collection) as shop, Meter("learning", quiet=quiet or as_json) as meter:
        if report is not None:
            check_output(report, [shop])
        try:
            found = categories.train(
                shop, by, where=where, levels=levels, seed=seed, progress=meter
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        name = Path(shop.info().address).name
    if report is not None:
        _write_report(found, name, report)
    if as_json:
        print_json(asdict(found))
    else:
        _print_report(found)


def _write_report(found: "CategoryReport", collection: str, target: Path) -> None:
    from lookalike.output.report import render_categories

    made_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    try:
        text = render_categories(found, collection=collection, made_at=made_at)
        write_file(target, text)
    except OSError as error:
        raise ExportError(f"the report cannot be written to {target}: {error.strerror}") from error
    click.echo(f"wrote {plain(str(target))}", err=True)


def _print_report(report: "CategoryReport") -> None:
    rows = [
        (
            "learned",
            f"{report.classes:,} labels from {report.items:,} items in {report.seconds:.1f} s",
        ),
        ("held out", f"first {report.held_out:,}; {report.unjudged:,} labels have none there"),
    ]
    right, top5, macro = report.accuracy, report.top5, report.macro_accuracy
    if right is None or top5 is None or macro is None:
        rows.append(("accuracy", "unknown: too few items to hold some out"))
    else:
        rows += [
            (
                "accuracy",
                f"{right:.1%}, among the first five {top5:.1%}, mean over labels {macro:.1%}",
            ),
            (
                "calibration",
                f"error {report.ece:.3f}, before the temperature {report.ece_before:.3f}",
            ),
        ]
    rows += [
        ("taken for", plain(f"{one.label} as {one.predicted}: {one.items:,}"))
        for one in report.confusions[:5]
    ]
    print_table(("", ""), rows)


@categories_command.command("predict")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@collection_option
@click.option("--by", metavar="FIELD", help="Which field.  [default: the one that was learned]")
@click.option("--level", type=click.IntRange(1), help="Of label paths this level; 1 is the top.")
@click.option(
    "-n", "--limit", type=click.IntRange(1), default=5, show_default=True, help="How many labels."
)
@encoder_options
@json_option
@click.pass_context
def predict_command(
    ctx: click.Context,
    /,
    pictures: tuple[str, ...],
    *,
    collection: str | None,
    by: str | None,
    level: int | None,
    limit: int,
    encoder: str | None,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Tell what each PICTURE is ('-' reads one from stdin): labels with their probabilities.

    Where nothing has been trained, the most similar items that have a label vote.

    \b
      lookalike categories predict query.jpg -c shop
      lookalike categories predict query.jpg -c shop --by season
    """
    from lookalike.analysis import categories

    documents: list[Json] = []
    outcomes: list[bool | None] = []
    with opened(collection, encoder=encoder, device=device, threads=threads, search=True) as shop:
        for picture in pictures:
            try:
                source = sys.stdin.buffer.read() if picture == "-" else picture
                found = categories.predict(shop, source, by, level=level)[:limit]
            except ImageError as error:
                click.echo(f"error: {error}", err=True)
                outcomes.append(None)
                documents.append({"path": picture, "predicted": [], "error": error_json(error)})
                continue
            except ValueError as error:
                raise click.UsageError(str(error)) from error
            outcomes.append(True)
            labels: list[Json] = [
                {"label": one.label, "probability": round(one.probability, 6)} for one in found
            ]
            documents.append({"path": picture, "predicted": labels, "error": None})
            if not as_json:
                if len(pictures) > 1:
                    click.echo(plain(picture))
                rows = [(f"{one.probability:.3f}", plain(one.label)) for one in found]
                print_table(("probability", "label"), rows)
    if as_json:
        print_json(documents if len(pictures) > 1 else documents[0])
    ctx.exit(of_batch(outcomes))


@categories_command.command("info")
@collection_option
@json_option
@click.pass_context
def info_command(ctx: click.Context, /, *, collection: str | None, as_json: bool) -> None:
    """Tell what was learned, when, how good it was then, and what has changed since.

    Exits with 5 if nothing was learned.
    """
    from lookalike.analysis import categories

    with opened(collection) as shop:
        found = categories.get_classifier_info(shop)
        since = categories.get_classifier_status(shop)
    if found is None:
        if as_json:
            print_json(None)
        else:
            click.echo("nothing has been learned; `lookalike categories train` does", err=True)
        ctx.exit(NOTHING_FOUND)
    if as_json:
        print_json(
            {
                **asdict(found),
                "trained_at": when(found.trained_at),
                "standing": None if since is None else {**asdict(since), "current": since.current},
            }
        )
    else:
        print_table(("", ""), _learned_rows(found, since))


def _learned_rows(
    found: "ClassifierInfo", since: "ClassifierStatus | None"
) -> list[tuple[str, str]]:
    report = found.report
    accuracy, error = report.get("accuracy"), report.get("ece")
    rows = [
        ("learned", f"{len(found.labels):,} labels of {plain(found.by)}"),
        ("trained", when(found.trained_at) or ""),
        ("items", f"{_count(report, 'items')}, {_count(report, 'held_out')} held out first"),
        (
            "now",
            "unknown: the filter was made in Python" if since is None else standing_text(since),
        ),
        ("encoder", found.encoder),
        ("fingerprint", found.fingerprint),
    ]
    if isinstance(found.where, str):
        rows.append(("filter", plain(found.where)))
    if isinstance(accuracy, float) and isinstance(error, float):
        rows.append(("accuracy", f"{accuracy:.1%}, calibration error {error:.3f}"))
    return rows


def _count(report: "Mapping[str, Json]", name: str) -> str:
    value = report.get(name)
    return f"{value:,}" if isinstance(value, int) else "?"


def standing_text(since: "ClassifierStatus") -> str:
    """What has changed since a model was trained, in one line."""
    if since.current:
        return f"the same: {since.items_now:,} items of {since.labels_now:,} labels"
    items = f"{since.items_now:,} items (then {since.items_then:,})"
    parts = [f"{items} of {since.labels_now:,} labels (then {since.labels_then:,})"]
    for names, what in ((since.added, "new"), (since.gone, "gone")):
        if names:
            some = ", ".join(plain(name) for name in names[:_NAMES])
            more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
            parts.append(f"{what}: {some}{more}")
    if since.changed:
        labels = "1 label has" if since.changed == 1 else f"{since.changed:,} labels have"
        parts.append(f"{labels} more or fewer items")
    return "; ".join(parts) + "; `lookalike categories train` learns again"


@categories_command.command("drop")
@collection_option
@json_option
def drop_command(*, collection: str | None, as_json: bool) -> None:
    """Forget what was learned; the items keep their labels."""
    from lookalike.analysis import categories

    with opened(collection) as shop:
        gone = categories.drop(shop)
    if as_json:
        print_json({"forgotten": gone})
    else:
        click.echo("forgotten" if gone else "nothing had been learned", err=True)
