"""The names of metadata fields, as filters give them."""

from lookalike.errors import FilterError

__all__ = ["json_path", "metadata_name"]


def metadata_name(field: str) -> str:
    """A metadata field's name, however it was written."""
    return field.removeprefix("metadata.")


def json_path(field: str) -> str:
    """SQLite's path of a metadata field: its parts are joined by dots."""
    parts = metadata_name(field).split(".")
    # SQLite's paths end at a NUL
    if any(not part or not {'"', "\\", "\0"}.isdisjoint(part) for part in parts):
        raise FilterError("cannot be the name of a field", text=field, at=0)
    return "$" + "".join(f'."{part}"' for part in parts)
