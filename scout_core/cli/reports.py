"""The doctor's check of reports and log messages that are missing, as a dashboard on this machine knows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from scout_core.cli.dashboard import DashboardError, ask
from scout_core.cli.findings import Finding
from scout_core.config.config import Config
from scout_core.sending.protocol import HEALTH, HealthAnswer, ReportingProcess, read_answer

_MOST_PIDS: Final = 5


def check_reports(config: Config) -> Iterator[Finding]:
    """Yield lost log messages, gaps between reports, and processes that vanished, of the last day; nothing without a dashboard."""
    try:
        answer = read_answer(ask(config, HEALTH), HealthAnswer)
    except (DashboardError, ValueError):  # no dashboard, or one of another version
        return
    yield from describe_reports(answer.processes)


def describe_reports(processes: Iterable[ReportingProcess]) -> Iterator[Finding]:
    """Yield a finding for each application that has lost log messages, has gaps, or has processes that sent no last report."""
    gaps: dict[str, list[ReportingProcess]] = defaultdict(list)
    silent: dict[str, list[ReportingProcess]] = defaultdict(list)
    unlogged: dict[str, list[ReportingProcess]] = defaultdict(list)
    for process in processes:
        if process.reports is not None and process.reports.missing:
            gaps[process.app].append(process)
        if process.reports is not None and process.reports.is_silent:
            silent[process.app].append(process)
        if process.logging_failures:
            unlogged[process.app].append(process)
    for app, group in unlogged.items():
        count = sum(process.logging_failures for process in group)
        text = f"{app}: {count} message{'s' if count > 1 else ''} of scout-core in {_pids(group)} could not be logged"
        advice = "a handler or filter of the application raises; what it raised is on the standard error of the process"
        yield Finding("note", "logging", text, advice)
    for app, group in gaps.items():
        count = sum(process.reports.missing for process in group if process.reports is not None)
        text = f"{app}: {count} report{'s' if count > 1 else ''} of {_pids(group)} did not arrive here"
        yield Finding(
            "note", "reports", text, "the page Health of the dashboard shows what the process has dropped, and why"
        )
    for app, group in silent.items():
        text = f"{app}: {_pids(group)} sent no last report: killed, hanging, or without a connection to the collector"
        advice = (
            "what was recorded after the last report is lost; end processes so that Python can run its exit handlers"
        )
        yield Finding("note", "reports", text, advice)


def _pids(processes: list[ReportingProcess]) -> str:
    pids = ", ".join(str(process.pid) for process in processes[:_MOST_PIDS])
    more = f" and {len(processes) - _MOST_PIDS} more" if len(processes) > _MOST_PIDS else ""
    return f"{len(processes)} process{'es' if len(processes) > 1 else ''} (pid {pids}{more})"
