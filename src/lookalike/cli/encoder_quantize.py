"""``lookalike encoder quantize``."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import json_option, opened
from lookalike.cli.output import plain, print_json, print_table
from lookalike.config import settings
from lookalike.core.plurals import count_noun
from lookalike.errors import CollectionError, ImageError, SourceError

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.core.protocols import Prepared
    from lookalike.encoders import ModelCard, OnnxEncoder
    from lookalike.encoders.quantizing import Loss, QuantizedEncoder
    from lookalike.moving.encoder_comparison import EncoderComparison

__all__ = ["quantize_command"]

_FEWEST = 16  # images that can be used
_HELD_BACK = 4  # one image in so many is kept for the comparison
_SEED = 0


@click.command("quantize")
@click.argument("encoder")
@click.option("-c", "--collection", metavar="NAME|PATH|ADDRESS", help="Calibrate on its images.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Calibrate on the images of a folder.",
)
@click.option("--name", required=True, help="The name of the new encoder.")
@click.option(
    "--sample",
    type=click.IntRange(_FEWEST),
    default=128,
    show_default=True,
    help="How many images to use at most.",
)
@click.option("-y", "--yes", is_flag=True, help="Keep it whatever is lost; do not ask.")
@json_option
@click.pass_context
def quantize_command(
    ctx: click.Context,
    *,
    encoder: str,
    collection: str | None,
    images: Path | None,
    name: str,
    sample: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a faster encoder of 8-bit integers, after showing what it loses.

    ENCODER is a name or the path of a model card. Ranges are measured on a sample of your own
    images. Then the new encoder is compared with the old one on images that were not used for that:
    the cosine of their embeddings, the rate and, where a collection has labels, mAP. It is kept if
    you say so. It is another encoder: `lookalike migrate` moves a collection to it.

    \b
      lookalike encoder quantize balanced -c shop --name balanced-int8
      lookalike migrate -c shop --encoder balanced-int8
      lookalike encoder quantize my/card.toml --images photos/ --name my-int8 --yes
    """
    if (collection is None) == (images is None):
        raise click.UsageError("give --collection or --images, for the images to calibrate with")
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("not an interactive terminal; pass --yes to keep it without asking")
    from lookalike.encoders import OnnxEncoder, find_card
    from lookalike.encoders.quantizing import check_new_name, measure_loss, quantized_encoder

    known = settings()
    folder = known.home / "encoders"
    base = OnnxEncoder(find_card(encoder, folder=folder), cache=known.cache, measured=False)
    try:
        check_new_name(name, folder)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param_hint="--name") from error
    with _source(collection) as shop:
        paths = _draw_files(shop, images, sample)
        prepared = [one for one in (_prepare(path, base) for path in paths) if one is not None]
        if len(prepared) < _FEWEST:
            raise SourceError(
                f"only {count_noun(len(prepared), 'image')} could be used; at least {_FEWEST} are "
                "needed"
            )
        held_back = prepared[::_HELD_BACK]
        rest = [one for number, one in enumerate(prepared) if number % _HELD_BACK]
        click.echo(f"calibrating on {count_noun(len(rest), 'image')}", err=True)
        with quantized_encoder(base.card, rest, name, folder=folder, cache=known.cache) as made:
            new = OnnxEncoder(find_card(made.card), cache=known.cache, measured=False)
            loss = measure_loss(base, new, held_back)
            quality = None if shop is None else _compare(shop, base, new, sample)
            if not as_json:
                _print(base.card, loss, quality)
            if base.card.words is not None:
                click.echo("note: the new encoder has no words to search by", err=True)
            kept = yes or click.confirm(f"Keep it as {name}?", err=True)
            if kept:
                made.keep()
    if as_json:
        print_json(_document(name, made, loss, quality, kept=kept))
    elif kept:
        click.echo(f"use it with --encoder {name}", err=True)
    else:
        click.echo("nothing was kept", err=True)


@contextmanager
def _source(collection: str | None) -> Iterator["Collection | None"]:
    if collection is None:
        yield None
        return
    with opened(collection) as shop:
        yield shop


def _draw_files(shop: "Collection | None", images: Path | None, sample: int) -> list[Path]:
    """Return files of random images, at most ``sample``."""
    if shop is not None:
        drawn = shop.sample(sample, seed=_SEED)
        return [path for path in shop.files_of(drawn) if path is not None]
    from lookalike.images import SUFFIXES
    from lookalike.sources.scan import scan

    assert images is not None  # noqa: S101 - one of the two is given
    found = sorted(scan(images, suffixes=SUFFIXES).files)
    chosen = random.Random(_SEED).sample(found, min(sample, len(found)))  # noqa: S311 - no secret
    return [images / path for path in chosen]


def _prepare(path: Path, encoder: "OnnxEncoder") -> "Prepared | None":
    """Return an image as the encoder takes it; ``None`` for one that cannot be used."""
    from lookalike.images import decode, read

    try:
        return encoder.prepare(decode(read(path), at_least=encoder.decode_size).image)
    except ImageError as error:
        click.echo(plain(f"left out: {error}"), err=True)
        return None


def _compare(
    shop: "Collection", base: "OnnxEncoder", new: "OnnxEncoder", sample: int
) -> "EncoderComparison | None":
    """Compare both by labels; ``None`` where the collection has too few."""
    from lookalike.moving.encoder_comparison import compare_encoders

    try:
        return compare_encoders(shop, [base, new], sample=sample, seed=_SEED + 1)
    except CollectionError as error:
        click.echo(plain(f"note: not compared by labels: {error}"), err=True)
        return None


def _difference(quality: "EncoderComparison | None") -> dict[str, float] | None:
    if quality is None or quality.quality is None:
        return None
    found = quality.quality.differences[0]["mAP"]
    return {"mean": found.mean, "low": found.low, "high": found.high}


def _print(base: "ModelCard", loss: "Loss", quality: "EncoderComparison | None") -> None:
    rows = [
        ("compared with", base.name),
        ("cosine", f"{loss.cosine:.4f} (lowest {loss.lowest:.4f} of {loss.images})"),
        ("rate", f"{loss.relative:.2f} times"),
    ]
    if (by := _difference(quality)) is not None:
        rows.append(("mAP", f"{by['mean']:+.3f} ({by['low']:+.3f} to {by['high']:+.3f})"))
    print_table(("", ""), [(what, plain(text)) for what, text in rows])


def _document(
    name: str,
    made: "QuantizedEncoder",
    loss: "Loss",
    quality: "EncoderComparison | None",
    *,
    kept: bool,
) -> dict[str, object]:
    return {
        "encoder": name,
        "kept": kept,
        "card": str(made.card) if kept else None,
        "loss": asdict(loss),
        "map_difference": _difference(quality),
    }
