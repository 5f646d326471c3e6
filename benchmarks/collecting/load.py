"""How many processes the one writer keeps up with, while pages are read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import Final

from attrs import frozen

from collecting.client import RequestFailed, Served, Visitor, serve
from collecting.quantiles import quantile

PERIOD: Final = 5.0
"""Seconds between the reports of a process while someone reads the dashboard."""
_CONNECTIONS: Final = 8
_TRACES: Final = 3
_PAGES: Final = ("/?range=1h", "/endpoints?range=1h", "/jobs?range=1h", "/health", "/?range=24h", "/plugins")
_SECONDS_PER_PAGE: Final = 0.5
_TRIES: Final = 6


@frozen(kw_only=True)
class Load:
    """The result of the reports of some processes."""

    processes: int
    names: int
    budget: int | None
    """The number of processes it must keep up with; None: it was only tried."""
    sent: int
    refused: dict[str, int]
    p50: float
    """Seconds from when a report was due to its acknowledgement."""
    p95: float
    behind: float
    """Seconds from when the last report was due to the last acknowledgement."""
    busy: float
    """CPU time of the collector, as a share of one core."""
    page_p95: float
    pages: int
    load_average: float

    @property
    def keeps_up(self) -> bool:
        """Whether each report was stored before the next one of its process was due."""
        return not self.refused and self.p95 < PERIOD / 2 and self.behind < PERIOD


def measure_load(
    wanted: Sequence[tuple[int, int]], *, seconds: float, search: float, progress: Callable[[str], None]
) -> list[Load]:
    """
    Measure each number of processes and names, then find the largest number of processes, doubling it, for each number of names.

    Args:
        search: seconds of each attempt of the search; 0 for none.
    """
    found = []
    for processes, names in wanted:
        progress(f"{processes} processes of {names} names")
        found.append(load := _measure(processes, names, budget=processes, seconds=seconds))
        more = processes
        for _ in range(_TRIES if search and load.keeps_up else 0):
            more *= 2
            progress(f"{more} processes of {names} names")
            found.append(tried := _measure(more, names, budget=None, seconds=search))
            if not tried.keeps_up:
                break
        less = processes
        while search and not load.keeps_up and less > 1:
            less //= 2
            progress(f"{less} processes of {names} names")
            found.append(tried := _measure(less, names, budget=None, seconds=search))
            if tried.keeps_up:
                break
    return found


def _measure(processes: int, names: int, *, budget: int | None, seconds: float) -> Load:
    with (
        tempfile.TemporaryDirectory(prefix="scout-bench-") as folder,
        serve(Path(folder, "state"), Path(folder, "data")) as served,
    ):
        return _send(served, processes, names, budget=budget, seconds=seconds)


def _send(served: Served, processes: int, names: int, *, budget: int | None, seconds: float) -> Load:
    orders = {
        "url": served.url, "token": served.token, "processes": processes, "names": names, "period": PERIOD,
        "seconds": seconds, "traces": _TRACES, "connections": _CONNECTIONS,
    }  # fmt: skip
    with sending(orders) as process:
        assert process.stdout
        pages: list[float] = []
        ended = Event()
        reader = Thread(target=_read_pages, args=(served, pages, ended))
        before, started = served.cpu_seconds(), time.perf_counter()
        reader.start()
        facts = json.loads(process.stdout.readline())
        taken = time.perf_counter() - started
        busy = (served.cpu_seconds() - before) / taken
        ended.set()
        reader.join()
    acknowledged = facts["seconds"]
    return Load(
        processes=processes,
        names=names,
        budget=budget,
        sent=len(acknowledged),
        refused=facts["refused"],
        p50=quantile(acknowledged, 0.5),
        p95=quantile(acknowledged, 0.95),
        behind=max(acknowledged[-10:], default=0.0),
        busy=busy,
        page_p95=quantile(pages, 0.95),
        pages=len(pages),
        load_average=os.getloadavg()[0],
    )


def sending(orders: dict[str, object]) -> subprocess.Popen[str]:
    """Start a sender, and wait until it begins."""
    command = [sys.executable, str(Path(__file__).with_name("sender.py")), json.dumps(orders)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    return process


def _read_pages(served: Served, taken: list[float], ended: Event) -> None:
    visitor = Visitor(served)
    for path in cycle(_PAGES):
        if ended.wait(_SECONDS_PER_PAGE):
            return
        try:
            taken.append(visitor.seconds(path))
        except (OSError, RequestFailed):
            taken.append(float("inf"))
            visitor = Visitor(served)
