"""An evaluation as a page to read: one HTML file without scripts, images and plots inside.

Pure: records and thumbnails in, text out. Everything that comes from a collection is escaped.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from lookalike.analysis.evaluation import Comparison, EvaluatedHit, EvaluatedQuery, Evaluation
from lookalike.output.report import page
from lookalike.output.report.evaluation_plots import (
    draw_all_classes,
    draw_curve,
    draw_side_by_side,
    draw_worst_classes,
)
from lookalike.output.report.evaluation_text import (
    make_titles,
    write_legend,
    write_protocol,
    write_summary,
    write_tiles,
)
from lookalike.output.report.page import percent

__all__ = ["render_evaluation"]

_ROWS: Final = 500  # classes in the table; the JSON document has all
_CONFUSIONS: Final = 15


def render_evaluation(
    found: Comparison, thumbnails: Mapping[tuple[int, str], bytes | None], *, made_at: str = ""
) -> str:
    """Return an evaluation's page as one HTML file.

    ``thumbnails`` are JPEGs by (number of the collection, id). An image without one is shown as
    not found.
    """
    every = found.evaluations
    titles = make_titles(every)
    first = every[0]
    parts = [
        f"<h1>How good are the results of {page.listed(titles)}?</h1>",
        f'<p class="quiet">{escape(made_at)}</p>' if made_at else "",
        write_summary(every, titles),
    ]
    if len(every) == 1:
        parts.append(write_tiles(first))
    parts += [
        write_protocol(found),
        "<h2>The measures</h2>",
        _write_scores(found, titles),
        '<div class="plots">',
        draw_side_by_side(every, titles) if len(every) > 1 else "",
        draw_curve(every, titles),
        write_legend(first),
        "</div>",
    ]
    for number, (one, title) in enumerate(zip(every, titles, strict=True)):
        of = f": {escape(title)}" if len(every) > 1 else ""
        parts += [
            f"<h2>Class by class{of}</h2>",
            '<div class="plots">',
            draw_worst_classes(one, number),
            draw_all_classes(one, number),
            "</div>",
            _write_worst(one, number, of, thumbnails),
            _write_confused(one, of),
            f"<h2>Every class{of}</h2>",
            _write_class_table(one),
        ]
    return page.document(f"Evaluation of {', '.join(titles)}", parts)


def _write_scores(found: Comparison, titles: Sequence[str]) -> str:
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


def _write_class_table(one: Evaluation) -> str:
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
    head = (escape(one.by.capitalize()), "Images", "Queries", *columns, mistaken)
    return note + page.table(head, rows)


def _write_confused(one: Evaluation, of: str) -> str:
    if not one.confusions:
        return f"<h2>Mistaken for each other{of}</h2><p>No first result was wrong.</p>"
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
    table = page.table(("Query", page.left("First result"), "Times", "Of queries"), rows)
    return (
        f"<h2>Mistaken for each other{of}</h2>"
        "<p>Wrong first results: the query's class, and the class that was found. The most "
        "frequent come first.</p>" + table
    )


# --- images ----------------------------------------------------------------------------------


def _write_worst(
    one: Evaluation, number: int, of: str, thumbnails: Mapping[tuple[int, str], bytes | None]
) -> str:
    if not one.worst:
        return ""
    rows = "\n".join(_write_query(query, number, thumbnails) for query in one.worst)
    return (
        f"<h2>Where it fails worst{of}</h2><p>The {len(one.worst)} queries with the lowest "
        "average precision, each with its first results. "
        '<span class="is-right"><span class="mark">✓</span></span> is right, '
        '<span class="is-wrong"><span class="mark">✗</span></span> is wrong.</p>' + rows
    )


def _write_query(
    query: EvaluatedQuery, number: int, thumbnails: Mapping[tuple[int, str], bytes | None]
) -> str:
    others = "other" if query.relevant == 1 else "others"
    hits = "".join(_write_hit(hit, thumbnails.get((number, hit.id))) for hit in query.hits)
    return (
        f'<div class="query"><div class="one" title="{escape(query.id)}">'
        f"{page.framed(thumbnails.get((number, query.id)), query.id)}<b>{escape(query.name)}</b>"
        f'<div class="quiet">{query.relevant:,} {others} to find, '
        f"average precision {percent(query.average_precision)}</div></div>"
        f'<div class="hits">{hits}</div></div>'
    )


def _write_hit(hit: EvaluatedHit, thumbnail: bytes | None) -> str:
    kind, mark = ("is-right", "✓") if hit.right else ("is-wrong", "✗")
    return (
        f'<div class="one {kind}" title="{escape(hit.id)}">{page.framed(thumbnail, hit.id)}'
        f'<span class="mark">{mark}</span> {escape(hit.name or "no class")} '
        f'<span class="quiet">{hit.score:.2f}</span></div>'
    )
