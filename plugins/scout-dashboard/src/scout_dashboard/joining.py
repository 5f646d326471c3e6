"""Joins the dashboard that is running for a state directory: another one could not be found by agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from attrs import frozen

from scout_core.sending.rendezvous import LOCK_NAME
from scout_dashboard.errors import AlreadyRunning
from scout_dashboard.locks import Holder, wait_for_release

if TYPE_CHECKING:
    from scout_dashboard.collector import Collector

_START_SECONDS: Final = 10.0
"""Time for another collector to start, or to stop."""
_ANSWER_SECONDS: Final = 3.0
_PAUSE: Final = 0.05


@frozen(kw_only=True)
class RunningDashboard:
    """A dashboard that another process runs."""

    state_dir: Path
    holder: Holder
    is_answering: bool


def start_or_join(start: Callable[[], Collector], *, has_to_end: Callable[[], bool]) -> Collector | RunningDashboard:
    """
    Start a collector, or return the one that is running; wait for one that is starting or stopping.

    Args:
        has_to_end: whether a signal has arrived, so that nobody waits any more.

    Raises:
        AlreadyRunning: the other one has neither started nor ended within ten seconds.
        ScoutError: it cannot start.
    """
    deadline = monotonic() + _START_SECONDS
    while True:
        try:
            return start()
        except AlreadyRunning as error:
            holder = error.holder
            is_answering = _is_answering(holder.url) if holder is not None and holder.url else False
            if holder is not None and is_answering is not False:
                return RunningDashboard(state_dir=error.state_dir, holder=holder, is_answering=bool(is_answering))
            if has_to_end() or monotonic() > deadline:
                raise
        sleep(_PAUSE)


def _is_answering(url: str) -> bool | None:
    """Return whether a server answers; None when it accepts connections, but is too slow. Sends no secret."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("HEAD", "/")
        connection.getresponse().close()
    except TimeoutError:
        return None
    except (OSError, HTTPException):
        return False  # it has just ended, or is about to
    finally:
        connection.close()
    return True


@contextmanager
def watched(running: RunningDashboard, on_end: Callable[[], object]) -> Iterator[None]:
    """Call a function, on a thread of its own, when the dashboard ends during a ``with`` block, however it ends."""
    is_over = Event()

    def watch() -> None:
        try:
            wait_for_release(running.state_dir / LOCK_NAME)
        except OSError:
            return  # the state directory was removed, for example
        if not is_over.is_set():
            on_end()

    Thread(target=watch, name="scout-dashboard-watch", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
