"""A map of a collection as JSON, and as one HTML file that works offline."""

import base64
import io
import json
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final

from PIL import Image

from lookalike.analysis.mapping import CollectionMap, MapPoint
from lookalike.collection import Collection
from lookalike.core.plurals import count_noun
from lookalike.core.progress import Progress, ProgressCallback, ignore_progress
from lookalike.core.records import Json
from lookalike.display.outputs import check_output
from lookalike.errors import ExportError
from lookalike.output.json_documents import notes_json
from lookalike.output.whole_file import WholeFile, export_errors

__all__ = ["MAP_FILES", "MOST_IMAGES", "map_json", "render_map", "write_map"]

MAP_FILES: Final = files("lookalike.output") / "map_page"
"""The folder of the map's script and style, which the web UI serves, too."""
_OWN_SCRIPT: Final = files("lookalike.output") / "map_file.js"
MOST_IMAGES = 4000
"""Images in the file, at most: some 4 MB."""

# Pixels of an image by how many there are: together some 4 MB at most.
_SIDES = ((400, 96), (1200, 64), (2400, 48), (MOST_IMAGES, 36))
_COLUMNS = 32  # images beside and above each other on one sheet
_QUALITY = 78

_PAGE: Final = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "Noto Sans", sans-serif; background: light-dark(#fafaf8, #121413);
  color: light-dark(#191c1b, #eceeec); }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem clamp(.75rem, 2vw, 1.5rem); height: 100dvh; display: flex;
  flex-direction: column; gap: .8rem; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
header p { margin: .2rem 0 0; font-size: .9rem; color: light-dark(#59615d, #a3aca8); }
@media (max-width: 720px) { body { height: auto; } }
$style
</style>
</head>
<body>
<header><h1>$title</h1><p>$about</p></header>
<main class="map">
<div class="map-stage">
<canvas tabindex="0" role="application" aria-describedby="map-about"
  aria-label="Map. Arrow keys go from item to item, + and - zoom, 0 shows all."></canvas>
<div class="map-zoom">
<button type="button" data-zoom="1.6" aria-label="Zoom in">+</button>
<button type="button" data-zoom="0.625" aria-label="Zoom out">&minus;</button>
<button type="button" data-zoom="0" aria-label="Show all">&#8962;</button>
</div>
</div>
<div class="map-side">
<div class="map-about" id="map-about" aria-live="polite"></div>
<label>Colours <select><option value="cluster">by cluster</option>\
<option value="label">by label</option></select></label>
<div>
<label><input type="checkbox" data-only="outlier"> Only outliers <small></small></label>
<label><input type="checkbox" data-only="alike"> Only near-identical items <small></small></label>
</div>
<h2>Clusters and labels</h2>
<div class="map-legend" role="group" aria-label="Show or hide"></div>
</div>
</main>
<script type="application/json" id="map-data">$data</script>
<script type="module">
$script
</script>
</body>
</html>
""")


def map_json(found: CollectionMap) -> dict[str, Json]:
    """Return a map as a document: the same in JSON files, over HTTP and in the HTML file."""
    return {
        "items": found.items,
        "shown": len(found.points),
        "sampled": found.sampled,
        "layout": found.layout,
        "neighbours_kept": None if found.kept is None else round(found.kept, 4),
        "seconds": round(found.seconds, 3),
        "notes": notes_json(found.notes),
        "clusters": [
            {"name": one.name, "items": one.items, "x": round(one.x, 5), "y": round(one.y, 5)}
            for one in found.clusters
        ],
        "points": [_point_json(point) for point in found.points],
    }


def _point_json(point: MapPoint) -> dict[str, Json]:
    return {
        "id": point.id,
        "label": point.label,
        "x": round(point.x, 5),
        "y": round(point.y, 5),
        "cluster": point.cluster,
        "nearest": None
        if point.nearest is None or point.score is None
        else {"id": point.nearest, "score": round(point.score, 6)},
        "uniqueness": round(point.uniqueness, 4),
        "outlier": point.outlier,
        "alike": point.alike,
    }


def write_map(
    collection: Collection,
    found: CollectionMap,
    target: Path,
    *,
    force: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> None:
    """Write a map as one HTML file, whole or not at all.

    ``force`` replaces an existing file, but never an image or a file of the collection. Raise
    ``ExportError``.
    """
    if target.suffix.lower() not in (".html", ".htm"):
        raise ExportError(f"a map is written as HTML; give a .html file instead of {target}")
    if force:
        check_output(target, [collection])
    with export_errors(target), WholeFile(target, force=force) as file:
        file.text().write(render_map(collection, found, progress=progress))


def render_map(
    collection: Collection, found: CollectionMap, *, progress: ProgressCallback = ignore_progress
) -> str:
    """Return a map as HTML, with up to 4,000 of its images inside."""
    document: dict[str, Any] = map_json(found)
    chosen = _choose_images(found)
    side = next(pixels for most, pixels in _SIDES if len(chosen) <= most)
    ids = [found.points[place].id for place in chosen]
    sheets, sizes = _draw_sheets(collection, ids, side, progress)
    for tile, (place, size) in enumerate(zip(chosen, sizes, strict=True)):
        if size is not None:
            document["points"][place] |= {"tile": tile, "size": size}
    document |= {"sheets": sheets, "side": side, "columns": _COLUMNS}
    name = collection.info().address.rstrip("/").rpartition("/")[2]
    script = "\n".join(one.read_text("utf-8") for one in (MAP_FILES / "map.js", _OWN_SCRIPT))
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return _PAGE.substitute(
        title=escape(f"Map of {name}"),
        about=escape(describe_map(found, images=sum(size is not None for size in sizes))),
        style=(MAP_FILES / "map.css").read_text("utf-8"),
        script=script,
        data=text.replace("<", "\\u003c"),  # so that no text of an item ends the element
    )


def describe_map(found: CollectionMap, *, images: int | None = None) -> str:
    """Return what a map shows as one line."""
    said = count_noun(found.items, "item")
    if found.sampled:
        said = f"{len(found.points):,} of {said}, sampled at random"
    parts = [said, count_noun(len(found.clusters), "cluster")]
    if images is not None and images < len(found.points):
        parts.append(f"images of {images:,}")
    if found.kept is not None:
        parts.append(f"{found.kept:.0%} of the nearest neighbours are near on the map")
    return "; ".join(parts)


def _choose_images(found: CollectionMap) -> list[int]:
    """Return the places of the points that are shown with their image, at most ``MOST_IMAGES``.

    Outliers come first, then an even share of each cluster.
    """
    count = len(found.points)
    if count <= MOST_IMAGES:
        return [*range(count)]
    outliers = [place for place, point in enumerate(found.points) if point.outlier]
    chosen = dict.fromkeys(outliers[: MOST_IMAGES // 4])
    step = count / (MOST_IMAGES - len(chosen))
    by_cluster = sorted(range(count), key=lambda place: found.points[place].cluster)
    for number in range(MOST_IMAGES - len(chosen)):
        chosen[by_cluster[int(number * step)]] = None
    return sorted(chosen)


def _draw_sheets(
    collection: Collection, ids: Sequence[str], side: int, progress: ProgressCallback
) -> tuple[list[str], list[tuple[int, int] | None]]:
    """Return sheets of images as data URIs, and the size of each image; ``None`` for none."""
    sheets: list[str] = []
    sizes: list[tuple[int, int] | None] = []
    sheet: Image.Image | None = None
    used = 0
    for number, image in enumerate(_previews(collection, ids, side)):
        place = number % _COLUMNS**2
        if sheet is None or place == 0:
            if sheet is not None:
                sheets.append(_encode(sheet, used, side))
            sheet = Image.new("RGB", (_COLUMNS * side, _COLUMNS * side), "white")
        used = place + 1
        if image is None:
            sizes.append(None)
            continue
        small = image.convert("RGB")
        small.thumbnail((side, side))
        sheet.paste(small, (place % _COLUMNS * side, place // _COLUMNS * side))
        sizes.append(small.size)
        if number % 100 == 0:
            progress(Progress(done=number, total=len(ids), stage="images"))
    if sheet is not None:
        sheets.append(_encode(sheet, used, side))
    return sheets, sizes


def _previews(
    collection: Collection, ids: Sequence[str], side: int
) -> Iterator[Image.Image | None]:
    """Yield an image of each item, ``None`` also for one that was removed meanwhile."""
    for start in range(0, len(ids), _COLUMNS**2):
        batch = ids[start : start + _COLUMNS**2]
        there = collection.store.items.get(batch)
        shown = collection.previews([there[one] for one in batch if one in there], side=side)
        yield from (next(shown) if one in there else None for one in batch)


def _encode(sheet: Image.Image, used: int, side: int) -> str:
    rows = -(-used // _COLUMNS)
    columns = min(used, _COLUMNS)
    data = io.BytesIO()
    sheet.crop((0, 0, columns * side, rows * side)).save(data, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
