"""What the demo starts: ``scout-core up``, and the shop by ``scout-core run``, each in a process of its own; all ended together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import urllib3
from attrs import define

from scout_core.errors import ScoutError
from scout_demo import checkout_first
from scout_demo.traffic import Traffic

PATIENCE = 20.0
"""Seconds that a process may take to end."""
LOGIN_LINK = re.compile(r"(http://\S+)/login\?token=(\S+)")


@define(eq=False)
class Dashboard:
    """``scout-core up``."""

    url: str
    token: str

    @property
    def login_link(self) -> str:
        """Opens the dashboard in a browser."""
        return f"{self.url}/login?token={self.token}"

    def ask(self, path: str, **query: str) -> Any:  # Any: JSON
        """What the dashboard's API answers."""
        answer = urllib3.request(
            "GET", f"{self.url}/api/v1/{path}", fields=query, headers={"Authorization": f"Bearer {self.token}"}
        )
        if answer.status != 200:
            raise ScoutError(f"the dashboard answered {answer.status} for {path}: {answer.data[:200]!r}")
        return answer.json()


@define(eq=False)
class WatchedShop:
    """All that runs."""

    dashboard: Dashboard
    traffic: Traffic
    process: subprocess.Popen[str]
    log: Path

    def is_alive(self) -> bool:
        """Whether the shop's process runs."""
        return self.process.poll() is None

    def close(self) -> None:
        """Send the visitors home, then end the shop; its agent sends the last report while it ends."""
        self.traffic.stop()
        _end(self.process)


@contextmanager
def watched_shop(folder: Path, *, port: int) -> Iterator[WatchedShop]:
    """
    Start everything; end it however the block ends.

    Raises:
        ScoutError: the dashboard or the shop did not start; the message has what it said.
    """
    settings = {
        "SCOUT_NAME": "Demo shop",
        "SCOUT_STATE_DIR": str(folder / "state"),
        "SCOUT_PLUGINS": checkout_first.__name__,
        "SCOUT_TRACES_PER_PERIOD": "3",
        "SCOUT_REPORT_PERIOD": "2",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCOUT_")}
    environment = {**inherited, **settings, "PYTHONUNBUFFERED": "1"}
    scout_core = [sys.executable, "-m", "scout_core"]
    with ExitStack() as stack:
        up = [
            *scout_core,
            "up",
            "--port",
            str(port),
            "--state-dir",
            str(folder / "state"),
            "--data-dir",
            str(folder / "data"),
        ]
        dashboard = _dashboard(_started(stack, up, environment, folder / "up.log"), folder / "up.log")
        run = [*scout_core, "run", "--", sys.executable, "-m", "scout_demo.shop", str(folder)]
        process = _started(stack, run, environment, folder / "shop.log")
        first = process.stdout.readline().strip() if process.stdout else ""
        if not first.isdigit():
            raise ScoutError(f"the shop did not start; it said: {last_words(folder / 'shop.log')}")
        shop = WatchedShop(dashboard, Traffic(f"http://127.0.0.1:{first}"), process, folder / "shop.log")
        yield shop
        shop.close()


def last_words(log: Path) -> str:
    """The last lines of a log."""
    return " / ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]) or "nothing"


def _started(stack: ExitStack, command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[str]:
    said = stack.enter_context(log.open("w", encoding="utf-8"))
    # A group of its own: Ctrl-C is for us, and we end each process in its turn.
    process = stack.enter_context(
        subprocess.Popen(  # noqa: S603  # our own command
            command, env=environment, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True
        )
    )
    stack.callback(_end, process)
    return process


def _dashboard(process: subprocess.Popen[str], log: Path) -> Dashboard:
    said = []
    for line in process.stdout or ():
        said.append(line.strip())
        link = LOGIN_LINK.search(line)
        if link:
            return Dashboard(link[1], link[2])
    raise ScoutError(f"the dashboard did not start; it said: {last_words(log)} {' / '.join(said[-3:])}")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
