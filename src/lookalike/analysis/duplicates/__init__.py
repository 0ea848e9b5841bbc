"""Copies of pictures: exact and near ones, in groups; which to keep, and what becomes of the rest.

found = find(shop)                      # reports; touches nothing
act(shop, found.groups, move_to=place)  # moves all copies but the kept ones away
"""

from lookalike.analysis.duplicates.acting import Outcome, act
from lookalike.analysis.duplicates.finding import Found, copies_of, find
from lookalike.analysis.duplicates.grouping import KEEPS, Copy, Group, Keep
from lookalike.analysis.duplicates.undoing import undo

__all__ = [
    "KEEPS",
    "Copy",
    "Found",
    "Group",
    "Keep",
    "Outcome",
    "act",
    "copies_of",
    "find",
    "undo",
]
