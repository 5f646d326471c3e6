"""
Figures of operations as they leave the process: which statement, host or template takes the time of all transactions together.

Nothing in it can be changed, because exporters and hooks share it. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from scout_core.measuring.histogram import Histogram, frozen_histogram
from scout_core.measuring.read_only import with_read_only_mappings
from scout_core.operations import OTHER_NAME

if TYPE_CHECKING:
    from typing_extensions import Self

MOST_ENDPOINTS: Final = 10
"""Names of transactions of an operation; further ones are counted under ``other``."""


@frozen(kw_only=True)
class EndpointShare:
    """The part of an operation that belongs to the transactions of one name."""

    count: int
    total: float
    repeated: int = 0
    """Transactions in which a line repeats the operation, as an N+1 query: those with it in ``Trace.repeats`` if they are kept."""


@frozen(kw_only=True)
class CodeLine:
    """A line of the application that calls an operation, as far as it is known: of calls that were slow, or repeated."""

    file: str
    line: int
    function: str
    count: int
    total: float


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class OperationMetrics:
    """All spans of one operation in one period, whether a trace of them was kept or not."""

    operation: str
    detail: str
    """
    A statement without literals, ``host:port`` of a URL, or the name of a template; empty where nothing distinguishes it further.
    Where there are too many, the rest of a kind is ``Kind/other`` without a detail.
    """
    count: int
    errors: int
    total: float
    """
    Time between start and end of each span, without the pauses in which a generator waits for its consumer, summed.

    Spans inside it are counted, too.
    """
    durations: Histogram = field(converter=frozen_histogram)
    """The durations of spans that their transactions list; those beyond ``max_spans`` are only in the sums."""
    endpoints: dict[str, EndpointShare]
    """Transaction name to its share, at most 10 and ``other``: those with the most time."""
    lines: tuple[CodeLine, ...] = ()
    """At most 5: those with the most time, and some only."""

    @classmethod
    def sum_of(cls, operation: str, figures: Iterable[Self]) -> Self:
        """Return the sums of several operations as those of another one, without a detail, and without lines."""
        durations = Histogram()
        count = errors = 0
        total = 0.0
        endpoints = []
        for given in figures:
            durations.merge(given.durations)
            count += given.count
            errors += given.errors
            total += given.total
            endpoints.append(given.endpoints)
        return cls(
            operation=operation,
            detail="",
            count=count,
            errors=errors,
            total=total,
            durations=durations,
            endpoints=sum_of_shares(endpoints),
        )


def sum_of_shares(given: Iterable[dict[str, EndpointShare]]) -> dict[str, EndpointShare]:
    """Return the sums by name, the most time first: at most 10 names, and ``other``."""
    sums: dict[str, EndpointShare] = {}
    for shares in given:
        for name, share in shares.items():
            sums[name] = _sum(sums.get(name), share)
    other = sums.pop(OTHER_NAME, None)
    listed = sorted(sums.items(), key=lambda item: -item[1].total)
    for _, share in listed[MOST_ENDPOINTS:]:
        other = _sum(other, share)
    found = dict(listed[:MOST_ENDPOINTS])
    return found if other is None else {**found, OTHER_NAME: other}


def _sum(first: EndpointShare | None, second: EndpointShare) -> EndpointShare:
    if first is None:
        return second
    return EndpointShare(
        count=first.count + second.count,
        total=first.total + second.total,
        repeated=first.repeated + second.repeated,
    )
