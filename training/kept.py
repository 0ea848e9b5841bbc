"""Vectors kept on disk by name, so that what was computed once is never computed again.

A folder holds any number of pairs ``<writer>.keys`` (a name a line) and ``<writer>.rows`` (float16
rows in the same order): each process that writes has a pair of its own, readers see them all. A
pair that was cut off in the middle of a row is shortened to the last whole row.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kept", "Writer"]


class Kept:
    """What a folder holds: ``place`` finds a name's file and row."""

    def __init__(self, folder: Path) -> None:
        self._rows: list[NDArray[np.float16]] = []
        self._place: dict[str, tuple[int, int]] = {}
        for path in sorted(folder.glob("*.keys")):
            keys = path.read_text(encoding="utf-8").split("\n")[:-1]  # the last may be half
            dim = int(keys.pop(0)) if keys else 0
            rows = path.with_suffix(".rows")
            count = min(len(keys), rows.stat().st_size // (2 * dim)) if dim and rows.exists() else 0
            if count:
                self._rows.append(np.memmap(rows, np.float16, "r", shape=(count, dim)))
                self._place.update(
                    {key: (len(self._rows) - 1, row) for row, key in enumerate(keys[:count])}
                )

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, key: str) -> bool:
        return key in self._place

    def rows(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32 for names that are kept; raise ``KeyError`` for another."""
        places = [self._place[key] for key in keys]
        return np.stack([self._rows[file][row] for file, row in places]).astype(np.float32)


class Writer:
    """Appends to the pair ``name`` of a folder; one process at a time."""

    def __init__(self, folder: Path, name: str, dim: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        keys, rows = folder / f"{name}.keys", folder / f"{name}.rows"
        whole: list[str] = []
        if keys.exists() and rows.exists():
            whole = keys.read_text(encoding="utf-8").split("\n")[:-1]
            if whole and int(whole[0]) != dim:
                raise ValueError(f"{keys}: holds rows of {whole[0]} numbers, not {dim}")
            whole = whole[: 1 + rows.stat().st_size // (2 * dim)]
        whole = whole or [str(dim)]
        keys.write_text("".join(f"{one}\n" for one in whole), encoding="utf-8")
        rows.touch()
        with rows.open("r+b") as file:
            file.truncate((len(whole) - 1) * 2 * dim)
        self._dim = dim
        self._keys = keys.open("a", encoding="utf-8")
        self._rows = rows.open("ab")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._rows.close()
        self._keys.close()

    def append(self, key: str, row: NDArray[np.floating]) -> None:
        """Keep a row of ``dim`` numbers under a name."""
        if row.shape != (self._dim,):
            raise ValueError(f"a row has {self._dim} numbers, not {row.shape}")
        self._rows.write(row.astype(np.float16).tobytes())
        self._rows.flush()
        self._keys.write(f"{key}\n")
        self._keys.flush()
