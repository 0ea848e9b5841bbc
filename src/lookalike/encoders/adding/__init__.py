"""Making an encoder of any ONNX file, and listing, checking and removing encoders."""

from lookalike.encoders.adding.adding import FIRST_LINE, add, write_added
from lookalike.encoders.adding.comparing import RANGES, InputComparison
from lookalike.encoders.adding.managing import (
    CheckedEncoder,
    ListedEncoder,
    RemovedEncoder,
    check_encoder,
    list_encoders,
    remove_encoder,
)
from lookalike.encoders.adding.proposals import Candidate, Guess, name_for
from lookalike.encoders.adding.records import AddedEncoder, AddOptions
from lookalike.encoders.adding.trials import Trial

__all__ = [
    "FIRST_LINE",
    "RANGES",
    "AddOptions",
    "AddedEncoder",
    "Candidate",
    "CheckedEncoder",
    "Guess",
    "InputComparison",
    "ListedEncoder",
    "RemovedEncoder",
    "Trial",
    "add",
    "check_encoder",
    "list_encoders",
    "name_for",
    "remove_encoder",
    "write_added",
]
