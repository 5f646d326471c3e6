"""The doctor's checks of settings, plugins and files. Each check yields findings."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from attrs import frozen

from scout_core.boundary.plugin import INVALID_OPTIONS
from scout_core.cli.environment import Environment
from scout_core.cli.live import LivePlugin, live_plugins, summarise
from scout_core.cli.status_text import describe_targets
from scout_core.measuring.report import PluginStatus
from scout_core.private_files import directory_problem, is_writable_by_anyone
from scout_core.problems import NextStep
from scout_core.sending.export_guard import EXPORT_PROBLEMS
from scout_core.sending.rendezvous import FILE_NAME, UnreadableAnnouncement, describe_absence, locate
from scout_core.states import State


@frozen
class Finding:
    """One result of a check."""

    state: Literal["ok", "note", "problem"]
    """Only a problem makes the doctor exit with 1; a note is worth knowing."""
    area: str
    text: str
    advice: str = ""
    """The next step."""


def check_settings(environment: Environment) -> Iterator[Finding]:
    """Yield settings that are invalid or switch recording off."""
    config = environment.config
    for problem in environment.problems:
        yield Finding("problem", "settings", problem.detail, problem.advice)
    if not config.get("monitor"):
        text = f"monitor is false ({config.origin('monitor')}), so nothing is recorded"
        yield Finding("problem", "settings", text, "set it to true")
    if config.get("sample_rate") == 0:
        text = f"sample_rate is 0 ({config.origin('sample_rate')}), so no transaction is recorded"
        yield Finding("problem", "settings", text, "set it above 0")
    if not environment.problems:
        yield Finding("ok", "settings", f"{environment.file}; scout-core config shows every value and its origin")


def check_plugins(environment: Environment) -> Iterator[Finding]:
    """Yield plugins with a problem here or in running processes, and targets that two plugins wrap."""
    statuses = environment.statuses
    bad = [status for status in statuses if not status.state.is_fine]
    for status in bad:
        text = f"{status.name} {status.state.predicate}: {status.reason}"
        yield Finding("problem", "plugins", text, _advice(status.name, status.next_step))
    for status in statuses:
        for problem in status.problems if status.state.is_fine else ():
            if problem.kind == INVALID_OPTIONS:
                yield Finding("problem", "plugins", f"{status.name}: {problem}", _advice(status.name, status.next_step))
        if status.state.is_fine and status.not_found:
            targets = "; ".join(detail for _, details in describe_targets(status) for detail in details)
            yield Finding("note", "plugins", f"{status.name} cannot wrap all of its targets: {targets}")
    yield from _wrapped_twice(statuses)
    live = live_plugins(environment.config)
    running = {name: summary for name, summary in summarise(live).items() if summary.is_bad}
    for name, summary in running.items():
        text = f"{name} {summary.state.predicate} {summary.share}: {summary.reason}"
        yield Finding("problem", "plugins", text, _advice(name, summary.next_step))
    exporting = list(check_exporters(live))
    yield from exporting
    if not bad and not running and not exporting:
        count = Counter(status.state for status in statuses)
        states = ", ".join(f"{count[state]} {state}" for state in State if count[state])
        yield Finding("ok", "plugins", f"{len(statuses)}: {states}")


def check_exporters(live: list[LivePlugin]) -> Iterator[Finding]:
    """Yield exporters through which reports do not arrive, of processes that are running."""
    found: dict[tuple[str, str], list[LivePlugin]] = defaultdict(list)
    for running in live:
        for problem in running.plugin.problems:
            if running.is_running and problem.kind in EXPORT_PROBLEMS:
                found[running.plugin.name, problem.subject].append(running)
    for (name, subject), group in found.items():
        plugin = group[0].plugin
        reason = next(str(problem) for problem in plugin.problems if problem.subject == subject)
        where = f"{len(group)} process{'es' if len(group) > 1 else ''}"
        yield Finding("problem", "exporters", f"{name}: {reason} (in {where})", _advice(name, plugin.next_step))


def _advice(name: str, step: NextStep | None) -> str:
    details = f"details: scout-core plugins {name}"
    return f"{step}; {details}" if step else details


def _wrapped_twice(statuses: list[PluginStatus]) -> Iterator[Finding]:
    owners = defaultdict(list)
    for status in statuses:
        for target in (*status.wrapped, *status.waiting):
            owners[target].append(status.name)
    for target, names in owners.items():
        if len(names) > 1:
            advice = f"to keep only one: scout-core plugins disable {names[-1]}"
            yield Finding(
                "note", "plugins", f"{' and '.join(names)} both wrap {target}: each call is two spans", advice
            )


def check_files(environment: Environment) -> Iterator[Finding]:
    """Yield files that others can read or change although agents and collectors trust them."""
    folder = environment.config.state_dir
    bad = list(_check_state_dir(folder))
    if environment.settings is not None:
        bad += _check_settings_file(environment.settings.path)
    yield from bad
    if not bad:
        state = "private" if folder.exists() else "does not exist yet; a collector creates it"
        yield Finding("ok", "files", f"{folder}: {state}")


def _check_state_dir(folder: Path) -> Iterator[Finding]:
    problem = directory_problem(folder)
    if problem is not None:
        yield Finding("problem", "files", problem.detail, problem.advice)
    path = folder / FILE_NAME
    advice = f"rm {path}, then restart the collector"
    try:
        if locate(folder) is None and os.path.lexists(path):
            yield Finding("problem", "files", describe_absence(folder))
    except (OSError, UnreadableAnnouncement) as error:
        yield Finding("problem", "files", f"agents cannot read it, so reports wait: {error}", advice)


def _check_settings_file(path: Path) -> Iterator[Finding]:
    if is_writable_by_anyone(path):
        text = f"anyone can change {path}, and so make applications run other code"
        yield Finding("problem", "files", text, f"chmod o-w {path}")
