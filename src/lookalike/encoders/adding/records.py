"""What adding an encoder takes and gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lookalike.encoders.adding.comparing import InputComparison
from lookalike.encoders.adding.proposals import Candidate, Guess
from lookalike.encoders.adding.trials import Trial
from lookalike.encoders.cards import Channels, ModelCard, Pooling, Resize

__all__ = ["AddOptions", "AddedEncoder"]

PathLike: TypeAlias = str | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """What a user says of a model; ``None`` is for what the model says, or for a guess.

    ``range`` is a name of ``comparing.RANGES``. ``images`` is a folder with a folder for each
    label, to compare with instead of drawn images.
    """

    name: str | None = None
    preset: str | None = None
    size: int | None = None
    input: str | None = None
    output: str | None = None
    pooling: Pooling | None = None
    range: str | None = None
    channels: Channels | None = None
    resize: Resize | None = None
    title: str | None = None
    licence: str | None = None
    source: str | None = None
    images: Path | None = None
    compare: bool = True
    copy: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedEncoder:
    """An encoder that was added, or would be: its card, and what was guessed and measured.

    ``guesses`` is what the model did not say; ``candidates`` the tensors that may be the
    embedding, the best first; ``comparisons`` the retrieval by the card and by variants of it, over
    ``images`` images ("drawn" or the folder); ``advice`` sentences of what to do.
    """

    card: ModelCard
    fingerprint: str
    guesses: tuple[Guess, ...]
    candidates: tuple[Candidate, ...]
    trial: Trial
    comparisons: tuple[InputComparison, ...]
    compared_on: str
    advice: tuple[str, ...]
    written: bool
