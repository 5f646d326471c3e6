"""``scout-core up``: run the collector in the foreground, optionally with an application."""

from __future__ import annotations

import logging
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from scout_core.cli.output import echo
from scout_core.sending.protocol import login_url
from scout_dashboard.options import LARGEST_PORT, MOST_DAYS, RETENTION_DAYS, TRACE_RETENTION_DAYS

if TYPE_CHECKING:
    from scout_dashboard.collector import Collector
    from scout_dashboard.options import Options


_HELP: Final = """
Start the dashboard, and with COMMAND also an application with the agent.

\b
scout-core up
scout-core up -- python app.py
scout-core up --port 7700 -- flask --app shop run

Applications with the agent on this machine find the dashboard automatically, even if they started first.
With COMMAND, the dashboard stops when the command exits, and returns its exit code.
"""


@click.command(context_settings={"allow_interspersed_args": False}, help=_HELP)  # arguments after COMMAND belong to it
@click.option(
    "--port",
    type=click.IntRange(0, LARGEST_PORT),
    help="Port to listen on; 0 for any free port. Default 7600, or any free port when that is in use.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on: 127.0.0.1 or ::1.")
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
@click.option("--open/--no-open", "open_browser", default=False, help="Open the dashboard in the browser.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def up(
    port: int | None,
    host: str,
    state_dir: Path | None,
    data_dir: Path | None,
    retention_days: int | None,
    trace_retention_days: int | None,
    open_browser: bool,
    command: tuple[str, ...],
) -> None:
    """Run the command ``up``."""
    from scout_dashboard.foreground import run_application, termination_signals

    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # it logs its own shutdown
    configured_dir, options = read_settings()
    with termination_signals() as signals:
        collector = _start(
            host=host,
            port=options.port or None if port is None else port,
            state_dir=state_dir or configured_dir,
            data_dir=data_dir or (Path(options.data_dir).expanduser() if options.data_dir else None),
            retention_days=retention_days or options.retention_days,
            trace_retention_days=trace_retention_days or options.trace_retention_days,
        )
        code = 0
        try:
            _print_summary(collector, command)
            if open_browser:
                # A one-time ticket, because other users of this machine can see the browser's command line.
                webbrowser.open(login_url(collector.url, collector.access.ticket()))
            if command:
                code = run_application(command, signals, state_dir=collector.state_dir)
            else:
                signals.wait()
        finally:
            collector.stop()
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


def _start(
    *,
    host: str,
    port: int | None,
    state_dir: Path,
    data_dir: Path | None,
    retention_days: int,
    trace_retention_days: int,
) -> Collector:
    from scout_dashboard.collector import PORT, Collector
    from scout_dashboard.errors import PortInUse

    def start_on(number: int) -> Collector:
        return Collector(
            state_dir=state_dir,
            data_dir=data_dir,
            host=host,
            port=number,
            retention_days=retention_days,
            trace_retention_days=trace_retention_days,
        )

    try:
        return start_on(PORT if port is None else port)
    except PortInUse as error:
        if port is not None:
            raise click.BadParameter(
                f"{error}; choose another port, or omit the option to use any free port", param_hint="--port"
            ) from error
        echo(f"scout-core: {error}; using a free port", err=True)
        return start_on(0)


def _print_summary(collector: Collector, command: tuple[str, ...]) -> None:
    """Print on standard error when there is an application: standard output belongs to it."""
    store = collector.store
    lines = [
        f"Dashboard  {collector.login_url}",
        f"Data       {store.directory} (metrics {store.retention_days} days, traces {store.trace_retention_days} days)",
        f"Running    {' '.join(command)}"
        if command
        else "Connect    scout-core run -- COMMAND starts an application that reports here",
        "Stop       Ctrl-C",
    ]
    for line in lines:
        echo(line, err=bool(command))
