"""The SQL of the embedded store's neighbour table."""

from lookalike.stores.embedded.rows import COLUMNS

__all__ = ["CHUNK", "PUT", "PUT_LIST", "ROW", "STATE", "items_sql"]


# An item's list, whether it is exact, and its k; nothing if a newer item exists than it covers.
ROW = (
    "SELECT entries, exact, k FROM items JOIN neighbours USING (seq) JOIN neighbour_lists "
    "USING (seq) WHERE id = ? AND mark >= (SELECT max(seq) FROM items)"
)
CHUNK = (
    "SELECT seq, mark, exact, entries FROM neighbours JOIN neighbour_lists USING (seq) "
    "WHERE k = ? AND seq > ? ORDER BY seq LIMIT ?"
)
PUT = (
    "INSERT OR REPLACE INTO neighbours SELECT ?1, ?2, ?3, ?4 "
    "WHERE EXISTS (SELECT 1 FROM items WHERE seq = ?1)"
)
PUT_LIST = "INSERT OR REPLACE INTO neighbour_lists VALUES (?, ?)"
STATE = (
    "SELECT count(*), coalesce(sum(mark >= (SELECT max(seq) FROM items)), 0), "
    "coalesce(sum(exact), 0), coalesce(max(k), 0), "
    "coalesce((SELECT sum(length(entries)) FROM neighbour_lists), 0) FROM neighbours"
)
_ITEMS = f"SELECT seq, {COLUMNS} FROM items WHERE seq IN "  # noqa: S608 - constants


def items_sql(count: int) -> str:
    """Return the SQL that selects ``count`` items."""
    return f"{_ITEMS}({','.join('?' * count)})"
