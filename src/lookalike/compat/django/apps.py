"""The app, and what Django's ``check`` says of its settings."""

from django.apps import AppConfig
from django.core import checks

from lookalike.compat.django.settings import read
from lookalike.errors import LookalikeError

__all__ = ["LookalikeConfig"]


class LookalikeConfig(AppConfig):
    """``INSTALLED_APPS = ["lookalike.compat.django"]``."""

    name = "lookalike.compat.django"
    label = "lookalike"
    verbose_name = "Visual search"

    def ready(self) -> None:
        checks.register(_check)


def _check(**_: object) -> list[checks.CheckMessage]:
    """Says so at the start when a setting cannot be right; no collection is opened."""
    try:
        read()
    except LookalikeError as error:
        return [checks.Error(str(error), id="lookalike.E001")]
    return []
