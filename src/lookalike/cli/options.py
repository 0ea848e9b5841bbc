"""Options that several commands share."""

import shlex
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from lookalike.config import open_collection
from lookalike.encoders.qualities import QUALITIES
from lookalike.errors import EncoderMismatchError

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.indexing.fitting import ProjectionDim

__all__ = [
    "Renamed",
    "TableOptions",
    "allow_removals_option",
    "collection_option",
    "dim_option",
    "encoder_options",
    "format_option",
    "json_option",
    "opened",
    "regions_option",
    "root_option",
    "table_options",
    "where_option",
]


_Command = TypeVar("_Command", bound=Callable[..., Any])


class Renamed(click.Option):
    """An option that also accepts older spellings, which its help does not show."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as click takes them
        old: Sequence[str] = (),
        **attributes: Any,  # noqa: ANN401 - as click takes them
    ) -> None:
        super().__init__(*args, **attributes)
        self._old = frozenset(old)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        every = self.opts
        self.opts = [one for one in every if one not in self._old]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = every


def where_option(command: _Command) -> _Command:
    return click.option(
        "--where",
        metavar="FILTER",
        help="Only items that meet a filter, such as: label=mug and price<20.",
    )(command)


def collection_option(command: _Command) -> _Command:
    return click.option(
        "-c",
        "--collection",
        metavar="NAME|PATH|ADDRESS",
        help="The collection: a name, a path that contains a slash, or an address on a server "
        "(elasticsearch://localhost:9200/shop).  "
        "[default: $LOOKALIKE_COLLECTION, or 'default']",
    )(command)


def _dim(ctx: click.Context, option: click.Parameter, text: str) -> "ProjectionDim":
    """Return ``auto``, ``off`` or a number. Raise ``BadParameter``."""
    from lookalike.indexing.fitting import parse_dim

    try:
        return parse_dim(text)
    except ValueError:
        message = f"{text!r} is neither auto, off, nor a number from 1 up"
        raise click.BadParameter(message, ctx, option) from None


def dim_option(what: str) -> Callable[[_Command], _Command]:
    """Return the option ``--dim``; ``what`` says to which collection it applies."""
    return click.option(
        "--dim",
        callback=_dim,
        default="auto",
        show_default=True,
        metavar="auto|off|N",
        help=f"{what} project its embeddings to N dimensions, fitted on a sample of its images. "
        "auto: 128 from 384 images on.",
    )


def json_option(command: _Command) -> _Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def allow_removals_option(*more: str) -> Callable[[_Command], _Command]:
    """Return the option ``--allow-removals``, with ``more`` as other spellings."""
    return click.option(
        "--allow-removals",
        *more,
        "allow_removals",
        is_flag=True,
        help="Remove items whose files are gone even if that is all of them, or more than three "
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
        help="The format of the source; auto detects it from the content.",
    )(command)


def root_option(command: _Command) -> _Command:
    return click.option(
        "--root",
        metavar="DIR",
        help="The folder that a catalogue's paths are relative to.  [default: the catalogue's own]",
    )(command)


def encoder_options(command: _Command) -> _Command:
    for option in (
        click.option("--threads", type=click.IntRange(1), help="CPU cores to use.  [default: all]"),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            metavar="NAME",
            help="The device to run the encoder on: auto, cpu, cuda, coreml, directml, openvino.",
        ),
        click.option(
            "--encoder",
            metavar="NAME|CARD.toml",
            help="The encoder: fast, balanced, best, another name, or the path of a model card.  "
            "[default: the collection's own; balanced for a new collection]",
        ),
    ):
        command = option(command)
    return _quality_option(command)


def _quality_option(command: _Command) -> _Command:
    """Add ``--quality``, which reaches the command as ``encoder``."""

    @wraps(command)
    def with_quality(*args: Any, **options: Any) -> object:  # noqa: ANN401 - whatever it takes
        quality = options.pop("quality")
        if quality is not None:
            if options["encoder"] is not None:
                raise click.UsageError("give either --quality or --encoder, not both")
            options["encoder"] = quality
        try:
            return command(*args, **options)
        except EncoderMismatchError as error:
            chosen = "--encoder" if quality is None else "--quality"
            raise _name_migration(error, chosen, options) from error

    return click.option(
        "--quality",
        type=click.Choice(list(QUALITIES)),
        help="The encoder by what it is good at: fast takes half as long as balanced takes; best "
        "takes half as long again.",
    )(with_quality)  # type: ignore[return-value] # the same command


def _name_migration(
    error: EncoderMismatchError, option: str, options: dict[str, Any]
) -> EncoderMismatchError:
    """Return the error with the command that moves the collection to the encoder of ``option``."""
    collection, encoder = options.get("collection"), options["encoder"]
    if encoder is None or not error.advice:
        return error
    named = "" if collection is None else f" -c {shlex.quote(collection)}"
    return EncoderMismatchError(
        error.reason,
        f"leave {option} out to use the collection's own, index into another collection, or move "
        f"this one with `lookalike migrate{named} {option} {shlex.quote(encoder)}`",
    )


_COLUMNS = {
    "file": "of image files",
    "url": "of image URLs",
    "id": "of item ids",
    "label": "of labels",
    "group": "of groups (products)",
}


class TableOptions(TypedDict, total=False):
    """The options of a table that were given, as `sources.catalogues.Table` takes them."""

    columns: dict[str, str | tuple[str, ...]]
    column_types: dict[str, str]
    decimal: str
    encoding: str
    label_level: int


def _parse_types(
    ctx: click.Context, option: click.Parameter, words: tuple[str, ...]
) -> dict[str, str]:
    """Return column → type of ``NAME=TYPE``. Raise ``BadParameter``."""
    from lookalike.sources.catalogues.value_types import TYPES

    found = {}
    for word in words:
        name, equals, kind = word.rpartition("=")
        if not equals or kind not in TYPES or not name:
            message = f"{word!r} is not NAME=TYPE with one of the types {', '.join(TYPES)}"
            raise click.BadParameter(message, ctx, option)
        found[name] = kind
    return found


def table_options(command: _Command) -> _Command:
    """Add the options of tables, which reach the command as ``table``: ``TableOptions``."""
    from lookalike.sources.catalogues.value_types import DECIMALS, TYPES

    @wraps(command)
    def with_table(**options: Any) -> object:  # noqa: ANN401 - whatever the command takes
        named = {use: options.pop(f"{use}_column") for use in _COLUMNS}
        table = {
            "columns": {use: name for use, name in named.items() if name},
            "column_types": options.pop("column_types"),
            "decimal": options.pop("decimal"),
            "encoding": options.pop("encoding"),
            "label_level": options.pop("label_level"),
        }
        # An empty name of an encoding is a mistake, not a default.
        given = {name: value for name, value in table.items() if value not in (None, {})}
        return command(**options, table=given)

    for use, what in reversed(_COLUMNS.items()):
        several = use in ("file", "url")
        option = click.option(
            f"--{use}-column",
            multiple=several,
            metavar="NAME",
            help=f"The table column {what}{'; may be repeated' if several else ''}.",
        )
        with_table = option(with_table)
    for option in (
        click.option(
            "--label-level",
            type=click.IntRange(1),
            metavar="N",
            help="Of class folders, the level of those that are labels.  [default: the first that "
            "is not one folder around the others, nor a split such as train and test]",
        ),
        click.option(
            "--decimal",
            type=click.Choice([*DECIMALS]),
            help="What numbers in a CSV file have.  [default: a comma where columns are separated "
            "by semicolons and the values say so, else a point]",
        ),
        click.option(
            "--column-type",
            "column_types",
            multiple=True,
            metavar="NAME=TYPE",
            callback=_parse_types,
            help=f"The type of a column, such as ean=text; may be repeated. {', '.join(TYPES)}.  "
            "[default: recognised from all values]",
        ),
        click.option(
            "--encoding",
            metavar="NAME",
            help="The table's text encoding, such as cp1252.  [default: UTF-8, or UTF-16]",
        ),
    ):
        with_table = option(with_table)
    return with_table  # type: ignore[return-value] # the same command, seen from click


def opened(
    collection: str | None,
    *,
    encoder: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    create: bool = False,
    search: bool = False,
) -> "Collection":
    """Open the collection that the options name."""
    return open_collection(
        collection, encoder=encoder, device=device, threads=threads, create=create, search=search
    )


regions_option = click.option(
    "--regions",
    type=click.IntRange(0, 16),
    metavar="N",
    help="Give each image up to N region vectors (1 to 16) of parts that stand out, so that small "
    "things in it are found. 0 drops them.  [default: as before]",
)
