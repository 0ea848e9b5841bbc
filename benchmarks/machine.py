"""What a benchmark runs on and with: the machine, the images, and a fair comparison.

Images come from ``../shared/data`` where that is there, else from ``examples/``. They and the
collections made of them are kept in ``lookalike-benchmarks`` in the folder for temporary files,
which may be deleted at any time.
"""

import argparse
import csv
import importlib.metadata
import io
import json
import os
import platform
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from PIL import Image

import lookalike
from lookalike.core.progress import Progress
from lookalike.errors import CollectionError, EncoderError, StoreError

__all__ = [
    "ROOT",
    "SHARED",
    "Figure",
    "ImageSet",
    "Report",
    "alternate",
    "arguments",
    "caltech",
    "compared",
    "describe",
    "indexed",
    "large_images",
    "myntra",
    "scratch",
    "seconds",
    "workplace",
]

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Goal: TypeAlias = Literal["at least", "at most"]

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
_PACKAGES = ("lookalike", "numpy", "onnxruntime", "pillow", "usearch", "faiss-cpu", "psutil")


# --- the machine -------------------------------------------------------------------------------


def describe() -> dict[str, Json]:
    """The machine, the versions and the date that a figure belongs to."""
    versions: dict[str, Json] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    versions["sqlite"] = sqlite3.sqlite_version
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": _system(),
        "versions": versions,
        "date": datetime.now(UTC).isoformat("T", "seconds"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float:
    import psutil  # noqa: PLC0415 - programs that only time things need not load it

    return round(psutil.virtual_memory().total / 2**30, 1)


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()}, {platform.machine()}"


# --- what comes out ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A ratio and what it was made of, all from one run.

    ``reference`` and ``measured`` are in ``unit``. ``spread`` are the least and the greatest ratio
    of single rounds; ``goal`` is what the design asks for, ``at least`` or ``at most``.
    """

    name: str
    ratio: float
    reference: float
    measured: float
    unit: str
    what: str  # the ratio in words: "reference / ours"
    spread: tuple[float, float] | None = None
    goal: float | None = None
    side: Goal = "at most"

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; ``None`` without one."""
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.side == "at least" else self.ratio <= self.goal


