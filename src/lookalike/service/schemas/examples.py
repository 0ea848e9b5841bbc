"""Examples in the OpenAPI document."""

from pydantic import ConfigDict

from lookalike.core.records import Json

__all__ = ["example"]


def example(**members: Json) -> ConfigDict:
    """Return the configuration of a schema with an example."""
    return ConfigDict(json_schema_extra={"examples": [members]})
