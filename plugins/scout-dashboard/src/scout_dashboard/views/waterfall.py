"""A trace as rows of a timeline: position and own time of each span, with many equal calls folded into one row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from scout_dashboard.queries.names import DETAILS
from scout_dashboard.views.frames import Frame
from scout_dashboard.views.palette import kind_class

Span = Mapping[str, Any]  # Any: one span of the trace's JSON
FOLD_FROM: Final = 4
"""From this number, equal calls of one parent are folded into one row, so that a loop of queries stands out."""
MAX_INDENT: Final = 12
"""Rows at a greater depth are not indented further."""
_MOST_BARS: Final = 200
_VISIBLE_GAP: Final = 0.1
"""Percent of the timeline."""


@frozen
class Bar:
    """An interval in percent of the timeline."""

    x: float
    width: float


@frozen(kw_only=True)
class Row:
    """One row of the timeline: a span, or several equal calls."""

    spans: tuple[Span, ...]
    operation: str
    detail: str
    kind: str
    css: str
    indent: int
    bars: tuple[Bar, ...]
    """One bar for each span; where there are many, those without a visible gap are joined."""
    own: tuple[Bar, ...]
    """The parts during which no child ran; empty for a span without children, which consists of own time."""
    has_children: bool
    duration_ms: float
    exclusive_ms: float
    error: str | None
    stack: Sequence[Frame]
    """The calls that led to the span, or to the first of several whose calls were noted; empty: of none."""


@frozen
class Timeline:
    """All rows over one axis."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, float], ...]
    """``(percent, ms)``, at most six, at round numbers."""
    end_ms: float


def timeline(spans: Iterable[Span]) -> Timeline:
    """Return the rows of a trace in the order of its JSON: parents before children, earlier before later."""
    spans = tuple(spans)
    end = max((span["start_ms"] + span["duration_ms"] for span in spans), default=0.0) or 1.0
    children = defaultdict(list)
    for span in spans:
        if span["id"] != span["parent"]:
            children[span["parent"]].append(span)
    rows = tuple(_row(run, children, end) for run in _runs(spans, children))
    return Timeline(rows, tuple(_ticks(end)), end)


def detail_of(tags: Mapping[str, Any]) -> str:
    """Return what distinguishes a call from others of its operation: its statement, URL or template."""
    return next((str(tags[key]) for key in DETAILS if tags.get(key)), "")


def _runs(spans: tuple[Span, ...], children: Mapping[int, list[Span]]) -> Iterator[tuple[Span, ...]]:
    """Yield each span, or at the position of the first all equal calls of one parent without children and errors."""
    equal: dict[tuple[object, ...], list[Span]] = defaultdict(list)
    for span in spans:
        equal[_identity(span, children)].append(span)
    for span in spans:
        run = equal[_identity(span, children)]
        if len(run) < FOLD_FROM:
            yield (span,)
        elif run[0] is span:
            yield tuple(run)


def _identity(span: Span, children: Mapping[int, list[Span]]) -> tuple[object, ...]:
    is_unique = span["id"] in children or span["error"]
    return span["parent"], span["operation"], detail_of(span["tags"]), span["id"] if is_unique else None


def _row(run: tuple[Span, ...], children: Mapping[int, list[Span]], end: float) -> Row:
    first = run[0]
    below = children.get(first["id"], ())
    return Row(
        spans=run,
        operation=first["operation"],
        detail=detail_of(first["tags"]),
        kind=first["kind"],
        css=kind_class(first["kind"]),
        indent=min(first["depth"], MAX_INDENT),
        bars=_bars(run, end),
        own=tuple(_bar(start, stop, end) for start, stop in (_gaps(first, below) if below else ())),
        has_children=bool(below),
        duration_ms=sum(span["duration_ms"] for span in run),
        exclusive_ms=sum(span["exclusive_ms"] for span in run),
        error=first["error"],
        stack=next((span["stack"] for span in run if span["stack"]), ()),
    )


def _gaps(span: Span, children: Iterable[Span]) -> Iterator[tuple[float, float]]:
    """Yield the intervals of own time: those without any child, where children may overlap."""
    reached: float = span["start_ms"]
    stop: float = span["start_ms"] + span["duration_ms"]
    for child in sorted(children, key=lambda child: float(child["start_ms"])):
        if child["start_ms"] > reached:
            yield reached, min(child["start_ms"], stop)
        reached = max(reached, child["start_ms"] + child["duration_ms"])
    if reached < stop:
        yield reached, stop


def _bars(run: Iterable[Span], end: float) -> tuple[Bar, ...]:
    bars = sorted(
        (_bar(span["start_ms"], span["start_ms"] + span["duration_ms"], end) for span in run), key=lambda bar: bar.x
    )
    if len(bars) <= _MOST_BARS:
        return tuple(bars)
    joined = [bars[0]]
    for bar in bars[1:]:
        last = joined[-1]
        if bar.x - (last.x + last.width) < _VISIBLE_GAP:
            joined[-1] = Bar(last.x, round(max(last.width, bar.x + bar.width - last.x), 3))
        else:
            joined.append(bar)
    return tuple(joined)


def _bar(start: float, stop: float, end: float) -> Bar:
    x = max(0.0, min(100.0, 100 * start / end))
    return Bar(round(x, 3), round(max(0.0, min(100.0 - x, 100 * (stop - start) / end)), 3))


def _ticks(end: float) -> Iterator[tuple[float, float]]:
    """Yield three to six ticks at 1, 2 or 5 times a power of ten."""
    power = 10.0**-6
    while power * 10 < end:
        power *= 10
    step = next(power * factor for factor in (0.2, 0.5, 1, 2, 5) if end / (power * factor) < 6)
    number = 0
    while number * step <= end:
        yield round(100 * number * step / end, 3), number * step
        number += 1