@dataclass(slots=True, kw_only=True)
class Report:
    """What a benchmark found. ``tables``: name → rows, for whoever wants more than ratios."""

    name: str
    question: str
    figures: list[Figure] = field(default_factory=list)
    tables: dict[str, list[dict[str, Json]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def print(self, *, as_json: bool) -> None:
        if as_json:
            figures = [{**asdict(figure), "met": figure.met} for figure in self.figures]
            print(json.dumps({**asdict(self), "figures": figures}, indent=1))
            return
        print(f"{self.question}\n")
        width = max((len(figure.name) for figure in self.figures), default=0)
        for one in self.figures:
            spread = f" ({one.spread[0]:.2f} to {one.spread[1]:.2f})" if one.spread else ""
            goal = "" if one.goal is None else f", goal {one.side} {one.goal:g}"
            verdict = {None: "", True: ": met", False: ": MISSED"}[one.met]
            print(
                f"{one.name:<{width}}  {one.ratio:8.3f}{spread} = {one.what} "
                f"[{one.reference:.4g}, {one.measured:.4g} {one.unit}]{goal}{verdict}"
            )
        for name, rows in self.tables.items():
            print(f"\n{name}")
            _print_rows(rows)
        if self.notes:
            print()
        for note in self.notes:
            print(f"- {note}")


def _print_rows(rows: Sequence[dict[str, Json]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_shown(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in (columns, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _shown(value: Json) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def arguments(text: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark understands."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, in a minute")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


# --- comparing ---------------------------------------------------------------------------------


def alternate(
    rounds: int, reference: Callable[[], float], measured: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Return what both return in turn, so that other load on the machine affects both.

    The order changes each round. Run both once before if the first run is not meant.
    """
    first: list[float] = []
    second: list[float] = []
    for number in range(rounds):
        for side in ("ab", "ba")[number % 2]:
            if side == "a":
                first.append(reference())
            else:
                second.append(measured())
    return first, second


def compared(
    name: str,
    reference: Sequence[float],
    measured: Sequence[float],
    *,
    unit: str,
    what: str,
    invert: bool = False,
    goal: float | None = None,
    side: Goal = "at most",
) -> Figure:
    """The ratio measured / reference of medians; ``invert`` turns it over."""

    def ratio(one: float, other: float) -> float:
        return one / other if invert else other / one

    pairs = [ratio(one, other) for one, other in zip(reference, measured, strict=True)]
    middle, ours = statistics.median(reference), statistics.median(measured)
    return Figure(
        name=name,
        ratio=ratio(middle, ours),
        reference=middle,
        measured=ours,
        unit=unit,
        what=what,
        spread=(min(pairs), max(pairs)),
        goal=goal,
        side=side,
    )


def seconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- images ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """A folder of images; ``labels``: path below it → category.

    ``key`` names what is made of them, ``name`` and ``source`` are for people.
    """

    key: str
    name: str
    source: str
    folder: Path
    labels: dict[str, str]

    def __len__(self) -> int:
        return len(self.labels)

    def paths(self) -> list[Path]:
        return [self.folder / path for path in self.labels]


def workplace() -> Path:
    """The folder for what benchmarks unpack and make, kept from run to run."""
    folder = Path(tempfile.gettempdir()) / "lookalike-benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def scratch() -> Iterator[Path]:
    """A fresh folder in the workplace, deleted afterwards."""
    with tempfile.TemporaryDirectory(dir=workplace(), prefix="run-") as folder:
        yield Path(folder)


def caltech() -> ImageSet:
    """The Caltech-101 sample: 3,060 images by class."""
    archive = SHARED / "data" / "caltech-101-sample.zip"
    if not archive.exists():
        return _drawn()
    folder = workplace() / "caltech-101"
    with zipfile.ZipFile(archive) as zipped:
        members = [name for name in zipped.namelist() if not name.endswith("/")]
        _unpack(zipped, members, folder)
    labels = {
        (path := name.removeprefix("101_ObjectCategories/")): path.partition("/")[0]
        for name in members
    }
    return ImageSet(
        key="caltech-101",
        name="Caltech-101 sample",
        source=archive.name,
        folder=folder / "101_ObjectCategories",
        labels=labels,
    )


def myntra(count: int | None = None) -> ImageSet:
    """Myntra's small product images by article type: a seeded sample, or all 44,442."""
    archive = SHARED / "data" / "myntra-small.zip"
    if not archive.exists():
        return _drawn()
    with zipfile.ZipFile(archive) as zipped:
        table = io.StringIO(zipped.read("styles.csv").decode("utf-8"))
        kinds = {row["id"]: row["articleType"] for row in csv.DictReader(table)}
        names = sorted(name for name in zipped.namelist() if name.endswith(".jpg"))
        if count is not None and count < len(names):
            names = sorted(random.Random(101).sample(names, count))
            # the products with large images are always in
            wanted = {f"images/{one.stem}.jpg" for one in _hires_names()}
            names = sorted({*wanted, *names[: max(count - len(wanted - {*names}), 0)]})[:count]
        folder = workplace() / f"myntra-{len(names)}"
        _unpack(zipped, names, folder)
    labels = {
        (path := name.removeprefix("images/")): kinds.get(path.removesuffix(".jpg"), "")
        for name in names
    }
    return ImageSet(
        key=folder.name,
        name=f"Myntra, {'all' if count is None else 'a sample of'} {len(names):,}",
        source=archive.name,
        folder=folder / "images",
        labels=labels,
    )


def large_images() -> ImageSet:
    """18 product images of 1800 x 2400; the label is the product's id in Myntra.

    Elsewhere drawn images enlarged to that size, labelled with their kind.
    """
    archive = SHARED / "data" / "product-photos-hires.zip"
    if archive.exists():
        folder = workplace() / "large_images"
        names = [path.name for path in _hires_names()]
        with zipfile.ZipFile(archive) as zipped:
            _unpack(zipped, names, folder)
        return ImageSet(
            key="large_images",
            name="product images, 1800 x 2400",
            source=archive.name,
            folder=folder,
            labels={name: name.removesuffix(".jpg") for name in names},
        )
    drawn = _drawn()
    folder = workplace() / "drawn-large"
    folder.mkdir(exist_ok=True)
    labels = {}
    for path in list(drawn.labels)[:18]:
        name = path.replace("/", "-")
        if not (folder / name).exists():
            with Image.open(drawn.folder / path) as image:
                image.convert("RGB").resize((1800, 2400)).save(folder / name, quality=90)
        labels[name] = drawn.labels[path]
    return ImageSet(
        key="drawn-large",
        name="drawn images, enlarged to 1800 x 2400",
        source=drawn.source,
        folder=folder,
        labels=labels,
    )


def _hires_names() -> list[Path]:
    archive = SHARED / "data" / "product-photos-hires.zip"
    if not archive.exists():
        return []
    with zipfile.ZipFile(archive) as zipped:
        return sorted(Path(name) for name in zipped.namelist() if name.endswith(".jpg"))


def _drawn() -> ImageSet:
    """The catalogue of ``examples/``, for machines without the real images."""
    sys.path.insert(0, str(ROOT / "examples"))
    import drawn_catalogue  # noqa: PLC0415 - examples/ is no package

    folder = workplace() / "drawn"
    if not (folder / "catalogue.csv").exists():  # written last
        drawn_catalogue.draw(folder, products=240)
    with (folder / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    return ImageSet(
        key="drawn",
        name=f"{len(rows)} drawn images",
        source="examples/drawn_catalogue.py, because ../shared/data is not there",
        folder=folder,
        labels={row[0]: row[1] for row in rows},
    )


def _unpack(archive: zipfile.ZipFile, members: Sequence[str], folder: Path) -> None:
    """Unpack once; a run that was cut short is begun again."""
    if not folder.exists():
        draft = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        archive.extractall(draft, members)
        draft.rename(folder)


def indexed(
    image_set: ImageSet, *, encoder: str | Path | None = None, graph: bool = True
) -> lookalike.Collection:
    """A collection of the images, kept from run to run and brought up to date."""
    network = Path(encoder).stem if encoder else "default"
    folder = workplace() / "collections" / f"{image_set.key}-{network}"

    def update() -> lookalike.Collection:
        collection = lookalike.open(folder, encoder=encoder, create=True)
        try:
            collection.index(image_set.folder, format="folder", progress=_tell)
            collection.search(image_set.paths()[0], k=1)  # notices another encoder
            if graph:
                collection.optimize()
        except BaseException:
            collection.close()
            raise
        return collection

    try:
        return update()
    except (CollectionError, EncoderError, StoreError) as error:
        print(f"{folder} is made again: {error}", file=sys.stderr)
        shutil.rmtree(folder)
        return update()


def _tell(now: Progress) -> None:
    if now.done % 2048 == 0 or now.done == now.total:
        print(f"indexing: {now.done:,} of {now.total or '?'}", file=sys.stderr)
