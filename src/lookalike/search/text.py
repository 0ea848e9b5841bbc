"""How the words of a query are searched: by an encoder, by a label's direction, by keywords."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition, In, Value, all_of
from lookalike.core.keywords import KeywordHit, KeywordMatches, match
from lookalike.core.protocols import Store
from lookalike.core.records import Hit, Json, Note
from lookalike.core.suggestions import closest, format_hint
from lookalike.core.vectors import Matrix
from lookalike.errors import WordsError
from lookalike.search.options import TextMode
from lookalike.search.query import Encoded, Query, QueryPart, Words
from lookalike.search.words import is_folder, refusal

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["FEWEST", "TextPlan", "explain_words", "fuse", "plan_text"]

FEWEST = 200
"""Hits of each ranking that are fused, at least."""
_LABELS = 10_000  # that a mistyped word is compared with
_LONGEST = 64  # characters of a text that may be a mistyped label
_MOST = 4  # texts that are compared with labels: many take long
_K = 60  # of reciprocal rank fusion, as its authors found it


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlan:
    """A query whose words have become vectors, where they have any.

    ``query`` has the other parts and these; no part where keywords are all that is left. ``text``
    is looked for by keywords; ``None`` for no keywords. ``named`` says which labels or classes gave
    vectors. ``guessed`` is text that could have named a file.
    """

    query: Query
    text: str | None = None
    named: tuple[Note, ...] = ()
    guessed: str | None = None


def plan_text(collection: "Collection", query: Query, mode: TextMode) -> TextPlan:
    """Decide how the words of a query are searched.

    Raise ``WordsError`` for words that cannot be searched in this mode, or that results are to be
    less like and that have no vector.
    """
    encodes = mode not in ("labels", "keywords") and collection.supports_words
    parts: list[QueryPart] = []
    texts: list[str] = []
    named: list[Note] = []
    for part in query.parts:
        words = _words_of(part)
        if words is None:
            parts.append(part)
            continue
        if part.crop is not None:
            raise ValueError("a crop needs an image; words and vectors have none")
        if part.weight > 0:
            texts.append(words.text)
        if encodes or isinstance(part.source, Encoded):
            parts.append(replace(part, source=collection.encode(part.source)))  # type: ignore[arg-type]
            continue
        if mode == "encoder":
            raise refusal(collection, words)
        found = None if mode == "keywords" else _named_part(collection, part, words)
        if found is not None:
            parts.append(found[0])
            named.append(found[1])
        elif mode == "labels":
            raise WordsError(
                f"{words.text}: no label of the collection has these words, and no class that the "
                "encoder knows"
                + (
                    format_hint(_near_names(collection.store, words.text))
                    or "; `lookalike facets label` lists the labels"
                )
            )
        elif part.weight < 0:
            raise WordsError(
                f"{words.text}: results can only be less like words that name a label, unless the "
                "encoder supports words; use a filter to leave items out"
            )
    by_keywords = mode in ("keywords", "fused") or (mode == "auto" and not encodes)
    return TextPlan(
        query=Query(tuple(parts)),
        text=" ".join(texts) if by_keywords and texts else None,
        named=tuple(named),
        guessed=next(
            (
                part.source.text
                for part in query.parts
                if isinstance(part.source, Words) and part.source.guessed
            ),
            None,
        ),
    )


def _words_of(part: QueryPart) -> Words | None:
    if isinstance(part.source, Encoded):
        return part.source.words
    return part.source if isinstance(part.source, Words) else None


def _named_part(
    collection: "Collection", part: QueryPart, words: Words
) -> tuple[QueryPart, Note] | None:
    """Return the part as the direction of what its words name, and what to say of it."""
    # Scientific code that few searches need.
    from lookalike.analysis.label_directions import named_direction  # noqa: PLC0415

    found = named_direction(collection.store, words.text, collection.class_encoder)
    if found is None:
        return None
    details: dict[str, Json] = {
        "text": words.text,
        "labels": [*found.labels],
        "classes": [*found.classes],
    }
    message = f"{words.text!r} was searched by {found.text}; the encoder does not support words"
    note = Note(code="searched-by-label", message=message, details=details)
    return replace(part, source=Encoded(vector=found.vector)), note


def explain_words(
    store: Store, plan: TextPlan, matches: KeywordMatches | None, hits: Sequence[Hit]
) -> list[Note]:
    """Say how words were searched, which were not found, and which items were not looked at."""
    said = [*plan.named]
    if matches is not None:
        scores = [hit.score for hit in hits]
        if plan.query.parts and any(one < after for one, after in pairwise(scores)):
            message = "ranked by scores and keywords together, so scores are not in order"
            said.append(Note(code="fused", message=message))
        if not plan.query.parts and len(matches.unknown) == matches.words:
            said.append(_no_match(store, plan, matches))
        elif matches.unknown:
            listed = ", ".join(map(repr, matches.unknown))
            message = f"no item has the word{'s' if len(matches.unknown) > 1 else ''} {listed}"
            near = _near_names(store, *matches.unknown)
            details: dict[str, Json] = {"words": [*matches.unknown], "did_you_mean": _first(near)}
            message += format_hint(near)
            said.append(Note(code="unknown-words", message=message, details=details))
        if matches.cut:
            said.append(Note(code="long-text", message="only the first 32 words were looked for"))
        if matches.lacking:
            message = (
                f"{matches.lacking:,} items were written by an older version and are not found by "
                "keywords; `lookalike doctor --repair` adds their words"
            )
            said.append(
                Note(
                    code="items-without-words", message=message, details={"items": matches.lacking}
                )
            )
    return said


def _no_match(store: Store, plan: TextPlan, matches: KeywordMatches) -> Note:
    text = plan.text or ""
    near = _near_names(store, text, *matches.unknown)
    message = f"no item, label or class matches {text!r}{format_hint(near)}"
    if plan.guessed is not None and is_folder(plan.guessed):
        message += f"; {plan.guessed!r} is a folder, not an image"
    details: dict[str, Json] = {
        "text": text,
        "words": [*matches.unknown],
        "did_you_mean": _first(near),
    }
    return Note(code="no-match", message=message, details=details)


def _near_names(store: Store, *texts: str) -> list[str]:
    """Return the label, or the word of a label, that resembles one of the texts most, if any."""
    labels = [str(label) for label, _ in store.search.facets("label", limit=_LABELS) if label]
    words = [word for label in labels for word in re.findall(r"[^\W\d_]{4,}", label.casefold())]
    for text in texts[:_MOST]:
        if near := closest(text, [*labels, *words]) if len(text) <= _LONGEST else []:
            return near
    return []


def _first(near: Sequence[str]) -> str | None:
    return near[0] if near else None


def fuse(
    store: Store,
    text: str,
    near: Sequence[Hit],
    score: Callable[[Matrix], NDArray[np.float64]],
    *,
    depth: int,
    where: Condition | None,
) -> tuple[list[Hit], KeywordMatches]:
    """Fuse the ranking by vector with that by keywords, best first; scores stay those of vectors.

    ``score`` gives that of each of the (n, dim) rows.

    By reciprocal rank (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", SIGIR 2009): an item
    scores the sum of 1 / (60 + rank). Items with equal keywords share the best of their ranks, so
    that the vector decides among them. Those that have all words are a third ranking, in which all
    are first: 2 / 61 from keywords is more than others can have, so they come first.
    """
    matches = match(store.keywords, text, k=depth, where=where)
    seen = {hit.item.id for hit in matches.hits}
    rest = [hit.item.id for hit in near if hit.item.id not in seen]
    more: list[KeywordHit] = []
    if rest and len(matches.hits) == depth:  # those among the nearest that rank further down
        among = all_of(where, In("id", tuple(Value(one) for one in rest)))
        more = match(store.keywords, text, k=len(rest), where=among).hits
    reciprocal: dict[str, float] = {}
    for rank, hit in enumerate(near, 1):
        reciprocal[hit.item.id] = 1 / (_K + rank)
    rank, share = 0, 0.0
    for place, found in enumerate((*matches.hits, *more), 1):
        if found.share != share:
            rank, share = place, found.share
        one = found.item.id
        lists = 2 if found.share == 1 else 1
        reciprocal[one] = reciprocal.get(one, 0.0) + lists / (_K + rank)
    scores = {hit.item.id: hit for hit in near}
    unscored = [hit.item for hit in (*matches.hits, *more) if hit.item.id not in scores]
    if unscored:
        rows = store.items.vectors([item.id for item in unscored])
        for item, value in zip(unscored, score(rows).tolist(), strict=True):
            scores[item.id] = Hit(item=item, score=value)
    order = sorted(scores, key=lambda one: (-reciprocal[one], -scores[one].score, one))
    return [scores[one] for one in order], matches
