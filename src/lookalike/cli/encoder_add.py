"""``lookalike encoder add``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from lookalike.cli.options import json_option
from lookalike.cli.output import plain, print_json, print_table
from lookalike.encoders.cards import Channels, Pooling, Resize, presets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.encoders.adding import AddedEncoder, InputComparison

__all__ = ["add_command", "comparison_lines"]

_RANGES = ("0..255", "0..1", "-1..1", "imagenet", "clip", "caffe")
_SHOWN = 5  # candidates for the output
_FOR_CARDS = {"title", "licence", "source", "replace", "dry_run"}
# What conversion takes:
_CONVERTING = {"file", "name", "architecture", "size", "yes", "as_json", *_FOR_CARDS}
_GIVEN = click.core.ParameterSource.COMMANDLINE


@click.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--name",
    help="The encoder's name.  [default: the file's or its folder's; that of the architecture]",
)
@click.option(
    "--architecture",
    metavar="NAME",
    help="Of a file that is no ONNX: which network and which output, such as vgg16-fc1 "
    "(docs/encoders.md lists them).  [default: recognised from the names of the weights]",
)
@click.option(
    "--preset",
    metavar="NAME",
    help=f"How the model's family wants its images: {', '.join(presets())}.  [default: a guess]",
)
@click.option(
    "--size",
    type=click.IntRange(1, 4096),
    metavar="PIXELS",
    help="Width and height of the input, where the model takes any.  [default: the preset's]",
)
@click.option("--input", "input_", metavar="NAME", help="The input that takes the image.")
@click.option(
    "--output",
    metavar="NAME",
    help="The tensor that is the embedding: an output, or one inside the model.",
)
@click.option("--pooling", type=click.Choice(get_args(Pooling)), help="How it becomes one vector.")
@click.option(
    "--range",
    "range_",
    type=click.Choice(_RANGES),
    help="The range or statistics of pixels, if not the preset's.",
)
@click.option("--channels", type=click.Choice(get_args(Channels)), help="The order of colours.")
@click.option("--resize", type=click.Choice(get_args(Resize)), help="How images are resized.")
@click.option("--title", help="A description, for the card.")
@click.option("--licence", help="The licence of the weights, for the card.")
@click.option("--source", help="Where the file comes from, for the card.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Compare on these images, which lie in a folder for each label, instead of on drawn ones.",
)
@click.option("--no-compare", is_flag=True, help="Do not compare ways to prepare images.")
@click.option(
    "--copy", is_flag=True, help="Copy the model beside the card; else it stays in place."
)
@click.option("--replace", is_flag=True, help="Replace an encoder of that name.")
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before writing.")
@json_option
def add_command(
    *,
    file: Path,
    name: str | None,
    architecture: str | None,
    preset: str | None,
    size: int | None,
    input_: str | None,
    output: str | None,
    pooling: Pooling | None,
    range_: str | None,
    channels: Channels | None,
    resize: Resize | None,
    title: str | None,
    licence: str | None,
    source: str | None,
    images: Path | None,
    no_compare: bool,
    copy: bool,
    replace: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make an encoder of a model FILE that you have: try it on images, and write its card.

    Of an ONNX file, the input's shape, type and layout and the tensor that is the embedding are
    read from the model. How images must be prepared is not in it: name the --preset of its family,
    or a guess is made and said. Then retrieval is compared with other ranges, orders of colours
    and ways to resize. On a terminal, you are asked before the card is written.

    FILE may also hold MobileNetV2, VGG16 or ResNet50 as .h5, .weights.h5 or .keras of Keras, or as
    .pth or .safetensors of torchvision or timm; or any convolutional network as .tflite. It is
    converted to ONNX once; --architecture and --size are for that, and how its images are prepared
    is known. Keras, PyTorch and TensorFlow are not needed; pip install 'lookalike[convert]' is.

    \b
      lookalike encoder add clip-vit-b-32/vision_model.onnx --preset clip --name clip-b32
      lookalike encoder add my-model.onnx --images images-by-label/
      lookalike encoder add vgg16.h5 --architecture vgg16-fc1
      lookalike index photos/ -c shop --encoder clip-b32
    """
    from lookalike.encoders.converting.file_kinds import is_onnx

    if not is_onnx(file):
        ctx = click.get_current_context()
        _refuse(ctx, set(ctx.params) - _CONVERTING, f"is for ONNX files, which {file} is none of")
        card = {key: ctx.params[key] for key in _FOR_CARDS}
        _convert(file, as_json=as_json, name=name, architecture=architecture, size=size, **card)
        return
    if architecture is not None:
        raise click.UsageError("--architecture is not for ONNX files; name a tensor with --output")
    from lookalike.config import add_encoder
    from lookalike.encoders.adding import AddOptions, write_added

    options = AddOptions(
        name=name,
        preset=preset,
        size=size,
        input=input_,
        output=output,
        pooling=pooling,
        range=range_,
        channels=channels,
        resize=resize,
        title=title,
        licence=licence,
        source=source,
        images=images,
        compare=not no_compare,
        copy=copy,
        replace=replace,
    )
    ask = sys.stdin.isatty() and sys.stdout.isatty() and not (yes or as_json or dry_run)
    added = add_encoder(file, options, dry_run=dry_run or ask)
    if as_json:
        from lookalike.output.encoder_documents import added_json

        print_json(added_json(added))
        return
    _print_added(added)
    if ask:
        click.confirm("Write this card?", default=True, abort=True)
        added = write_added(added, copy=copy)
    if added.written:
        click.echo(f"use it with --encoder {added.card.name}", err=True)


