"""Options that several commands share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lookalike.config import open_collection

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["collection_option", "encoder_options", "json_option", "opened"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def collection_option(command: _Command) -> _Command:
    return click.option(
        "-c",
        "--collection",
        metavar="NAME|PATH",
        help="Which collection: a name, or a path with a slash in it.  "
        "[default: $LOOKALIKE_COLLECTION, or 'default']",
    )(command)


def json_option(command: _Command) -> _Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def encoder_options(command: _Command) -> _Command:
    for option in (
        click.option(
            "--threads", type=click.IntRange(1), help="Processor cores to use.  [default: all]"
        ),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            metavar="NAME",
            help="What runs the network: auto, cpu, cuda, coreml, directml, openvino.",
        ),
        click.option(
            "--encoder",
            metavar="NAME|CARD.toml",
            help="The network: a name, or the path of a model card.  [default: the collection's "
            "own; for a new one efficientnet-lite0]",
        ),
    ):
        command = option(command)
    return command


def opened(
    collection: str | None,
    *,
    encoder: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    create: bool = False,
    search: bool = False,
) -> "Collection":
    """The collection that the options name."""
    return open_collection(
        collection, encoder=encoder, device=device, threads=threads, create=create, search=search
    )
