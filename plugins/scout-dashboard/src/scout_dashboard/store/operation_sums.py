"""The figures of one operation in one slice of time, and their form as a row of the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import Factory, define

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.operation_report import MOST_ENDPOINTS
from scout_dashboard.store.packing import merged_histogram, pack_histogram

MOST_LINES: Final = 5
OTHER: Final = 0
"""Number of the place that all names beyond the limit share."""
_MOST_IN_MEMORY: Final = 100
"""Names or lines of an operation in a minute, before it is written."""
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode

COLUMNS: Final = "count, errors, total, durations, endpoints, lines"
KINDS: Final = (int, int, float, bytes, str, str)
"""Types of the columns."""
Row = tuple[int, int, float, bytes, str, str]
"""The values of ``COLUMNS``."""
Shares = dict[int, list[int]]
"""Place to count and microseconds, and, of names, the transactions in which one line repeats the operation."""


@define(kw_only=True)
class OperationSums:
    """Figures of calls. Times in seconds, those of ``Shares`` in microseconds."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    durations: Histogram = Factory(Histogram)
    endpoints: Shares = Factory(dict)
    """By the name of their transactions."""
    lines: Shares = Factory(dict)
    """By line of the application, as far as it is known."""

    def add(self, other: OperationSums) -> None:
        """Add the other figures, which remain unchanged."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.durations.merge(other.durations)
        add_shares(self.endpoints, other.endpoints.items())
        add_shares(self.lines, other.lines.items())
        if len(self.endpoints) > _MOST_IN_MEMORY:
            self.endpoints = few_endpoints(self.endpoints)
        if len(self.lines) > _MOST_IN_MEMORY:
            self.lines = few_lines(self.lines)

    def as_row(self) -> Row:
        """Return the values in the order of ``COLUMNS``."""
        return (
            self.count,
            self.errors,
            self.total,
            pack_histogram(self.durations),
            _encode(few_endpoints(self.endpoints)),
            _encode(few_lines(self.lines)),
        )


def operation_sums_of_row(row: Row) -> OperationSums:
    """Read a row that ``as_row`` made."""
    count, errors, total, durations, endpoints, lines = row
    return OperationSums(
        count=count,
        errors=errors,
        total=total,
        durations=merged_histogram([durations]),
        endpoints=shares_of(endpoints),
        lines=shares_of(lines),
    )


def shares_of(text: str) -> Shares:
    """Read the text of a column."""
    return {int(place): figures for place, figures in json.loads(text).items()}


def add_shares(shares: Shares, more: Iterable[tuple[int, list[int]]]) -> None:
    """Add figures to the first ones."""
    for place, figures in more:
        known = shares.get(place)
        shares[place] = list(figures) if known is None else [a + b for a, b in zip(known, figures, strict=True)]


def few_endpoints(shares: Shares) -> Shares:
    """Return the names with the most time, and the sums of the others."""
    if len(shares) <= MOST_ENDPOINTS:
        return shares
    listed = _by_time(shares)
    found = dict(listed[:MOST_ENDPOINTS])
    add_shares(found, ((OTHER, figures) for place, figures in (*listed[MOST_ENDPOINTS:], *_other(shares))))
    return found


def few_lines(shares: Shares) -> Shares:
    """Return the lines with the most time."""
    return shares if len(shares) <= MOST_LINES else dict(_by_time(shares)[:MOST_LINES])


def _by_time(shares: Mapping[int, list[int]]) -> list[tuple[int, list[int]]]:
    return sorted((item for item in shares.items() if item[0] != OTHER), key=lambda item: (-item[1][1], item[0]))


def _other(shares: Shares) -> list[tuple[int, list[int]]]:
    return [(OTHER, shares[OTHER])] if OTHER in shares else []
