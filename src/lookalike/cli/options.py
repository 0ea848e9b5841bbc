"""Options that several commands share."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lookalike.config import open_collection

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = [
    "allow_removals_option",
    "collection_option",
    "encoder_options",
    "format_option",
    "json_option",
    "opened",
    "root_option",
    "table_options",
]


_Command = TypeVar("_Command", bound=Callable[..., Any])


def collection_option(command: _Command) -> _Command:
    return click.option(
        "-c",
        "--collection",
        metavar="NAME|PATH|ADDRESS",
        help="Which collection: a name, a path with a slash in it, or one on a server "
        "(elasticsearch://localhost:9200/shop).  "
        "[default: $LOOKALIKE_COLLECTION, or 'default']",
    )(command)


def json_option(command: _Command) -> _Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def allow_removals_option(*more: str) -> Callable[[_Command], _Command]:
    """Return the option ``--allow-removals``, which may be called ``more`` too."""
    return click.option(
        "--allow-removals",
        *more,
        "allow_removals",
        is_flag=True,
        help="Remove what is no longer there even if that is everything, or more than three items "
        "and more than one in ten.",
    )


def format_option(command: _Command) -> _Command:
    from lookalike.sources.catalogues import FORMATS

    return click.option(
        "--format",
        "format_",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "folder", *FORMATS]),
        help="What the source is; auto recognises it by its content.",
    )(command)


def root_option(command: _Command) -> _Command:
    return click.option(
        "--root",
        metavar="DIR",
        help="The folder that a catalogue's files lie in, where it is not the catalogue's own.",
    )(command)


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


_COLUMNS = {
    "file": "of picture files",
    "url": "of URLs",
    "id": "of ids",
    "label": "of labels",
    "group": "of groups (products)",
}


def table_options(command: _Command) -> _Command:
    """``--file-column`` and its kind, which arrive as ``columns``, and ``--encoding``."""

    @wraps(command)
    def with_columns(**options: Any) -> object:  # noqa: ANN401 - whatever the command takes
        named = {use: options.pop(f"{use}_column") for use in _COLUMNS}
        columns = {use: name for use, name in named.items() if name is not None}
        return command(**options, columns=columns)

    for use, what in reversed(_COLUMNS.items()):
        option = click.option(f"--{use}-column", metavar="NAME", help=f"A table's column {what}.")
        with_columns = option(with_columns)
    return click.option(
        "--encoding",
        metavar="NAME",
        help="A table's text encoding, cp1252 say.  [default: UTF-8, or UTF-16 if it says so]",
    )(with_columns)  # type: ignore[return-value] # the same command, seen from click


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
