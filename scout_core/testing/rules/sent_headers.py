"""The rule about calls that send headers, and the arguments of a call without them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

from scout_core.recording.trace.context import TRACEPARENT
from scout_core.testing.leaks import raw_target
from scout_core.testing.rules.calls import Bench, Bound, run_within
from scout_core.testing.rules.probes import Side
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.targets import Target

_ADVICE: Final = (
    "return a span, or trace_headers(url), from the describer of the call that sends the request,"
    " and name the parameter of its headers, and what a call without headers stands for (default_headers)"
)


def headers(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check that targets that send headers do: ``traceparent``, once in each call."""
    with bench.probed() as (_, passages):
        run_within(bound)
    reached = [passage for passage in passages if passage.target.headers and passage.below]
    counts = [_count(passage.target, passage.below[0]) for passage in reached]
    for passage, count in zip(reached, counts, strict=True):
        if count > 1:
            evidence = f"{passage.target.name} sent {TRACEPARENT} {count} times in one call"
            yield Violation("headers", evidence, "leave it to wrap(..., headers=) to add it", bound.call.name)
    if reached and not any(counts):
        evidence = f"no call of {reached[0].target.name} sent {TRACEPARENT}"
        yield Violation("headers", evidence, _ADVICE, bound.call.name)


def other_arguments(target: Target, side: Side) -> dict[int | str, Any]:  # Any: whatever a call is given
    """Return the arguments of a call by position or name, without its headers."""
    given: dict[int | str, Any] = dict(enumerate(side.args))
    given.update(side.kwargs)
    if target.headers is not None:
        given.pop(target.headers, None)
        given.pop(_position(target), None)
    return given


def _count(target: Target, side: Side) -> int:
    position = _position(target)
    passed = side.args[position] if 0 <= position < len(side.args) else None
    given: Any = side.kwargs.get(target.headers or "", passed)  # Any: whatever the library takes
    pairs = given.items() if hasattr(given, "items") else given or ()
    names = (name.decode("latin-1") if isinstance(name, bytes) else str(name) for name, _ in pairs)
    return sum(name.lower() == TRACEPARENT for name in names)


def _position(target: Target) -> int:
    """Position of the headers among the arguments; -1: only by keyword."""
    raw = raw_target(target.name)
    try:
        parameters = inspect.signature(getattr(raw, "__func__", raw)).parameters
    except (TypeError, ValueError):
        return -1
    found = parameters.get(target.headers or "")
    is_keyword = found is None or found.kind in (found.KEYWORD_ONLY, found.VAR_KEYWORD, found.VAR_POSITIONAL)
    return -1 if is_keyword else list(parameters).index(target.headers or "")
