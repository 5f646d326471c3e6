"""How long the pages of a store with weeks of data take, quiet and while reports arrive."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from attrs import Factory, define

from collecting.client import Served, Visitor, serve
from collecting.load import sending
from collecting.quantiles import quantile
from collecting.shop import name_of, statement_of
from scout_dashboard.store.operations import id_of

BUDGET: Final = 0.2
"""Seconds of the 95th percentile of every page."""
RANGES: Final = ("15m", "1h", "6h", "24h", "7d", "30d")
PAGES: Final = ("/", "/endpoints", "/jobs", "/errors", "/operations", "/operation", "/endpoint")
"""Pages with a range."""
QUIET, BUSY = "quiet", "one report a second"


@define(kw_only=True)
class Latency:
    """One page in one range, in seconds."""

    page: str
    range: str
    budget: float = BUDGET
    first: float | None = None
    """The first request after a start; None when it was not measured."""
    p50: dict[str, float] = Factory(dict)
    p95: dict[str, float] = Factory(dict)
    cpu: dict[str, float] = Factory(dict)
    """Mean CPU time of the collector for a request; with reports, theirs is in it."""
    load_average: dict[str, float] = Factory(dict)

    @property
    def worst(self) -> float:
        """The slowest figure that the budget is for."""
        return max([*self.p95.values(), self.first or 0.0])


def measure_latency(
    data_dir: Path, *, names: int, requests: int, ranges: Sequence[str], progress: Callable[[str], None]
) -> list[Latency]:
    """Measure all pages of a store."""
    found = {(page, of): Latency(page=page, range=of) for page, of in _cases(ranges)}
    with tempfile.TemporaryDirectory(prefix="scout-bench-") as folder:
        for case, latency in found.items():
            if case[1] in ("7d", "30d", ""):
                progress(f"first request of {case[0]} {case[1]}")
                with serve(Path(folder), data_dir) as served:
                    latency.first = _first(served, *case)
        with serve(Path(folder), data_dir) as served:
            _measure(served, found, QUIET, requests, progress)
            with _reports(served, names):
                _measure(served, found, BUSY, requests, progress)
    return list(found.values())


def _first(served: Served, page: str, of: str) -> float:
    visitor = Visitor(served)
    if page.startswith("/trace/"):
        page = "/trace/" + _some_trace(visitor)
    return visitor.seconds(_path(page, of))


def _measure(
    served: Served, found: dict[tuple[str, str], Latency], state: str, requests: int, progress: Callable[[str], None]
) -> None:
    visitor = Visitor(served)
    trace = _some_trace(visitor)
    for (page, of), latency in found.items():
        progress(f"{state}: {page} {of}")
        path = _path(page.replace("ID", trace), of)
        visitor.seconds(path)
        before = served.cpu_seconds()
        taken = [visitor.seconds(path) for _ in range(requests)]
        latency.cpu[state] = (served.cpu_seconds() - before) / requests
        latency.p50[state], latency.p95[state] = quantile(taken, 0.5), quantile(taken, 0.95)
        latency.load_average[state] = os.getloadavg()[0]


@contextmanager
def _reports(served: Served, names: int) -> Iterator[None]:
    """Send one report a second, until the block ends."""
    orders = {
        "url": served.url, "token": served.token, "processes": 1, "names": names, "period": 1.0, "seconds": 3_600.0,
        "traces": 3, "connections": 1, "first": int(time.time()),
    }  # fmt: skip
    with sending(orders) as process:
        try:
            yield
        finally:
            process.terminate()


def _cases(ranges: Sequence[str]) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for of in ranges:
            yield page, of
    yield from (("/trace/ID", ""), ("/plugins", ""), ("/health", ""), ("/api/v1/traces?limit=1000", "7d"))


def _path(page: str, of: str) -> str:
    query = f"range={of}"
    if of == "30d":
        now = time.time()
        query = f"from={now - 30 * 86_400:.0f}&to={now:.0f}"
    if page == "/endpoint":
        query += f"&name={quote(name_of(7))}&app=Shop"
    if page == "/operation":
        query += f"&id={id_of('SQL/Query', statement_of(0))}"
    return f"{page}{'&' if '?' in page else '?'}{query}" if of else page


def _some_trace(visitor: Visitor) -> str:
    found = json.loads(visitor.get("/api/v1/traces?range=24h&limit=1"))
    return str(found["rows"][0]["id"])
