"""The plots of an evaluation's page, as SVG. Pure."""

from collections.abc import Sequence
from typing import Final

from lookalike.analysis.evaluation import ClassScore, Evaluation
from lookalike.output.report import plots
from lookalike.output.report.page import percent

__all__ = ["draw_all_classes", "draw_curve", "draw_side_by_side", "draw_worst_classes"]

_BARS: Final = 20  # classes drawn with their names


def draw_curve(every: Sequence[Evaluation], titles: Sequence[str]) -> str:
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
    body.append(plots.text(left + width / 2, top + height + 36, "results", anchor="middle"))
    body += plots.key(titles, top + height + 60)
    extra = 50 + 20 * len(titles) if len(titles) > 1 else 44
    return plots.figure(
        "Share of right results among the first k (P@k)", (480, top + height + extra), body
    )


def draw_side_by_side(every: Sequence[Evaluation], titles: Sequence[str]) -> str:
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


def draw_worst_classes(one: Evaluation, series: int) -> str:
    """Return a bar chart of the worst classes, or of all where they are few."""
    shown = one.classes[:_BARS]
    of = "Every class" if len(shown) == len(one.classes) else f"The worst {len(shown)} classes"
    return plots.bars(
        f"{of}: {one.headline}, the share of right results among the first {one.headline[2:]}",
        [
            plots.Bar(
                name=each.name,
                share=each.values[one.headline],
                title=_write_tooltip(each, one.headline),
            )
            for each in shown
        ],
        series,
    )


def draw_all_classes(one: Evaluation, series: int) -> str:
    """Return all classes as thin columns, if they are many; of thousands, evenly spaced ones."""
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
                _write_tooltip(each, one.headline),
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


def _write_tooltip(each: ClassScore, name: str) -> str:
    return f"{each.name}: {percent(each.values[name])} ({each.queries:,} queries)"
