"""iMaterialist's lists of URLs: Product Recognition 2019, Furniture 2018, and their relatives."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from lookalike.core.records import Damaged, Entry, Json, Remote, Skipped
from lookalike.errors import SourceError
from lookalike.sources.catalogues.json_stream import (
    BrokenJsonError,
    JsonObject,
    Value,
    members,
    open_json,
)
from lookalike.sources.scan import stamp_of

__all__ = ["IMaterialist", "looks_like"]


_TREE = "product_tree.json"
_HEAD = 8192  # bytes of a file that say what it is
_UNDECIDED = 100  # entries that may be damaged before the file is taken for something else
_PAUSE = 10_000  # annotations read between two chances to stop
_IDS = ("image_id", "imageId", "id")
_LABELS = ("class", "label_id", "labelId")
_Word: TypeAlias = int | str  # an id or label; text that reads as a whole number is held as one


class IMaterialist:
    """Yield an entry for each of ``images``, to be downloaded or found below ``root``.

    Product 2019: ``id`` is the file's name, ``class`` the label. Furniture 2018: ``annotations``
    give the label by ``image_id``, and the file is ``<image_id>.jpg``. The Fashion variants write
    ``imageId`` and ``labelId``. A list of labels is kept whole as ``labels``; the label is its
    only element, and none where there are several.

    ``tree``, by default a ``product_tree.json`` beside the file, gives ``category``: the names
    from the top down, and ``category_path``: these joined by ``/``.

    The file is never in memory: entries are read one by one, and labels before them, where they
    stand apart. Of half a file the entries before the break come, and then what is wrong.
    """

    format = "imaterialist"

    def __init__(self, path: Path, *, root: Path | None = None, tree: Path | None = None) -> None:
        self.path = path
        self.root = path.parent if root is None else root
        self._folder = root
        self._tree = tree

    def entries(self) -> Iterator[Entry | Skipped | None]:
        apart = self._labels_stand_apart()
        categories: dict[_Word, list[str]] = {}
        yield from self._read_tree(categories)
        labels: dict[_Word, _Word | tuple[_Word, ...]] = {}
        whole = True
        if apart:
            for one in self._read_annotations(labels):
                whole = whole and not isinstance(one, Damaged)
                yield one
        number = 0
        try:
            with open_json(self.path) as events:
                for item in members(events, "images"):
                    number += 1
                    where = f"{self.path.name}, entry {number:,}"
                    try:
                        entry = self._entry(where, item, labels, categories)
                        # Half of the annotations may give an image half of its labels.
                        yield entry if whole else replace(entry, partial=True)
                    except ValueError as error:
                        yield Skipped(path=where, reason=str(error))
        except BrokenJsonError as error:
            after = f", after entry {number:,}" if number else ""
            yield Damaged(path=f"{self.path.name}{after}", reason=str(error))

    def _entry(
        self,
        where: str,
        item: JsonObject | None,
        labels: Mapping[_Word, _Word | tuple[_Word, ...]],
        categories: Mapping[_Word, list[str]],
    ) -> Entry:
        """Return the entry of an item. Raise ``ValueError`` with the reason if it is not one."""
        if item is None:
            raise ValueError("not an object with an id and a url")
        key, one = _id_of(item)
        said = item.get("class")
        if said is None:
            said = next((item[name] for name in _LABELS if item.get(name) is not None), None)
        words = labels.get(_word(one), ()) if said is None else _words(said)
        metadata: dict[str, Json] = {}
        if not isinstance(words, tuple):
            label: _Word | None = words
        else:
            label = words[0] if len(words) == 1 else None
            if words:
                metadata["labels"] = [str(word) for word in words]
        if label is not None and label in categories:
            names = categories[label]
            metadata["category"] = list(names)
            metadata["category_path"] = "/".join(names)
        path = ""
        image: Path | Remote
        if self._folder is None:
            image = Remote(_urls(item.get("url")))
        else:
            path = one if key == "id" and isinstance(item["id"], str) else f"{one}.jpg"
            image = self._folder / _inside(path)
        return Entry(
            id=one,
            image=image,
            path=path,
            stamp=stamp_of(image) if isinstance(image, Path) else None,
            label=None if label is None else str(label),
            metadata=metadata or None,
            line=where,
        )

    def _labels_stand_apart(self) -> bool:
        """Whether annotations are to be looked for. ``SourceError`` for a file of neither shape."""
        keys: dict[str, str] = {}
        number = 0
        try:
            with open_json(self.path) as events:
                for number, item in enumerate(members(events, "images", keys), 1):
                    if item is not None:
                        if "class" in item:
                            return False
                        if isinstance(item.get("id"), str) or item.keys() & {"image_id", "imageId"}:
                            return True
                        keys |= {f"images.{name}": "" for name in item}
                    if number == _UNDECIDED:
                        break
        except BrokenJsonError as error:
            raise SourceError(f"{self.path}: {error}") from error
        if not number and keys.get("images") == "start_array":
            return False  # a list of nothing
        found = ", ".join(sorted(keys)[:20]) or "no keys"
        raise SourceError(
            f"{self.path} is none of iMaterialist's: it needs images with id, url, class (2019), "
            "or images with image_id, url and annotations with image_id, label_id (2018). "
            f"Found: {found}"
        )

    def _read_annotations(
        self, labels: dict[_Word, _Word | tuple[_Word, ...]]
    ) -> Iterator[Skipped | None]:
        """Fill ``labels`` by image id."""
        number = 0
        known: dict[_Word, _Word] = {}  # one object for a label, however many have it
        try:
            with open_json(self.path) as events:
                for item in members(events, "annotations"):
                    number += 1
                    if number % _PAUSE == 0:
                        yield None
                    try:
                        if item is None:
                            raise ValueError("not an object with an image_id and a label_id")  # noqa: TRY301 - caught by the caller
                        one = _word(_id_of(item)[1])
                        names = [name for name in _LABELS if name in item]
                        if not names:
                            raise ValueError("no label_id")  # noqa: TRY301 - likewise
                        words = _words(item[names[0]])
                    except ValueError as error:
                        where = f"{self.path.name}, annotation {number:,}"
                        yield Skipped(path=where, reason=str(error))
                        continue
                    if not isinstance(words, tuple):
                        words = known.setdefault(words, words)
                    labels[one] = _both(labels[one], words) if one in labels else words
        except BrokenJsonError as error:
            where = f"{self.path.name}, after annotation {number:,}"
            yield Damaged(path=where, reason=str(error))

    def _read_tree(self, categories: dict[_Word, list[str]]) -> Iterator[Skipped]:
        """Fill ``categories``: label → names from the top down."""
        place = self._tree or self.path.with_name(_TREE)
        try:
            data = json.loads(place.read_text(encoding="utf-8-sig"))
            if not isinstance(data, dict):
                raise ValueError("not an object of names")  # noqa: TRY004, TRY301 - caught by the caller
            _walk(data, [], categories)
        except FileNotFoundError as error:
            if self._tree is not None:
                raise SourceError(f"{place} does not exist; give the product tree") from error
        except (OSError, ValueError, RecursionError) as error:
            what = getattr(error, "strerror", None) or error
            if self._tree is not None:
                raise SourceError(f"{place} cannot be read as a product tree: {what}") from error
            yield Skipped(path=place.name, reason=f"no product tree, so no categories: {what}")


def looks_like(path: Path) -> bool:
    """Return whether the head of a JSON file has the keys; only reading tells which shape it is."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).replace(b"\0", b"")  # UTF-16 is refused with a better message
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    return b'"images"' in head or b'"annotations"' in head


