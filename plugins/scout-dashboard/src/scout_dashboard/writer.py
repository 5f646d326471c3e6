"""One thread that reads and stores reports, so that neither keeps the server from answering."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from scout_core.measuring.report import Report
from scout_core.sending import wire
from scout_dashboard.checks import checked
from scout_dashboard.store import Store
from scout_dashboard.tally import Tally


class Writer:
    """The only one who changes the store while it runs."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scout-dashboard-writer")

    async def take(self, body: bytes) -> bool:
        """
        Store a report.

        Returns:
            False when it was stored before.

        Raises:
            RejectedReport: it is not a report that makes sense.
            StoreFull: no space.
            StoreError: its day's file cannot be used.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._take, body)

    async def tidy(self) -> None:
        """Drop days that are past their retention."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.tidy, time.time())

    def close(self) -> None:
        """Store what was taken, then end the thread."""
        self._thread.shutdown(wait=True)

    def _take(self, body: bytes) -> bool:
        now = time.time()
        report = decode(body, oldest=self._store.oldest_kept(now), now=now)
        is_new = self._store.apply(report, now=now)
        if is_new:
            self._tally.stored(report)
        else:
            self._tally.repeated()
        return is_new


def decode(body: bytes, *, oldest: float, now: float) -> Report:
    """
    The report of a request's body, fit for the store.

    Raises:
        RejectedReport: says what is wrong with it.
    """
    return checked(wire.decode(body), oldest=oldest, now=now)
