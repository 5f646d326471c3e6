"""The results of the demo, read from the collector."""

from __future__ import annotations

from typing import Any, TypedDict

import click

from scout_demo.processes import Dashboard


class Summary(TypedDict):
    """The object that ``--json`` prints."""

    transactions: int
    spans: int
    kept: list[dict[str, Any]]
    """``name``, ``score``, and ``policies``: policy name to points."""
    endpoints: list[dict[str, Any]]
    """``name``, ``count``, ``errors``, ``p95_ms``; most time consumed first."""
    jobs: list[dict[str, Any]]
    """``name``, ``queue``, ``count``, ``errors``, ``retries``, ``wait_ms``; most time consumed first."""
    jobs_missing: str
    """Why there are no jobs; empty where Redis is installed."""
    dropped: int
    dashboard_url: str


def summarise(dashboard: Dashboard, *, jobs_missing: str) -> Summary:
    """Read the results from the dashboard's API."""
    processes = dashboard.get("health")["processes"]
    counters = [counters for process in processes for counters in process["counters"].values()]
    endpoints = dashboard.get("endpoints", range="24h")["rows"]
    jobs = dashboard.get("jobs", range="24h")["rows"]
    traces = dashboard.get("traces", range="24h", sort="score", limit="10000")["rows"]
    return Summary(
        transactions=sum(row["count"] for row in endpoints),
        spans=sum(item["spans"] for item in counters),
        kept=[{key: trace[key] for key in ("name", "score", "policies")} for trace in traces],
        endpoints=[{key: row[key] for key in ("name", "count", "errors", "p95_ms")} for row in endpoints],
        jobs=[{key: row[key] for key in ("name", "queue", "count", "errors", "retries", "wait_ms")} for row in jobs],
        jobs_missing=jobs_missing,
        dropped=sum(sum(item["dropped"].values()) for item in counters),
        dashboard_url=dashboard.url,
    )


def plural(number: int, noun: str, plural_form: str | None = None) -> str:
    """Format a count with its noun: ``1 span``, ``2 spans``."""
    return f"{number} {noun if number == 1 else plural_form or noun + 's'}"


def format_summary(summary: Summary) -> str:
    """Format the results as text."""
    width = max((len(row["name"]) for row in (*summary["endpoints"], *summary["jobs"])), default=0)
    counts = f"{plural(summary['transactions'], 'transaction')}, {plural(summary['spans'], 'span')}"
    lines = [f"{counts}, {plural(len(summary['kept']), 'trace')} kept, {summary['dropped']} dropped", ""]
    for row in summary["endpoints"]:
        errors = click.style(plural(row["errors"], "error"), fg="red") if row["errors"] else ""
        requests = f"{row['count']:>6} {'request' if row['count'] == 1 else 'requests':<8}"
        lines.append(f"  {row['name']:<{width}}  {requests}  p95 {row['p95_ms']:>7.1f} ms  {errors}".rstrip())
    for row in summary["jobs"]:
        waited = "" if row["wait_ms"] is None else f"waited {row['wait_ms']:.0f} ms"
        retries = plural(row["retries"], "retry", "retries") if row["retries"] else ""
        errors = click.style(plural(row["errors"], "error"), fg="red") if row["errors"] else ""
        counted = f"{row['count']:>6} {'job' if row['count'] == 1 else 'jobs':<8}"
        lines.append("  ".join(filter(None, (f"  {row['name']:<{width}}", counted, waited, retries, errors))).rstrip())
    if summary["kept"]:
        best = summary["kept"][0]
        points = " + ".join(
            f"{policy} {value:.2f}"
            for policy, value in sorted(best["policies"].items(), key=lambda item: -item[1])
            if value
        )
        lines += ["", f"Best trace: {best['name']}, kept because {points}"]
    return "\n".join(lines)
