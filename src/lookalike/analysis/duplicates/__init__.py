"""Duplicates: find exact and near ones in groups, choose which to keep, remove the rest.

found = find(shop)                      # reports; touches nothing
act(shop, found.groups, move_to=place)  # moves all but the kept ones
"""

from lookalike.analysis.duplicates.finding import DuplicateReport, find
from lookalike.analysis.duplicates.grouping import KEEP_RULES, Duplicate, DuplicateGroup, KeepRule
from lookalike.analysis.duplicates.image_search import find_duplicates_of
from lookalike.analysis.duplicates.removal import DuplicateOutcome, act
from lookalike.analysis.duplicates.undo_removal import undo

__all__ = [
    "KEEP_RULES",
    "Duplicate",
    "DuplicateGroup",
    "DuplicateOutcome",
    "DuplicateReport",
    "KeepRule",
    "act",
    "find",
    "find_duplicates_of",
    "undo",
]
