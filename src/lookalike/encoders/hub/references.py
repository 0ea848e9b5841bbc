"""What is to be pulled, by its name: a curated encoder, or a model of timm."""

from dataclasses import dataclass
from typing import TypeAlias

from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.hub.curated import CuratedEncoder, curated_encoder, curated_encoders
from lookalike.errors import PullError

__all__ = ["Reference", "TimmName", "parse_reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmName:
    """``timm:NAME``, with or without a tag, as timm names it."""

    model: str


Reference: TypeAlias = CuratedEncoder | TimmName


def parse_reference(text: str) -> Reference:
    """Return what a name means. Raise ``PullError`` for one that means nothing."""
    if text.startswith("timm:"):
        return TimmName(model=text.removeprefix("timm:"))
    curated = curated_encoder(text)
    if curated is None:
        names = curated_encoders()
        raise PullError(
            f"{text!r} is not in the list of encoders{did_you_mean(text, names)}; "
            "`lookalike encoder pull --list` prints it, and timm:NAME names any model of timm"
        )
    return curated
