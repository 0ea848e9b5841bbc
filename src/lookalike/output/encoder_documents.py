"""Encoders as JSON documents."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lookalike.core.records import Json

if TYPE_CHECKING:
    from lookalike.encoders.adding import (
        AddedEncoder,
        CheckedEncoder,
        ListedEncoder,
        RemovedEncoder,
    )
    from lookalike.encoders.cards import ModelCard

__all__ = ["added_json", "card_json", "checked_json", "listed_json", "removed_json"]


def card_json(card: "ModelCard") -> dict[str, Json]:
    """Return a card, with the keys that it has in its file."""
    document: dict[str, Any] = asdict(card)
    document["path"] = str(card.path)
    document["weights"]["data"] = dict(card.weights.data)
    document["inputs"] = {
        one.name: {"value": [*one.values], "shape": one.shape and [*one.shape]}
        for one in card.inputs
    }
    if card.words is not None:
        document["words"]["data"] = dict(card.words.data)
    return document


def listed_json(one: "ListedEncoder") -> dict[str, Json]:
    """Return an encoder of a list."""
    card = one.card
    return {
        "name": one.name,
        "title": None if card is None else card.title,
        "licence": None if card is None else card.licence or None,
        "dim": None if card is None else card.output.dim,
        "width": None if card is None else card.input.width,
        "height": None if card is None else card.input.height,
        "words": card is not None and card.words is not None,
        "shipped": one.shipped,
        "path": str(one.path),
        "problem": one.problem,
    }


def checked_json(checked: "CheckedEncoder") -> dict[str, Json]:
    """Return what a check found."""
    return {
        "name": checked.card.name,
        "fingerprint": checked.fingerprint,
        "device": checked.device,
        "trial": asdict(checked.trial),
        "comparisons": [asdict(one) for one in checked.comparisons],
        "compared_on": checked.compared_on,
        "notes": [*checked.trial.notes()],
    }


def added_json(added: "AddedEncoder") -> dict[str, Json]:
    """Return an encoder that was added, or would be."""
    candidates: list[Json] = [{**asdict(one), "shape": [*one.shape]} for one in added.candidates]
    return {
        "name": added.card.name,
        "card": card_json(added.card),
        "fingerprint": added.fingerprint,
        "guesses": [asdict(one) for one in added.guesses],
        "candidates": candidates,
        "trial": asdict(added.trial),
        "comparisons": [asdict(one) for one in added.comparisons],
        "compared_on": added.compared_on,
        "advice": [*added.advice],
        "written": added.written,
    }


def removed_json(removed: "RemovedEncoder") -> dict[str, Json]:
    """Return what a removal deleted and kept."""
    return {
        "name": removed.name,
        "deleted": [str(one) for one in removed.deleted],
        "kept": [str(one) for one in removed.kept],
    }
