"""The rule that a plugin ends what it begins."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from threading import Event
from typing import Final

from scout_core.clocks import monotonic
from scout_core.recording.context import has_ended
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.testing.rules.calls import Bench, Bound
from scout_core.testing.rules.probes import watching_spans
from scout_core.testing.rules.problems import Violation

PATIENCE: Final = 1.0
"""Seconds for other threads, such as those of a server, to end what they have begun."""


def ends(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check that every span and transaction that begins with a call has ended after it."""
    with bench.recording(), watching_spans() as created:
        with Transaction("Job/conformance") as ours:
            bound.run()
            left = _left_open([span for span, _ in created if span is not ours])
        created.clear()
        bound.run()
        left += _left_open([span for span, _ in created])
    for operation in dict.fromkeys(span.operation for span in left):
        evidence = f"{operation} began and did not end"
        advice = (
            "use a with statement, or call end() wherever it is over: also after an error, and when a stream is closed"
        )
        yield Violation("ends", evidence, advice, bound.call.name)


def _left_open(created: list[Span]) -> list[Span]:
    deadline = monotonic() + PATIENCE
    while left := [span for span in created if span.start_ns and span.transaction and not has_ended(span)]:
        gc.collect()  # a stream that was dropped ends its span when it is freed
        if monotonic() > deadline:
            break
        Event().wait(0.01)
    return left
