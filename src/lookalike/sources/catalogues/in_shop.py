"""Read DeepFashion's In-shop Clothes Retrieval Benchmark: several images of each garment."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from lookalike.core.records import Damaged, Entry, Json, Skipped
from lookalike.errors import SourceError
from lookalike.sources.catalogues import lists
from lookalike.sources.scan import stamp_of

__all__ = ["InShop", "find_in"]

_LIST = "list_eval_partition.txt"
_COLUMNS = ["image_name", "item_id", "evaluation_status"]
_SPLITS = ("train", "query", "gallery")
_BOXES = "list_bbox_inshop.txt"
_BOX_COLUMNS = ["image_name", "clothes_type", "pose_type", "x_1", "y_1", "x_2", "y_2"]
_WORDS = "list_description_inshop.json"
_CLOTHES = {1: "upper", 2: "lower", 3: "full"}
_POSES = {1: "front", 2: "side", 3: "back", 4: "zoom-out", 5: "zoom-in", 6: "stand-alone"}
# Where the lists' folder img/ may be: img.zip is unpacked beside itself, above, or without it.
_IMAGE_FOLDERS = ("Img/img", "img", "Img")
_NESTED = ("", "In-shop Clothes Retrieval Benchmark", "In-shop_Clothes_Retrieval_Benchmark")

_Details: TypeAlias = dict[str, Json]


class InShop:
    """Each line of ``Eval/list_eval_partition.txt`` is an entry.

    The label is the kind of clothes (``WOMEN/Dresses``), the group the ``item_id``; metadata are
    the ``split`` (train, query or gallery) and, if ``Anno/`` has them, ``clothes``, ``pose`` and
    ``box`` of the image (left, top, right, bottom, counted from 1), ``color`` and ``description``
    of the item.
    """

    format = "deepfashion-in-shop"

    def __init__(self, path: Path) -> None:
        found = find_in(path)
        if found is None:
            raise SourceError(f"{path} holds no Eval/{_LIST} of DeepFashion's in-shop clothes")
        self._list = found
        self.root = found.parent.parent if found.parent.name == "Eval" else found.parent
        beside = [self._find_annotations(name) for name in (_BOXES, _WORDS)]
        self.files = (found, *(place for place in beside if place is not None))

    def entries(self) -> Iterator[Entry | Skipped]:
        boxes: dict[str, tuple[int, ...]] = {}
        words: dict[str, _Details] = {}
        damaged = False
        for skipped in (*self._read_boxes(boxes), *self._read_words(words)):
            damaged = True
            yield skipped
        folder: str | None = None
        for line in lists.read_lines(self._list, _COLUMNS):
            if isinstance(line.values, str):
                yield lists.skip_line(line)
                continue
            where, (name, item, split) = line.where, line.values
            if split not in _SPLITS:
                reason = f"{split!r} is none of {', '.join(_SPLITS)}"
                yield Skipped(path=where, reason=reason)
                continue
            try:
                inside = lists.below(name.removeprefix("img/"))
            except ValueError as error:
                yield Skipped(path=where, reason=str(error))
                continue
            if folder is None:
                folder = self._find_images(inside.partition("/")[0])
            path = f"{folder}/{inside}"
            metadata = {"split": split, **_image_metadata(boxes.get(name)), **words.get(item, {})}
            yield Entry(
                id=name,
                image=self.root / path,
                path=path,
                stamp=stamp_of(self.root / path),
                label="/".join(inside.split("/")[:-2][:2]) or None,
                group=item,
                metadata=metadata,
                line=where,
                ended=line.ended,
                partial=damaged,
            )

    def _find_images(self, first: str) -> str:
        """Return the folder that holds the images, given the folder of the first of them."""
        for folder in _IMAGE_FOLDERS:
            if (self.root / folder / first).exists():
                return folder
        raise SourceError(
            f"{self.root} holds no images: there is no {first} in {', '.join(_IMAGE_FOLDERS)}; "
            "unpack Img/img.zip there"
        )

    def _read_boxes(self, boxes: dict[str, tuple[int, ...]]) -> Iterator[Skipped]:
        """Fill ``boxes``: image name → clothes, pose, and the four numbers of the box."""
        place = self._find_annotations(_BOXES)
        if place is None:
            return
        try:
            for line in lists.read_lines(place, _BOX_COLUMNS):
                if isinstance(line.values, str):
                    yield lists.skip_line(line)
                    continue
                where, (name, *numbers) = line.where, line.values
                try:
                    boxes[name] = tuple(int(number) for number in numbers)
                except ValueError:
                    yield Skipped(path=where, reason=f"{' '.join(numbers)!r} are not six numbers")
        except SourceError as error:
            yield Damaged(path=_BOXES, reason=f"{error}; so no clothes, poses and boxes")

    def _read_words(self, words: dict[str, _Details]) -> Iterator[Skipped]:
        """Fill ``words``: item → its color and description. The file has only 8,000 items."""
        place = self._find_annotations(_WORDS)
        if place is None:
            return
        try:
            data = json.loads(place.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            yield Damaged(path=_WORDS, reason=f"not JSON, so no colors and descriptions: {error}")
            return
        if not isinstance(data, list):
            yield Damaged(path=_WORDS, reason="not a list, so no colors and descriptions")
            return
        for number, one in enumerate(data, 1):
            if not isinstance(one, dict) or not isinstance(one.get("item"), str):
                where = f"{_WORDS}, entry {number:,}"
                yield Skipped(path=where, reason="not an object with an item")
                continue
            known = words.setdefault(one["item"], {})
            for key, joint in (("color", ", "), ("description", " ")):
                text = _join_text(one.get(key), joint)
                if text and text != known.get(key):
                    # an item that is listed once per color: keep all
                    known[key] = _item_metadata(known[key], text) if key in known else text

    def _find_annotations(self, name: str) -> Path | None:
        places = (self.root / "Anno" / name, self.root / name)
        return next((place for place in places if place.is_file()), None)


def find_in(path: Path) -> Path | None:
    """Return the list of images below a folder: the data set itself, or one nested in it."""
    for nested in _NESTED:
        for place in (path / nested / "Eval" / _LIST, path / nested / _LIST):
            if lists.has_columns(place, _COLUMNS):
                return place
    return None


def _image_metadata(numbers: tuple[int, ...] | None) -> _Details:
    if numbers is None:
        return {}
    clothes, pose, *box = numbers
    details: _Details = {"box": list(box)}
    if clothes in _CLOTHES:
        details["clothes"] = _CLOTHES[clothes]
    if pose in _POSES:
        details["pose"] = _POSES[pose]
    return details


def _join_text(value: object, joint: str) -> str:
    """Return a text, or a list of texts joined into one."""
    parts = value if isinstance(value, list) else [value]
    return joint.join(part.strip() for part in parts if isinstance(part, str) and part.strip())


def _item_metadata(known: Json, text: str) -> Json:
    several: list[Json] = known if isinstance(known, list) else [known]
    return several if text in several else [*several, text]
