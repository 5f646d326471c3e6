"""The command: its options and its output."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic
from types import FrameType
from typing import Final

import click

_HELP: Final = """
Run a small shop under load, and show it in the dashboard.

Everything is in a temporary directory, listens only on loopback, and is removed at the end.

\b
scout-core demo
scout-core demo --seconds 20 --json
"""


@click.command(help=_HELP)
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="Stop after this many seconds.  [default: run until Ctrl-C]"
)
@click.option("--json", "as_json", is_flag=True, help="Print only one JSON object on stdout, at the end.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Port of the dashboard.  [default: any free one]"
)
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
def demo(seconds: float | None, as_json: bool, port: int, open_browser: bool) -> None:
    """Run the command ``demo``."""
    from scout_demo.processes import running_shop
    from scout_demo.queue_server import MISSING, find_server
    from scout_demo.result import format_summary, summarise

    redis_server = find_server()
    jobs_missing = "" if redis_server else MISSING
    show = _discard if as_json else _print
    with (
        tempfile.TemporaryDirectory(prefix="scout-core-demo-") as folder,
        _stop_requested() as stop,
        running_shop(Path(folder), port=port, redis_server=redis_server) as shop,
    ):
        again = f"scout-core open --state-dir {Path(folder) / 'state'}"
        _introduce(show, shop.dashboard.new_link(), again, shop.traffic.shop, jobs_missing=jobs_missing)
        if open_browser:
            click.launch(shop.dashboard.new_link())
        end = None if seconds is None else monotonic() + seconds
        shop.traffic.start()
        while not stop.wait(1.0 if end is None else max(0.0, min(1.0, end - monotonic()))):
            shop.check()
            _progress(show, shop.traffic.responses, shop.traffic.failed, end)
            if end is not None and monotonic() >= end:
                break
        shop.close()
        summary = summarise(shop.dashboard, jobs_missing=jobs_missing)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        if sys.stderr.isatty():
            show("\n")  # after the progress line
        show(format_summary(summary))


@contextmanager
def _stop_requested() -> Iterator[Event]:
    """Yield an event that Ctrl-C or SIGTERM sets; a second signal stops at once."""
    stop = Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    original = {number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in original.items():
            signal.signal(number, handler)


def _introduce(show: Callable[[str], None], login: str, again: str, shop: str, *, jobs_missing: str) -> None:
    jobs = jobs_missing or "Checkouts and reports publish jobs, which a worker of RQ runs: see the page Jobs."
    show(
        f"The dashboard:  {click.style(login, bold=True)}\n"
        f"The link works once, within five minutes; for another one: {again}\n"
        f"The shop:       {shop}\n\n"
        "The shop contains no code for the agent. Every two seconds, three traces are kept. A policy of five lines,\n"
        f"{Path(__file__).with_name('checkout_first.py')},\n"
        "gives five points to checkouts, so their traces come first.\n"
        f"{jobs}\n\n"
        "Press Ctrl-C to stop.\n"
    )


def _progress(show: Callable[[str], None], responses: int, failed: int, end: float | None) -> None:
    if sys.stderr.isatty():
        from scout_demo.result import plural

        left = "" if end is None else f", {max(0.0, end - monotonic()):.0f} s left"
        show(f"\r{plural(responses, 'request')}, {failed} failed{left}   ")


def _print(text: str) -> None:
    """Print on stderr, so that stdout has only the JSON object."""
    click.echo(text, nl=not text.startswith("\r"), err=True)


def _discard(text: str) -> None:
    """Print nothing, for ``--json``."""
