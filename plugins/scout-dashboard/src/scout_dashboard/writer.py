"""One thread that decodes and stores reports, so that the server stays responsive."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final

from attrs import Factory, frozen

from scout_core.log import Log, LogOnce
from scout_core.measuring.report import Report
from scout_core.sending import wire
from scout_dashboard.caps import cap
from scout_dashboard.checks import validate
from scout_dashboard.clocks import Clocks
from scout_dashboard.corrections import correct, shift
from scout_dashboard.marking import GivenMarker, MarkerAnswer, mark
from scout_dashboard.store import Store
from scout_dashboard.store.writing import Incoming
from scout_dashboard.tally import Tally

_MOST_AT_ONCE: Final = 32
"""Reports in one transaction: the first of them is acknowledged with the last."""
_MOST_BYTES: Final = 4 * 1024 * 1024
"""Bytes of these reports, apart from the first one."""


@frozen
class _Waiting:
    """A report that has arrived."""

    body: bytes
    arrived: float
    sent: float | None
    is_new: Future[bool] = Factory(Future)


class Writer:
    """The only writer of the store while the collector runs. Reports that wait at the same time are stored in one transaction."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._clocks = Clocks()
        self._log = LogOnce(Log("scout_core.dashboard"))
        self._waiting: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scout-dashboard-writer")

    async def take(self, body: bytes, *, arrived: float, sent: float | None = None) -> bool:
        """
        Store a report.

        Args:
            arrived: when the request began.
            sent: the same by the sender's clock, if it names it.

        Returns:
            False for a report that was stored before.

        Raises:
            RejectedReport: the report is invalid.
            StoreFull: no space left.
            StoreError: the file of its day is unusable.
        """
        waiting = _Waiting(body, arrived, sent)
        self._waiting.append(waiting)
        self._thread.submit(self._store_waiting)
        return await asyncio.wrap_future(waiting.is_new)

    async def mark(self, given: GivenMarker) -> MarkerAnswer:
        """Store a deploy that was marked by hand; see ``marking.mark``."""
        now = time.time()
        marking = partial(mark, self._store, given, oldest=self._store.oldest_kept(now), now=now)
        return await asyncio.get_running_loop().run_in_executor(self._thread, marking)

    async def tidy(self) -> None:
        """Delete days that are past their retention. A failure is only logged: the server calls this, and would end with it."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.tidy, time.time())
        except Exception as error:  # noqa: BLE001  # such as a disk that is gone; it is tried again
            self._log.warning("tidy", "days past their retention cannot be deleted: %s", error)

    def close(self) -> None:
        """Store the accepted reports, then end the thread."""
        self._thread.shutdown(wait=True)

    def _store_waiting(self) -> None:
        now = time.time()
        taken: list[tuple[_Waiting, Incoming]] = []
        size = 0
        while self._waiting and len(taken) < _MOST_AT_ONCE and (not taken or size < _MOST_BYTES):
            waiting = self._waiting.popleft()
            size += len(waiting.body)
            try:
                taken.append((waiting, self._read(waiting, now)))
            except Exception as error:  # noqa: BLE001  # the answer of this report; the others do not depend on it
                _answer(waiting, error)
        if taken:
            self._apply(taken, now)
            self._fold(now)

    def _apply(self, taken: list[tuple[_Waiting, Incoming]], now: float) -> None:
        try:
            stored = self._store.apply_all([incoming for _, incoming in taken], now=now)
        except Exception as error:  # noqa: BLE001  # whatever it is belongs into the answer
            if len(taken) == 1:
                _answer(taken[0][0], error)
                return
            for pair in taken:  # only some of them may be the cause
                self._apply([pair], now)
            return
        for (waiting, incoming), is_new in zip(taken, stored, strict=True):
            self._count(incoming, is_new=is_new)
            _answer(waiting, is_new)

    def _fold(self, now: float) -> None:
        try:
            self._store.fold(now)
        except Exception as error:  # noqa: BLE001  # pages read the minutes instead, and the next report tries again
            self._log.warning("fold", "minutes cannot be summed up: %s", error)

    def _read(self, waiting: _Waiting, now: float) -> Incoming:
        report = wire.decode(waiting.body)
        offset, hint = self._clocks.offset_of(report, arrived=waiting.arrived, sent=waiting.sent)
        report, shifted = shift(report, offset)
        validate(report, oldest=self._store.oldest_kept(now), now=now)
        report, corrected = correct(report)
        report, cut = cap(report)
        corrected += shifted + hint + cut
        return Incoming(report=report, corrected=corrected)

    def _count(self, incoming: Incoming, *, is_new: bool) -> None:
        if not is_new:
            self._tally.count_duplicate()
            return
        self._tally.count_stored(incoming.report)
        self._note(incoming.report, incoming.corrected)

    def _note(self, report: Report, corrected: Mapping[str, int]) -> None:
        """Count what was corrected or cut, and log the first of each kind."""
        self._tally.count_corrected(corrected)
        for reason in corrected:
            self._log.warning(
                reason,
                "a report of %s (pid %s) was corrected or cut: %s",
                report.process.app,
                report.process.pid,
                reason,
            )


def _answer(waiting: _Waiting, answer: bool | Exception) -> None:
    if not waiting.is_new.set_running_or_notify_cancel():
        return  # the client has disconnected
    if isinstance(answer, Exception):
        waiting.is_new.set_exception(answer)
    else:
        waiting.is_new.set_result(answer)