def _id_of(item: JsonObject) -> tuple[str, str]:
    """Return the key of the id and its text."""
    for key in _IDS:
        value = item.get(key)
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"its {key} is neither text nor a whole number")  # noqa: TRY004 - caught by the caller
        if value != "":
            return key, str(value)
    raise ValueError("no id (or image_id)")


def _word(value: Value) -> _Word:
    """An id or label, equal whether it was written as a number or as text."""
    match value:
        case bool():
            pass
        case int():
            return value
        case float():
            return int(value) if value.is_integer() else str(value)
        case str():
            whole = value.isascii() and value.isdigit() and (value[0] != "0" or value == "0")
            return int(value) if whole and len(value) < 19 else value  # noqa: PLR2004 - 64 bits
    raise ValueError("its label is neither text nor a number")


def _words(value: Value) -> _Word | tuple[_Word, ...]:
    """A label, or several where there is a list; an empty tuple where there is none."""
    if isinstance(value, list):
        return tuple(dict.fromkeys(_word(one) for one in value if one not in (None, "")))
    return () if value in (None, "") else _word(value)


def _both(
    first: _Word | tuple[_Word, ...], second: _Word | tuple[_Word, ...]
) -> _Word | tuple[_Word, ...]:
    """Return the labels of an image that is annotated twice."""
    if first == second:
        return first
    pairs = (one if isinstance(one, tuple) else (one,) for one in (first, second))
    return tuple(dict.fromkeys(word for words in pairs for word in words))


def _urls(value: Value) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    urls: tuple[str, ...] = ()
    if isinstance(value, list):
        urls = tuple(one.strip() for one in value if isinstance(one, str) and one.strip())
    if not urls:
        raise ValueError("no url")
    return urls


def _inside(path: str) -> str:
    """``path``, if it is the name of a file in the folder itself."""
    if path in (".", "..") or any(sign in path for sign in "/\\\0"):
        raise ValueError(f"id {path!r} is not the name of a file")
    return path


def _walk(node: Mapping[str, object], above: list[str], found: dict[_Word, list[str]]) -> None:
    for name, below in node.items():
        names = [*above, name]
        if isinstance(below, dict):
            _walk(below, names, found)
        elif isinstance(below, list):
            found.update((_word(label), names) for label in below)
        else:
            raise ValueError(f"{name} is neither a list of labels nor an object of names")  # noqa: TRY004 - caught by the caller
