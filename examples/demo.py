"""The demo: index a folder, search it, leave a contact sheet.

    python examples/demo.py [FOLDER]

With no folder it draws a catalogue of products and a new photo of one of them. Everything goes to
``demo-out/`` below the working directory, the collection too: delete that folder and all is gone.
"""

import argparse
import random
import sys
import time
from pathlib import Path

import drawn_catalogue
import lookalike
from lookalike import images
from lookalike.output.contact_sheet import Cell, contact_sheet


def main() -> int:
    parser = argparse.ArgumentParser(description="Index a folder, search it, draw the answers.")
    parser.add_argument("folder", nargs="?", type=Path, help="pictures; drawn ones by default")
    parser.add_argument("--out", type=Path, default=Path("demo-out"))
    parser.add_argument("--products", type=int, default=240, help="how many to draw")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)

    folder: Path | None = arguments.folder
    queries: list[Path] = []
    if folder is None:
        folder = out / "catalogue"
        print(f"drawing a catalogue into {folder}")
        drawn = drawn_catalogue.draw(folder, products=arguments.products)
        chosen = random.Random(11).sample(sorted({one.product for one in drawn}), 4)
        for product in chosen:
            query = out / f"query-{product}.jpg"
            drawn_catalogue.draw_query(query, product)
            queries.append(query)

    with lookalike.open(out / "collection", create=True) as collection:
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
        if len(collection) == 0:
            print(f"error: {folder} holds no picture that can be read", file=sys.stderr)
            return 1
        if not queries:
            items = list(collection)
            picked = random.Random(11).sample(items, min(4, len(items)))
            queries = [path for item in picked if (path := collection.file_of(item)) is not None]
        for query in queries:
            began = time.perf_counter()
            hits = collection.search(query, k=10)
            took = (time.perf_counter() - began) * 1000
            print(f"\n{query.name} ({took:.0f} ms)")
            for hit in hits[:5]:
                print(f"  {hit.score:.3f}  {hit.item.id}")
            sheet = out / f"answers-{query.stem.removeprefix('query-')}.png"
            cells = []
            for hit in hits:
                path = collection.file_of(hit.item)
                picture = None if path is None else images.decode(images.read(path)).image
                cells.append(Cell(image=picture, caption=hit.item.id, score=hit.score))
            query_picture = images.decode(images.read(query)).image
            contact_sheet(query_picture, cells, title=query.name).save(sheet)
            print(f"  sheet: {sheet}")
    print(f"\nMore: .venv/bin/lookalike search PICTURE -c {out / 'collection'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
