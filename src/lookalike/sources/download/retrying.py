"""Decide which failures of earlier runs are tried again without being asked for."""

import re

from lookalike.sources.download.fetch import describe_limit, find_url_problem
from lookalike.sources.download.politeness import Politeness
from lookalike.sources.download.record import RecordRow

__all__ = ["is_reason_gone"]

_LIMIT = re.compile(r"over the limit of ([\d.e+]+) MB")


def is_reason_gone(row: RecordRow, politeness: Politeness) -> bool:
    """Return whether what made a download fail no longer holds in this run.

    Private addresses are allowed now, files may be larger, or URLs of this kind can be requested.
    Object storage may have been without credentials or libraries, so its failures are tried again.
    """
    if row.status == "unreadable-object":
        return True
    if row.status == "private-address":
        return politeness.allow_private
    if row.status == "too-large":
        before = _LIMIT.search(row.reason)
        return (
            before is not None
            and float(before[1]) * 1e6 < politeness.max_bytes
            and (before[0] != describe_limit(politeness.max_bytes))
        )
    if row.status == "bad-url":
        return any(find_url_problem(url) is None for url in row.urls)
    return False
