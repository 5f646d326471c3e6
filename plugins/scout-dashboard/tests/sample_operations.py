"""Sample figures of operations, which fit the transactions of a report."""

from __future__ import annotations

from collections.abc import Sequence

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import CodeLine, EndpointShare, OperationMetrics, TransactionMetrics

SPECS: tuple[tuple[str, str, float, int], ...] = (
    ("SQL/Query", "SELECT id, name, price FROM product WHERE id = ?", 0.004, 5),
    ("SQL/Query", "SELECT id, product_id, stars FROM review WHERE product_id = ? ORDER BY id LIMIT ?", 0.006, 1),
    ("SQL/Query", "INSERT INTO order_line (order_id, product_id, amount) VALUES (?, ?, ?)", 0.002, 1),
    ("Template/Render", "shop/page.html", 0.011, 1),
    ("HTTP/GET", "prices.internal:8080", 0.030, 1),
    ("SQL/other", "", 0.001, 2),
)
"""Operation, detail, seconds, and calls in each transaction."""


def operation(
    operation: str = "SQL/Query",
    detail: str = SPECS[0][1],
    *,
    seconds: float = 0.004,
    calls: dict[str, int] | None = None,
    repeated: int = 0,
    errors: int = 0,
    lines: Sequence[CodeLine] = (),
) -> OperationMetrics:
    """Return equal calls of an operation; ``calls`` has the name of each transaction, and ``repeated`` is for the first one."""
    calls = {"Controller/shop.home": 10} if calls is None else calls
    durations = Histogram()
    count = sum(calls.values())
    for _ in range(count):
        durations.add(seconds)
    return OperationMetrics(
        operation=operation,
        detail=detail,
        count=count,
        errors=errors,
        total=count * seconds,
        durations=durations,
        endpoints={
            name: EndpointShare(count=of_name, total=of_name * seconds, repeated=0 if number else repeated)
            for number, (name, of_name) in enumerate(calls.items())
        },
        lines=tuple(lines),
    )


def operations_of(transactions: Sequence[TransactionMetrics]) -> tuple[OperationMetrics, ...]:
    """Return the operations of these transactions: each has all of them, and repeats the first one."""
    counts = {metrics.name: metrics.count for metrics in transactions[:8]}
    if not counts:
        return ()
    line = CodeLine(file="/srv/shop/views.py", line=31, function="lines", count=3, total=0.012)
    return tuple(
        operation(
            name,
            detail,
            seconds=seconds,
            calls={of: calls * count for of, count in counts.items()},
            repeated=next(iter(counts.values())) if calls > 2 else 0,
            lines=[line] if calls > 2 else (),
        )
        for name, detail, seconds, calls in SPECS
    )
