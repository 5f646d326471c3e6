"""Errors by group: one row for each bug, most errors first; and the errors of kept traces that are in no group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from scout_core.operations import OTHER_NAME
from scout_dashboard.errors import NotFound
from scout_dashboard.queries import traces
from scout_dashboard.queries.deploys import deploys
from scout_dashboard.queries.errors import error_facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.ranges import Range
from scout_dashboard.store.error_figures import (
    Counted,
    Described,
    Seen,
    by_group,
    by_step,
    described,
    latest_example,
    seen,
    traces_with,
)
from scout_dashboard.store.error_sums import ErrorSums
from scout_dashboard.store.errors import MOST_ROWS, ErrorRow, list_errors
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollups import coverage_of
from scout_dashboard.store.traces import find_row, is_trace_id

Facts = dict[str, Any]
"""Ready for JSON. Any: each key has its own type."""
_MOST_TRACES: Final = 20
_UNKNOWN: Final = Described(title="", exception="", cause="", where="", message="", trace="")


def errors(reader: Reader, when: Range) -> Facts:
    """Return the groups of the range as ``rows``, the number of their errors, and those of kept traces that are in no group."""
    rows = _rows(reader, when, by_group(reader, when))
    return {
        "rows": rows,
        "count": sum(row["count"] for row in rows),
        "handled": sum(row["handled"] for row in rows),
        "new": sum(row["is_new"] is True for row in rows),
        "in_traces": _in_traces(list_errors(reader, when)),
    }


def of_endpoint(reader: Reader, when: Range, name: str, *, limit: int) -> list[Facts]:
    """Return the groups with the most errors in transactions of one name."""
    found = by_group(reader, when, name=name)
    most = sorted(found, key=lambda group: (-found[group].count, group))[:limit]
    return _rows(reader, when, {group: found[group] for group in most})


def detail(reader: Reader, when: Range, *, group: str) -> Facts:
    """
    Return one group.

    Raises:
        NotFound: the store has no data for this group.
    """
    found = by_group(reader, when, group=group)
    if not found and all(known != group for _, known in seen(reader, when.app)):
        raise NotFound(f"no group of errors {group[:100]!r}: it was never reported, or has expired")
    (facts,) = _rows(reader, when, found or {group: Counted()})
    example = latest_example(reader, when, group)
    return {
        **facts,
        "series": _series(reader, when, group),
        **deploys(reader, when),
        "example": None if example is None else {
            "name": example.name,
            "label": label_of(example.name),
            "time": example.time,
            "tags": dict(example.tags),
            "trace": _stored(reader, example.trace),
            "error": error_facts(example.error),
        },
        "traces": [traces.row_facts(row) for row in traces_with(reader, when, group, limit=_MOST_TRACES)],
    }  # fmt: skip


def _series(reader: Reader, when: Range, group: str) -> Facts:
    """Return the errors of each step; None where nothing was reported."""
    steps, coverage = by_step(reader, when, group), coverage_of(reader, when)
    points = [
        steps.get(start, ErrorSums() if coverage and coverage.start - when.step < start < coverage.end else None)
        for start in when.points
    ]
    return {
        "time": list(when.points),
        "handled": [sums and sums.handled for sums in points],
        "unhandled": [sums and sums.count - sums.handled for sums in points],
    }


def _rows(reader: Reader, when: Range, groups: Mapping[str, Counted]) -> list[Facts]:
    texts = described(reader, when, groups)
    missing = groups.keys() - texts.keys()
    if missing:  # the range has none of its errors
        texts |= described(
            reader, Range(start=0, end=when.end, step=when.step, label="", key=None, app=when.app), missing
        )
    times: dict[str, dict[str, Seen]] = {}
    for (app, group), at in seen(reader, when.app).items():
        times.setdefault(group, {})[app] = at
    began = {app.name: app.first for app in reader.apps()}
    rows = [
        _row(group, counted, texts.get(group, _UNKNOWN), times.get(group, {}), began, when)
        for group, counted in groups.items()
    ]
    return sorted(rows, key=lambda row: (row["group"] == OTHER_NAME, -row["count"], row["title"]))


def _row(
    group: str, counted: Counted, text: Described, times: Mapping[str, Seen], began: Mapping[str, float], when: Range
) -> Facts:
    first = min((at.first for at in times.values()), default=None)
    # Only where the store goes back further than the range: at the beginning of all data every group is new.
    is_known = any(began.get(app, when.start) < when.start for app in times)
    endpoints = sorted(counted.endpoints.items(), key=lambda item: (-item[1], item[0]))
    return {
        "group": group,
        "title": text.title,
        "exception": text.exception or None,
        "cause": text.cause or None,
        "where": text.where or None,
        "message": text.message,
        "count": counted.count,
        "handled": counted.handled,
        "first": first,
        "last": max((at.last for at in times.values()), default=None),
        "is_new": None if not is_known or first is None or group == OTHER_NAME else first >= when.start,
        "trace": text.trace or None,
        "endpoints": [{"name": name, "label": label_of(name), "count": count} for name, count in endpoints],
    }


def _stored(reader: Reader, trace: str) -> str | None:
    """Return the id of a trace if it was kept."""
    return trace if is_trace_id(trace) and find_row(reader, trace) is not None else None


def _in_traces(found: list[ErrorRow]) -> Facts:
    groups: dict[tuple[str, str, str], list[ErrorRow]] = {}
    for row in found:
        groups.setdefault((row.exception, row.file, row.function), []).append(row)
    return {
        "rows": [_row_of_traces(group) for group in groups.values()],
        "total": len(found),
        "is_cut": len(found) == MOST_ROWS,
    }


def _row_of_traces(group: list[ErrorRow]) -> Facts:
    """Return errors of one exception and place: message, line and trace are those of the newest."""
    newest = group[0]
    return {
        "exception": newest.exception,
        "message": newest.message,
        "file": newest.file,
        "line": newest.line,
        "function": newest.function,
        "count": len(group),
        "handled": sum(row.handled for row in group),
        "first": group[-1].start,
        "last": newest.start,
        "trace": newest.trace,
        "names": _names(row.name for row in group),
    }


def _names(names: Iterable[str]) -> list[Facts]:
    return [{"name": name, "label": label_of(name)} for name in dict.fromkeys(names)]
