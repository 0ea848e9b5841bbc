"""An evaluation as a page to read: one HTML file without scripts, pictures and plots inside.

Pure: records and thumbnails in, text out. Everything that comes from a collection is escaped.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Final

from lookalike.evaluation import Answer, ClassScore, Comparison, Evaluation, Judged

__all__ = ["render"]

_BARS: Final = 20  # classes drawn with their names
_ROWS: Final = 500  # classes in the table; the JSON document has all
_CONFUSIONS: Final = 15
_PAGE: Final = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --page: #faf9f7; --card: #fff; --text: #202024; --quiet: #6b6864; --line: #dedad4;
  --fill: #eeebe6; --s0: #246e73; --s1: #b8652a; --s2: #6a4c93; --s3: #7d7a2c;
  --right: #2e7d4f; --wrong: #b3372f; }
@media (prefers-color-scheme: dark) { :root { --page: #141518; --card: #1f2125; --text: #eeedea;
  --quiet: #a3a19e; --line: #3a3c42; --fill: #2a2c31; --s0: #68c4be; --s1: #e39a63;
  --s2: #b49ad6; --s3: #c8c46a; --right: #66c48d; --wrong: #ee7b72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 48px 0 8px; }
p { margin: 0 0 12px; max-width: 46em; }
.quiet, figcaption { color: var(--quiet); font-size: 14px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 24px 0; }
.tile { flex: 1 1 200px; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; padding: 16px 18px; }
.tile b { display: block; font-size: 32px; line-height: 1.2; color: var(--s0);
  font-variant-numeric: tabular-nums; }
.plots { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: flex-start; }
.plots > p { flex: 1 1 300px; margin-top: 14px; }
figure { margin: 12px 0; flex: 1 1 440px; max-width: 506px; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; min-width: 0; padding: 14px 16px; }
figcaption { margin-bottom: 8px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--quiet); font: 12px system-ui, sans-serif; }
svg .name { fill: var(--text); }
.grid { stroke: var(--line); stroke-width: 1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 14px; }
th { text-align: right; color: var(--quiet); font-weight: 600; border-bottom: 2px solid var(--line);
  padding: 6px 10px; white-space: nowrap; vertical-align: bottom; }
td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; white-space: normal;
  overflow-wrap: anywhere; }
th:first-child, td:first-child { min-width: 7em; }
tr:hover td { background: var(--fill); }
.meter { display: inline-block; width: 90px; height: 8px; border-radius: 4px;
  background: var(--fill); margin-left: 10px; overflow: hidden; vertical-align: middle; }
.meter i { display: block; height: 100%; background: var(--s0); }
.query { display: grid; grid-template-columns: 124px 1fr; gap: 14px; padding: 14px 0;
  border-bottom: 1px solid var(--line); }
.answers { display: grid; grid-template-columns: repeat(auto-fill, minmax(94px, 1fr)); gap: 8px; }
.one { font-size: 12px; line-height: 1.3; overflow-wrap: anywhere; }
.one .quiet { font-size: 12px; }
.frame { display: flex; align-items: center; justify-content: center; aspect-ratio: 1;
  background: var(--fill); border: 3px solid var(--line); border-radius: 8px; overflow: hidden;
  color: var(--quiet); text-align: center; margin-bottom: 4px; }
.frame img { width: 100%; height: 100%; object-fit: contain; display: block; }
.is-right .frame { border-color: var(--right); } .is-wrong .frame { border-color: var(--wrong); }
.is-right .mark { color: var(--right); } .is-wrong .mark { color: var(--wrong); }
.mark { font-weight: 700; }
code { font-size: 13px; overflow-wrap: anywhere; }
@media print { main { max-width: none; } figure, .query { break-inside: avoid; } }
</style>
</head>
<body><main>
$body
</main></body>
</html>
""")


def render(
    found: Comparison, thumbnails: Mapping[tuple[int, str], bytes | None], *, made_at: str = ""
) -> str:
    """The page. ``thumbnails`` are JPEGs by number of the collection and id; what lacks is gone."""
    every = found.evaluations
    titles = _titles(every)
    first = every[0]
    parts = [
        f"<h1>How good are the answers of {_listed(titles)}?</h1>",
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
    return _PAGE.substitute(
        title=escape(f"Evaluation of {', '.join(titles)}"), body="\n".join(filter(None, parts))
    )


def _titles(every: Sequence[Evaluation]) -> list[str]:
    """Names that tell the collections apart."""
    names = [one.collection for one in every]
    if len(set(names)) < len(names):
        names = [f"{one.collection} ({one.encoder})" for one in every]
    if len(set(names)) < len(names):
        names = [f"{name} [{number}]" for number, name in enumerate(names, 1)]
    return names


def _listed(names: Sequence[str]) -> str:
    return " and ".join(escape(name) for name in names)


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
        f"first picture found was of the same {escape(first.by)} {found} searches.</p>"
    )


def _times(one: Evaluation) -> str:
    return f"<b>{100 * one.scores['R@1'].micro:.0f} of 100</b>"


