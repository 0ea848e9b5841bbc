"""The demo: index a folder, search it, write contact sheets.

    python examples/demo.py [FOLDER]

Without a folder it draws a catalogue of products and a new photo of some of them. Each folder has
a collection and contact sheets of its own below ``demo-out/`` in the working directory. Delete that
folder to remove everything that the demo wrote.
"""

import argparse
import hashlib
import random
import shlex
import sys
import time
from pathlib import Path

import drawn_catalogue
import lookalike
from lookalike import images
from lookalike.display.contact_sheet import Cell, contact_sheet

QUERIES = 4


def main() -> int:
    parser = argparse.ArgumentParser(description="Index a folder, search it, draw the results.")
    parser.add_argument("folder", nargs="?", type=Path, help="images; drawn ones by default")
    parser.add_argument("--out", type=Path, default=Path("demo-out"))
    parser.add_argument("--products", type=int, default=240, help="how many to draw")
    arguments = parser.parse_args()
    folder: Path | None = arguments.folder
    out: Path = arguments.out / ("drawn" if folder is None else place_of(folder))
    out.mkdir(parents=True, exist_ok=True)

    queries: list[Path] = []
    if folder is None:
        folder = out / "catalogue"
        print(f"drawing a catalogue into {folder}")
        queries = draw(folder, out, products=arguments.products)
    with lookalike.open(out / "collection", create=True) as collection:
        index(collection, folder)
        if len(collection) == 0:
            print(f"error: {folder} contains no readable image", file=sys.stderr)
            return 1
        if not queries:
            items = list(collection)
            picked = random.Random(11).sample(items, min(QUERIES, len(items)))
            queries = [path for item in picked if (path := collection.file_of(item)) is not None]
        for number, query in enumerate(queries, 1):
            search(collection, query, out / f"results-{number}.png")
    for number in range(len(queries) + 1, QUERIES + 1):  # of an earlier run with more images
        (out / f"results-{number}.png").unlink(missing_ok=True)

    place = shlex.quote(f"{out / 'collection'}")
    print("\nNext:")
    print(f"  .venv/bin/lookalike serve {place} --open")
    print(f"  .venv/bin/lookalike search IMAGE -c {place}")
    return 0


def place_of(folder: Path) -> str:
    """Return a name for a folder's results: its own, and a digest of its path."""
    path = folder.resolve()
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{path.name or 'root'}-{digest[:6]}"


def draw(folder: Path, out: Path, *, products: int) -> list[Path]:
    """Draw a catalogue. Return new photos of some of its products."""
    drawn = drawn_catalogue.draw(folder, products=products)
    chosen = random.Random(11).sample(sorted({one.product for one in drawn}), QUERIES)
    queries = [out / f"query-{product}.jpg" for product in chosen]
    for product, query in zip(chosen, queries, strict=True):
        drawn_catalogue.draw_query(query, product)
    return queries


def index(collection: lookalike.Collection, folder: Path) -> None:
    """Index a folder and print what was done."""
    print(f"indexing {folder}")
    report = collection.index(
        folder,
        progress=lambda now: print(f"\r{now.done} done", end="", file=sys.stderr),
    )
    print(file=sys.stderr)
    print(
        f"{report.indexed} indexed, {report.unchanged} unchanged, "
        f"{len(report.skipped)} skipped in {report.seconds:.1f} s"
    )


def search(collection: lookalike.Collection, query: Path, sheet: Path) -> None:
    """Search for an image, print the best results and write a contact sheet."""
    began = time.perf_counter()
    hits = collection.search(query, k=10)
    milliseconds = (time.perf_counter() - began) * 1000
    print(f"\n{query.name} ({milliseconds:.0f} ms)")
    for hit in hits[:5]:
        print(f"  {hit.score:.3f}  {hit.item.id}")
    cells = []
    for hit in hits:
        path = collection.file_of(hit.item)
        image = None if path is None else images.decode(images.read(path)).image
        cells.append(Cell(image=image, caption=hit.item.id, score=hit.score))
    own = images.decode(images.read(query)).image
    contact_sheet(own, cells, title=query.name).save(sheet)
    print(f"  contact sheet: {sheet}")


if __name__ == "__main__":
    sys.exit(main())
