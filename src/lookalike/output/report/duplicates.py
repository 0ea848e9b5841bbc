"""A report page on groups of duplicates. Pure: records and thumbnails in, HTML out."""

from collections.abc import Mapping
from html import escape

from lookalike.analysis.duplicates import Duplicate, DuplicateReport
from lookalike.core.records import Item
from lookalike.output.report import page

__all__ = ["render_duplicates"]

_LEGEND = (
    "<p>The difference of a near duplicate is between 0 (the same pixels) and 1. Duplicates "
    "marked <i>not sure</i> look alike, but are never deleted or moved.</p>"
)


def render_duplicates(
    found: DuplicateReport, thumbnails: Mapping[str, bytes | None], *, name: str, made_at: str = ""
) -> str:
    """Return one HTML file. ``thumbnails`` are JPEGs by id. Groups whose kept item has none are
    left out.

    ``name`` is the collection's. Everything that comes from a collection is escaped.
    """
    shown = [group for group in found.groups if group.kept.id in thumbnails]
    exact = sum(copy.exact for group in found.groups for copy in group.duplicates)
    title = f"Duplicates in {name}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{escape(made_at)}</p>' if made_at else "",
        page.tiles(
            (
                page.tile(f"{len(found.groups):,}", "groups of duplicates"),
                page.tile(f"{exact:,}", "exact duplicates: the same bytes"),
                page.tile(
                    f"{found.copies - exact:,}",
                    "near duplicates: resized, cropped, mirrored, turned …",
                ),
            )
        ),
        f"<p>Of {found.items:,} items. The first image of each row is the one to keep.</p>",
        _LEGEND,
        "<p>The search was stopped early; near duplicates may be missing.</p>"
        if found.interrupted
        else "",
    ]
    for group in shown:
        cells = "".join(
            _write_cell(copy, thumbnails.get(copy.item.id)) for copy in group.duplicates
        )
        parts.append(
            f'<div class="query">{_write_kept(group.kept, thumbnails[group.kept.id])}'
            f'<div class="hits">{cells}</div></div>'
        )
    if len(shown) < len(found.groups):
        parts.append(
            f'<p class="quiet">{len(found.groups) - len(shown):,} more groups are not shown.</p>'
        )
    return page.document(title, parts)


def _write_kept(item: Item, jpeg: bytes | None) -> str:
    kept = '<span class="mark">kept</span>'
    return (
        f'<div class="one is-right">{page.framed(jpeg, item.id)}{kept} {_write_facts(item)}</div>'
    )


def _write_cell(copy: Duplicate, jpeg: bytes | None) -> str:
    how = "exact" if copy.exact else f"near, difference {copy.difference:.2f}"
    turn = f", {escape(copy.turn)}" if copy.turn else ""
    thumbnail = page.framed(jpeg, copy.item.id)
    doubt = "" if copy.sure else f"<br>not sure: {escape(copy.reason)}"
    return f'<div class="one">{thumbnail}<b>{how}</b>{turn} {_write_facts(copy.item)}{doubt}</div>'


def _write_facts(item: Item) -> str:
    return f'{escape(item.id)} <span class="quiet">{item.width} x {item.height}</span>'
