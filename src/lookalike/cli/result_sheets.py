"""Contact sheets of searches: ``--sheet``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike import images
from lookalike.cli.results import SIDE, Failure, ShownPart, Success, load_images
from lookalike.core.records import Item
from lookalike.display.contact_sheet import Cell, QueryCell, contact_sheet
from lookalike.display.outputs import write_sheet
from lookalike.images.cropping import crop_image
from lookalike.images.records import DecodedImage

if TYPE_CHECKING:
    from PIL import Image

    from lookalike.collection import Collection

__all__ = ["write_sheets"]


def write_sheets(shop: "Collection", outcomes: Sequence[Success | Failure], path: Path) -> None:
    """Write a contact sheet for each query; those of several queries are numbered."""
    found = [outcome for outcome in outcomes if isinstance(outcome, Success)]
    files = [part.image for one in found for part in one.parts if isinstance(part.image, Path)]
    for number, outcome in enumerate(outcomes, 1):
        if isinstance(outcome, Failure):
            continue
        target = path if len(outcomes) == 1 else path.with_stem(f"{path.stem}-{number}")
        cells = [
            Cell(
                image=image,
                caption=hit.item.id.rpartition("/")[2],
                score=hit.score,
                note=hit.item.label or "",
            )
            for hit, image in zip(outcome.found, load_images(shop, outcome.found), strict=True)
        ]
        named = outcome.query.keys() & {"path", "id"}
        title = outcome.text.rpartition("/")[2] if named else outcome.text
        sheet = contact_sheet(_query_cells(shop, outcome.parts), cells, title=title)
        write_sheet(sheet, target, [shop], inputs=files)
        click.echo(f"wrote {target}", err=True)


def _query_cells(shop: "Collection", parts: Sequence[ShownPart]) -> list[QueryCell]:
    """Return a cell for each part of a query; none for a query that is words or a vector alone."""
    if all(part.image is None for part in parts):
        return []
    return [
        QueryCell(
            image=_load_image(shop, part),
            name=part.name,
            weight=part.weight,
            words=part.image is None,
        )
        for part in parts
    ]


def _load_image(shop: "Collection", part: ShownPart) -> "Image.Image | None":
    if part.image is None:
        return None
    if isinstance(part.image, Item):
        image = next(shop.previews([part.image], side=SIDE))
    else:
        image = images.load_preview(part.image, SIDE, shop.limits)
    if image is None or part.crop is None:
        return image
    whole = DecodedImage(image=image, width=image.width, height=image.height)
    return crop_image(whole, part.crop).image
