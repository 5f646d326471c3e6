"""``scout-core up``: run the collector in the foreground, optionally with an application."""

from __future__ import annotations

import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from scout_core.cli.output import echo
from scout_dashboard.opening import address_option
from scout_dashboard.options import LARGEST_PORT, MOST_DAYS, OPEN_COMMAND, RETENTION_DAYS, TRACE_RETENTION_DAYS

if TYPE_CHECKING:
    from scout_dashboard.collector import Collector
    from scout_dashboard.options import Options
    from scout_dashboard.requested import Requested


_HELP: Final = """
Start the dashboard, and with COMMAND also an application with the agent.

\b
scout-core up
scout-core up -- python app.py
scout-core up --port 7700 -- flask --app shop run

Applications with the agent on this machine find the dashboard automatically, even if they started first.
With COMMAND, the dashboard stops when the command exits, and returns its exit code.
If a dashboard is running for the same state directory, the command joins it.
COMMAND runs even if the dashboard cannot start.
"""


@click.command(context_settings={"allow_interspersed_args": False}, help=_HELP)  # arguments after COMMAND belong to it
@click.option(
    "--port",
    type=click.IntRange(0, LARGEST_PORT),
    help="Port to listen on; 0 for any free port. Default 7600, or any free port when that is in use.",
)
@click.option("--host", help="Address to listen on: 127.0.0.1 or ::1. Default 127.0.0.1.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="Directory where agents find the collector. Default: the agents' state directory.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Directory for the data. Default: 'data' in the state directory.",
)
@click.option(
    "--retention-days",
    type=click.IntRange(1, MOST_DAYS),
    help=f"Number of days to keep metrics. Default {RETENTION_DAYS}.",
)
@click.option(
    "--trace-retention-days",
    type=click.IntRange(1, MOST_DAYS),
    help=f"Number of days to keep traces. Default {TRACE_RETENTION_DAYS}.",
)
@address_option
@click.option("--open/--no-open", "is_opened", default=False, help="Open the dashboard in the browser.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def up(
    port: int | None,
    host: str | None,
    state_dir: Path | None,
    data_dir: Path | None,
    retention_days: int | None,
    trace_retention_days: int | None,
    address: str | None,
    is_opened: bool,
    command: tuple[str, ...],
) -> None:
    """Run the command ``up``."""
    from scout_dashboard.foreground import print_line, reason_of, run_application, termination_signals
    from scout_dashboard.requested import Requested

    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # it logs its own shutdown
    configured_dir, options = read_settings()
    again = f"{OPEN_COMMAND} --state-dir {shlex.quote(str(state_dir))}" if state_dir else OPEN_COMMAND
    state_dir = state_dir or configured_dir
    given = Requested(
        port=port,
        host=host,
        data_dir=data_dir,
        retention_days=retention_days,
        trace_retention_days=trace_retention_days,
    )
    with termination_signals() as signals:
        try:
            from scout_dashboard.joining import RunningDashboard, start_or_join
            from scout_dashboard.up import WayIn, join, serve, stop

            way = WayIn(address=address or options.address, again=again, is_opened=is_opened)
            dashboard = start_or_join(
                lambda: _start(given, options, state_dir=state_dir), has_to_end=lambda: signals.has_arrived
            )
        except Exception as error:  # whatever keeps the dashboard from starting must not keep the application from it
            if not command:
                raise
            print_line(f"scout-core: the dashboard did not start: {reason_of(error)}")
            print_line(f"Running    {' '.join(command)}")
            sys.exit(run_application(command, signals, state_dir=state_dir, last_report_seconds=0))
        if isinstance(dashboard, RunningDashboard):
            configured = Requested(port=options.port, data_dir=_configured_data_dir(options))
            sys.exit(join(dashboard, signals, command, way=way, given=given, configured=configured))
        try:
            code = serve(dashboard, signals, command, way=way)
        finally:
            stop(dashboard, has_application=bool(command))
    sys.exit(code)


def read_settings() -> tuple[Path, Options]:
    """Return the state directory and our options, from the same configuration layers as an agent's."""
    from scout_core.config.config import read_config
    from scout_core.config.files import settings_here
    from scout_dashboard.options import Options

    config = read_config(settings=settings_here())
    config.add_plugin_options("dashboard", Options)
    for problem in config.problems:
        echo(f"scout-core: {problem}", err=True)
    options = config.plugin("dashboard")
    assert isinstance(options, Options)
    return config.state_dir, options


def _configured_data_dir(options: Options) -> Path | None:
    return Path(options.data_dir).expanduser() if options.data_dir else None


def _start(given: Requested, options: Options, *, state_dir: Path) -> Collector:
    from scout_dashboard.collector import Collector
    from scout_dashboard.errors import PortInUse
    from scout_dashboard.listening import PORT
    from scout_dashboard.queries.apdex import Thresholds

    def start_on(number: int) -> Collector:
        return Collector(
            state_dir=state_dir,
            data_dir=given.data_dir or _configured_data_dir(options),
            host=given.host or "127.0.0.1",
            port=number,
            retention_days=given.retention_days or options.retention_days,
            trace_retention_days=given.trace_retention_days or options.trace_retention_days,
            apdex=Thresholds(options.apdex_seconds, options.apdex_seconds_by_name),
        )

    port = options.port or None if given.port is None else given.port
    try:
        return start_on(PORT if port is None else port)
    except PortInUse as error:
        if port is not None:
            raise click.BadParameter(
                f"{error}; choose another port, or omit the option to use any free port", param_hint="--port"
            ) from error
        echo(f"scout-core: {error}; using a free port", err=True)
        return start_on(0)
