"""``scout-core up``: the collector in the foreground, alone or around an application."""

from __future__ import annotations

import logging
import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from scout_dashboard.collector import Collector
    from scout_dashboard.options import Options


@click.command(context_settings={"allow_interspersed_args": False})  # what follows COMMAND is the command's
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="Where to listen; 0: any free one. Default 7600, or a free one when that is taken.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="127.0.0.1 or ::1; nothing else is served.")
@click.option(
    "--state-dir", type=click.Path(path_type=Path), help="Where agents find the collector; default as for agents."
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where data is kept; default 'data' in the state directory."
)
@click.option("--retention-days", type=click.IntRange(1, 3_650), help="For how many days figures are kept; default 30.")
@click.option(
    "--trace-retention-days", type=click.IntRange(1, 3_650), help="For how many days traces are kept; default 7."
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
    """
    Start the dashboard, and an application under the agent when a COMMAND is given.

    \b
    scout-core up
    scout-core up -- python app.py
    scout-core up --port 7700 -- flask --app shop run

    Applications on this machine report by themselves, whether they start before or after it.
    With a COMMAND, its exit code is that of this command, and the dashboard ends with it.
    """
    from scout_dashboard.foreground import ending_signals, run_beside

    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # it tells how it shuts down
    configured_dir, options = configured()
    with ending_signals() as signals:
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
            _tell(collector, command)
            if open_browser:
                # A ticket, as other users of this machine may see the browser's command line.
                webbrowser.open(f"{collector.url}/login?token={collector.access.ticket()}")
            if command:
                code = run_beside(command, signals, state_dir=collector.state_dir)
            else:
                signals.wait()
        finally:
            collector.stop()
    sys.exit(code)


def configured() -> tuple[Path, Options]:
    """The state directory and our options, from the same layers as an agent's."""
    from scout_core.config.config import read_config
    from scout_core.config.files import settings_here
    from scout_dashboard.options import Options

    config = read_config(settings=settings_here())
    config.add_plugin_options("dashboard", Options, os.environ)
    for problem in config.problems:
        click.echo(f"scout-core: {problem}", err=True)
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

    def start(at: int) -> Collector:
        return Collector(
            state_dir=state_dir,
            data_dir=data_dir,
            host=host,
            port=at,
            retention_days=retention_days,
            trace_retention_days=trace_retention_days,
        )

    try:
        return start(PORT if port is None else port)
    except PortInUse as error:
        if port is not None:
            raise click.BadParameter(
                f"{error}; choose another, or leave it out for a free one", param_hint="--port"
            ) from error
        click.echo(f"scout-core: {error}: taking a free one", err=True)
        return start(0)


def _tell(collector: Collector, command: tuple[str, ...]) -> None:
    """To standard error beside an application: standard output is the application's."""
    store = collector.store
    lines = [
        f"Dashboard  {collector.login_url}",
        f"Data       {store.directory} (figures {store.retention_days} days, traces {store.trace_retention_days} days)",
        f"Running    {' '.join(command)}"
        if command
        else "Report     scout-core run -- COMMAND starts an application that reports here",
        "Stop       Ctrl-C",
    ]
    click.echo("\n".join(lines), err=bool(command))
