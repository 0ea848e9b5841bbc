"""What was measured as a page to read: one HTML file without scripts, images and plots inside.

    from lookalike.output.report import render_evaluation

    page = render_evaluation(found, thumbnails)

Pure: records and thumbnails in, text out. Everything that comes from a collection is escaped.
``page`` and ``plots`` hold what all pages share; each kind of page has a module of its own.
"""

from lookalike.output.report.categories import render_categories
from lookalike.output.report.duplicates import render_duplicates
from lookalike.output.report.evaluations import render_evaluation

__all__ = ["render_categories", "render_duplicates", "render_evaluation"]
