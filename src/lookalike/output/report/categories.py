"""A report page on a collection's category classifier: how well it predicts labels. Pure."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from lookalike.analysis.categories import CalibrationBin, CategoryReport, LabelConfusion, LabelScore
from lookalike.output.report import page, plots
from lookalike.output.report.page import percent

__all__ = ["render_categories"]

_MATRIX: Final = 30  # labels in the matrix: more than that cannot be read on a screen
_BARS: Final = 20
_ENOUGH: Final = 5  # held-out images that a label needs: with fewer, a share says little
_CONFUSIONS: Final = 20
_ROWS: Final = 500  # labels in the table; the JSON document has all


def render_categories(report: CategoryReport, *, collection: str, made_at: str = "") -> str:
    """Return the page for a report of ``categories.train``, as one HTML file."""
    parts = [
        f"<h1>How well does {escape(collection)} predict an image's {escape(report.by)}?</h1>",
        f'<p class="quiet">{escape(made_at)}</p>' if made_at else "",
    ]
    title = f"Categories of {collection}"
    if report.accuracy is None:
        parts.append(
            f"<p>{report.classes:,} labels were trained on {report.items:,} images. They are "
            "too few to hold some out, so the quality was not measured.</p>"
        )
        return page.document(title, [*parts, "<h2>Every label</h2>", _label_table(report)])
    return page.document(
        title,
        [
            *parts,
            _write_summary(report, report.accuracy),
            _write_tiles(report, report.accuracy),
            _write_protocol(report),
            "<h2>Calibration of the probabilities</h2>",
            '<div class="plots">',
            _draw_calibration(report.calibration),
            _draw_probabilities(report.calibration),
            "</div>",
            _explain_calibration(report),
            "<h2>Confusions</h2>",
            _write_confusions(report),
            _draw_matrix(report),
            "<h2>Every label</h2>",
            _draw_bars(report),
            _label_table(report),
        ],
    )


def _write_summary(report: CategoryReport, accuracy: float) -> str:
    return (
        f"<p>{report.held_out:,} images took no part in training. For them, the "
        f"classifier predicted the right {escape(report.by)} in "
        f"<b>{100 * accuracy:.0f} of 100</b> cases.</p>"
    )


def _write_tiles(report: CategoryReport, accuracy: float) -> str:
    top5, macro, ece = report.top5 or 0.0, report.macro_accuracy or 0.0, report.ece or 0.0
    return page.tiles(
        [
            page.tile(percent(accuracy), "of images are predicted right", "accuracy"),
            page.tile(percent(top5), "have the right label among the five most probable", "top 5"),
            page.tile(percent(macro), "mean over labels, rare ones included", "macro accuracy"),
            page.tile(
                f"{ece:.3f}", "mean gap between probability and accuracy", "calibration error"
            ),
        ]
    )


def _write_protocol(report: CategoryReport) -> str:
    apart = "Duplicates, and images of one group, were never on both sides."
    unjudged = ""
    if report.unjudged:
        unjudged = (
            f" {report.unjudged:,} labels have no held-out image, so their quality is not known."
        )
    return (
        "<h2>What was measured</h2>"
        f"<p>{report.classes:,} labels were trained on the vectors of {report.items:,} images, "
        f"by logistic regression. The figures come from a first round, in which "
        f"{report.held_out:,} of the images were held out for evaluation.{unjudged} {apart} The "
        "stored classifier was then trained on all images.</p>"
    )


def _explain_calibration(report: CategoryReport) -> str:
    return (
        '<p class="quiet">Of the images predicted to be a cup with probability 0.8, 8 of 10 should '
        "be cups: then the points lie on the line. Below it, the probabilities are too high. The "
        f"calibration error is how far the points are from the line on average: "
        f"{report.ece or 0.0:.3f}, and {report.ece_before or 0.0:.3f} before the temperature "
        "was fitted. Every image was evaluated at a temperature that was fitted without it.</p>"
    )


# --- plots -------------------------------------------------------------------------------------

_LEFT, _TOP, _WIDE, _HIGH = 44.0, 10.0, 420.0, 260.0


def _draw_numbers(words: str) -> list[str]:
    """Return numbers below a plot from 0 to 100 %, and what they are."""
    parts = [
        plots.text(_LEFT + _WIDE * share, _TOP + _HIGH + 18, f"{100 * share:.0f} %", anchor=anchor)
        for share, anchor in ((0, "middle"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"))
    ]
    parts.append(plots.text(_LEFT + _WIDE, _TOP + _HIGH + 18, "100 %", anchor="end"))
    parts.append(plots.text(_LEFT + _WIDE / 2, _TOP + _HIGH + 38, words, anchor="middle"))
    return parts


def _draw_calibration(bins: Sequence[CalibrationBin]) -> str:
    body = plots.axis(_LEFT, _TOP, _WIDE, _HIGH)
    body.append(
        f'<line x1="{_LEFT}" y1="{_TOP + _HIGH}" x2="{_LEFT + _WIDE}" y2="{_TOP}" '
        'style="stroke:var(--quiet);stroke-width:1.5" stroke-dasharray="5 4"/>'
    )
    points = [(_LEFT + _WIDE * one.confidence, _TOP + _HIGH * (1 - one.accuracy)) for one in bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    body.append(f'<polyline points="{line}" style="fill:none;stroke:var(--s0);stroke-width:2"/>')
    most = max(one.items for one in bins)
    body += [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 + 7 * (one.items / most) ** 0.5:.1f}" '
        f'style="fill:var(--s0);stroke:var(--card);stroke-width:1.5"><title>predicted '
        f"{percent(one.confidence)}, right {percent(one.accuracy)}, {one.items:,} images"
        "</title></circle>"
        for one, (x, y) in zip(bins, points, strict=True)
    ]
    body += _draw_numbers("probability of the first label")
    return plots.figure(
        "Share that is right, by predicted probability", (480, _TOP + _HIGH + 48), body
    )


def _draw_probabilities(bins: Sequence[CalibrationBin]) -> str:
    body = plots.axis(_LEFT, _TOP, _WIDE, _HIGH)
    total = sum(one.items for one in bins)
    for one in bins:
        tall = _HIGH * one.items / total
        middle = _LEFT + _WIDE * one.confidence
        body.append(
            plots.rect(
                (min(middle - 11, _LEFT + _WIDE - 22), _TOP + _HIGH - tall, 22, tall),
                0,
                f"about {percent(one.confidence)}: {one.items:,} images",
            )
        )
    body += _draw_numbers("probability of the first label")
    return plots.figure("Share of images, by predicted probability", (480, _TOP + _HIGH + 48), body)


def _draw_bars(report: CategoryReport) -> str:
    measured = [one for one in report.labels if one.held_out >= _ENOUGH]
    if not measured:
        return ""
    worst = sorted(measured, key=lambda one: (one.recall, -one.held_out, one.label))[:_BARS]
    of = "Labels" if len(worst) == len(measured) else f"The {len(worst)} worst labels"
    return plots.bars(
        f"{of} with at least {_ENOUGH} held-out images: share predicted right",
        [
            plots.Bar(
                name=one.label,
                share=one.recall or 0.0,
                title=f"{one.label}: {one.right:,} of {one.held_out:,}",
            )
            for one in worst
        ],
        0,
    )


def _draw_matrix(report: CategoryReport) -> str:
    """Return the confusion matrix: rows are true labels, columns predictions; rows add up to 1."""
    shown = _choose_labels(report)
    if len(shown) < 2:  # noqa: PLR2004 - nothing to compare
        return ""
    known = {one.label: one for one in report.labels}
    taken = {(one.label, one.predicted): one.items for one in report.confusions}
    room, width = min(22, max(len(label) for label in shown)), 760.0
    left = top = 16 + 6.8 * room
    cell = min(44.0, (width - left) / len(shown))
    width = left + cell * len(shown)
    body = []
    for row, label in enumerate(shown):
        y = top + cell * row
        name = plots.short(label, room)
        body.append(plots.text(left - 6, y + cell / 2 + 4, name, anchor="end", name=True))
        x = left + cell * row + cell / 2 + 4
        body.append(
            f'<text class="name" x="0" y="0" transform="translate({x:.1f} {top - 6:.1f}) '
            f'rotate(-90)">{escape(name)}</text>'
        )
        body.append(
            f'<line class="grid" x1="{left:.1f}" x2="{width:.1f}" y1="{y + cell:.1f}" '
            f'y2="{y + cell:.1f}"/>'
        )
        for column, other in enumerate(shown):
            items = known[label].right if row == column else taken.get((label, other), 0)
            if not items or not known[label].held_out:
                continue
            share = items / known[label].held_out
            colour = "--right" if row == column else "--wrong"
            words = "predicted right" if row == column else f"predicted as {other}"
            body.append(
                f'<rect x="{left + cell * column + 0.5:.1f}" y="{y + 0.5:.1f}" '
                f'width="{cell - 1:.1f}" height="{cell - 1:.1f}" rx="1.5" '
                f'style="fill:var({colour})" fill-opacity="{0.12 + 0.88 * share:.2f}"><title>'
                f"{escape(f'{label}: {items:,} of {known[label].held_out:,} {words}')}"
                "</title></rect>"
            )
    which = "All labels" if len(shown) == len(report.labels) else f"{len(shown)} of the labels"
    return plots.figure(
        f"{which}: rows are true labels, columns are predictions",
        (width + 2, top + cell * len(shown) + 2),
        body,
        wide=True,
    )


def _choose_labels(report: CategoryReport) -> list[str]:
    """Return the labels of the matrix: all, or the most confused ones, similar ones adjacent."""
    times: dict[frozenset[str], int] = {}
    weight: dict[str, int] = {}
    for one in report.confusions:
        pair = frozenset((one.label, one.predicted))
        times[pair] = times.get(pair, 0) + one.items
        for label in pair:
            weight[label] = weight.get(label, 0) + one.items
    measured = [one.label for one in report.labels if one.held_out]
    left = measured
    if len(measured) > _MATRIX:
        left = sorted(measured, key=lambda label: (-weight.get(label, 0), label))[:_MATRIX]
    left = sorted(left, key=lambda label: (-weight.get(label, 0), label))
    shown: list[str] = []
    while left:
        best = (
            left[0]
            if not shown
            else max(left, key=lambda one: _count_confusions(one, shown, times))
        )
        left.remove(best)
        shown.append(best)
    return shown


def _count_confusions(
    label: str, shown: Sequence[str], times: Mapping[frozenset[str], int]
) -> float:
    """Return how often a label and those placed last are confused, the last first."""
    return sum(
        times.get(frozenset((label, other)), 0) / (distance + 1)
        for distance, other in enumerate(reversed(shown))
    )


# --- tables ------------------------------------------------------------------------------------


def _write_confusions(report: CategoryReport) -> str:
    if not report.confusions:
        return "<p>Every prediction was right.</p>"
    held_out = {one.label: one.held_out for one in report.labels}

    def row(one: LabelConfusion) -> tuple[str, ...]:
        return (
            escape(one.label),
            page.left(escape(one.predicted)),
            f"{one.items:,}",
            page.metered(one.items / held_out[one.label]),
        )

    wrong = sum(one.items for one in report.confusions)
    return (
        f"<p>{wrong:,} images were predicted wrong, as {len(report.confusions):,} different pairs. "
        "The most frequent:</p>"
        + page.table(
            ("Label", page.left("Predicted as"), "Images", "Share of held-out"),
            map(row, report.confusions[:_CONFUSIONS]),
        )
    )


def _label_table(report: CategoryReport) -> str:
    def row(one: LabelScore) -> tuple[str, ...]:
        return (
            escape(one.label),
            f"{one.items:,}",
            f"{one.held_out:,}",
            "" if one.recall is None else page.metered(one.recall),
            "" if one.precision is None else percent(one.precision),
            page.left(escape(one.taken_for or "")),
        )

    ordered = sorted(
        report.labels, key=lambda one: (one.recall is None, one.recall or 0.0, one.label)
    )
    note = ""
    if len(ordered) > _ROWS:
        note = f'<p class="quiet">The worst {_ROWS} of {len(ordered):,} labels.</p>'
    head = ("Label", "Images", "Held out", "Recall", "Precision")
    return note + page.table((*head, page.left("Mostly confused with")), map(row, ordered[:_ROWS]))
