"""``lookalike evaluate --encoders``: candidates on a sample of the collection's own images."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli import exit_codes
from lookalike.cli.output import plain, print_json, print_table, size_text
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.config import encoder_of, named_encoder
from lookalike.core.plurals import count_noun
from lookalike.output.result_files import document

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.moving.encoder_comparison import EncoderComparison

__all__ = ["encoder_names", "run_comparison"]


def encoder_names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Return names separated by commas. Raise ``BadParameter``."""
    if value is None:
        return ()
    names = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
    if not all(names):
        raise click.BadParameter(f"{value!r} is not a list such as a,b,c", ctx, param)
    return names


def run_comparison(
    ctx: click.Context,
    collection: "Collection",
    names: tuple[str, ...],
    *,
    by: str,
    where: str | None,
    sample: int,
    ks: tuple[int, ...],
    seed: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare encoders on a sample, the collection's own first, and print the table."""
    from lookalike.moving.encoder_comparison import compare_encoders

    own = encoder_of(collection.store)
    # Two names may stand for one encoder: balanced, and the name of its card.
    by_fingerprint = {one.fingerprint: one for one in map(named_encoder, (own, *names))}
    encoders = list(by_fingerprint.values())
    with stop_on_signal() as stop, Meter("images", quiet=quiet) as meter:
        found = compare_encoders(
            collection,
            encoders,
            by=by,
            where=where,
            sample=sample,
            ks=ks,
            seed=seed,
            progress=meter,
            stop=stop,
        )
    if found.quality is None:
        click.echo("interrupted; nothing was changed", err=True)
        ctx.exit(exit_codes.INTERRUPTED)
    if as_json:
        print_json(
            {
                "encoders": [asdict(one) for one in found.trials],
                "images": found.images,
                "without_file": found.without_file,
                "skipped": [asdict(one) for one in found.skipped],
                "quality": document(found.quality),
            }
        )
        return
    if not quiet:
        click.echo(_describe(found, by), err=True)
    _print(found)


def _describe(found: "EncoderComparison", by: str) -> str:
    text = f"{count_noun(found.images, 'image')} of the collection, compared by {plain(by)}"
    if found.without_file:
        text += f"; {count_noun(found.without_file, 'item')} left out (no file to encode)"
    if found.skipped:
        text += f"; {count_noun(len(found.skipped), 'image')} could not be used"
    return text


def _print(found: "EncoderComparison") -> None:
    assert found.quality is not None  # noqa: S101 - an interrupted comparison is not printed
    measures = [
        name
        for name in found.quality.evaluations[0].scores
        if name.startswith("P@") or name == "mAP"
    ]
    rows = []
    for number, (trial, one) in enumerate(
        zip(found.trials, found.quality.evaluations, strict=True)
    ):
        cells: list[str] = [plain(trial.encoder)]
        for name in measures:
            score = one.scores[name]
            cells.append(f"{score.micro:.3f} ({score.low:.3f} to {score.high:.3f})")
        difference = ""
        if number:
            by = found.quality.differences[number - 1]["mAP"]
            difference = f"{by.mean:+.3f} ({by.low:+.3f} to {by.high:+.3f})"
        cells += [difference, f"{trial.images_per_second:,.0f}", size_text(trial.bytes_per_item)]
        rows.append(cells)
    columns = ("encoder", *measures, "mAP, difference to first", "images/s", "per item")
    print_table(columns, rows)
