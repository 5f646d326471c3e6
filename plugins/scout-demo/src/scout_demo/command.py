"""The command itself: what it takes and what it tells."""

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

import click

from scout_core.errors import ScoutError


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="End by itself after so many seconds.  [default: run until Ctrl-C]"
)
@click.option("--json", "as_json", is_flag=True, help="At the end print one JSON object on stdout, and nothing else.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Port of the dashboard.  [default: any free one]"
)
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
def demo(seconds: float | None, as_json: bool, port: int, open_browser: bool) -> None:
    """
    Watch a small shop under load, with the dashboard open on it.

    Everything is in a temporary folder and listens on loopback only; nothing is left behind.

    \b
    scout-core demo
    scout-core demo --seconds 20 --json
    """
    from scout_demo.result import summarise, told
    from scout_demo.watched import last_words, watched_shop

    say = _silent if as_json else _say
    with (
        tempfile.TemporaryDirectory(prefix="scout-core-demo-") as folder,
        _until_asked() as asked,
        watched_shop(Path(folder), port=port) as shop,
    ):
        _introduce(say, shop.dashboard.login_link, shop.traffic.shop)
        if open_browser:
            click.launch(shop.dashboard.login_link)
        end = None if seconds is None else monotonic() + seconds
        shop.traffic.start()
        while not asked.wait(1.0 if end is None else max(0.0, min(1.0, end - monotonic()))):
            if not shop.is_alive():
                raise ScoutError(f"the shop has ended by itself; it said: {last_words(shop.log)}")
            _progress(say, shop.traffic.answered, shop.traffic.failed, end)
            if end is not None and monotonic() >= end:
                break
        shop.close()
        summary = summarise(shop.dashboard)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        if sys.stderr.isatty():
            say("\n")  # below the line of the progress
        say(told(summary))


@contextmanager
def _until_asked() -> Iterator[Event]:
    """Set by Ctrl-C or SIGTERM; a second one ends at once."""
    asked = Event()

    def end(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(say: Callable[[str], None], login: str, shop: str) -> None:
    say(
        f"The dashboard:  {click.style(login, bold=True)}\n"
        f"The shop:       {shop}\n\n"
        "The shop does not know that it is watched. Three traces of each two seconds are kept, and a policy of five lines,\n"
        f"{Path(__file__).with_name('checkout_first.py')},\n"
        "gives checkouts five points, so theirs come first.\n\n"
        "Ctrl-C ends it.\n"
    )


def _progress(say: Callable[[str], None], answered: int, failed: int, end: float | None) -> None:
    if sys.stderr.isatty():
        from scout_demo.result import several

        left = "" if end is None else f", {max(0.0, end - monotonic()):.0f} s left"
        say(f"\r{several(answered, 'request')}, {failed} failed{left}   ")


def _say(text: str) -> None:
    """Progress is for people: on stderr, so that stdout stays clean."""
    click.echo(text, nl=not text.startswith("\r"), err=True)


def _silent(text: str) -> None:
    """With --json nothing but the object is printed."""
