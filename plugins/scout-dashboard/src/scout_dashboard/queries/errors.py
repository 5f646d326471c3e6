"""Recorded errors as JSON: each exception with its frames, and those that it was raised from or consists of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scout_core.measuring.error_report import ErrorReport, ExceptionReport
from scout_core.measuring.report import Trace

Facts = dict[str, Any]
"""Ready for JSON. Any: each key has its own type."""


def errors_of(trace: Trace) -> list[Facts]:
    """Return the errors of a trace: first those that made it fail."""
    return [error_facts(error) for error in trace.errors]


def error_facts(error: ErrorReport) -> Facts:
    """Return an error; ``related`` are its other exceptions, each with the ``depth`` at which it is shown, 1 or more."""
    return {
        **_exception(error),
        "handled": error.handled,
        "group": error.group or None,
        "where": error.where or None,
        "left_out": dict(error.left_out),
        "related": _related(error),
    }


def _related(error: ErrorReport) -> list[Facts]:
    depths = [0]
    related = []
    for number, exception in enumerate(error.related, start=1):
        parent = exception.parent if exception.parent < number else 0  # a sender may have written anything
        depths.append(depths[parent] + 1)
        related.append(
            {
                **_exception(exception),
                "relation": exception.relation,
                "parent": parent,
                "depth": depths[number],
            }
        )
    return related


def _exception(exception: ExceptionReport) -> Facts:
    return {
        "exception": exception.exception,
        "message": exception.message,
        "notes": list(exception.notes),
        "frames": frames_of(exception.frames, exception.in_app),
    }


def frames_of(frames: Sequence[tuple[str, int, str]], in_app: Sequence[bool]) -> list[Facts]:
    """
    Return calls as JSON, each with ``in_app``.

    Args:
        in_app: for each of them, whether it is the application's own code; of any other length: it is not known.
    """
    known: Sequence[bool | None] = in_app if len(in_app) == len(frames) else [None] * len(frames)
    return [
        {"file": file, "line": line, "function": function, "in_app": is_own}
        for (file, line, function), is_own in zip(frames, known, strict=True)
    ]
