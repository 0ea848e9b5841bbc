"""The sentences of an evaluation's page: summary, protocol and legend, as HTML. Pure."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from lookalike.analysis.evaluation import Comparison, Evaluation
from lookalike.output.report import page
from lookalike.output.report.page import percent

__all__ = ["make_titles", "write_legend", "write_protocol", "write_summary", "write_tiles"]

_ENOUGH: Final = 10  # queries of a class that the head of the page may name
_EXTREMES: Final = 3  # classes named there as best, and as worst


def make_titles(every: Sequence[Evaluation]) -> list[str]:
    """Return names that tell the collections apart."""
    names = [one.collection for one in every]
    if len(set(names)) < len(names):
        names = [f"{one.collection} ({one.encoder})" for one in every]
    if len(set(names)) < len(names):
        names = [f"{name} [{number}]" for number, name in enumerate(names, 1)]
    return names


def write_summary(every: Sequence[Evaluation], titles: Sequence[str]) -> str:
    first = every[0]
    if "R@1" not in first.scores:
        return ""
    if len(every) == 1:
        found = f"in {_write_times(first)}"
    else:
        found = ", ".join(
            f"with {escape(title)} in {_write_times(one)}"
            for one, title in zip(every, titles, strict=True)
        )
    return (
        f"<p>Each of {first.queries:,} images was used as a query. The "
        f"first result had the same {escape(first.by)} {found} searches."
        + (
            f" {_write_in_ten(first)}</p>{_write_best_and_worst(first)}"
            if len(every) == 1
            else "</p>"
        )
    )


def _write_in_ten(one: Evaluation) -> str:
    """Return how many of the first k results are right, as a sentence; empty for k = 1."""
    k = int(one.headline[2:])
    if k == 1:
        return ""
    return f"Of the first {k} results, about <b>{one.scores[one.headline].micro * k:.0f}</b> had."


def _write_best_and_worst(one: Evaluation) -> str:
    """Return a sentence with the best and worst classes, of those with enough queries."""
    asked = [each for each in one.classes if each.queries >= _ENOUGH]
    if len(asked) < 2 * _EXTREMES:
        return ""
    worst = _join(
        f"<b>{escape(each.name)}</b>"
        + (f" (mostly taken for {escape(each.mistaken_for)})" if each.mistaken_for else "")
        for each in asked[:_EXTREMES]
    )
    best = _join(f"<b>{escape(each.name)}</b>" for each in asked[: -_EXTREMES - 1 : -1])
    return f"<p>It does best for {best}, and worst for {worst}.</p>"


def _join(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}"


def _write_times(one: Evaluation) -> str:
    return f"<b>{100 * one.scores['R@1'].micro:.0f} of 100</b>"


def write_tiles(one: Evaluation) -> str:
    shown = [
        (name, words)
        for name, words in {
            "R@1": "of first results are right",
            one.headline: f"of the first {one.headline[2:]} results are right",
            f"R@{one.ks[-1]}": f"of searches have a right result among the first {one.ks[-1]}",
        }.items()
        if name in one.scores and (name != "P@1" or "R@1" not in one.scores)
    ]
    shown.append(("mAP", "average precision: 100 % if all right results come before all others"))
    return page.tiles(
        page.tile(
            percent(one.scores[name].micro), words, note=f"{name}, likely {_write_range(one, name)}"
        )
        for name, words in shown
    )


def _write_range(one: Evaluation, name: str) -> str:
    score = one.scores[name]
    return f"{100 * score.low:.1f} to {percent(score.high)}"


def write_protocol(found: Comparison) -> str:
    one = found.evaluations[0]
    by = escape(one.by)
    sentences = []
    if one.split is None:
        sentences.append(
            f"Every query is an image of the collection that searches the other {one.items - 1:,}."
            " The query itself is left out; its exact duplicates are not."
        )
    else:
        asking, gallery = (f"<code>{escape(side)}</code>" if side else "all" for side in one.split)
        sentences.append(
            f"The queries are the images with {asking}; they search the {one.items:,} images "
            f"with {gallery}."
        )
    if one.where:
        sentences.append(f"Only images that meet <code>{escape(one.where)}</code> take part.")
    sentences.append(
        f"A result is right if it has the query's {by}. Every query was compared with every "
        "image (exact search)."
    )
    if one.queries < one.eligible:
        sentences.append(
            f"{one.queries:,} of {one.eligible:,} possible queries were drawn at random (seed "
            f"{one.seed})."
        )
    if one.alone:
        sentences.append(
            f"Not used as queries, because no other item shares their {by}: {one.alone:,}."
        )
    if one.unclassed:
        what = "counted as wrong results" if one.distractors else "left out"
        sentences.append(f"Without a {by}, and {what}: {one.unclassed:,}.")
    if len(found.evaluations) > 1:
        sentences.append(
            f"All collections were searched with the same queries, among the {found.common:,} "
            f"images that they have in common; {_write_left_out(found)}"
        )
    encoders = ", ".join(
        f"{escape(title)}: {escape(each.encoder)} (<code>{escape(each.fingerprint)}</code>)"
        for each, title in zip(found.evaluations, make_titles(found.evaluations), strict=True)
    )
    return (
        f"<h2>What was measured</h2><p>{' '.join(sentences)}</p>"
        f'<p class="quiet">Encoders: {encoders}.</p>'
    )


def _write_left_out(found: Comparison) -> str:
    if not any(found.left_out):
        return "no collection has any others."
    titles = make_titles(found.evaluations)
    parts = [
        f"{count:,} of {escape(title)}"
        for count, title in zip(found.left_out, titles, strict=True)
        if count
    ]
    return f"left out: {', '.join(parts)}."


def write_legend(one: Evaluation) -> str:
    k = one.ks[-1]
    return (
        f'<p class="quiet"><b>P@{k}</b>: the share of right results among the first {k}. '
        f"<b>R@{k}</b>: the share of queries with at least one right result among the first {k} "
        "(hit rate; retrieval benchmarks call it Recall@k). "
        f"<b>recall@{k}</b>: the share of all right images that are among the first {k}. "
        "<b>mAP</b>: the precision at each right result, averaged, over the whole ranking; "
        "<b>mAP@R</b> and <b>R-precision</b> use as many results as there are right ones. "
        "<b>All queries</b> gives every query the same weight (micro), <b>all classes</b> every "
        "class (macro). The 95 % range is what another sample of queries would give.</p>"
    )
