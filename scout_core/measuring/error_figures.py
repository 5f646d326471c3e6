"""The errors of the open period by group, counted whether traces are kept or not. On the agent's thread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from scout_core.clocks import time
from scout_core.measuring.error_groups import failure_group, identify
from scout_core.measuring.error_report import ErrorExample, ErrorGroupMetrics
from scout_core.measuring.numbers import hex_id
from scout_core.operations import OTHER_NAME, counted_under
from scout_core.text.tags import clean_tags

if TYPE_CHECKING:
    from scout_core.measuring.error_groups import ErrorGroup
    from scout_core.measuring.error_report import ErrorReport
    from scout_core.measuring.report import Trace
    from scout_core.recording.transaction import Transaction

MOST_GROUPS: Final = 200
"""Groups of one period; the errors of further ones are counted under ``other``."""
MOST_ENDPOINTS: Final = 20
"""Names of transactions in a group."""
EXAMPLE_SECONDS: Final = 600.0
"""Time between two examples of one group."""
MOST_EXAMPLES: Final = 50
"""Examples of one period; further groups get theirs in a later one."""
MOST_KNOWN: Final = 1_000
"""Groups of which it is known when an example was last sent; the one longest ago is forgotten first."""


class GroupFigures:
    """The errors of one group so far in this period."""

    __slots__ = ("group", "message", "count", "handled", "endpoints", "first", "last", "example")

    def __init__(self, group: ErrorGroup | None, now: float) -> None:
        self.group = group
        """None: the errors beyond the limits."""
        self.message = ""
        self.count = 0
        self.handled = 0
        self.endpoints: dict[str, int] = {}
        self.first = self.last = now
        self.example: ErrorExample | None = None

    def add(self, name: str, count: int, *, handled: int, message: str, now: float) -> None:
        """Count errors in transactions of one name."""
        self.count += count
        self.handled += handled
        name = counted_under(name, self.endpoints, MOST_ENDPOINTS)
        self.endpoints[name] = self.endpoints.get(name, 0) + count
        self.message = message if self.group is not None else ""
        self.first, self.last = min(self.first, now), max(self.last, now)  # the clock may be set back

    def freeze(self, trace: str) -> ErrorGroupMetrics:
        """As it goes into the report; ``trace`` is the id of a kept one."""
        group = self.group
        return ErrorGroupMetrics(
            group=group.key if group else OTHER_NAME,
            title=group.title if group else OTHER_NAME,
            exception=group.exception if group else "",
            cause=group.cause if group else "",
            where=group.place if group else "",
            message=self.message,
            count=self.count,
            handled=self.handled,
            endpoints=self.endpoints,
            first=self.first,
            last=self.last,
            trace=trace,
            example=self.example,
        )


class ErrorFigures:
    """The groups of the open period, and when each last had an example."""

    def __init__(self) -> None:
        self.merged = 0
        """Errors counted under ``other``, in this process."""
        self._groups: dict[str, GroupFigures] = {}
        self._examples = 0
        self._example_at: dict[str, float] = {}
        """Key to Unix time, the latest last."""

    def add(self, name: str, transaction: Transaction, errors: Iterable[ErrorReport], *, has_failed: bool) -> None:
        """
        Count the errors of a transaction; one that failed without any is counted as such.

        Args:
            name: under which its figures are counted.
            errors: ``transaction.errors``.
        """
        now = time()
        listed = 0
        for error in errors:
            listed += 1
            figures = self._groups.get(error.group) or self._figures_of(error.group, identify(error), now)
            figures.add(name, 1, handled=error.handled, message=error.message, now=now)
            if figures.example is None and figures.group is not None and self._needs_example(error.group, now):
                figures.example = _example(name, transaction, error, now)
                self._examples += 1
                self._example_at.pop(error.group, None)
                self._example_at[error.group] = now
                if len(self._example_at) > MOST_KNOWN:
                    del self._example_at[next(iter(self._example_at))]
        beyond = transaction.error_count - listed
        if beyond > 0:
            self.add_unknown(name, beyond)
        if has_failed and not listed and not beyond:
            group = failure_group(name)
            figures = self._groups.get(group.key) or self._figures_of(group.key, group, now)
            figures.add(name, 1, handled=0, message="", now=now)

    def add_unknown(self, name: str, count: int) -> None:
        """Count errors of which nothing else is known."""
        now = time()
        self.merged += count
        other = self._groups.get(OTHER_NAME) or self._figures_of(OTHER_NAME, None, now)
        other.add(name, count, handled=0, message="", now=now)

    def take(self, traces: Iterable[Trace]) -> tuple[ErrorGroupMetrics, ...]:
        """Remove and return the groups of the period, which is over; ``traces`` were kept in it."""
        if not self._groups:
            return ()
        kept = {error.group: trace.id for trace in traces for error in trace.errors}
        groups, self._groups, self._examples = self._groups, {}, 0
        return tuple(figures.freeze(kept.get(key, "")) for key, figures in groups.items())

    def _figures_of(self, key: str, group: ErrorGroup | None, now: float) -> GroupFigures:
        if len(self._groups) >= MOST_GROUPS and group is not None:
            self.merged += 1
            return self._groups.get(OTHER_NAME) or self._figures_of(OTHER_NAME, None, now)
        return self._groups.setdefault(key, GroupFigures(group, now))

    def _needs_example(self, key: str, now: float) -> bool:
        last = self._example_at.get(key)
        is_due = last is None or not 0 <= now - last < EXAMPLE_SECONDS  # also when the clock was set back
        return is_due and self._examples < MOST_EXAMPLES


def _example(name: str, transaction: Transaction, error: ErrorReport, now: float) -> ErrorExample:
    return ErrorExample(
        name=name,
        time=now,
        error=error,
        tags=clean_tags(transaction.tags)[0],
        trace=hex_id(transaction.id),
    )
