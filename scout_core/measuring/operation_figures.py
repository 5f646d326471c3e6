"""The figures of one operation in the open period. On the agent's thread."""

from __future__ import annotations

from typing import Final

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.operation_report import CodeLine, EndpointShare, OperationMetrics, sum_of_shares
from scout_core.operations import OTHER, UNNAMED_NAME, counted_under
from scout_core.tracebacks import Frame

MOST_ENDPOINTS: Final = 100
"""Names of transactions of an operation within a period; further ones are counted under ``other``."""
MOST_LINES: Final = 50
"""Lines of an operation within a period."""
REPORTED_LINES: Final = 5

COUNT, TOTAL, ERRORS, REPEATED = range(4)


class OperationFigures:
    """All spans of one operation so far in this period."""

    __slots__ = ("operation", "detail", "buckets", "shares", "lines")

    def __init__(self, operation: str, detail: str) -> None:
        self.operation = operation
        self.detail = detail
        self.buckets: dict[int, int] = {}
        """As of a histogram of the durations."""
        self.shares: dict[str, list[int]] = {}
        """Name of transactions to count, nanoseconds, errors, and how many of the transactions repeat it."""
        self.lines: dict[Frame, list[int]] = {}
        """Line of the application to count and nanoseconds."""

    @property
    def count(self) -> int:
        """How many spans."""
        return self._sum(COUNT)

    @property
    def total_ns(self) -> int:
        """The time of all of them."""
        return self._sum(TOTAL)

    def _sum(self, part: int) -> int:
        return sum(share[part] for share in self.shares.values())

    def share_of(self, name: str) -> list[int]:
        """Return the sums for transactions of one name."""
        return self.shares.setdefault(counted_under(name, self.shares, MOST_ENDPOINTS), [0, 0, 0, 0])

    def add_line(self, line: Frame, count: int, total_ns: int) -> None:
        """Count calls of a line that are among the spans; beyond the limit, lines are unknown."""
        if line in self.lines or len(self.lines) < MOST_LINES:
            sums = self.lines.setdefault(line, [0, 0])
            sums[COUNT] += count
            sums[TOTAL] += total_ns

    def merge(self, other: OperationFigures) -> None:
        """Add the spans of another operation, whose lines are not kept."""
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        for name, sums in other.shares.items():
            share = self.share_of(name)
            for part, number in enumerate(sums):
                share[part] += number

    def freeze(self) -> OperationMetrics:
        """As it goes into the report."""
        shares = {
            name: EndpointShare(count=count, total=total_ns / 1e9, repeated=repeated)
            for name, (count, total_ns, _, repeated) in self.shares.items()
        }
        lines = sorted(self.lines.items(), key=lambda item: -item[1][TOTAL])[:REPORTED_LINES]
        return OperationMetrics(
            operation=self.operation or f"{OTHER}/{UNNAMED_NAME}",
            detail=self.detail,
            count=self.count,
            errors=self._sum(ERRORS),
            total=self.total_ns / 1e9,
            durations=Histogram(self.buckets),
            endpoints=sum_of_shares([shares]),
            lines=tuple(
                CodeLine(file=file, line=number, function=function, count=count, total=total_ns / 1e9)
                for (file, number, function), (count, total_ns) in lines
            ),
        )
