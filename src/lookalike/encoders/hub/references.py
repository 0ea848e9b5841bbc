"""What is to be pulled, by its name: a curated encoder, a file of a hub, or a model of timm."""

import re
from dataclasses import dataclass
from typing import TypeAlias

from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.hub.curated import CuratedEncoder, curated_encoder, curated_encoders
from lookalike.errors import PullError

__all__ = ["HubFile", "Reference", "TimmName", "parse_reference"]

_HUB_FILE = re.compile(
    r"hf:(?P<repository>[^/@\s]+/[^/@\s]+)(?:/(?P<path>[^@]+?))?(?:@(?P<revision>[^@\s]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """``hf:OWNER/NAME/FILE@REVISION``. Without a file, which one is meant must be asked."""

    repository: str
    path: str | None
    revision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmName:
    """``timm:NAME``, with or without a tag, as timm names it."""

    model: str


Reference: TypeAlias = CuratedEncoder | HubFile | TimmName


def parse_reference(text: str) -> Reference:
    """Return what a name means. Raise ``PullError`` for one that means nothing."""
    if text.startswith("hf:"):
        found = _HUB_FILE.fullmatch(text)
        if found is None:
            raise PullError(f"{text!r} must be hf:OWNER/NAME/FILE or hf:OWNER/NAME/FILE@REVISION")
        return HubFile(**found.groupdict())
    if text.startswith("timm:"):
        return TimmName(model=text.removeprefix("timm:"))
    curated = curated_encoder(text)
    if curated is None:
        names = curated_encoders()
        raise PullError(
            f"{text!r} is not in the list of encoders, which `lookalike encoder pull --list` "
            "prints; others are hf:OWNER/NAME/FILE or timm:NAME"
            f"{did_you_mean(text, names)}"
        )
    return curated
