"""``lookalike categories train``, ``predict``, ``info`` and ``drop``."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import NOTHING_FOUND, of_batch
from lookalike.cli.options import (
    collection_option,
    encoder_options,
    json_option,
    opened,
    where_option,
)
from lookalike.cli.output import plain, print_json, print_table
from lookalike.core.atomic_files import write_file
from lookalike.core.plurals import count_noun
from lookalike.errors import ExportError, ImageError
from lookalike.output.json_documents import error_json, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lookalike.analysis.categories import CategoryReport, ClassifierInfo, ClassifierStatus
    from lookalike.core.records import Json

__all__ = ["categories_command", "standing_text", "trained_on"]

_NAMES = 3  # labels to name if many were added or removed


@click.group("categories")
def categories_command() -> None:
    """Train a classifier on the collection's labels, and predict the labels of images.

    \b
      lookalike categories train -c shop
      lookalike categories predict query.jpg -c shop
      lookalike search query.jpg -c shop --category auto
    """


@categories_command.command("train")
@collection_option
@click.option(
    "--by", default="label", show_default=True, metavar="FIELD", help="The field to train on."
)
@click.option(
    "--levels", is_flag=True, help="Treat labels such as Clothing/Tops as paths with levels."
)
@where_option
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The random choice of held-out items."
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Write an HTML report: accuracy, calibration, confusions, every label.",
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
    """Train a classifier on the stored embeddings and labels. No images are read.

    A fifth of the items is held out first to measure the accuracy; the final model is then trained
    on all items. Nothing is stored before the end.

    \b
      lookalike categories train -c shop
      lookalike categories train -c shop --report shop.html
      lookalike categories train -c shop --by category_path --levels
    """
    from lookalike.analysis import categories
    from lookalike.cli.progress import Meter
    from lookalike.display.outputs import check_output

    with opened(collection) as shop, Meter("training", quiet=quiet or as_json) as meter:
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
        raise ExportError(f"cannot write the report to {target}: {error.strerror}") from error
    click.echo(f"wrote {plain(str(target))}", err=True)


def trained_on(report: "CategoryReport") -> str:
    """Return the number of items and labels of a training."""
    return f"{count_noun(report.items, 'item')} of {count_noun(report.classes, 'label')}"


def _print_report(report: "CategoryReport") -> None:
    untested = count_noun(report.unjudged, "label")
    rows = [
        (
            "trained on",
            f"{trained_on(report)} in {report.seconds:.1f} s",
        ),
        (
            "evaluated on",
            f"{count_noun(report.held_out, 'held-out item')}; {untested} without one",
        ),
    ]
    right, top5, macro = report.accuracy, report.top5, report.macro_accuracy
    if right is None or top5 is None or macro is None:
        rows.append(("accuracy", "unknown: too few items to hold any out"))
    else:
        rows += [
            (
                "accuracy",
                f"{right:.1%}; among the top five {top5:.1%}; mean over labels {macro:.1%}",
            ),
            (
                "calibration",
                f"error {report.ece:.3f} ({report.ece_before:.3f} before temperature scaling)",
            ),
        ]
    rows += [
        ("confused", plain(f"{one.label} predicted as {one.predicted}: {one.items:,}"))
        for one in report.confusions[:5]
    ]
    print_table(("", ""), rows)


@categories_command.command("predict")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@collection_option
@click.option("--by", metavar="FIELD", help="The field to predict.  [default: the trained one]")
@click.option(
    "--level", type=click.IntRange(1), help="The level of label paths to predict; 1 is the top."
)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="The maximum number of labels.",
)
@encoder_options
@json_option
@click.pass_context
def predict_command(
    ctx: click.Context,
    /,
    images: tuple[str, ...],
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
    """Predict the label of each IMAGE ('-' reads one from stdin), with probabilities.

    Without a trained classifier, the most similar items that have a label vote.

    \b
      lookalike categories predict query.jpg -c shop
      lookalike categories predict query.jpg -c shop --by season
    """
    from lookalike.analysis import categories

    documents: list[Json] = []
    outcomes: list[bool | None] = []
    with opened(collection, encoder=encoder, device=device, threads=threads, search=True) as shop:
        for image in images:
            try:
                source = sys.stdin.buffer.read() if image == "-" else image
                found = categories.predict(shop, source, by, level=level)[:limit]
            except ImageError as error:
                click.echo(f"error: {error}", err=True)
                outcomes.append(None)
                documents.append({"path": image, "predicted": [], "error": error_json(error)})
                continue
            except ValueError as error:
                raise click.UsageError(str(error)) from error
            outcomes.append(True)
            labels: list[Json] = [
                {"label": one.label, "probability": round(one.probability, 6)} for one in found
            ]
            documents.append({"path": image, "predicted": labels, "error": None})
            if not as_json:
                if len(images) > 1:
                    click.echo(plain(image))
                rows = [(f"{one.probability:.3f}", plain(one.label)) for one in found]
                print_table(("probability", "label"), rows)
    if as_json:
        print_json(documents if len(images) > 1 else documents[0])
    ctx.exit(of_batch(outcomes))


@categories_command.command("info")
@collection_option
@json_option
@click.pass_context
def info_command(ctx: click.Context, /, *, collection: str | None, as_json: bool) -> None:
    """Describe the trained classifier: field, date, accuracy, and what has changed since.

    Exits with 5 if there is none.
    """
    from lookalike.analysis import categories

    with opened(collection) as shop:
        found = categories.get_classifier_info(shop)
        since = categories.get_classifier_status(shop)
    if found is None:
        if as_json:
            print_json(None)
        else:
            click.echo("no classifier; train one with `lookalike categories train`", err=True)
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
        print_table(("", ""), _classifier_rows(found, since))


def _classifier_rows(
    found: "ClassifierInfo", since: "ClassifierStatus | None"
) -> list[tuple[str, str]]:
    report = found.report
    accuracy, error = report.get("accuracy"), report.get("ece")
    rows = [
        ("labels", f"{len(found.labels):,} values of {plain(found.by)}"),
        ("trained", when(found.trained_at) or ""),
        (
            "items",
            f"{_count(report, 'items')}, {_count(report, 'held_out')} held out for evaluation",
        ),
        (
            "now",
            "unknown (trained with a filter object)" if since is None else standing_text(since),
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
    """Return what has changed since the classifier was trained, in one line."""
    if since.current:
        return (
            f"unchanged: {count_noun(since.items_now, 'item')}, "
            f"{count_noun(since.labels_now, 'label')}"
        )
    items = f"{count_noun(since.items_now, 'item')} (was {since.items_then:,})"
    labels = f"{count_noun(since.labels_now, 'label')} (was {since.labels_then:,})"
    parts = [f"{items}, {labels}"]
    for names, what in ((since.added, "new"), (since.gone, "removed")):
        if names:
            some = ", ".join(plain(name) for name in names[:_NAMES])
            more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
            parts.append(f"{what}: {some}{more}")
    if since.changed:
        verb = "has" if since.changed == 1 else "have"
        parts.append(f"{count_noun(since.changed, 'label')} {verb} more or fewer items")
    return "; ".join(parts) + "; train again with `lookalike categories train`"


@categories_command.command("drop")
@collection_option
@json_option
def drop_command(*, collection: str | None, as_json: bool) -> None:
    """Delete the trained classifier; the items keep their labels."""
    from lookalike.analysis import categories

    with opened(collection) as shop:
        gone = categories.drop(shop)
    if as_json:
        print_json({"forgotten": gone})
    else:
        click.echo("deleted" if gone else "no classifier to delete", err=True)
