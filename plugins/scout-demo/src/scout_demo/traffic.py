"""Visitors: a few threads that ask for pages over real sockets, as fast as people would."""

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
"""Method, path, and how often it is asked for compared with the others."""
VISITORS = 4
PAUSE = 0.15
"""Seconds that a visitor looks at a page, on average."""


@define
class Traffic:
    """Visitors of one shop. ``start`` and ``stop`` them."""

    shop: str
    answered: int = 0
    failed: int = 0
    """Answers with status 500 or above, and connections that broke."""
    _ending: Event = field(factory=Event)
    _threads: list[Thread] = field(factory=list)

    def start(self) -> None:
        """Let them in."""
        self._threads = [
            Thread(target=self._visit, args=(number == 0,), name=f"visitor-{number}", daemon=True)
            for number in range(VISITORS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait until each has its last page."""
        self._ending.set()
        for thread in self._threads:
            thread.join(10)

    def _visit(self, is_first: bool) -> None:
        chance = random.Random()  # noqa: S311
        http = urllib3.PoolManager(maxsize=1, retries=False)
        weights = [weight for _, _, weight in PAGES]
        if is_first:  # however short the demo, each page is seen
            for method, path, _ in PAGES:
                self._ask(http, method, path)
        while not self._ending.wait(chance.expovariate(1 / PAUSE)):
            method, path, _ = chance.choices(PAGES, weights)[0]
            self._ask(http, method, path)

    def _ask(self, http: urllib3.PoolManager, method: str, path: str) -> None:
        try:
            status = http.request(method, self.shop + path, redirect=False, timeout=10).status
        except urllib3.exceptions.HTTPError:
            status = 599
        self.answered += 1
        self.failed += status >= 500