def _tiles(one: Evaluation) -> str:
    shown = [
        (name, text)
        for name, text in {
            "R@1": "of first answers are right",
            one.headline: f"of the first {one.headline[2:]} answers are right",
            f"R@{one.ks[-1]}": f"of searches find a right one among the first {one.ks[-1]}",
        }.items()
        if name in one.scores and (name != "P@1" or "R@1" not in one.scores)
    ]
    shown.append(("mAP", "average precision: 100 % if all right ones come before all others"))
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{_percent(one.scores[name].micro)}</b>{escape(text)}'
            f'<div class="quiet">{escape(name)}, likely {_range(one, name)}</div></div>'
            for name, text in shown
        )
        + "</div>"
    )


def _range(one: Evaluation, name: str) -> str:
    score = one.scores[name]
    return f"{100 * score.low:.1f} to {_percent(score.high)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


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


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Cells are HTML; one that begins with ``<td`` is whole."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "\n".join(
        "<tr>"
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _scores(found: Comparison, titles: Sequence[str]) -> str:
    every = found.evaluations
    if len(every) == 1:
        return _table(
            ("Measure", "All queries", "95 % range", "All classes"),
            (
                (
                    escape(name),
                    _percent(score.micro),
                    f"{100 * score.low:.1f} to {100 * score.high:.1f}",
                    _percent(score.macro),
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
            row.append(f'<b>{_percent(score.micro)}</b> <span class="quiet">{likely}</span>')
            row.append(_percent(score.macro))
            if number:
                by = found.differences[number - 1][name]
                row.append(f"{100 * by.mean:+.1f} ({100 * by.low:+.1f} to {100 * by.high:+.1f})")
        rows.append(row)
    head = ["Measure"]
    for number, title in enumerate(titles):
        head += [f"{escape(title)}<br>all queries", "all classes"]
        if number:
            head.append(f"points over<br>{escape(titles[0])}")
    return _table(head, rows)


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
                _metered(each.values[name]) if name == one.headline else _percent(each.values[name])
                for name in columns
            ),
            f'<td class="text">{escape(each.mistaken_for or "")}</td>',
        )
        for each in one.classes[:_ROWS]
    )
    note = ""
    if len(one.classes) > _ROWS:
        note = f'<p class="quiet">The worst {_ROWS} of {len(one.classes):,} classes.</p>'
    head = (escape(one.by.capitalize()), "Pictures", "Queries", *columns, "Mostly mistaken for")
    table = _table(head, rows)
    return note + table.replace("<th>Mostly", '<th class="text">Mostly')


def _metered(share: float) -> str:
    return f'{_percent(share)}<span class="meter"><i style="width:{100 * share:.1f}%"></i></span>'


def _confused(one: Evaluation, of: str) -> str:
    if not one.confusions:
        return f"<h2>Mistaken for each other{of}</h2><p>No first answer was wrong.</p>"
    asked = {each.name: each.queries for each in one.classes}
    rows = (
        (
            escape(each.name),
            f'<td class="text">{escape(each.taken_for)}</td>',
            f"{each.count:,}",
            f"{asked[each.name]:,}",
        )
        for each in one.confusions[:_CONFUSIONS]
    )
    table = _table(("Query", "First answer", "Times", "Of queries"), rows)
    return (
        f"<h2>Mistaken for each other{of}</h2>"
        "<p>Where the first answer was wrong: which was taken for which, most often first.</p>"
        + table.replace("<th>First answer", '<th class="text">First answer')
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
        f"{_frame(thumbnails.get((number, judged.id)), judged.id)}<b>{escape(judged.name)}</b>"
        f'<div class="quiet">{judged.relevant:,} {others} to find, '
        f"average precision {_percent(judged.average_precision)}</div></div>"
        f'<div class="answers">{answers}</div></div>'
    )


def _answer(answer: Answer, thumbnail: bytes | None) -> str:
    kind, mark = ("is-right", "✓") if answer.right else ("is-wrong", "✗")
    return (
        f'<div class="one {kind}" title="{escape(answer.id)}">{_frame(thumbnail, answer.id)}'
        f'<span class="mark">{mark}</span> {escape(answer.name or "no class")} '
        f'<span class="quiet">{answer.score:.2f}</span></div>'
    )


def _frame(thumbnail: bytes | None, name: str) -> str:
    if thumbnail is None:
        return '<div class="frame">picture not found</div>'
    data = base64.b64encode(thumbnail).decode()
    return (
        f'<div class="frame"><img src="data:image/jpeg;base64,{data}" alt="{escape(name)}"></div>'
    )


# --- plots -------------------------------------------------------------------------------------


def _figure(caption: str, size: tuple[float, float], body: Iterable[str]) -> str:
    width, height = size
    return (
        f"<figure><figcaption>{caption}</figcaption>"
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{caption}">'
        f"{''.join(body)}</svg></figure>"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", name: bool = False) -> str:
    kind = ' class="name"' if name else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'


def _rect(box: tuple[float, float, float, float], series: int, title: str = "") -> str:
    x, y, width, height = box
    inside = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" '
        f'height="{max(height, 0.5):.1f}" rx="1.5" style="fill:var(--s{series % 4})">'
        f"{inside}</rect>"
    )


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


