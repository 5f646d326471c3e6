"""Visitors: a few threads that request pages over real sockets, at a human pace."""

from __future__ import annotations

import random
from threading import Event, Thread

import urllib3
from attrs import define, field

PAGES = (
    ("GET", "/", 30),
    ("GET", "/products?category=lamp", 20),
    ("GET", "/product/17?coupon=SPRING&token=secret", 20),
    ("GET", "/orders", 6),
    ("GET", "/suggestions", 10),
    ("GET", "/report", 2),
    ("POST", "/checkout", 4),
)
"""Method, path, and relative frequency."""
VISITORS = 4
PAUSE = 0.15
"""Mean seconds between two requests of a visitor."""


@define
class Traffic:
    """Visitors of one shop, between ``start`` and ``stop``."""

    shop: str
    responses: int = 0
    failed: int = 0
    """Responses with status 500 or above, and failed connections."""
    _stop_event: Event = field(factory=Event)
    _threads: list[Thread] = field(factory=list)

    def start(self) -> None:
        """Start the visitors."""
        self._threads = [
            Thread(target=self._visit, args=(number == 0,), name=f"visitor-{number}", daemon=True)
            for number in range(VISITORS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the visitors after their current requests."""
        self._stop_event.set()
        for thread in self._threads:
            thread.join(10)

    def _visit(self, is_first: bool) -> None:
        chance = random.Random()  # noqa: S311
        http = urllib3.PoolManager(maxsize=1, retries=False)
        weights = [weight for _, _, weight in PAGES]
        if is_first:  # every page is requested, even in a short demo
            for method, path, _ in PAGES:
                self._request(http, method, path)
        while not self._stop_event.wait(chance.expovariate(1 / PAUSE)):
            method, path, _ = chance.choices(PAGES, weights)[0]
            self._request(http, method, path)

    def _request(self, http: urllib3.PoolManager, method: str, path: str) -> None:
        try:
            status = http.request(method, self.shop + path, redirect=False, timeout=10).status
        except urllib3.exceptions.HTTPError:
            status = 599
        self.responses += 1
        self.failed += status >= 500
