"""One thread that decodes and stores reports, so that the server stays responsive."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from scout_core.measuring.report import Report
from scout_core.sending import wire
from scout_dashboard.checks import validate
from scout_dashboard.store import Store
from scout_dashboard.tally import Tally


class Writer:
    """The only writer of the store while the collector runs."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scout-dashboard-writer")

    async def take(self, body: bytes) -> bool:
        """
        Store a report.

        Returns:
            False for a report that was stored before.

        Raises:
            RejectedReport: the report is invalid.
            StoreFull: no space left.
            StoreError: the file of its day is unusable.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._take, body)

    async def tidy(self) -> None:
        """Delete days that are past their retention."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.tidy, time.time())

    def close(self) -> None:
        """Store the accepted reports, then end the thread."""
        self._thread.shutdown(wait=True)

    def _take(self, body: bytes) -> bool:
        now = time.time()
        report = decode(body, oldest=self._store.oldest_kept(now), now=now)
        is_new = self._store.apply(report, now=now)
        if is_new:
            self._tally.count_stored(report)
        else:
            self._tally.count_duplicate()
        return is_new


def decode(body: bytes, *, oldest: float, now: float) -> Report:
    """
    Decode and validate the body of a request.

    Raises:
        RejectedReport: the report is invalid; the message has the reason.
    """
    return validate(wire.decode(body), oldest=oldest, now=now)
