"""The images that take part, and which of them are held out. Pure but for reading archives.

``archives`` holds three zip files: ``sharp-photos.zip`` (varied photographs), a sample of
Caltech-101, and the small Myntra product images with ``styles.csv``. Every image belongs to one
part, by its class:

- ``train``: the student may learn from it;
- ``choose``: classes that no training sees, for choosing between candidates;
- ``report``: classes that no training sees, measured for the candidates that were chosen.
"""

import csv
import io
import random
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal, TypeAlias

from PIL import Image

from training.config import Data

__all__ = ["Entry", "Part", "Reader", "View", "divide_classes", "list_entries", "list_views"]

Part: TypeAlias = Literal["train", "choose", "report"]

_SHARP, _CALTECH, _FASHION = "sharp-photos.zip", "caltech-101-sample.zip", "myntra-small.zip"
_LARGE = "product-photos-hires.zip"  # their products are queries of a test: never trained on
_NOT_A_CLASS = "BACKGROUND_Google"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An image: ``member`` of the zip file ``archive``, its class and its part."""

    archive: str
    member: str
    label: str
    part: Part

    @property
    def is_sure(self) -> bool:
        """Whether the label is a class that people gave this image."""
        return self.archive != _SHARP and self.label != _NOT_A_CLASS


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An image as it is (``number`` 0) or a random crop of it (1, 2, …)."""

    entry: Entry
    number: int

    @property
    def key(self) -> str:
        """What names the view in stored files."""
        return f"{self.entry.archive}/{self.entry.member}#{self.number}"


def divide_classes(labels: Iterable[str], seed: int, shares: tuple[int, int]) -> dict[str, Part]:
    """Return the part of each class: ``shares`` percent to choose and to report, others to train.

    The answer depends on the set of labels and the seed only.
    """
    names = sorted(set(labels))
    random.Random(seed).shuffle(names)
    choose, report = (round(len(names) * share / 100) for share in shares)
    parts: dict[str, Part] = dict.fromkeys(names, "train")
    parts.update(dict.fromkeys(names[:choose], "choose"))
    parts.update(dict.fromkeys(names[choose : choose + report], "report"))
    return parts


def list_entries(data: Data) -> list[Entry]:
    """Return all images that take part, in a fixed order."""
    folder = Path(data.archives)
    caltech, parts = _caltech(folder, data.seed)
    return [*_sharp(folder, parts), *caltech, *_fashion(folder, data)]


def list_views(entries: Sequence[Entry], crops: int) -> list[View]:
    """Return the views in the order in which they are worth computing.

    First whole training images, photographs and small product images in turn, then those to choose
    by, then one crop after the other of the photographs, and last those to report on.
    """
    train = [entry for entry in entries if entry.part == "train"]
    large = [entry for entry in train if entry.archive != _FASHION]
    small = [entry for entry in train if entry.archive == _FASHION]
    order = random.Random(7)
    for group in (large, small):
        order.shuffle(group)
    in_turn = [entry for pair in zip_longest(large, small) for entry in pair if entry]
    views = [View(entry=entry, number=0) for entry in in_turn]
    views += [View(entry=entry, number=0) for entry in entries if entry.part == "choose"]
    for number in range(1, crops + 1):
        views += [View(entry=entry, number=number) for entry in large]
    views += [View(entry=entry, number=0) for entry in entries if entry.part == "report"]
    return views


class Reader:
    """Reads views from the archives; keeps each open. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, zipfile.ZipFile] = {}

    def image(self, entry: Entry) -> Image.Image:
        """Return the image of an entry, RGB."""
        if entry.archive not in self._open:
            self._open[entry.archive] = zipfile.ZipFile(self._folder / entry.archive)
        content = self._open[entry.archive].read(entry.member)
        with Image.open(io.BytesIO(content)) as image:
            return image.convert("RGB")


def _members(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return sorted(name for name in archive.namelist() if not name.endswith("/"))


def _caltech(folder: Path, seed: int) -> tuple[list[Entry], dict[str, Part]]:
    members = _members(folder / _CALTECH)
    labels = [name.split("/")[-2] for name in members]
    parts = divide_classes((one for one in labels if one != _NOT_A_CLASS), seed, (40, 40))
    entries = [
        Entry(archive=_CALTECH, member=name, label=label, part=parts.get(label, "train"))
        for name, label in zip(members, labels, strict=True)
    ]
    return entries, parts


def _sharp(folder: Path, caltech: dict[str, Part]) -> list[Entry]:
    """Photographs; those of Caltech classes that are held out are left out."""
    entries = []
    for name in _members(folder / _SHARP):
        source, label, _ = name.split("/")
        if source == "caltech101" and caltech.get(label, "choose") != "train":
            continue  # an image of a held-out class, or of a class that we cannot place
        entries.append(Entry(archive=_SHARP, member=name, label=f"{source}/{label}", part="train"))
    return entries


def _fashion(folder: Path, data: Data) -> list[Entry]:
    with zipfile.ZipFile(folder / _FASHION) as archive:
        table = io.StringIO(archive.read("styles.csv").decode("utf-8"))
        kinds = {row["id"]: row["articleType"] for row in csv.DictReader(table)}
    large = {Path(name).stem for name in _members(folder / _LARGE)}
    by_kind: dict[str, list[str]] = defaultdict(list)
    for name in _members(folder / _FASHION):
        product = Path(name).stem
        if name.endswith(".jpg") and kinds.get(product) and product not in large:
            by_kind[kinds[product]].append(name)
    able = [kind for kind, names in by_kind.items() if len(names) >= data.held_least]
    parts = divide_classes(able, data.seed, (33, 33))
    entries = []
    for kind, names in sorted(by_kind.items()):
        part = parts.get(kind, "train")
        most = data.fashion_most if part == "train" else data.held_most
        chosen = random.Random(f"{data.seed} {kind}").sample(names, min(most, len(names)))
        entries += [
            Entry(archive=_FASHION, member=name, label=kind, part=part) for name in sorted(chosen)
        ]
    return entries
