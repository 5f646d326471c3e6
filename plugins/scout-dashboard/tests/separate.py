"""A collector in a process of its own: its files and its interpreter lock are not shared with the test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from attrs import frozen
from sample_reports import report, send
from visitor import Visitor

from scout_core.sending.rendezvous import CollectorAddress, locate

PATIENCE = 60


@frozen
class Separate:
    """It serves; ``port`` and ``access`` are what a ``Visitor`` uses of a ``Collector``."""

    process: subprocess.Popen[str]
    address: CollectorAddress
    link: str
    """A login link, which works once."""
    errors: Path
    """Its standard error output."""

    @property
    def port(self) -> int:
        """The number of its port."""
        return urlsplit(self.address.url).port or 0

    @property
    def access(self) -> SimpleNamespace:
        """Its address by name."""
        parts = urlsplit(self.link)
        return SimpleNamespace(addresses=SimpleNamespace(by_name=f"{parts.scheme}://{parts.netloc}"))

    def new_visitor(self) -> Visitor:
        """Log in; once."""
        visitor = Visitor(self)  # type: ignore[arg-type]  # it has what is used
        status, headers, _ = visitor.ask(urlsplit(self.link).path, method="POST")
        assert 303 == status
        visitor.cookie = headers["set-cookie"].partition(";")[0]
        return visitor


@contextmanager
def separate(folder: Path, *, files: int = 0, command: Sequence[str] = ()) -> Iterator[Separate]:
    """
    Run ``scout-core up`` for the duration of a ``with`` block.

    Args:
        files: hard limit of open files; 0 for that of the test.
        command: another program, which prints the login link as the last word of its first line.
    """
    state, errors = folder / "state", folder / "errors.txt"
    command = command or (sys.executable, "-m", "scout_core", "up", "--port", "0")
    limited = ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh") if files else ()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*limited, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
            env={**environment, "SCOUT_STATE_DIR": str(state)},
        )
    try:
        assert process.stdout is not None
        link = process.stdout.readline().split()[-1]  # up prints it first
        address = locate(state)
        assert address is not None
        yield Separate(process, address, link, errors)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def served(collector: Separate, visitor: Visitor, number: int, *, first: int = 1) -> tuple[int, int]:
    """Send reports and read pages, each on a new connection; return how many of each succeeded."""
    reports = pages = 0
    for count in range(first, first + number):
        reports += 202 == send(collector.address.url, collector.address.token, report(end=time.time(), number=count))[0]
        pages += 200 == visitor.ask("/")[0]
    return reports, pages
