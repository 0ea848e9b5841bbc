"""Read Stanford Online Products: twelve folders of images from eBay, and lists of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lookalike.core.records import Entry, Json, Skipped
from lookalike.errors import SourceError
from lookalike.sources.catalogues import lists
from lookalike.sources.scan import stamp_of

__all__ = ["StanfordProducts", "find_in"]

_COLUMNS = ["image_id", "class_id", "super_class_id", "path"]
_SPLITS = {"Ebay_train.txt": "train", "Ebay_test.txt": "test"}
_ALL = "Ebay_info.txt"  # both lists in one file: read only if both are missing


class StanfordProducts:
    """Each line of ``Ebay_train.txt`` and ``Ebay_test.txt`` is an entry.

    The label is the kind of product: the folder's name without ``_final``. The group is
    ``class_id``, one offer. Metadata are the ``split`` and the ``image_id``.
    """

    format = "stanford-online-products"

    def __init__(self, path: Path) -> None:
        root = find_in(path)
        if root is None:
            raise SourceError(f"{path} holds no Ebay_train.txt or Ebay_test.txt of Stanford's")
        self.root = root
        self.files = tuple(root / name for name in (*_SPLITS, _ALL))

    def entries(self) -> Iterator[Entry | Skipped]:
        names = [name for name in _SPLITS if (self.root / name).is_file()]
        for name in names or [_ALL]:
            for line in lists.read_lines(self.root / name, _COLUMNS):
                if isinstance(line.values, str):
                    yield lists.skip_line(line)
                    continue
                try:
                    one = self._parse_line(line.where, line.values, _SPLITS.get(name))
                    yield one if line.ended else replace(one, ended=False)
                except ValueError as error:
                    yield Skipped(path=line.where, reason=str(error))

    def _parse_line(self, where: str, values: list[str], split: str | None) -> Entry:
        image, product, kind, said = values
        for number in (image, product, kind):
            if not (number.isascii() and number.isdigit()):
                raise ValueError(f"{number!r} is not the number of an image, class or super class")
        path = lists.below(said)
        folder, slash, _ = path.partition("/")
        metadata: dict[str, Json] = {"image_id": int(image[:18])}
        if split is not None:
            metadata["split"] = split
        return Entry(
            id=path,
            image=self.root / path,
            path=path,
            stamp=stamp_of(self.root / path),
            label=folder.removesuffix("_final") if slash else None,
            group=product,
            metadata=metadata,
            line=where,
        )


def find_in(path: Path) -> Path | None:
    """Return the folder that holds the lists: this one, or the one that the archive creates in
    it.
    """
    for folder in (path, path / "Stanford_Online_Products"):
        if any(lists.has_columns(folder / name, _COLUMNS) for name in (*_SPLITS, _ALL)):
            return folder
    return None
