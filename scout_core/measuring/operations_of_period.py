"""The operations of the open period, counted whether traces are kept or not. On the agent's thread, once for each span."""

from __future__ import annotations

from math import ceil, log
from typing import TYPE_CHECKING, Final

from scout_core.measuring.histogram import FIRST, PER_LOG, SHORTEST
from scout_core.measuring.metrics import MAX_KINDS
from scout_core.measuring.operation_details import DIALECT, STATEMENT, TEMPLATES, URL, clean_detail, host_or_template
from scout_core.measuring.operation_figures import COUNT, ERRORS, REPEATED, TOTAL, OperationFigures
from scout_core.measuring.operation_lines import lines_of, paused_ns
from scout_core.operations import OTHER, OTHER_NAME, counted_under, kind_of

if TYPE_CHECKING:
    from scout_core.measuring.operation_report import OperationMetrics
    from scout_core.measuring.trace_report import SpanRepeat
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction
    from scout_core.tracebacks import Frame

MOST_OPERATIONS: Final = 1_000
"""Operations with details that are counted separately within a period; further ones are counted under ``Kind/other``."""
MOST_TEXTS: Final = 5_000
"""Details, before they are cleaned, of which it is known what they become."""
MOST_CHARACTERS: Final = 1_000_000
"""The same, of all of them together: statements with literals are long, and each is another one."""
SHORTEST_NS: Final = SHORTEST * 1e9


