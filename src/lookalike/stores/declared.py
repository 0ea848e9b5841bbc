"""Declared fields as a setting: for stores that need no separate index for them."""

from lookalike.core.filters import FIELDS
from lookalike.core.protocols import SettingTable
from lookalike.core.records import Json
from lookalike.stores.field_names import json_path, metadata_name

__all__ = ["DeclaredFields", "declarable_name"]

_SETTING = "declared"


def declarable_name(field: str) -> str:
    """Return the name under which a metadata field is declared.

    Raise ``ValueError`` for a field that every item has, ``FilterError`` for an invalid name.
    """
    if field in FIELDS:
        raise ValueError(f"{field} is a field of every item and always indexed")
    json_path(field)
    return metadata_name(field)


class DeclaredFields:
    """The part of ``ItemSearch`` that declares fields, where they are only recorded."""

    settings: SettingTable

    def declare(self, field: str) -> None:
        name = declarable_name(field)
        self.settings.change(_SETTING, lambda old: [*sorted({*_names(old), name})])

    def undeclare(self, field: str) -> bool:
        name = metadata_name(field)
        if name not in self.declared():
            return False
        self.settings.change(_SETTING, lambda old: [one for one in _names(old) if one != name])
        return True

    def declared(self) -> list[str]:
        return _names(self.settings.get(_SETTING))


def _names(value: Json) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
