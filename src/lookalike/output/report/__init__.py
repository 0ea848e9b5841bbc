"""What was measured as a page to read: one HTML file without scripts, pictures and plots inside.

    from lookalike.output.report import render

    page = render(found, thumbnails)

Pure: records and thumbnails in, text out. Everything that comes from a collection is escaped.
``page`` and ``plots`` hold what all pages share; each kind of page has a module of its own.
"""

from lookalike.output.report.copies import render_copies
from lookalike.output.report.evaluations import render
from lookalike.output.report.learning import render_learning

__all__ = ["render", "render_copies", "render_learning"]
