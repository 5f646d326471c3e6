"""The number of errors of one group in one slice of time, and its form as a row of the store."""

from __future__ import annotations

from typing import Final

from attrs import define

COLUMNS: Final = "count, handled"
KINDS: Final = (int, int)
"""Types of the columns."""
Row = tuple[int, int]
"""The values of ``COLUMNS``."""


@define
class ErrorSums:
    """Errors, and those of them that something handled."""

    count: int = 0
    handled: int = 0

    def add(self, other: ErrorSums) -> None:
        """Add the other figures, which remain unchanged."""
        self.count += other.count
        self.handled += other.handled

    def as_row(self) -> Row:
        """Return the values in the order of ``COLUMNS``."""
        return self.count, self.handled


def error_sums_of_row(row: Row) -> ErrorSums:
    """Read a row that ``as_row`` made."""
    return ErrorSums(*row)
