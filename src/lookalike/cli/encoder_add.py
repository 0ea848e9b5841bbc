"""``lookalike encoder add``."""

from dataclasses import asdict
from pathlib import Path

import click

from lookalike.cli.options import json_option
from lookalike.cli.output import plain, print_json, print_table

__all__ = ["add_command"]


@click.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The encoder's name. [default: that of the architecture]")
@click.option(
    "--architecture",
    help="Which network and which output, such as vgg16-fc1: docs/encoders.md lists them. "
    "[default: recognised from the names of the weights]",
)
@click.option(
    "--size", type=int, help="Width and height of images, in pixels. [default: the file's, or 224]"
)
@json_option
def add_command(
    *, file: Path, name: str | None, architecture: str | None, size: int | None, as_json: bool
) -> None:
    """Make an encoder of a file that you have, and write its card.

    FILE holds MobileNetV2, VGG16 or ResNet50: .h5, .weights.h5 or .keras of Keras, .pth or
    .safetensors of torchvision or timm; or any convolutional network as .tflite. It is converted
    to ONNX once; Keras, PyTorch and TensorFlow are not needed. Needs:
    pip install 'lookalike[convert]'

    \b
      lookalike encoder add mobilenet_v2_weights.h5
      lookalike encoder add vgg16.h5 --architecture vgg16-fc1
      lookalike encoder add resnet50.pth --architecture resnet50-max --name resnet
      lookalike index photos/ -c shop --encoder resnet
    """
    from lookalike.config import add_encoder

    try:
        added = add_encoder(file, name=name, architecture=architecture, size=size)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        print_json({**asdict(added), "card": str(added.card), "notes": list(added.notes)})
        return
    rows = [
        ("encoder", added.name),
        ("what", added.title),
        ("values", str(added.dim)),
        ("card", str(added.card)),
        *(("note", one) for one in added.notes),
    ]
    print_table(("", ""), [(what, plain(text)) for what, text in rows])
    click.echo(f"use it with --encoder {added.name}", err=True)
