"""``scout-core doctor``: checks everything that can be checked from here, and whether a recorded transaction arrives."""

from __future__ import annotations

from typing import Final

import click
from attrs import asdict

from scout_core.cli import findings as check
from scout_core.cli.environment import Environment, inspect_environment, timeout_option
from scout_core.cli.findings import Finding
from scout_core.cli.known import Suggestion, suggestions
from scout_core.cli.output import as_json_option, coloured, echo, print_json
from scout_core.cli.reports import check_reports
from scout_core.cli.servers import check_servers
from scout_core.states import State

_HELP: Final = """
Check settings, plugins, servers that fork, files, and whether recorded data arrives.

\b
scout-core doctor
scout-core doctor --suggest        pip install ...

Sends a test transaction through the agent to the dashboard's store, under an application name of its own.
Exits with 1 if there is a problem; notes do not count.
"""


@click.command(help=_HELP)
@click.option("--suggest", is_flag=True, help="Print only the pip command that installs the missing plugins.")
@timeout_option
@as_json_option
def doctor(suggest: bool, timeout: float, as_json: bool) -> None:
    """Run the command ``doctor``."""
    environment = inspect_environment(instrument=True, commands=True, seconds=timeout)
    missing = list(suggestions(environment.installed.installed))
    if suggest:
        _print_suggestions(missing, as_json=as_json)
        return
    findings = [
        *check.check_settings(environment),
        *check.check_plugins(environment),
        *check_servers(environment.installed.installed),
        *check.check_files(environment),
        *check_reports(environment.config),
        *map(_missing_plugin, missing),
        *_probe(environment),
    ]
    if as_json:
        print_json({"findings": findings, "suggestions": missing})
    else:
        for finding in findings:
            _print(finding)
    if any(finding.state == "problem" for finding in findings):
        raise SystemExit(1)


def _probe(environment: Environment) -> list[Finding]:
    from scout_core.cli.probe import STEPS, follow

    if not environment.config.get("monitor"):
        return [Finding("problem", "probe", "does not reach app: nothing is recorded")]
    is_active = any(status.name == "collector" and status.state is State.ACTIVE for status in environment.statuses)
    steps = list(follow(environment.config, is_collector_active=is_active))
    last = steps[-1]
    reached = " → ".join(step.name for step in steps if step.is_ok)
    if last.is_ok:
        return [Finding("ok", "probe", f"{reached}: {last.detail}")]
    if last.is_ok is None:
        return [Finding("note", "probe", f"{reached}; {last.name} could not be checked: {last.detail}")]
    remaining = " → ".join(STEPS[STEPS.index(last.name) :])
    route = f"{reached}, but not {remaining}" if reached else f"does not reach {remaining}"
    return [Finding("problem", "probe", f"{route}: {last.detail}", last.advice)]


def _missing_plugin(suggestion: Suggestion) -> Finding:
    if suggestion.problem:
        return Finding("note", "libraries", f"{suggestion.problem}, so {suggestion.distribution} does not support it")
    return Finding("note", "libraries", f"{suggestion.library} has no plugin", f"pip install {suggestion.distribution}")


def _print_suggestions(missing: list[Suggestion], *, as_json: bool) -> None:
    usable = [suggestion.distribution for suggestion in missing if not suggestion.problem]
    command = f"pip install {' '.join(usable)}" if usable else ""
    if as_json:
        print_json({"suggestions": [asdict(suggestion) for suggestion in missing], "command": command})
        return
    for suggestion in missing:
        unsupported = " does not support it" if suggestion.problem else ""
        echo(f"# {suggestion.problem or suggestion.library}: {suggestion.distribution}{unsupported}")
    echo(command or "# nothing to install: every library here that we support has its plugin")


def _print(finding: Finding) -> None:
    echo(coloured(finding.state, finding.state.ljust(8)), f" {finding.area.ljust(10)} {finding.text}")
    if finding.advice:
        echo(f"{'':20}{finding.advice}")
