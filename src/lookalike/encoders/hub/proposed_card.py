"""The card of a file of a hub that the list does not know: proposed from the graph itself."""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lookalike.encoders.adding import AddOptions, add
from lookalike.encoders.cards import card_text
from lookalike.encoders.cards.records import Origin
from lookalike.encoders.hub.curated import CuratedEncoder
from lookalike.encoders.hub.pulled_card import Pins

__all__ = ["proposed_card_text"]


def proposed_card_text(
    entry: CuratedEncoder, pins: Pins, card: Path, preset: str | None
) -> tuple[str, tuple[str, ...]]:
    """Return the card as TOML, and sentences on what was guessed and measured.

    The graph lies beside ``card``. Raise ``EncoderError`` if it is no encoder of images.
    """
    graph = card.parent / PurePosixPath(entry.graph).name
    options = AddOptions(
        name=entry.name,
        preset=preset,
        title=entry.title,
        licence=entry.licence,
        source=entry.source,
    )
    added = add(graph, options, folder=card.parent.parent, dry_run=True)
    origin = Origin(
        repository=entry.repository,
        revision=pins.revision,
        file=entry.graph,
        terms=entry.terms,
    )
    weights = replace(added.card.weights, file=graph.name)
    text = card_text(
        replace(added.card, weights=weights, origin=origin),
        comment=f"Written by `lookalike encoder pull hf:{entry.repository}/{entry.graph}`.",
    )
    guesses = (f"{one.key} = {one.value}: {one.reason}" for one in added.guesses)
    # Its commands are for files of one's own: here the card is changed instead.
    advice = (
        re.sub(r"; to take it: .*", f"; to take it, change {card}", one) for one in added.advice
    )
    return text, (*guesses, *advice)
