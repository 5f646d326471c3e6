"""Explains why a trace was kept: the points of each policy, and the statistics behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scout_core.measuring.report import Trace
from scout_core.operations import is_web
from scout_core.suggest import did_you_mean
from scout_dashboard.errors import NotFound, PolicyError
from scout_dashboard.policy.evidence import Estimates
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.phrases import describe_evidence, group_of
from scout_dashboard.ranges import LATEST, Range
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.traces import TraceRow, find_trace, ids_with_prefix, list_traces, traces_of_same_report

_EVER: Final = Range(start=0, end=LATEST, step=86_400, label="ever", key=None)
_LATEST: Final = 2_000
"""Number of newest traces among which similar ids are searched."""


def newest(reader: Reader, *, name: str | None = None, limit: int = 20) -> list[TraceRow]:
    """Return the newest traces."""
    return list_traces(reader, _EVER, order="newest", limit=limit, name=name)


def resolve_id(reader: Reader, text: str) -> str:
    """
    Return the full id of a trace.

    Args:
        text: an id or a unique prefix of one.

    Raises:
        PolicyError: the prefix is ambiguous.
        NotFound: no id starts with it; the message suggests alternatives.
    """
    ids = ids_with_prefix(reader, text, limit=6) if text and set(text.lower()) <= set("0123456789abcdef") else []
    if len(ids) > 1 and text.lower() not in ids:
        raise PolicyError(f"ambiguous trace id {text!r}; it matches {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")
    if ids:
        return ids[0] if len(ids) == 1 else text.lower()
    raise NotFound(f"trace {text[:40]!r} is not stored{_hint(reader, text)}")


def explain(reader: Reader, trace_id: str, estimates: Estimates) -> Facts:
    """
    Return everything that is known about why a trace was kept.

    Raises:
        NotFound: the trace has expired.
    """
    stored = find_trace(reader, trace_id)
    if stored is None:
        raise NotFound(f"trace {trace_id} has expired")
    row, trace = stored
    evidence = estimates.of(row, trace)
    figures = evidence.figures()
    rivals = [other for other in traces_of_same_report(reader, row) if is_web(other.name) == is_web(row.name)]
    return {
        "id": row.id,
        "name": row.name,
        "app": row.app,
        "host": row.host,
        "instance": row.instance or None,
        "start": row.start,
        "score": round(row.score, 4),
        "rank": 1 + sum(other.score > row.score for other in rivals),
        "group": group_of(trace),
        "rivals": [{"id": other.id, "name": other.name, "score": round(other.score, 4)} for other in rivals],
        "policies": [
            {"policy": policy, "points": round(points, 4), "evidence": _evidence_text(policy, trace, figures)}
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


def _evidence_text(policy: str, trace: Trace, figures: Mapping[str, float]) -> str:
    phrase = describe_evidence(policy, trace, figures)
    if phrase is not None:
        return phrase
    tags = ", ".join(f"{key}={value}" for key, value in sorted(trace.tags.items())[:6])
    return f"transaction{' with ' + tags if tags else ''}, and the statistics below"


def _hint(reader: Reader, text: str) -> str:
    rows = newest(reader, limit=_LATEST)
    if not rows:
        return ": no trace has been kept yet; run the application for a minute"
    matches = [row.id for row in rows if text.lower() in row.name.lower()][:3] if len(text) > 2 else []
    if matches:
        return f"; the newest traces with that name are {', '.join(matches)}"
    hint = did_you_mean(text.lower(), [row.id for row in rows], cutoff=0.7)
    return f"; {hint}" if hint else "; run 'scout-core policy explain' to list the newest traces"
