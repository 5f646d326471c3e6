"""Continues ``scout-core up`` with a dashboard: prints how to open it, then waits, or runs the application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from scout_core.cli.output import echo
from scout_core.errors import ScoutError
from scout_core.sending.protocol import LinkAnswer
from scout_dashboard.collector import Collector
from scout_dashboard.foreground import Signals, print_line, reason_of, run_application
from scout_dashboard.joining import RunningDashboard, watched
from scout_dashboard.opening import find_dashboard, link_at, open_browser, request_links
from scout_dashboard.requested import Requested

_CONNECT: Final = "Connect    scout-core run -- COMMAND starts an application that reports here"
_STOP: Final = "Stop       Ctrl-C"


@frozen(kw_only=True)
class WayIn:
    """How a browser is to be logged in."""

    address: str
    """``name`` or ``ip``; empty for the default of this system."""
    again: str
    """The command that makes another link."""
    is_opened: bool
    """Whether the browser is opened."""

    def lines(self, links: LinkAnswer) -> tuple[str, str]:
        """Return the link, and how to get another one."""
        return (
            f"Dashboard  {link_at(self.address, links)}",
            f"           This link works once, within {links.valid_seconds // 60} minutes; for another one: {self.again}",
        )

    def open(self, new_links: Callable[[], LinkAnswer | None]) -> None:
        """Open the browser, if that was requested, with a link of its own: the printed one works for another browser."""
        links = new_links() if self.is_opened else None
        if links is not None:
            open_browser(link_at(self.address, links))


def serve(collector: Collector, signals: Signals, command: tuple[str, ...], *, way: WayIn) -> int:
    """
    Serve until a signal arrives, or until the application exits.

    Returns:
        The exit code: that of the application.
    """
    store, links = collector.store, collector.new_links()
    _print(
        command,
        *way.lines(links),
        f"Data       {store.directory} (metrics {store.retention_days} days, traces {store.trace_retention_days} days)",
        f"Running    {' '.join(command)}" if command else _CONNECT,
        _STOP,
    )
    way.open(collector.new_links)
    if command:
        return run_application(
            command, signals, state_dir=collector.state_dir, inherited=collector.open_files.inherited
        )
    signals.wait()
    return 0


def stop(collector: Collector, *, has_application: bool) -> None:
    """Stop the collector; with an application, whose exit code is returned, an error is only printed."""
    try:
        collector.stop()
    except Exception as error:
        if not has_application:
            raise
        print_line(f"scout-core: the dashboard did not stop properly: {reason_of(error)}")


def join(
    running: RunningDashboard,
    signals: Signals,
    command: tuple[str, ...],
    *,
    way: WayIn,
    given: Requested,
    configured: Requested,
) -> int:
    """
    Use a dashboard that another process runs, and leave it running.

    Args:
        given: the options of the command line. Without an application, one that this dashboard does not have is an error.
        configured: the same in the configuration.

    Returns:
        The exit code: that of the application.

    Raises:
        ScoutError: there is no application, and the dashboard is not what was requested, or does not answer.
    """
    _check(running, has_application=bool(command), given=given, configured=configured)
    holder, links = running.holder, _links(running)
    _print(
        command,
        *(way.lines(links) if links else (f"Dashboard  {holder.url}; for a login link: {way.again}",)),
        f"Data       {holder.data_dir} (metrics {holder.retention_days} days, traces {holder.trace_retention_days} days)",
        f"Joined     {holder}" if command else f"Running    {holder}",
        f"Running    {' '.join(command)}" if command else _CONNECT,
        f"{_STOP}; the dashboard continues" if command else f"Stop       Ctrl-C in its terminal, or kill {holder.pid}",
    )
    way.open(lambda: _links(running))
    if not command:
        return 0
    text = (
        f"scout-core: the dashboard at {holder.url} has ended; the application continues, and its reports wait, "
        "as many as there is room for; start another dashboard: scout-core up"
    )
    with watched(running, lambda: print_line(text)):
        return run_application(command, signals, state_dir=running.state_dir, last_report_seconds=0)


def _links(running: RunningDashboard) -> LinkAnswer | None:
    if not running.is_answering:
        return None
    try:
        return request_links(*find_dashboard(running.state_dir))
    except ScoutError as error:
        print_line(f"scout-core: no login link: {error}")
        return None


def _check(running: RunningDashboard, *, has_application: bool, given: Requested, configured: Requested) -> None:
    holder = running.holder
    conflicts = [*given.conflicts(holder)]
    if conflicts and not has_application:
        reasons = "; ".join(f"--{it.option} {it.value} cannot be used, because {it.instead}" for it in conflicts)
        raise ScoutError(
            f"{holder}, is running for {running.state_dir}: {reasons}; stop it first, or choose another directory with --state-dir"
        )
    if not running.is_answering and not has_application:
        raise ScoutError(f"{holder}, does not answer; to stop it: kill {holder.pid}")
    ignored = {f"--{it.option} {it.value}": it.instead for it in conflicts}
    if not ignored:
        ignored = {f"{it.option} {it.value} of the configuration": it.instead for it in configured.conflicts(holder)}
    for value, instead in ignored.items():
        print_line(f"scout-core: {value} is ignored: a dashboard is running already, and {instead}")
    if not running.is_answering:
        print_line(f"scout-core: {holder}, does not answer; reports wait until it does")


def _print(command: tuple[str, ...], *lines: str) -> None:
    """Print on standard error when there is an application: standard output belongs to it."""
    for line in lines:
        if command:
            print_line(line)
        else:
            echo(line)
