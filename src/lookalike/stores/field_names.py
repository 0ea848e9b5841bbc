"""The names of metadata fields in filters."""

from lookalike.errors import FilterError

__all__ = ["json_path", "metadata_name"]


def metadata_name(field: str) -> str:
    """Return the name of a metadata field without its prefix."""
    return field.removeprefix("metadata.")


def json_path(field: str) -> str:
    """Return SQLite's path of a metadata field, whose parts are joined by dots."""
    parts = metadata_name(field).split(".")
    # SQLite's paths end at a NUL
    if any(not part or not {'"', "\\", "\0"}.isdisjoint(part) for part in parts):
        raise FilterError("cannot be the name of a field", text=field, at=0)
    return "$" + "".join(f'."{part}"' for part in parts)
