"""A stop is obeyed while a source yields nothing new, however long it goes on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path

import pytest

import lookalike
from lookalike.core.records import Damaged, Entry, Skipped
from lookalike.core.shards import Shard
from lookalike.sources.catalogues.class_folders import ClassFolders
from lookalike.sources.catalogues.imaterialist import IMaterialist
from lookalike.sources.scan import scan_in_steps, stamp_of

Paint = Callable[[Path, int], Path]
One = Entry | Skipped | None


@dataclass
class Endless:
    """A catalogue that never ends."""

    root: Path
    make: Callable[[Path], Iterator[One]]
    format: str = "endless"

    def entries(self) -> Iterator[One]:
        return self.make(self.root)


def repeat_missing(root: Path) -> Iterator[One]:
    return repeat(Entry(id="x", image=root / "x.png", path="x.png", line="t.csv:2"))


def repeat_present(root: Path) -> Iterator[One]:
    place = root / "0.png"
    return repeat(Entry(id="0", image=place, path="0.png", stamp=stamp_of(place), line="t.csv:2"))


def list_unreadable(root: Path) -> Iterator[One]:  # noqa: ARG001 - one of several
    return (Skipped(path=f"t.csv:{number}", reason="not a row") for number in count(2))


def list_other_shards(root: Path) -> Iterator[One]:
    shard = Shard.parse("1/2")
    names = (f"{number}.png" for number in count())
    return (Entry(id=one, image=root / one, path=one) for one in names if one not in shard)


def say_nothing(root: Path) -> Iterator[One]:  # noqa: ARG001 - one of several
    return repeat(None)


def after(calls: int) -> Callable[[], bool]:
    """Return a ``stop`` that is true from so many calls on."""
    numbers = count()
    return lambda: next(numbers) >= calls


@pytest.mark.timeout(60)
@pytest.mark.parametrize("bound", [False, True], ids=["new", "bound"])
@pytest.mark.parametrize(
    "make", [repeat_missing, repeat_present, list_unreadable, list_other_shards, say_nothing]
)
def test_a_source_without_end_is_stopped(
    tmp_path: Path,
    card: Path,
    paint: Paint,
    make: Callable[[Path], Iterator[One]],
    bound: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    paint(tmp_path / "pics" / "0.png", 0)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        if bound:
            shop.index(tmp_path / "pics")
        report = shop.index(
            Endless(tmp_path / "pics", make), shard=Shard.parse("1/2"), stop=after(500)
        )
    assert report.interrupted
    assert report.removed == 0


def test_a_folder_is_stopped_while_it_is_listed(tmp_path: Path, card: Path, paint: Paint) -> None:
    for number in range(5):
        paint(tmp_path / "pics" / str(number) / "a.png", number)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(tmp_path / "pics")
        for number in range(5):
            (tmp_path / "pics" / str(number) / "a.png").unlink()
        report = shop.index(tmp_path / "pics", stop=after(2), allow_removals=True)
        assert report.interrupted
        assert (report.removed, len(shop)) == (0, 5)


def test_a_listing_grows_folder_by_folder(tmp_path: Path, paint: Paint) -> None:
    for number in range(3):
        paint(tmp_path / str(number) / "a.png", number)
    sizes = [len(one.files) for one in scan_in_steps(tmp_path, suffixes={".png"})]
    assert sizes == [0, 1, 2, 3]
    assert list(ClassFolders(tmp_path).entries()).count(None) == 4


def test_annotations_leave_room_for_a_stop(tmp_path: Path) -> None:
    lines = ",".join(f'{{"image_id": {n}, "label_id": 1}}' for n in range(20_001))
    file = tmp_path / "train.json"
    file.write_text(
        f'{{"images": [{{"image_id": 1, "url": ["http://a/1.jpg"]}}], "annotations": [{lines}]}}'
    )
    found = list(IMaterialist(file).entries())
    assert found.count(None) == 2
    assert [one.id for one in found if isinstance(one, Entry)] == ["1"]
    assert not any(isinstance(one, Damaged) for one in found)
