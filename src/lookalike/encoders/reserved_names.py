"""Names that no encoder of a user's own may have, as they already stand for something else."""

from functools import cache
from pathlib import Path

from lookalike.encoders.qualities import QUALITIES

__all__ = ["reserved_for"]

_CURATED = Path(__file__).parent / "curated"


def reserved_for(name: str) -> str | None:
    """Return what a name is reserved for, as a sentence without its end; ``None`` if it is free."""
    if name in QUALITIES:
        return f"{name} is a quality, which always stands for {QUALITIES[name]}"
    if name in _curated_names():
        return f"{name} is the name of an encoder that `lookalike encoder pull {name}` downloads"
    return None


@cache
def _curated_names() -> frozenset[str]:
    """Names of the curated list. Each is that of its file, so that none has to be read."""
    return frozenset(path.stem for path in _CURATED.glob("*.toml"))
