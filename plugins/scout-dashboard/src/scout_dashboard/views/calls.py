"""The other traces that the spans of a trace called: other services, and jobs that they published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]
"""A row of ``related``, or a span, in the trace's JSON. Any: texts and numbers."""


def called_by_span(related: Iterable[Row]) -> dict[int, list[Row]]:
    """Return the id of a span to the traces that it called, in order of their start."""
    found: dict[int, list[Row]] = {}
    for row in related:
        if row["called_from_span"] is not None:
            found.setdefault(row["called_from_span"], []).append(row)
    return found


def called_from(spans: Iterable[Row], called: Mapping[int, list[Row]]) -> list[Row]:
    """Return the traces that any of these spans called, from the result of ``called_by_span``."""
    return [row for span in spans for row in called.get(span["id"], ())]


def caller_of(related: Iterable[Row]) -> Row | None:
    """Return the trace that called this one, or published it; None when there is not one, or it is not stored."""
    return next((row for row in related if row["is_caller"]), None)
