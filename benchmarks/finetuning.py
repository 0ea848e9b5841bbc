"""What fine-tuning gains: for trained labels and for others; and the time it takes.

    python -m benchmarks.finetuning [--quick] [--json] [--epochs N] [--stages N] [--threads N]

Needs PyTorch: pip install 'lookalike[finetune]'. Of Caltech-101's classes a fifth is never shown to
the training ("unseen"): what a shop has when new products come. Of the other classes two thirds of
the images are trained on ("train"), the rest is new images of known classes ("test"). Whatever the
training holds out for its evaluation is taken from "train".

Then each collection is evaluated for "test", for "unseen", and for both together: every image is a
query against all others of its side, and a result is right if it has the query's label. The first
encoder is the original one. "chosen" is what `lookalike finetune` writes by itself, "whole" what it
writes with `--share 1`. Differences are query by query, with 95 % intervals.
"""

import csv
import importlib.metadata
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import lookalike
from benchmarks.machine import Figure, ImageSet, Json, Report, arguments, caltech, scratch
from lookalike import Collection
from lookalike.analysis import finetuning as training
from lookalike.analysis.evaluation import compare
from lookalike.analysis.finetuning import FinetuningReport
from lookalike.sources.catalogues import open_catalogue

SEED = 5  # of the division; the recipe was found on "train" alone
SIDES = {
    "test: new images of trained labels": "side=test",
    "unseen: labels that were not trained": "side=unseen",
    "both together": "side=test or side=unseen",
}
SHOWN = ("R@1", "P@10", "mAP")
_NOT_A_CLASS = "BACKGROUND_Google"  # Caltech-101's images of anything


def divide(image_set: ImageSet, everything: Path, asked: Path, *, most: int) -> dict[str, int]:
    """Write tables of all images, with labels and sides, and of those that are asked about; how
    many there are of each side.
    """
    labels = sorted({one for one in image_set.labels.values() if one and one != _NOT_A_CLASS})
    drawn = random.Random(SEED)
    unseen = set(drawn.sample(labels, len(labels) // 5 + 1))
    rows = []
    for label in labels:
        paths = sorted(path for path, own in image_set.labels.items() if own == label)
        drawn.shuffle(paths)
        paths = paths[:most]
        for number, path in enumerate(paths):
            side = "train" if number < len(paths) * 2 // 3 else "test"
            rows.append((path, label, "unseen" if label in unseen else side))
    for table, sides in ((everything, ("train", "test", "unseen")), (asked, ("test", "unseen"))):
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "label", "side"])
            writer.writerows(row for row in rows if row[2] in sides)
    return dict(Counter(side for _, _, side in rows))


def finetuned(shop: Collection, to: Path, share: float | None, **options: int) -> FinetuningReport:
    recipe = training.Recipe(epochs=options["epochs"], stages=options["stages"])
    return training.finetune(
        shop,
        to,
        where="side=train",
        recipe=recipe,
        share=share,
        threads=options["threads"],
        on_epoch=lambda epoch, before: print(epoch, file=sys.stderr),  # noqa: ARG005 - one of two
    )


def epochs(report: FinetuningReport) -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = []
    for number, loss, quality, took in (
        (0, None, report.before, None),
        *((one.number, round(one.loss, 3), one.quality, one.seconds) for one in report.epochs),
    ):
        rows.append(
            {
                "epoch": number,
                "loss": loss,
                "mAP@R held out": None if quality.held is None else round(quality.held.map_at_r, 4),
                "mAP@R new labels": None if quality.new is None else round(quality.new.map_at_r, 4),
                "seconds": None if took is None else round(took, 1),
            }
        )
    return rows


def main() -> None:
    parser = arguments(__doc__)
    usual = training.Recipe()
    parser.add_argument("--epochs", type=int, default=usual.epochs)
    parser.add_argument("--stages", type=int, default=usual.stages)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    options = {"epochs": given.epochs, "stages": given.stages, "threads": given.threads}
    image_set = caltech()
    report = Report(name="finetuning", question="What does fine-tuning gain?")
    with scratch() as folder, ExitStack() as stack:
        everything, asked = folder / "all.csv", folder / "asked.csv"
        counts = divide(image_set, everything, asked, most=9 if given.quick else sys.maxsize)

        def indexed(name: str, table: Path, card: Path | None = None) -> Collection:
            shop = stack.enter_context(lookalike.open(folder / name, encoder=card, create=True))
            catalogue = open_catalogue(
                table,
                "table",
                root=image_set.folder,
                columns={"file": "file", "label": "label"},
            )
            shop.index(catalogue, optimize=False)
            return shop

        shops = {"as it comes": indexed("before", everything)}
        busy = time.process_time()
        tuned = finetuned(shops["as it comes"], folder / "chosen", None, **options)
        busy = time.process_time() - busy
        if tuned.card is not None:
            shops["chosen"] = indexed("after", asked, tuned.card)
        (folder / "whole").mkdir()
        (folder / "chosen" / "training.pt").rename(folder / "whole" / "training.pt")
        whole = finetuned(shops["as it comes"], folder / "whole", 1.0, **options)
        shops["whole"] = indexed("whole-after", asked, whole.card)
        for title, where in SIDES.items():
            found = compare(list(shops.values()), where=where, queries=None)
            for number, (name, one) in enumerate(zip(shops, found.evaluations, strict=True)):
                row: dict[str, Json] = {
                    "images": title,
                    "encoder": name,
                    "queries": one.queries,
                }
                for measure in SHOWN:
                    row[measure] = round(one.scores[measure].micro, 4)
                    if number:
                        apart = found.differences[number - 1][measure]
                        row[f"{measure} more"] = f"{apart.low:+.3f} to {apart.high:+.3f}"
                report.tables.setdefault("results", []).append(row)
                if number:
                    reference = found.evaluations[0].scores["mAP"].micro
                    ours = one.scores["mAP"].micro
                    report.figures.append(
                        Figure(
                            name=f"mAP, {title.partition(':')[0]}, {name}",
                            ratio=ours / reference,
                            reference=reference,
                            measured=ours,
                            unit="mAP",
                            what="fine-tuned / as it comes",
                        )
                    )
    report.tables["training"] = epochs(tuned)
    cost = f"{tuned.seconds:,.0f} s ({busy:,.0f} s of processor time, {given.threads} threads)"
    report.notes = [
        f"{image_set.source}: {', '.join(f'{count:,} {side}' for side, count in counts.items())}",
        f"trained on {tuned.labels} labels from {tuned.images:,} images in {cost}",
        f"chosen: {tuned.share:.0%} of the way to epoch {tuned.best}",
        f"torch {importlib.metadata.version('torch')}",
    ]
    report.print(as_json=given.json)


if __name__ == "__main__":
    main()
