"""Encoders from a hub: a curated list, and timm's backbones."""

from lookalike.encoders.hub.curated import CuratedEncoder, curated_encoder, curated_encoders
from lookalike.encoders.hub.pulling import pull
from lookalike.encoders.hub.records import PulledEncoder, PulledFile

__all__ = [
    "CuratedEncoder",
    "PulledEncoder",
    "PulledFile",
    "curated_encoder",
    "curated_encoders",
    "pull",
]
