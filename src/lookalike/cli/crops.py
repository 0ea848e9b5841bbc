"""``lookalike crops``."""

import time
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import of_batch
from lookalike.cli.options import collection_option, encoder_options, json_option, opened
from lookalike.cli.output import plain, print_json, print_table
from lookalike.errors import ImageError, ItemNotFoundError, LookalikeError
from lookalike.output.json_documents import error_json

if TYPE_CHECKING:
    from lookalike.core.records import Json

__all__ = ["crops_command"]


@click.command("crops")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--count",
    type=click.IntRange(1, 100),
    default=4,
    show_default=True,
    help="How many parts to propose, at most.",
)
@collection_option
@encoder_options
@json_option
@click.pass_context
def crops_command(
    ctx: click.Context,
    *,
    images: tuple[str, ...],
    count: int,
    collection: str | None,
    encoder: str | None,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Propose parts of each IMAGE, or of an item (@ID), to search with.

    They are boxes that stand out from what is around them, as the collection's encoder sees it, the
    most salient first. Each is printed as --crop takes it: left, top, right and bottom from 0 to 1.
    `lookalike search IMAGE --crop auto` searches with the first.

    \b
      lookalike crops kitchen.jpg
      lookalike search kitchen.jpg --crop 0.25,0.5,0.58,0.92

    With several images, --json prints an array with an entry for each. Exits with 1 when no image
    could be used, and with 3 when only some could.
    """
    from lookalike.search import ItemRef

    documents: list[dict[str, Json]] = []
    outcomes: list[bool | None] = []
    with opened(collection, encoder=encoder, device=device, threads=threads) as shop:
        for one in images:
            began = time.perf_counter()
            source = ItemRef(one[1:]) if one.startswith("@") else one
            query: dict[str, Json] = (
                {"id": source.id} if isinstance(source, ItemRef) else {"path": one}
            )
            try:
                boxes = shop.propose_crops(source, count=count)
            except (ImageError, ItemNotFoundError) as error:
                _show_error(one, error, alone=len(images) == 1)
                documents.append({"query": query, "error": error_json(error), "crops": []})
                outcomes.append(None)
                continue
            listed: list[Json] = [[round(side, 4) for side in box] for box in boxes]
            seconds = time.perf_counter() - began
            documents.append({"query": query, "seconds": seconds, "crops": listed, "error": None})
            outcomes.append(True)
            if not as_json:
                if len(images) > 1:
                    click.echo(plain(one))
                rows = [
                    [rank, ",".join(f"{side:.4g}" for side in box)]
                    for rank, box in enumerate(boxes, 1)
                ]
                if rows:
                    print_table(["#", "crop"], rows)
                else:
                    click.echo(f"{plain(one)}: nothing stands out", err=True)
    if as_json:
        print_json(documents if len(documents) > 1 else documents[0])
    ctx.exit(of_batch(outcomes))


def _show_error(name: str, error: LookalikeError, *, alone: bool) -> None:
    message = str(error)
    click.echo(
        plain(f"error: {message}" if alone or name in message else f"{name}: {message}"), err=True
    )