class Operations:
    """Those of the open period."""

    def __init__(self) -> None:
        self.merged = 0
        """Spans counted under ``Kind/other``, in this process."""
        self._figures: dict[tuple[str, str], OperationFigures] = {}
        """Operation and detail to the figures."""
        self._known: dict[tuple[str, object, object], OperationFigures] = {}
        """Operation, detail before it is cleaned, and dialect to the same."""
        self._characters = 0
        self._others: dict[str, OperationFigures] = {}
        """Kind to the figures of operations that are not counted separately."""
        self._plain: dict[str, OperationFigures] = {}
        """Operation to the same, for spans that only their operation distinguishes."""

    def add(self, name: str, transaction: Transaction) -> None:
        """
        Count the spans of a transaction.

        Args:
            name: under which its figures are counted.

        Raises:
            Exception: an attribute that the application or a plugin has set is not of the expected type; the spans before are counted.
        """
        known, plain = self._known, self._plain
        pauses = getattr(transaction, "own_pauses", None)
        for span in transaction.spans:
            tags = span.own_tags
            figures = None
            if STATEMENT in tags:
                dialect = tags.get(DIALECT)
                statement = tags[STATEMENT]
                if type(statement) is str and (dialect is None or type(dialect) is str):
                    figures = known.get((span.own_operation, statement, dialect))
            elif URL not in tags:
                figures = plain.get(span.own_operation)
            if figures is None:
                figures = self._figures_of(span)
            duration_ns = span.stop_ns - span.start_ns
            if pauses is not None:
                duration_ns -= paused_ns(pauses, span)
            if duration_ns > SHORTEST_NS:
                # As bucket_of, whose call would be a sixth of the cost of a span.
                bucket = ceil(log(duration_ns / 1e9) * PER_LOG)
            else:
                bucket = FIRST
                if not duration_ns > 0:  # an application can set both, to NaN as well
                    duration_ns = 0
            share = figures.shares.get(name) or figures.share_of(name)
            share[COUNT] += 1
            share[TOTAL] += duration_ns
            if span.error is not None:
                share[ERRORS] += 1
            buckets = figures.buckets
            buckets[bucket] = buckets.get(bucket, 0) + 1
        if transaction.merged:
            for operation, (count, total_ns, _, errors) in transaction.merged.items():
                share = self._named(operation, "").share_of(name)
                share[COUNT] += count
                share[TOTAL] += max(total_ns, 0)
                share[ERRORS] += errors
        self._add_lines(name, transaction)

    def take(self, most: int) -> tuple[OperationMetrics, ...]:
        """Remove and return those of the period, which is over: the most time first, at most so many and one ``other`` of each kind."""
        listed = sorted(self._figures.values(), key=lambda figures: -figures.total_ns)
        for figures in listed[most:]:
            self._other_of(figures.operation).merge(figures)
        others = list(self._others.values())
        self.merged += sum(figures.count for figures in others)
        self._figures, self._others, self._known, self._plain, self._characters = {}, {}, {}, {}, 0
        return tuple(figures.freeze() for figures in (*listed[:most], *others))

    def _figures_of(self, span: Span) -> OperationFigures:
        operation, tags = span.own_operation, span.own_tags
        value, dialect = tags.get(STATEMENT), None
        if type(value) is str:
            key, given = STATEMENT, tags.get(DIALECT)
            if type(given) is str:
                dialect = given
        else:
            key, value = host_or_template(operation, tags)
            if not key and not operation.startswith(TEMPLATES):
                return self._plain.get(operation) or self._know_plain(operation)
        text = operation, value, dialect if key == STATEMENT else key
        return self._known.get(text) or self._know(text, key, value, dialect)

    def _know(self, text: tuple[str, object, object], key: str, value: str, dialect: str | None) -> OperationFigures:
        figures = self._named(text[0], clean_detail(key, value, dialect))
        if len(self._known) >= MOST_TEXTS or self._characters + len(value) > MOST_CHARACTERS:
            self._known.clear()
            self._characters = 0
        self._known[text] = figures
        self._characters += len(value)
        return figures

    def _know_plain(self, operation: str) -> OperationFigures:
        if len(self._plain) >= MOST_TEXTS:
            self._plain.clear()
        return self._plain.setdefault(operation, self._named(operation, ""))

    def _named(self, operation: str, detail: str) -> OperationFigures:
        found = self._figures.get((operation, detail))
        if found is None and len(self._figures) >= MOST_OPERATIONS:
            return self._other_of(operation)
        return found or self._figures.setdefault((operation, detail), OperationFigures(operation, detail))

    def _other_of(self, operation: str) -> OperationFigures:
        kind = counted_under(kind_of(operation), self._others, MAX_KINDS, OTHER)
        return self._others.get(kind) or self._others.setdefault(kind, OperationFigures(f"{kind}/{OTHER_NAME}", ""))

    def _add_lines(self, name: str, transaction: Transaction) -> None:
        """Count the lines of repeated calls, and those of slow ones that are not among them."""
        counted: set[tuple[int, Frame]] = set()
        if hasattr(transaction, "own_repeats"):
            repeating: set[int] = set()
            for repeat in transaction.repeats:
                figures = self._repeated(transaction, repeat)
                if figures is None:
                    continue
                if id(figures) not in repeating:  # several lines of one transaction may repeat it
                    repeating.add(id(figures))
                    figures.share_of(name)[REPEATED] += 1
                if repeat.file:
                    line = repeat.file, repeat.line, repeat.function
                    counted.add((id(figures), line))
                    figures.add_line(line, repeat.count, round(repeat.seconds * 1e9))
        if hasattr(transaction, "own_stacks"):
            pauses = getattr(transaction, "own_pauses", None) or {}
            for span, line in lines_of(transaction):
                figures = self._figures_of(span)
                if (id(figures), line) not in counted:
                    figures.add_line(line, 1, max(span.stop_ns - span.start_ns - paused_ns(pauses, span), 0))

    def _repeated(self, transaction: Transaction, repeat: SpanRepeat) -> OperationFigures | None:
        """Return what a line repeats; None where its calls go to several hosts, or it is not counted separately."""
        if repeat.statement:
            return self._figures.get((repeat.operation, repeat.statement))
        found = {
            id(figures): figures
            for span in transaction.spans
            if span.own_operation == repeat.operation and type(span.own_tags.get(STATEMENT)) is not str
            for figures in (self._figures_of(span),)
        }
        return found.popitem()[1] if len(found) == 1 else None
