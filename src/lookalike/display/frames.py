"""Items as a table of pandas."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.core.records import Item
from lookalike.errors import ExportError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["items_frame"]

_OWN = ("id", "label", "group", "path", "width", "height", "digest")


def items_frame(
    items: Sequence[Item],
    files: Sequence[Path | None],
    first: Mapping[str, Sequence[object]] | None = None,
) -> "pd.DataFrame":
    """Return a ``DataFrame`` with a row for each item.

    ``first`` are further columns, which come first. Then come those of the items, with the path of
    the file (``files``), and a column for each metadata field: by its name, or with ``metadata.``
    before it where that is the name of another column. Raise ``ExportError`` without pandas.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - optional, and half a second to load
    except ImportError:
        raise ExportError(
            "to_pandas needs pandas, which is not installed: pip install pandas"
        ) from None
    columns: dict[str, Sequence[Any]] = {name: [*values] for name, values in (first or {}).items()}
    columns |= {name: [getattr(item, name) for item in items] for name in _OWN}
    columns["path"] = [None if file is None else str(file) for file in files]
    taken = frozenset(columns)
    fields = dict.fromkeys(name for item in items for name in item.metadata)
    for name in fields:
        own = name in taken or not name or name.startswith("metadata.")
        column = f"metadata.{name}" if own else name
        columns[column] = [item.metadata.get(name) for item in items]
    return pd.DataFrame(columns)
