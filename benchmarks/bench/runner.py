"""The process that runs a variant of a workload, and the process that is its sink."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

from bench.child import Child
from bench.measured import Arrived, Measured
from bench.plan import Variant, Workload

TIMEOUT: Final = 30.0
"""Seconds to wait for missing data."""
POLL: Final = 0.02
"""Seconds between two queries of the sink."""
COUNTS: Final = ("transactions", "spans", "dropped", "payloads", "bytes", "errors")
"""The counts of a sink."""


class Runner:
    """
    Runs chunks and records what they cost, until ``close``.

    Args:
        measured: the results are added to it.
        directory: working directory of both processes.
    """

    def __init__(self, measured: Measured, directory: Path) -> None:
        self.measured = measured
        self.workload, self.variant = measured.workload, measured.variant
        self._sink = start_sink(self.variant, directory)
        self._before = dict.fromkeys(COUNTS, 0)
        """Counts of the sink before the units that are checked."""
        self._units = 1
        """Units to check; a worker runs the first one when it starts."""
        try:
            self.worker = start_worker(self.workload, self.variant, self._sink, directory)
            measured.patched = self.worker.ask(method="patched")["functions"]
        except BaseException:  # also on Ctrl-C: end the sink too
            if self._sink is not None:
                self._sink.close()
            raise
        # The first unit is not checked: it loads templates, which one of the peers records as a span.
        self._await_arrival()
        self._before, self._units = self._counts(), 0

    def chunk(self, units: int) -> tuple[float, float, float]:
        """Run units; return microseconds per item of the caller, of the caller in the fastest slice, and of all threads."""
        answer = self.worker.ask(method="run", units=units)
        self._units += units
        self._await_arrival()
        settled = self.worker.ask(method="settle")
        items = units * self.workload.items * 1e3
        return answer["thread_ns"] / items, answer["fastest_ns"] / items, settled["process_ns"] / items

    def measure(self, units: int) -> None:
        """Run a chunk and record what it cost."""
        caller_us, fastest_us, all_us = self.chunk(units)
        self.measured.caller_us.append(caller_us)
        self.measured.fastest_us.append(fastest_us)
        self.measured.all_us.append(all_us)

    def finish(self) -> None:
        """Record what has arrived."""
        self.measured.arrived += self._arrived()

    def close(self) -> None:
        """End both processes."""
        self.worker.close()
        if self._sink is not None:
            self._sink.close()

    def _await_arrival(self) -> None:
        """Poll the sink, not the worker, so that waiting costs the worker nothing."""
        deadline = time.monotonic() + TIMEOUT
        arrived = self._arrived()
        while not arrived.has_all_transactions and not arrived.errors and time.monotonic() < deadline:
            time.sleep(POLL)
            arrived = self._arrived()

    def _arrived(self) -> Arrived:
        counts = self._counts()
        is_sent = self.variant.sampled and not self.variant.silent and self.workload.spans > 0
        sent = self._units if is_sent else 0
        return Arrived(
            expected=sent,
            spans_expected=sent * self.variant.spans.get(self.workload.key, self.workload.spans),
            dropped_expected=0 if self.variant.sampled else self._units,
            **{name: counts[name] - self._before[name] for name in COUNTS},
        )

    def _counts(self) -> dict[str, int]:
        """Return the current counts of the sink; zeros for a variant without one."""
        if self._sink is None:
            return dict.fromkeys(COUNTS, 0)
        answer = self._sink.ask()
        self.measured.last_error = answer["last_error"]
        return {name: answer[name] for name in COUNTS}


def start_sink(variant: Variant, directory: Path) -> Child | None:
    """Start the server that the variant's agent sends to; None for a variant without an agent."""
    if variant.agent == "bare":
        return None
    return Child(variant.python, "bench.sink", variant.agent, directory=directory)


def start_worker(workload: Workload, variant: Variant, sink: Child | None, directory: Path) -> Child:
    """Start the process that does the work, and wait until it has done one unit."""
    url = f"127.0.0.1:{0 if sink is None else sink.first['port']}"
    options = workload.settings if variant.agent == "scout_core" else {}
    settings = json.dumps({**options, **variant.settings})
    return Child(variant.python, "bench.worker", workload.key, variant.agent, url, settings, directory=directory)
