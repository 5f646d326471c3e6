"""Why one trace was kept: the points of each policy, and what it was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scout_core.measuring.report import Trace
from scout_core.operations import is_web
from scout_core.suggest import did_you_mean
from scout_dashboard.errors import NotFound, PolicyError
from scout_dashboard.policy.evidence import Estimates
from scout_dashboard.queries.figures import Facts
from scout_dashboard.queries.saw import saw
from scout_dashboard.ranges import Range
from scout_dashboard.store.kept import TraceRow, beside, find_trace, ids_beginning, list_traces
from scout_dashboard.store.reader import Reader

_EVER: Final = Range(start=0, end=4_102_444_800, step=86_400, label="ever", key=None)
_LATEST: Final = 2_000
"""Among so many of the newest traces a mistyped id is looked for."""


def newest(reader: Reader, *, name: str | None = None, limit: int = 20) -> list[TraceRow]:
    """Traces to choose from."""
    return list_traces(reader, _EVER, order="newest", limit=limit, name=name)


def found(reader: Reader, text: str) -> str:
    """
    The id of the trace that is meant.

    Args:
        text: an id, or as much of its beginning as no other has.

    Raises:
        PolicyError: several begin so.
        NotFound: none does; the message says what may have been meant.
    """
    ids = ids_beginning(reader, text, limit=6) if text and set(text.lower()) <= set("0123456789abcdef") else []
    if len(ids) > 1 and text.lower() not in ids:
        raise PolicyError(f"several traces begin with {text!r}: {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")
    if ids:
        return ids[0] if len(ids) == 1 else text.lower()
    raise NotFound(f"no trace {text[:40]!r} is stored{_hint(reader, text)}")


def explain(reader: Reader, trace_id: str, estimates: Estimates) -> Facts:
    """
    Everything that is known of why it was kept.

    Raises:
        NotFound: it is gone.
    """
    whole = find_trace(reader, trace_id)
    if whole is None:
        raise NotFound(f"trace {trace_id} is not stored any more")
    row, trace = whole
    evidence = estimates.of(row, trace)
    figures = evidence.figures()
    rivals = [other for other in beside(reader, row) if is_web(other.name) == is_web(row.name)]
    return {
        "id": row.id,
        "name": row.name,
        "app": row.app,
        "host": row.host,
        "instance": row.instance or None,
        "start": row.start,
        "score": round(row.score, 4),
        "rank": 1 + sum(other.score > row.score for other in rivals),
        "rivals": [{"id": other.id, "name": other.name, "score": round(other.score, 4)} for other in rivals],
        "policies": [
            {"policy": policy, "points": round(points, 4), "saw": _saw(policy, trace, figures)}
            for policy, points in sorted(row.policies.items(), key=lambda item: (-item[1], item[0]))
        ],
        "transaction": {
            "duration": row.duration,
            "queue_time": row.queue_time,
            "is_error": row.is_error,
            "error": None if trace.error is None else trace.error.exception,
            "tags": trace.tags,
            "spans": len(trace.spans),
        },
        "stats": figures,
        "estimated": sorted(evidence.estimated),
    }


def _saw(policy: str, trace: Trace, figures: Mapping[str, float]) -> str:
    phrase = saw(policy, name=trace.name, duration=trace.duration, figures=figures)
    if phrase is not None:
        return phrase
    tags = ", ".join(f"{key}={value}" for key, value in sorted(trace.tags.items())[:6])
    return f"the transaction{' with ' + tags if tags else ''}, and the stats below"


def _hint(reader: Reader, text: str) -> str:
    rows = newest(reader, limit=_LATEST)
    if not rows:
        return ": nothing was kept yet; run the application for a minute"
    named = [row.id for row in rows if text.lower() in row.name.lower()][:3] if len(text) > 2 else []
    if named:
        return f"; that is a name, whose newest traces are {', '.join(named)}"
    hint = did_you_mean(text.lower(), [row.id for row in rows], cutoff=0.7)
    return f"; {hint}" if hint else "; 'scout-core policy explain' without a trace lists the newest"
