"""A folder of images and a collection of it, in which people and sources say things."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import lookalike
from conftest import painted
from lookalike.collection import Collection
from lookalike.core.records import IndexReport, Item
from lookalike.encoders import OnnxEncoder

__all__ = ["Shelf", "counted", "table", "words"]


def words(item: Item) -> tuple[str | None, str | None, dict[str, object]]:
    return item.label, item.group, dict(item.metadata)


def counted(report: IndexReport) -> dict[str, int]:
    """Return what is not zero of a report."""
    names = (
        *("indexed", "reused", "unchanged", "removed", "kept"),
        *("moved", "restored", "relabelled", "kept_by_hand"),
    )
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def table(path: Path, rows: Mapping[str, str], header: str = "file,label") -> Path:
    """Write a CSV table of files and what it says of each."""
    lines = [header, *(f"{name},{said}" for name, said in rows.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass
class Shelf:
    """``folder`` holds the images; ``shop`` is the collection that indexes it."""

    folder: Path
    shop: Collection

    @classmethod
    def made(cls, tmp_path: Path, tiny: OnnxEncoder, address: str | None = None) -> "Shelf":
        folder = tmp_path / "images"
        folder.mkdir()
        shop = lookalike.open(address or str(tmp_path / "shop"), encoder=tiny, create=True)
        return cls(folder=folder, shop=shop)

    def paint(self, name: str, number: int) -> None:
        painted(self.folder / name, number)

    def move(self, old: str, new: str) -> None:
        (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.folder / old, self.folder / new)

    def copy(self, old: str, new: str) -> None:
        (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.folder / old, self.folder / new)

    def delete(self, name: str) -> None:
        (self.folder / name).unlink()

    def index(self, **options: object) -> IndexReport:
        return self.shop.index(self.folder, **options)  # type: ignore[arg-type]

    def labels(self) -> dict[str, str | None]:
        return {item.id: item.label for item in self.shop.items()}

    def missing(self) -> dict[str, str | None]:
        return {one.item.id: one.item.label for one in self.shop.missing()}
