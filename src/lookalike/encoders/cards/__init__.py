"""Model cards: everything that must be known about a model to use it rightly, as data.

A card is a TOML file; ``docs/encoders.md`` explains every key. The preprocessing is part of it, so
that it travels with the weights.
"""

from lookalike.encoders.cards.finding import (
    available_encoders,
    card_path,
    default_folder,
    find_card,
    shipped_encoders,
    user_encoders,
)
from lookalike.encoders.cards.presets import Preset, find_preset, presets
from lookalike.encoders.cards.reading import read_card
from lookalike.encoders.cards.records import (
    Builder,
    Channels,
    Constant,
    Dtype,
    Input,
    Interpolation,
    Layout,
    Logits,
    ModelCard,
    Origin,
    Output,
    PatchMap,
    Pooling,
    Resize,
    Triple,
    Weights,
)
from lookalike.encoders.cards.tables import CardTable
from lookalike.encoders.cards.writing import card_text, toml_text

__all__ = [
    "Builder",
    "CardTable",
    "Channels",
    "Constant",
    "Dtype",
    "Input",
    "Interpolation",
    "Layout",
    "Logits",
    "ModelCard",
    "Origin",
    "Output",
    "PatchMap",
    "Pooling",
    "Preset",
    "Resize",
    "Triple",
    "Weights",
    "available_encoders",
    "card_path",
    "card_text",
    "default_folder",
    "find_card",
    "find_preset",
    "presets",
    "read_card",
    "shipped_encoders",
    "toml_text",
    "user_encoders",
]
