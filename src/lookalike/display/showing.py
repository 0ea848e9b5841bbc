"""``show()``: in the notebook that runs, or in the system's image viewer."""

import sys
from collections.abc import Callable

from PIL import Image, ImageShow

from lookalike.errors import ExportError

__all__ = ["in_notebook", "show"]


def in_notebook() -> bool:
    """Return whether the program runs in a notebook, which shows HTML."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def show(one: object, draw: Callable[[], Image.Image]) -> None:
    """Show an object that has ``_repr_html_``, or outside a notebook what ``draw`` returns.

    Raise ``ExportError`` where there is neither a notebook nor an image viewer.
    """
    if in_notebook():
        sys.modules["IPython"].display.display(one)
    elif not ImageShow.show(draw(), "lookalike"):
        raise ExportError(
            "there is neither a notebook nor an image viewer here; write a file with "
            ".sheet('results.png')"
        )
