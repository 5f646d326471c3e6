"""Starts and stops the processes of the demo: ``scout-core up``, Redis, and with ``scout-core run`` the shop and its worker."""

from __future__ import annotations

import os
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
from scout_core.sending.protocol import API, LINKS, LOGIN_FILE, LinkAnswer, read_answer
from scout_core.sending.rendezvous import locate
from scout_demo import checkout_first
from scout_demo.ending import end
from scout_demo.keeper import in_group, running_keeper
from scout_demo.queue_server import running_redis
from scout_demo.shop import jobs
from scout_demo.shop.queues import NAMES
from scout_demo.traffic import Traffic


@define(eq=False)
class Dashboard:
    """The running dashboard."""

    url: str
    token: str

    def new_link(self) -> str:
        """Return a link that logs one browser in, once."""
        answer = urllib3.request("POST", f"{self.url}{LINKS}", headers=self._headers)
        if answer.status != 201:
            raise ScoutError(f"the dashboard returned status {answer.status} for a login link: {answer.data[:200]!r}")
        return read_answer(answer.json(), LinkAnswer).default

    def get(self, path: str, **query: str) -> Any:  # Any: JSON
        """Return an answer of the dashboard's API."""
        answer = urllib3.request("GET", f"{self.url}{API}/{path}", fields=query, headers=self._headers)
        if answer.status != 200:
            raise ScoutError(f"the dashboard returned status {answer.status} for {path}: {answer.data[:200]!r}")
        return answer.json()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@define(eq=False)
class RunningShop:
    """The running processes and visitors."""

    dashboard: Dashboard
    traffic: Traffic
    processes: dict[str, tuple[subprocess.Popen[str], Path]]
    """``shop``, and ``worker`` if there are jobs, each with its log."""

    def check(self) -> None:
        """
        Check that the shop and its worker are running.

        Raises:
            ScoutError: one of them has exited; the message has the last lines of its log.
        """
        for name, (process, log) in self.processes.items():
            if process.poll() is not None:
                raise ScoutError(f"the {name} exited unexpectedly; last lines of its log: {last_lines(log)}")

    def close(self) -> None:
        """Stop the visitors, then the shop and its worker, whose agents send the last report at exit."""
        self.traffic.stop()
        for process, _ in self.processes.values():
            end(process)


@contextmanager
def running_shop(folder: Path, *, port: int, redis_server: str | None) -> Iterator[RunningShop]:
    """
    Run everything for the duration of a ``with`` block.

    Args:
        port: of the dashboard; 0: any free one.
        redis_server: path of the program; None: there are no jobs.

    Raises:
        ScoutError: the dashboard or the shop did not start; the message has the last lines of its log.
    """
    settings = {
        "SCOUT_NAME": "Demo shop",
        "SCOUT_STATE_DIR": str(folder / "state"),
        "SCOUT_PLUGINS": checkout_first.__name__,
        "SCOUT_TRACES_PER_PERIOD": "3",
        "SCOUT_REPORT_PERIOD": "2",
        "SCOUT_N_PLUS_ONE_SECONDS": "0.001",  # the queries of the shop are fast: its database is a small file
        "TMPDIR": str(
            folder
        ),  # all that they make is removed with it, such as a socket for which the state directory's path is too long
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SCOUT_", "RQ_"))}
    environment = {**inherited, **settings, "PYTHONUNBUFFERED": "1"}
    scout_core = [sys.executable, "-m", "scout_core"]
    with running_keeper(folder) as group, ExitStack() as stack:
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
        process = _start(stack, group, up, environment, folder / "up.log")
        dashboard = _dashboard(process, folder / "state", folder / "up.log")
        if redis_server is not None:
            environment["RQ_REDIS_URL"] = stack.enter_context(running_redis(redis_server, folder, group))
            environment[jobs.FOLDER] = str(folder)
        run = [*scout_core, "run", "--", sys.executable, "-m"]
        process = _start(stack, group, [*run, "scout_demo.shop", str(folder)], environment, folder / "shop.log")
        port_line = process.stdout.readline().strip() if process.stdout else ""
        if not port_line.isdigit():
            raise ScoutError(f"the shop did not start; last lines of its log: {last_lines(folder / 'shop.log')}")
        processes = {"shop": (process, folder / "shop.log")}
        if redis_server is not None:
            log = folder / "worker.log"
            serializer = "rq.serializers.JSONSerializer"  # RQ's default is pickle, which runs what it reads
            # SimpleWorker imports the jobs once, and not again for each of them, in a process of its own.
            work = [
                *run,
                "rq.cli",
                "worker",
                "--quiet",
                "--worker-class",
                "rq.SimpleWorker",
                "--serializer",
                serializer,
                *NAMES,
            ]
            processes["worker"] = _start(stack, group, work, environment, log), log
        shop = RunningShop(dashboard, Traffic(f"http://127.0.0.1:{port_line}"), processes)
        yield shop
        shop.close()


def last_lines(log: Path) -> str:
    """Return the last lines of a log."""
    return " / ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]) or "nothing"


def _start(
    stack: ExitStack, group: int, command: list[str], environment: dict[str, str], log: Path
) -> subprocess.Popen[str]:
    stderr = stack.enter_context(log.open("w", encoding="utf-8"))
    # Not in our process group, see `ending.py`.
    process = stack.enter_context(
        subprocess.Popen(  # noqa: S603  # our own command
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            **in_group(group),
        )
    )
    stack.callback(end, process)
    return process


def _dashboard(process: subprocess.Popen[str], state_dir: Path, log: Path) -> Dashboard:
    output = process.stdout.readline().strip() if process.stdout else ""  # it prints its first line once it is running
    address, token = locate(state_dir), read_private(state_dir / LOGIN_FILE)
    if address is None or not token:
        raise ScoutError(f"the dashboard did not start; its last output: {last_lines(log)} {output}".rstrip())
    return Dashboard(address.url, token.strip())