def _axis(left: float, top: float, width: float, height: float) -> list[str]:
    """Lines at 0, 25 … 100 % from bottom to top, with their numbers."""
    parts = []
    for percent in range(0, 101, 25):
        y = top + height * (1 - percent / 100)
        parts.append(
            f'<line class="grid" x1="{left:.1f}" x2="{left + width:.1f}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/>'
        )
        parts.append(_text(left - 6, y + 4, f"{percent} %", anchor="end"))
    return parts


def _key(titles: Sequence[str], y: float) -> list[str]:
    """Which colour is which, below a plot."""
    if len(titles) == 1:
        return []
    parts = []
    for number, title in enumerate(titles):
        at = y + 20 * number
        parts += [
            _rect((44, at - 10, 12, 12), number),
            _text(62, at, _short(title, 60), name=True),
        ]
    return parts


def _curve(every: Sequence[Evaluation], titles: Sequence[str]) -> str:
    left, top, width, height = 44.0, 10.0, 420.0, 220.0
    body = _axis(left, top, width, height)
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
            f'style="fill:{colour}"><title>P@{k} {_percent(one.curve[k - 1])}</title></circle>'
            for k in one.ks
            if k <= len(points)
        ]
    for k in sorted({1, *(n for n in (5, 10, 20, 30, 40, 50) if n <= longest)}):
        body.append(
            _text(left + width * (k - 1) / steps, top + height + 18, str(k), anchor="middle")
        )
    body.append(_text(left + width / 2, top + height + 36, "answers looked at", anchor="middle"))
    body += _key(titles, top + height + 60)
    extra = 50 + 20 * len(titles) if len(titles) > 1 else 44
    return _figure(
        "Share of right answers among the first k (P@k)", (480, top + height + extra), body
    )


def _side_by_side(every: Sequence[Evaluation], titles: Sequence[str]) -> str:
    left, top, width, height = 44.0, 14.0, 420.0, 216.0
    names = list(
        dict.fromkeys(("R@1", every[0].headline, f"R@{every[0].ks[-1]}", "R-precision", "mAP"))
    )
    names = [name for name in names if name in every[0].scores]
    body = _axis(left, top, width, height)
    step = width / len(names)
    bar = min(34.0, step * 0.8 / len(every))
    for place, name in enumerate(names):
        middle = left + step * (place + 0.5)
        for number, (one, title) in enumerate(zip(every, titles, strict=True)):
            score = one.scores[name]
            x = middle + bar * (number - len(every) / 2)
            tall = height * score.micro
            body.append(
                _rect(
                    (x + 1, top + height - tall, bar - 2, tall),
                    number,
                    f"{title}: {name} {_percent(score.micro)}",
                )
            )
            low, high = (top + height * (1 - end) for end in (score.low, score.high))
            centre = x + bar / 2
            body.append(
                f'<line x1="{centre:.1f}" x2="{centre:.1f}" y1="{low:.1f}" y2="{high:.1f}" '
                'style="stroke:var(--text);stroke-width:1.5"/>'
            )
        body.append(_text(middle, top + height + 18, name, anchor="middle", name=True))
    body += _key(titles, top + height + 46)
    return _figure(
        "Side by side, with 95 % ranges", (480, top + height + 40 + 20 * len(titles)), body
    )


def _bars(one: Evaluation, series: int) -> str:
    """The worst classes (all, where they are few) with their names."""
    shown = one.classes[:_BARS]
    room = min(20, max(len(each.name) for each in shown))
    left, step, width = 16 + 7.0 * room, 19.0, 480.0
    long = width - left - 52
    body = []
    for number, each in enumerate(shown):
        y = number * step
        share = each.values[one.headline]
        body += [
            _text(left - 8, y + 13, _short(each.name, room), anchor="end", name=True),
            _rect((left, y + 3, long * share, 12), series, _told(each, one.headline)),
            _text(left + long * share + 6, y + 13, _percent(share)),
        ]
    of = "Every class" if len(shown) == len(one.classes) else f"The worst {len(shown)} classes"
    return _figure(
        f"{of}: {escape(one.headline)}, the share of right answers among the first "
        f"{escape(one.headline[2:])}",
        (width, len(shown) * step + 4),
        body,
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
    body = _axis(left, top, width, height)
    step = width / len(shown)
    for number, each in enumerate(shown):
        tall = height * each.values[one.headline]
        body.append(
            _rect(
                (left + step * number, top + height - tall, step * 0.75, tall),
                series,
                _told(each, one.headline),
            )
        )
    middle = one.classes[len(one.classes) // 2].values[one.headline]
    body.append(
        _text(
            left + width / 2,
            top + height + 20,
            f"{len(one.classes):,} classes, worst to best; half are above {_percent(middle)}",
            anchor="middle",
        )
    )
    return _figure(f"All classes by {escape(one.headline)}", (480, top + height + 34), body)


def _told(each: ClassScore, name: str) -> str:
    return f"{each.name}: {_percent(each.values[name])} ({each.queries:,} queries)"
