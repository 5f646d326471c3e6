"""Operations of all transactions: which statement, host or template takes most time, and the endpoints and lines that call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from scout_core.operations import OTHER, OTHER_NAME, kind_of
from scout_dashboard.errors import NotFound
from scout_dashboard.queries import metrics, traces
from scout_dashboard.queries.deploys import deploys
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.ranges import Range
from scout_dashboard.store.operation_figures import (
    DescribedOperation,
    RankedOperation,
    Whole,
    by_operation,
    described,
    figures_of,
    find_operation,
    of_name,
    transactions_of,
)
from scout_dashboard.store.operation_sums import OperationSums
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollups import Coverage, coverage_of
from scout_dashboard.store.sums import Sums

_BY: Final[Mapping[str, Callable[[Facts], float]]] = {
    "time": lambda row: row["total_ms"],
    "calls": lambda row: row["count"],
    "mean": lambda row: row["mean_ms"] or 0.0,
    "p95": lambda row: row["p95_ms"] or 0.0,
    "errors": lambda row: row["error_rate"] or 0.0,
}
SORTS: Final = tuple(_BY)
"""Orders of the list: the largest first."""
_LONGEST_LABEL: Final = 300
_TRACED: Final = 4
"""Endpoints whose traces are listed."""
_TRACES: Final = 3
_UNKNOWN: Final = DescribedOperation(f"{OTHER}/unknown", "")
"""The row with its text cannot be read."""


def operations(reader: Reader, when: Range, *, kind: str | None, sort: str) -> Facts:
    """
    Return the operations of the range.

    Args:
        kind: select only this one, such as ``SQL``; shares always refer to all operations of their kind.
        sort: one of ``SORTS``.
    """
    found = by_operation(reader, when)
    texts = described(reader, when, found)
    coverage = coverage_of(reader, when)
    kinds = _kinds(found, texts)
    rows = [
        _row(op, texts.get(op, _UNKNOWN), ranked, kinds, coverage)
        for op, ranked in found.items()
        if kind in (None, kind_of(texts.get(op, _UNKNOWN).operation))
    ]
    rows.sort(key=lambda row: (-_BY[sort](row), -row["total_ms"], row["id"]))
    listed = sorted(kinds, key=lambda of: (-kinds[of].total, of))
    return {
        "kind": kind,
        "sort": sort,
        "kinds": [
            {"kind": of, "count": kinds[of].count, "total_ms": metrics.milliseconds(kinds[of].total)} for of in listed
        ],
        "rows": rows,
    }


def of_endpoint(reader: Reader, when: Range, name: str, whole: Sums, *, limit: int) -> list[Facts]:
    """Return the operations with the most time in transactions of one name; ``whole`` has all of these."""
    shares = of_name(reader, when, name)
    most = sorted(shares, key=lambda op: (-shares[op].total, op))[:limit]
    texts = described(reader, when, most)
    return [
        _identity(op, texts.get(op, _UNKNOWN))
        | {
            "count": shares[op].count,
            "calls_per_transaction": round(shares[op].count / whole.count, 3) if whole.count else None,
            "total_ms": metrics.milliseconds(shares[op].total),
            "mean_ms": metrics.mean_ms(shares[op].total, shares[op].count),
            "share": round(shares[op].total / whole.total, 6) if whole.total else 0.0,
            "repeated": min(shares[op].repeated, whole.count),
            "transactions": whole.count,
        }
        for op in most
    ]


def detail(reader: Reader, when: Range, *, op: str) -> Facts:
    """
    Return one operation.

    Raises:
        NotFound: the store has no data for this id.
    """
    text = find_operation(reader, op, app=when.app)
    if text is None:
        raise NotFound(f"no operation {op[:40]!r}: it was never reported, or its data has expired")
    whole, coverage = figures_of(reader, when, op), coverage_of(reader, when)
    kind = kind_of(text.operation)
    found = by_operation(reader, when)
    kinds = _kinds(found, described(reader, when, found))
    of_kind = kinds[kind].total if kind in kinds else 0.0
    endpoints = _endpoints(reader, when, whole)
    lines = sorted(whole.lines.items(), key=lambda item: (-item[1][1], item[0]))
    return {
        **_identity(op, text),
        "totals": _totals(whole, coverage) | {"share": round(whole.total / of_kind, 6) if of_kind else None},
        "series": _series(whole.steps, when, coverage),
        **deploys(reader, when),
        "endpoints": endpoints,
        "lines": [
            {"file": file, "line": line, "function": function, "count": count, "total_ms": microseconds / 1e3}
            for (file, line, function), (count, microseconds) in lines
        ],
        "traces": [
            row
            for endpoint in endpoints[:_TRACED]
            if not endpoint["is_other"]
            for row in traces.rows(reader, when, name=endpoint["name"], order="newest", limit=_TRACES)
        ],
    }


def _kinds(found: Mapping[str, RankedOperation], texts: Mapping[str, DescribedOperation]) -> dict[str, RankedOperation]:
    """Return count and time of each kind."""
    kinds: dict[str, RankedOperation] = {}
    for op, ranked in found.items():
        of_kind = kinds.setdefault(kind_of(texts.get(op, _UNKNOWN).operation), RankedOperation())
        of_kind.add(ranked.count, ranked.errors, ranked.total, [])
    return kinds


def _identity(op: str, text: DescribedOperation) -> Facts:
    kind = kind_of(text.operation)
    is_other = text.operation == f"{kind}/{OTHER_NAME}" and not text.detail
    label = f"All other {kind}" if is_other else _one_line(text.detail) or text.operation
    return {
        "id": op,
        "kind": kind,
        "operation": text.operation,
        "detail": text.detail or None,
        "label": label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…",
        "is_other": is_other,
    }


def _one_line(statement: str) -> str:
    return " ".join(statement.split())


def _row(
    op: str,
    text: DescribedOperation,
    ranked: RankedOperation,
    kinds: Mapping[str, RankedOperation],
    coverage: Coverage | None,
) -> Facts:
    identity = _identity(op, text)
    of_kind = kinds[identity["kind"]].total
    return identity | {
        "count": ranked.count,
        "throughput_per_minute": metrics.per_minute(ranked.count, coverage),
        "errors": ranked.errors,
        "error_rate": metrics.rate(ranked.errors, ranked.count),
        "mean_ms": metrics.mean_ms(ranked.total, ranked.count),
        "p95_ms": metrics.milliseconds(ranked.durations.quantile(0.95)),
        "total_ms": metrics.milliseconds(ranked.total),
        "share": round(ranked.total / of_kind, 6) if of_kind else 0.0,
    }


def _endpoints(reader: Reader, when: Range, whole: Whole) -> list[Facts]:
    """Return the names of transactions with the most time in the operation, the sum of the others last."""
    known = transactions_of(reader, when, [name for name in whole.endpoints if name != OTHER_NAME])
    listed = sorted(whole.endpoints.items(), key=lambda item: (item[0] == OTHER_NAME, -item[1][1], item[0]))
    return [
        {
            "name": name,
            "label": label_of(name),
            "is_other": name == OTHER_NAME,
            "count": count,
            "total_ms": microseconds / 1e3,
            "mean_ms": metrics.mean_ms(microseconds / 1e6, count),
            "share": round(microseconds / 1e6 / whole.total, 6) if whole.total else 0.0,
            "transactions": (transactions := known.get(name)),
            "repeated": repeated if transactions is None else min(repeated, transactions),
        }
        for name, (count, microseconds, repeated) in listed
    ]


def _totals(whole: Whole, coverage: Coverage | None) -> Facts:
    return {
        "count": whole.count,
        "throughput_per_minute": metrics.per_minute(whole.count, coverage),
        "errors": whole.errors,
        "error_rate": metrics.rate(whole.errors, whole.count),
        "mean_ms": metrics.mean_ms(whole.total, whole.count),
        "p50_ms": metrics.milliseconds(whole.durations.quantile(0.50)),
        "p95_ms": metrics.milliseconds(whole.durations.quantile(0.95)),
        "p99_ms": metrics.milliseconds(whole.durations.quantile(0.99)),
        "total_ms": metrics.milliseconds(whole.total),
    }


def _series(steps: Mapping[int, OperationSums], when: Range, coverage: Coverage | None) -> Facts:
    """Return one value per figure and step; ``throughput`` is 0 in steps with reports but without calls."""
    sums = {
        start: Sums(count=of_step.count, errors=of_step.errors, total=of_step.total, durations=of_step.durations)
        for start, of_step in steps.items()
    }
    found = metrics.series(sums, when, coverage)
    return {key: found[key] for key in ("time", "throughput", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "error_rate")}
