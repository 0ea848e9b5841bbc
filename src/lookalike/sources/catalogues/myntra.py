"""Read Myntra's Fashion Product Images, as Kaggle has it: styles.csv and images/<id>.jpg."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lookalike.core.records import Entry, Json, Skipped
from lookalike.errors import SourceError
from lookalike.sources.catalogues.text_files import find_wrong_byte, open_text
from lookalike.sources.scan import stamp_of

__all__ = ["Myntra", "find_in"]

# fmt: off
_COLUMNS = [
    "id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year",
    "usage", "productDisplayName",
]
# fmt: on


class Myntra:
    """Each line of ``styles.csv`` is a product: ``articleType`` is the label, the rest is metadata.

    The original has names with unquoted commas: a line is split at the first nine commas, and the
    rest is the name. ``NA`` is a value, an empty field is missing, and years like ``2014.0`` are
    whole numbers. If ``styles/<id>.json`` exists, price, brand and attributes are read from it.
    """

    format = "myntra"

    def __init__(self, path: Path) -> None:
        root = find_in(path)
        if root is None:
            raise SourceError(f"{path} holds no styles.csv of Myntra's with images beside it")
        self.root = root
        self.files = (root / "styles.csv", root / "styles")

    def entries(self) -> Iterator[Entry | Skipped]:
        path = self.root / "styles.csv"
        try:
            with open_text(path, None) as file:
                next(file, None)
                for number, line in enumerate(file, 2):
                    text = line.rstrip("\r\n")
                    if text.strip():
                        one = self._parse_line(number, text)
                        if isinstance(one, Entry) and not line.endswith("\n"):
                            one = replace(one, ended=False)
                        yield one
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error

    def _parse_line(self, number: int, line: str) -> Entry | Skipped:
        where = f"styles.csv:{number}"
        if (wrong := find_wrong_byte([line])) is not None:
            return Skipped(path=where, reason=wrong)
        fields = line.split(",", len(_COLUMNS) - 1)
        if len(fields) != len(_COLUMNS):
            return Skipped(path=where, reason=f"{len(fields)} values for {len(_COLUMNS)} columns")
        name = fields[-1]
        if len(name) > 1 and name[0] == name[-1] == '"':
            fields[-1] = name[1:-1].replace('""', '"')
        values = {column: text for column, text in zip(_COLUMNS, fields, strict=True) if text}
        one = values.pop("id", "")
        if not one.isdigit():
            return Skipped(path=where, reason=f"{one!r} is not a product number")
        path = f"images/{one}.jpg"
        metadata: dict[str, Json] = dict(values)
        with suppress(KeyError, ValueError):  # missing, or text that stays as it is
            metadata["year"] = int(float(values["year"]))
        more = self._read_details(one)
        return Entry(
            id=one,
            image=self.root / path,
            path=path,
            stamp=stamp_of(self.root / path),
            label=values.get("articleType"),
            metadata=metadata | (more or {}),
            line=where,
            partial=more is None,
        )

    def _read_details(self, one: str) -> dict[str, Json] | None:
        """Return the fields of ``styles/<id>.json``; ``None`` if it exists and cannot be read."""
        try:
            text = (self.root / "styles" / f"{one}.json").read_text(encoding="utf-8")
            data = json.loads(text).get("data", {})
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, AttributeError, RecursionError):
            return None
        if not isinstance(data, dict):
            return None
        wanted = {"price": "price", "discountedPrice": "discountedPrice", "brandName": "brand"}
        more: dict[str, Json] = {
            name: data[key]
            for key, name in wanted.items()
            if isinstance(data.get(key), str | int | float) and data[key] != ""
        }
        attributes = data.get("articleAttributes")
        if isinstance(attributes, dict) and attributes:
            more["attributes"] = attributes
        return more


def find_in(path: Path) -> Path | None:
    """Return the folder that holds styles.csv and images/: this one, or one nested by the
    archive.
    """
    for folder in (path, path / "fashion-dataset", path / "fashion-dataset" / "fashion-dataset"):
        table = folder / "styles.csv"
        if table.is_file() and (folder / "images").is_dir():
            with table.open(encoding="utf-8-sig", errors="replace") as file:
                header = file.readline().strip().rstrip(",")
            if header.split(",") == _COLUMNS:
                return folder
    return None