def _refuse(ctx: click.Context, names: set[str], why: str) -> None:
    """Raise ``UsageError`` for the first of these options that was given."""
    for option in ctx.command.params:
        if option.name in names and ctx.get_parameter_source(option.name) == _GIVEN:
            raise click.UsageError(f"{option.opts[-1]} {why}")


def _convert(file: Path, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - passed on
    from dataclasses import asdict

    from lookalike.config import convert_encoder

    try:
        added = convert_encoder(file, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        print_json({**asdict(added), "card": str(added.card), "notes": list(added.notes)})
        return
    rows = [
        ("encoder", added.name),
        ("what", added.title),
        ("values", str(added.dim)),
        ("card", str(added.card) + ("" if added.written else " (not written)")),
        *(("note", one) for one in added.notes),
    ]
    print_table(("", ""), [(what, plain(text)) for what, text in rows])
    if added.written:
        click.echo(f"use it with --encoder {added.name}", err=True)


def _print_added(added: "AddedEncoder") -> None:
    card, given, output = added.card, added.card.input, added.card.output
    pooling = "" if output.pooling == "none" else f", pooling {output.pooling}"
    rows = [
        ("encoder", card.name),
        ("card", str(card.path) + ("" if added.written else " (not written)")),
        ("model", str(card.weights.file)),
        ("input", f"{given.name}: {given.width} x {given.height}, {given.layout}, {given.dtype}"),
        ("images", f"{given.channels}, {given.resize}, {given.interpolation}"),
        ("embedding", f"{output.name}{pooling}: {output.dim} values"),
    ]
    print_table(("", ""), [(what, plain(text)) for what, text in rows])
    for guess in added.guesses:
        click.echo(plain(f"guessed: {guess.key} {guess.value}: {guess.reason}"), err=True)
    for one in added.candidates[1:_SHOWN]:
        click.echo(plain(f"other output: {one.name} {one.shape}: {one.reason}"), err=True)
    for line in comparison_lines(added.comparisons, added.compared_on):
        click.echo(plain(line), err=True)
    for line in added.advice:
        click.echo(plain(f"note: {line}"), err=True)


def comparison_lines(comparisons: "Sequence[InputComparison]", compared_on: str) -> list[str]:
    """Return the comparisons as lines of text, the card first and then the best."""
    if not comparisons:
        return []
    own, *others = comparisons
    where = "drawn images" if compared_on == "drawn" else compared_on
    lines = [f"mAP on {where}: {own.map:.2f} as the card says"]
    for one in sorted(others, key=lambda one: -one.map):
        verdict = f", {one.verdict}" if one.verdict else ""
        lines.append(f"  {one.map:.2f} with {one.key} {one.value}{verdict}")
    return lines
