"""An evaluation as a page to read: one HTML file without scripts, pictures and plots inside.

Pure: records and thumbnails in, text out. Everything that comes from a collection is escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from lookalike.analysis.evaluation import Answer, ClassScore, Comparison, Evaluation, Judged
from lookalike.output.report import page, plots
from lookalike.output.report.page import percent

__all__ = ["render"]

_BARS: Final = 20  # classes drawn with their names
_ROWS: Final = 500  # classes in the table; the JSON document has all
_CONFUSIONS: Final = 15
_ENOUGH: Final = 10  # queries of a class that the head of the page may name
_EXTREMES: Final = 3  # classes named there as best, and as worst


def render(
    found: Comparison, thumbnails: Mapping[tuple[int, str], bytes | None], *, made_at: str = ""
) -> str:
    """The page. ``thumbnails`` are JPEGs by number of the collection and id; what lacks is gone."""
    every = found.evaluations
    titles = _titles(every)
    first = every[0]
    parts = [
        f"<h1>How good are the answers of {page.listed(titles)}?</h1>",
        f'<p class="quiet">{escape(made_at)}</p>' if made_at else "",
        _summary(every, titles),
    ]
    if len(every) == 1:
        parts.append(_tiles(first))
    parts += [
        _protocol(found),
        "<h2>The measures</h2>",
        _scores(found, titles),
        '<div class="plots">',
        _side_by_side(every, titles) if len(every) > 1 else "",
        _curve(every, titles),
        _legend(first),
        "</div>",
    ]
    for number, (one, title) in enumerate(zip(every, titles, strict=True)):
        of = f": {escape(title)}" if len(every) > 1 else ""
        parts += [
            f"<h2>Class by class{of}</h2>",
            '<div class="plots">',
            _bars(one, number),
            _skyline(one, number),
            "</div>",
            _worst(one, number, of, thumbnails),
            _confused(one, of),
            f"<h2>Every class{of}</h2>",
            _class_table(one),
        ]
    return page.document(f"Evaluation of {', '.join(titles)}", parts)


def _titles(every: Sequence[Evaluation]) -> list[str]:
    """Names that tell the collections apart."""
    names = [one.collection for one in every]
    if len(set(names)) < len(names):
        names = [f"{one.collection} ({one.encoder})" for one in every]
    if len(set(names)) < len(names):
        names = [f"{name} [{number}]" for number, name in enumerate(names, 1)]
    return names


# --- in words ----------------------------------------------------------------------------------


def _summary(every: Sequence[Evaluation], titles: Sequence[str]) -> str:
    first = every[0]
    if "R@1" not in first.scores:
        return ""
    if len(every) == 1:
        found = f"in {_times(first)}"
    else:
        found = ", ".join(
            f"with {escape(title)} in {_times(one)}"
            for one, title in zip(every, titles, strict=True)
        )
    return (
        f"<p>Each of {first.queries:,} pictures was searched as if a customer had brought it. The "
        f"first picture found was of the same {escape(first.by)} {found} searches."
        + (f" {_in_ten(first)}</p>{_best_and_worst(first)}" if len(every) == 1 else "</p>")
    )


def _in_ten(one: Evaluation) -> str:
    """How many of the answers that fill a page are right."""
    k = int(one.headline[2:])
    if k == 1:
        return ""
    return f"Of the first {k} found, about <b>{one.scores[one.headline].micro * k:.0f}</b> were."


def _best_and_worst(one: Evaluation) -> str:
    """Where customers are served best and worst, of the classes that were asked often enough."""
    asked = [each for each in one.classes if each.queries >= _ENOUGH]
    if len(asked) < 2 * _EXTREMES:
        return ""
    worst = _listed_all(
        f"<b>{escape(each.name)}</b>"
        + (f" (mostly taken for {escape(each.mistaken_for)})" if each.mistaken_for else "")
        for each in asked[:_EXTREMES]
    )
    best = _listed_all(f"<b>{escape(each.name)}</b>" for each in asked[: -_EXTREMES - 1 : -1])
    return f"<p>It does best for {best}, and least well for {worst}.</p>"


def _listed_all(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}"


def _times(one: Evaluation) -> str:
    return f"<b>{100 * one.scores['R@1'].micro:.0f} of 100</b>"


def _tiles(one: Evaluation) -> str:
    shown = [
        (name, words)
        for name, words in {
            "R@1": "of first answers are right",
            one.headline: f"of the first {one.headline[2:]} answers are right",
            f"R@{one.ks[-1]}": f"of searches find a right one among the first {one.ks[-1]}",
        }.items()
        if name in one.scores and (name != "P@1" or "R@1" not in one.scores)
    ]
    shown.append(("mAP", "average precision: 100 % if all right ones come before all others"))
    return page.tiles(
        page.tile(
            percent(one.scores[name].micro), words, note=f"{name}, likely {_range(one, name)}"
        )
        for name, words in shown
    )


def _range(one: Evaluation, name: str) -> str:
    score = one.scores[name]
    return f"{100 * score.low:.1f} to {percent(score.high)}"


def _protocol(found: Comparison) -> str:
    one = found.evaluations[0]
    by = escape(one.by)
    sentences = []
    if one.split is None:
        sentences.append(
            f"Every query is a picture of the collection that searches the other {one.items - 1:,}."
            " It never finds itself; exact copies of it count like any other picture."
        )
    else:
        asking, gallery = (f"<code>{escape(side)}</code>" if side else "all" for side in one.split)
        sentences.append(
            f"The queries are the pictures with {asking}; they search the {one.items:,} pictures "
            f"with {gallery}."
        )
    if one.where:
        sentences.append(f"Only pictures that meet <code>{escape(one.where)}</code> take part.")
    sentences.append(
        f"An answer is right when it has the query's {by}. Every query was compared with every "
        "picture, without shortcuts."
    )
    if one.queries < one.eligible:
        sentences.append(
            f"{one.queries:,} of {one.eligible:,} possible queries were drawn at random (seed "
            f"{one.seed})."
        )
    if one.alone:
        sentences.append(f"No queries, for nothing else has their {by}: {one.alone:,}.")
    if one.unclassed:
        what = "so counted as wrong answers" if one.distractors else "left out"
        sentences.append(f"Without a {by}, and {what}: {one.unclassed:,}.")
    if len(found.evaluations) > 1:
        sentences.append(
            f"All collections were asked the same queries over the {found.common:,} pictures that "
            f"they have in common; {_left_out(found)}"
        )
    networks = ", ".join(
        f"{escape(title)}: {escape(each.encoder)} (<code>{escape(each.fingerprint)}</code>)"
        for each, title in zip(found.evaluations, _titles(found.evaluations), strict=True)
    )
    return (
        f"<h2>What was measured</h2><p>{' '.join(sentences)}</p>"
        f'<p class="quiet">Encoder of {networks}.</p>'
    )


def _left_out(found: Comparison) -> str:
    if not any(found.left_out):
        return "none has any other."
    titles = _titles(found.evaluations)
    parts = [
        f"{count:,} of {escape(title)}"
        for count, title in zip(found.left_out, titles, strict=True)
        if count
    ]
    return f"left out were {', '.join(parts)}."


def _legend(one: Evaluation) -> str:
    k = one.ks[-1]
    return (
        f'<p class="quiet"><b>P@{k}</b>: the share of right answers among the first {k}. '
        f"<b>R@{k}</b>: the share of queries with at least one right answer among the first {k} "
        "(hit rate, as retrieval benchmarks say). "
        f"<b>recall@{k}</b>: the share of all right pictures that are among the first {k}. "
        "<b>mAP</b>: the precision at each right answer, averaged, over the whole ranking; "
        "<b>mAP@R</b> and <b>R-precision</b> look at as many answers as there are right ones. "
        "<b>All queries</b> weighs every query alike (micro), <b>all classes</b> every class "
        "(macro). The 95 % range says what another choice of queries would have changed.</p>"
    )


# --- tables ------------------------------------------------------------------------------------


def _scores(found: Comparison, titles: Sequence[str]) -> str:
    every = found.evaluations
    if len(every) == 1:
        return page.table(
            ("Measure", "All queries", "95 % range", "All classes"),
            (
                (
                    escape(name),
                    percent(score.micro),
                    f"{100 * score.low:.1f} to {100 * score.high:.1f}",
                    percent(score.macro),
                )
                for name, score in every[0].scores.items()
            ),
        )
    rows = []
    for name in every[0].scores:
        row = [escape(name)]
        for number, one in enumerate(every):
            score = one.scores[name]
            likely = f"{100 * score.low:.1f} to {100 * score.high:.1f}"
            row.append(f'<b>{percent(score.micro)}</b> <span class="quiet">{likely}</span>')
            row.append(percent(score.macro))
            if number:
                by = found.differences[number - 1][name]
                row.append(f"{100 * by.mean:+.1f} ({100 * by.low:+.1f} to {100 * by.high:+.1f})")
        rows.append(row)
    head = ["Measure"]
    for number, title in enumerate(titles):
        head += [f"{escape(title)}<br>all queries", "all classes"]
        if number:
            head.append(f"points over<br>{escape(titles[0])}")
    return page.table(head, rows)


def _class_table(one: Evaluation) -> str:
    k = one.ks[-1]
    columns = list(dict.fromkeys(("R@1", one.headline, f"R@{k}", "R-precision", "mAP")))
    columns = [name for name in columns if name in one.scores]
    rows = (
        (
            escape(each.name),
            f"{each.items:,}",
            f"{each.queries:,}",
            *(
                page.metered(each.values[name])
                if name == one.headline
                else percent(each.values[name])
                for name in columns
            ),
            page.left(escape(each.mistaken_for or "")),
        )
        for each in one.classes[:_ROWS]
    )
    note = ""
    if len(one.classes) > _ROWS:
        note = f'<p class="quiet">The worst {_ROWS} of {len(one.classes):,} classes.</p>'
    mistaken = page.left("Mostly mistaken for")
    head = (escape(one.by.capitalize()), "Pictures", "Queries", *columns, mistaken)
    return note + page.table(head, rows)


def _confused(one: Evaluation, of: str) -> str:
    if not one.confusions:
        return f"<h2>Mistaken for each other{of}</h2><p>No first answer was wrong.</p>"
    asked = {each.name: each.queries for each in one.classes}
    rows = (
        (
            escape(each.name),
            page.left(escape(each.taken_for)),
            f"{each.count:,}",
            f"{asked[each.name]:,}",
        )
        for each in one.confusions[:_CONFUSIONS]
    )
    table = page.table(("Query", page.left("First answer"), "Times", "Of queries"), rows)
    return (
        f"<h2>Mistaken for each other{of}</h2>"
        "<p>Where the first answer was wrong: which was taken for which, most often first.</p>"
        + table
    )


# --- pictures ----------------------------------------------------------------------------------


def _worst(
    one: Evaluation, number: int, of: str, thumbnails: Mapping[tuple[int, str], bytes | None]
) -> str:
    if not one.worst:
        return ""
    rows = "\n".join(_query(judged, number, thumbnails) for judged in one.worst)
    return (
        f"<h2>Where it fails worst{of}</h2><p>The {len(one.worst)} queries whose right answers "
        "come last (by average precision), each with what it found first. "
        '<span class="is-right"><span class="mark">✓</span></span> is right, '
        '<span class="is-wrong"><span class="mark">✗</span></span> is wrong.</p>' + rows
    )


def _query(judged: Judged, number: int, thumbnails: Mapping[tuple[int, str], bytes | None]) -> str:
    others = "other" if judged.relevant == 1 else "others"
    answers = "".join(
        _answer(answer, thumbnails.get((number, answer.id))) for answer in judged.answers
    )
    return (
        f'<div class="query"><div class="one" title="{escape(judged.id)}">'
        f"{page.framed(thumbnails.get((number, judged.id)), judged.id)}<b>{escape(judged.name)}</b>"
        f'<div class="quiet">{judged.relevant:,} {others} to find, '
        f"average precision {percent(judged.average_precision)}</div></div>"
        f'<div class="answers">{answers}</div></div>'
    )


def _answer(answer: Answer, thumbnail: bytes | None) -> str:
    kind, mark = ("is-right", "✓") if answer.right else ("is-wrong", "✗")
    return (
        f'<div class="one {kind}" title="{escape(answer.id)}">{page.framed(thumbnail, answer.id)}'
        f'<span class="mark">{mark}</span> {escape(answer.name or "no class")} '
        f'<span class="quiet">{answer.score:.2f}</span></div>'
    )


# --- plots -------------------------------------------------------------------------------------


def _curve(every: Sequence[Evaluation], titles: Sequence[str]) -> str:
    left, top, width, height = 44.0, 10.0, 420.0, 220.0
    body = plots.axis(left, top, width, height)
    longest = max(len(one.curve) for one in every)
    steps = max(1, longest - 1)
    for number, one in enumerate(every):
        points = [
            (left + width * n / steps, top + height * (1 - share))
            for n, share in enumerate(one.curve)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = f"var(--s{number % 4})"
        dashes = f' stroke-dasharray="{4 + number // 4} 3"' if number >= 4 else ""  # noqa: PLR2004 - colours
        body.append(
            f'<polyline points="{line}" style="fill:none;stroke:{colour};stroke-width:2.5"'
            f'{dashes} stroke-linejoin="round"/>'
        )
        body += [
            f'<circle cx="{points[k - 1][0]:.1f}" cy="{points[k - 1][1]:.1f}" r="3.5" '
            f'style="fill:{colour}"><title>P@{k} {percent(one.curve[k - 1])}</title></circle>'
            for k in one.ks
            if k <= len(points)
        ]
    for k in sorted({1, *(n for n in (5, 10, 20, 30, 40, 50) if n <= longest)}):
        body.append(
            plots.text(left + width * (k - 1) / steps, top + height + 18, str(k), anchor="middle")
        )
    body.append(
        plots.text(left + width / 2, top + height + 36, "answers looked at", anchor="middle")
    )
    body += plots.key(titles, top + height + 60)
    extra = 50 + 20 * len(titles) if len(titles) > 1 else 44
    return plots.figure(
        "Share of right answers among the first k (P@k)", (480, top + height + extra), body
    )


def _side_by_side(every: Sequence[Evaluation], titles: Sequence[str]) -> str:
    left, top, width, height = 44.0, 14.0, 420.0, 216.0
    names = list(
        dict.fromkeys(("R@1", every[0].headline, f"R@{every[0].ks[-1]}", "R-precision", "mAP"))
    )
    names = [name for name in names if name in every[0].scores]
    body = plots.axis(left, top, width, height)
    step = width / len(names)
    bar = min(34.0, step * 0.8 / len(every))
    for place, name in enumerate(names):
        middle = left + step * (place + 0.5)
        for number, (one, title) in enumerate(zip(every, titles, strict=True)):
            score = one.scores[name]
            x = middle + bar * (number - len(every) / 2)
            tall = height * score.micro
            body.append(
                plots.rect(
                    (x + 1, top + height - tall, bar - 2, tall),
                    number,
                    f"{title}: {name} {percent(score.micro)}",
                )
            )
            low, high = (top + height * (1 - end) for end in (score.low, score.high))
            centre = x + bar / 2
            body.append(
                f'<line x1="{centre:.1f}" x2="{centre:.1f}" y1="{low:.1f}" y2="{high:.1f}" '
                'style="stroke:var(--text);stroke-width:1.5"/>'
            )
        body.append(plots.text(middle, top + height + 18, name, anchor="middle", name=True))
    body += plots.key(titles, top + height + 46)
    return plots.figure(
        "Side by side, with 95 % ranges", (480, top + height + 40 + 20 * len(titles)), body
    )


def _bars(one: Evaluation, series: int) -> str:
    """The worst classes (all, where they are few) with their names."""
    shown = one.classes[:_BARS]
    of = "Every class" if len(shown) == len(one.classes) else f"The worst {len(shown)} classes"
    return plots.bars(
        f"{of}: {one.headline}, the share of right answers among the first {one.headline[2:]}",
        [
            plots.Bar(
                name=each.name, share=each.values[one.headline], title=_told(each, one.headline)
            )
            for each in shown
        ],
        series,
    )


def _skyline(one: Evaluation, series: int) -> str:
    """All classes as thin columns, where they are many; of thousands, evenly chosen ones."""
    if len(one.classes) <= _BARS:
        return ""
    left, top, width, height = 44.0, 10.0, 420.0, 220.0
    most = 210
    shown: Sequence[ClassScore] = one.classes
    if len(shown) > most:
        shown = [one.classes[round(n * (len(one.classes) - 1) / (most - 1))] for n in range(most)]
    body = plots.axis(left, top, width, height)
    step = width / len(shown)
    for number, each in enumerate(shown):
        tall = height * each.values[one.headline]
        body.append(
            plots.rect(
                (left + step * number, top + height - tall, step * 0.75, tall),
                series,
                _told(each, one.headline),
            )
        )
    middle = one.classes[len(one.classes) // 2].values[one.headline]
    body.append(
        plots.text(
            left + width / 2,
            top + height + 20,
            f"{len(one.classes):,} classes, worst to best; half are above {percent(middle)}",
            anchor="middle",
        )
    )
    return plots.figure(f"All classes by {one.headline}", (480, top + height + 34), body)


def _told(each: ClassScore, name: str) -> str:
    return f"{each.name}: {percent(each.values[name])} ({each.queries:,} queries)"
