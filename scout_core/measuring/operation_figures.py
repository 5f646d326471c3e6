"""The figures of one operation in the open period. On the agent's thread, once for each span."""

from __future__ import annotations

from typing import Final

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.operation_report import CodeLine, EndpointShare, OperationMetrics, sum_of_shares
from scout_core.operations import counted_under
from scout_core.tracebacks import Frame

MOST_ENDPOINTS: Final = 100
"""Names of transactions of an operation within a period."""
MOST_LINES: Final = 50
"""Lines of an operation within a period."""
REPORTED_LINES: Final = 5

COUNT, TOTAL, REPEATED = range(3)


class OperationFigures:
    """All spans of one operation so far in this period."""

    __slots__ = ("operation", "detail", "count", "errors", "total_ns", "durations", "endpoints", "lines")

    def __init__(self, operation: str, detail: str) -> None:
        self.operation = operation
        self.detail = detail
        self.count = 0
        self.errors = 0
        self.total_ns = 0
        self.durations = Histogram()
        self.endpoints: dict[str, list[int]] = {}
        """Name to count, nanoseconds, and transactions that repeat it."""
        self.lines: dict[Frame, list[int]] = {}
        """The same without the last."""

    def share_of(self, name: str) -> list[int]:
        """Return the sums for transactions of one name."""
        return self.endpoints.setdefault(counted_under(name, self.endpoints, MOST_ENDPOINTS), [0, 0, 0])

    def add_line(self, line: Frame, count: int, total_ns: int) -> None:
        """Count calls of a line that are among the spans; beyond the limit, lines are unknown."""
        if line in self.lines or len(self.lines) < MOST_LINES:
            sums = self.lines.setdefault(line, [0, 0])
            sums[COUNT] += count
            sums[TOTAL] += total_ns

    def merge(self, other: OperationFigures) -> None:
        """Add the spans of another operation, whose lines are not kept."""
        self.count += other.count
        self.errors += other.errors
        self.total_ns += other.total_ns
        self.durations.merge(other.durations)
        for name, (count, total_ns, repeated) in other.endpoints.items():
            share = self.share_of(name)
            share[COUNT] += count
            share[TOTAL] += total_ns
            share[REPEATED] += repeated

    def freeze(self) -> OperationMetrics:
        """As it goes into the report."""
        shares = {
            name: EndpointShare(count=count, total=total_ns / 1e9, repeated=repeated)
            for name, (count, total_ns, repeated) in self.endpoints.items()
        }
        lines = sorted(self.lines.items(), key=lambda item: -item[1][TOTAL])[:REPORTED_LINES]
        return OperationMetrics(
            operation=self.operation,
            detail=self.detail,
            count=self.count,
            errors=self.errors,
            total=self.total_ns / 1e9,
            durations=self.durations,
            endpoints=sum_of_shares([shares]),
            lines=tuple(
                CodeLine(file=file, line=number, function=function, count=count, total=total_ns / 1e9)
                for (file, number, function), (count, total_ns) in lines
            ),
        )
