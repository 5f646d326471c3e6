"""Starts and stops the processes of the demo: ``scout-core up``, and the shop with ``scout-core run``."""

from __future__ import annotations

import os
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
from scout_core.private_files import read_private
from scout_core.sending.protocol import API, LOGIN_FILE, login_url
from scout_core.sending.rendezvous import locate
from scout_demo import checkout_first
from scout_demo.traffic import Traffic

PATIENCE = 20.0
"""Time limit for a process to exit, in seconds."""


@define(eq=False)
class Dashboard:
    """The running dashboard."""

    url: str
    token: str

    @property
    def login_link(self) -> str:
        """Opens the dashboard in a browser."""
        return login_url(self.url, self.token)

    def get(self, path: str, **query: str) -> Any:  # Any: JSON
        """Return an answer of the dashboard's API."""
        answer = urllib3.request(
            "GET", f"{self.url}{API}/{path}", fields=query, headers={"Authorization": f"Bearer {self.token}"}
        )
        if answer.status != 200:
            raise ScoutError(f"the dashboard returned status {answer.status} for {path}: {answer.data[:200]!r}")
        return answer.json()


@define(eq=False)
class RunningShop:
    """The running processes and visitors."""

    dashboard: Dashboard
    traffic: Traffic
    process: subprocess.Popen[str]
    log: Path

    def is_alive(self) -> bool:
        """Return whether the shop's process is running."""
        return self.process.poll() is None

    def close(self) -> None:
        """Stop the visitors, then the shop, whose agent sends the last report at exit."""
        self.traffic.stop()
        _end(self.process)


@contextmanager
def running_shop(folder: Path, *, port: int) -> Iterator[RunningShop]:
    """
    Run everything for the duration of a ``with`` block.

    Raises:
        ScoutError: the dashboard or the shop did not start; the message has the last lines of its log.
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
        process = _start(stack, up, environment, folder / "up.log")
        dashboard = _dashboard(process, folder / "state", folder / "up.log")
        run = [*scout_core, "run", "--", sys.executable, "-m", "scout_demo.shop", str(folder)]
        process = _start(stack, run, environment, folder / "shop.log")
        port_line = process.stdout.readline().strip() if process.stdout else ""
        if not port_line.isdigit():
            raise ScoutError(f"the shop did not start; last lines of its log: {last_lines(folder / 'shop.log')}")
        shop = RunningShop(dashboard, Traffic(f"http://127.0.0.1:{port_line}"), process, folder / "shop.log")
        yield shop
        shop.close()


def last_lines(log: Path) -> str:
    """Return the last lines of a log."""
    return " / ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]) or "nothing"


def _start(stack: ExitStack, command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[str]:
    stderr = stack.enter_context(log.open("w", encoding="utf-8"))
    # Its own process group: Ctrl-C reaches only us, and we stop the processes in order.
    process = stack.enter_context(
        subprocess.Popen(  # noqa: S603  # our own command
            command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        )
    )
    stack.callback(_end, process)
    return process


def _dashboard(process: subprocess.Popen[str], state_dir: Path, log: Path) -> Dashboard:
    output = process.stdout.readline().strip() if process.stdout else ""  # it prints its first line once it is running
    address, token = locate(state_dir), read_private(state_dir / LOGIN_FILE)
    if address is None or not token:
        raise ScoutError(f"the dashboard did not start; its last output: {last_lines(log)} {output}".rstrip())
    return Dashboard(address.url, token.strip())


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
