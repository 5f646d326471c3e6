"""Reads what an application did in a period: its transactions by name, and its errors by group."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from scout_core.measuring.histogram import Histogram
from scout_dashboard.store.packing import merged_histogram
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollup_tables import BY_ERROR, BY_NAME
from scout_dashboard.store.slices import joined, read_slices, real_sum, split, whole_sum

_NONE: Final = Histogram()
Errors = dict[str, dict[str, int]]
"""Group of errors to name of transactions to their number; ``error_groups.ANY_NAME`` has the sum."""


@define
class Figures:
    """The transactions of one name in a period."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    """Seconds."""
    durations: Histogram = field(factory=Histogram)

    @property
    def mean(self) -> float:
        """Seconds; 0.0 without transactions."""
        return self.total / self.count if self.count else 0.0

    @property
    def error_rate(self) -> float:
        """From 0 to 1; 0.0 without transactions."""
        return self.errors / self.count if self.count else 0.0

    def add(self, other: Figures) -> None:
        """Add the other figures, which remain unchanged."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.durations.merge(other.durations)


def by_name(reader: Reader, app: str, start: int, end: int, *, durations: bool = True) -> dict[str, Figures]:
    """
    Return the web transactions and jobs of a period in whole minutes, by name.

    Args:
        durations: False leaves them empty, which is ten times as fast.
    """
    columns = ["s.name", "sum(r.count)", "sum(r.errors)", real_sum("r.total")]
    columns.append(joined("r.durations") if durations else "''")
    where = "s.is_total = 0 AND s.app = ?"
    found: dict[str, Figures] = {}
    packed: dict[str, list[bytes]] = {}
    for name, count, errors, total, hexadecimal in read_slices(
        reader, BY_NAME, columns, where=where, values=(app,), start=start, end=end, grouped="s.id"
    ):
        figures = found.get(name)
        if figures is None:  # thousands: without durations, they share an empty histogram, which nobody changes
            figures = found[name] = Figures() if durations else Figures(durations=_NONE)
        figures.count += whole_sum(count)
        figures.errors += whole_sum(errors)
        figures.total += float(total)
        if durations:
            packed.setdefault(name, []).extend(split(hexadecimal))
    for name, parts in packed.items():
        found[name].durations = merged_histogram(parts)
    return found


def by_group(reader: Reader, app: str, start: int, end: int) -> Errors:
    """Return the errors of a period in whole minutes."""
    found: Errors = {}
    for group, name, count in read_slices(
        reader, BY_ERROR, ["s.grp", "s.name", "sum(r.count)"],
        where="s.app = ?", values=(app,), start=start, end=end, grouped="s.id",
    ):  # fmt: skip
        names = found.setdefault(group, {})
        names[name] = names.get(name, 0) + whole_sum(count)
    return found
