"""
Send the reports of many processes on time, over a few connections. Argument: the orders as JSON, see ``Orders``.

It prints a JSON object: seconds from when each report was due to its acknowledgement, in order of the time it was due, and
how many were refused, by status.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Lock, Thread
from typing import Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attrs import define, field, frozen
from bench.arguments import arguments

from collecting.shop import Shop, report
from scout_core.sending import wire
from scout_core.sending.intake import SENT_HEADER

_INSTANCE: Final = "feedfeedfeedfeed"
_TRACE: Final = "abadcafe"
_END: Final = 1_500_000_000.25
_BODIES: Final = 5
"""Different reports of an application."""
_MOST_REFUSED: Final = 100
"""Reports after which a connection gives up."""
_PER_APP: Final = 10
"""Processes of one application."""


@frozen(kw_only=True)
class Orders:
    """The reports to send."""

    url: str
    token: str
    processes: int
    names: int
    period: float
    """Seconds between two reports of a process."""
    seconds: float
    """How long to send; reports that are due by then are waited for, up to twice as long."""
    traces: int
    connections: int
    first: int = 0
    """Number of the first process."""


class Body:
    """A report as bytes, to be sent by any process at any time."""

    def __init__(self, orders: Orders, app: str, seed: int) -> None:
        shop = Shop(names=orders.names, calls=5.0, traces=orders.traces, operations=min(200, 2 * orders.names))
        made = report(shop, end=_END, period=orders.period, app=app, instance=_INSTANCE, number=7_777_777, seed=seed)
        facts = json.loads(wire.encode(made))
        facts["start"], facts["end"] = "@start", "@end"
        facts["process"]["started"] = "@started"
        for number, trace in enumerate(facts["traces"]):
            trace["id"], trace["start"] = f"{_TRACE}{number:08x}", "@start"
        self._text = json.dumps(facts, separators=(",", ":")).encode()
        self._period = orders.period

    def at(self, end: float, process: int, number: int) -> bytes:
        """Return the report of a process."""
        new = {
            _INSTANCE: f"{process:016x}",
            '"@start"': repr(end - self._period),
            '"@end"': repr(end),
            '"@started"': repr(end - 3_600),
            "7777777": str(number),
            _TRACE: f"{(process * 100_003 + number) % 2**32:08x}",
        }
        text = self._text
        for old, value in new.items():
            text = text.replace(old.encode(), value.encode())
        return text


@define
class Sender:
    """Threads that take the next report that is due."""

    orders: Orders
    bodies: dict[int, list[Body]]
    started: float = field(factory=time.time)
    _due: list[tuple[float, int, int]] = field(factory=list)
    _lock: Lock = field(factory=Lock)
    taken: list[tuple[float, float]] = field(factory=list)
    refused: Counter[str] = field(factory=Counter)

    def run(self) -> None:
        """Send everything."""
        for process in range(self.orders.processes):
            heappush(self._due, (self.started + self.orders.period * process / self.orders.processes, process, 1))
        threads = [Thread(target=self._send_all) for _ in range(self.orders.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _next(self) -> Iterator[tuple[float, int, int]]:
        end = self.started + self.orders.seconds
        while True:
            with self._lock:
                if not self._due:
                    return
                due, process, number = heappop(self._due)
                if due + self.orders.period < end:
                    heappush(self._due, (due + self.orders.period, process, number + 1))
            if time.time() > self.started + 2 * self.orders.seconds:
                self.refused["never sent"] += 1
                continue
            yield due, process, number

    def _send_all(self) -> None:
        address = urlsplit(self.orders.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
        for due, process, number in self._next():
            time.sleep(max(0.0, due - time.time()))
            of_app = self.bodies[process // _PER_APP]
            now = time.time()
            body = of_app[(process + number) % len(of_app)].at(now, self.orders.first + process + 1, number)
            headers = {
                "Authorization": f"Bearer {self.orders.token}", "Content-Type": wire.CONTENT_TYPE, SENT_HEADER: repr(now),
            }  # fmt: skip
            try:
                connection.request("POST", "/api/v1/reports", body=body, headers=headers)
                answer = connection.getresponse()
                answer.read()
                status = str(answer.status)
            except (OSError, HTTPException) as error:
                connection.close()
                status = type(error).__name__
            if status == "202":
                self.taken.append((due, time.time() - due))
            else:
                self.refused[status] += 1
                if self.refused.total() > _MOST_REFUSED:
                    return


def main() -> None:
    """Send, and print what happened."""
    (text,) = arguments(__doc__)
    orders = Orders(**json.loads(text))
    bodies = {
        app: [Body(orders, f"Shop {app + 1}", seed) for seed in range(_BODIES)]
        for app in range(-(-orders.processes // _PER_APP))
    }
    print("ready", flush=True)
    sender = Sender(orders, bodies)
    sender.run()
    facts = {"seconds": [round(taken, 4) for _, taken in sorted(sender.taken)], "refused": sender.refused}
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
