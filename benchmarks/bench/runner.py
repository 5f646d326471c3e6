"""One process that runs a variant of a workload, and its sink, which is another."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

from bench.child import Child
from bench.measured import Arrived, Measured
from bench.plan import Variant, Workload

PATIENCE: Final = 30.0
"""Seconds until what has not arrived counts as lost."""
GLANCE: Final = 0.02
"""Seconds between two questions to the sink."""
COUNTS: Final = ("transactions", "spans", "dropped", "payloads", "bytes", "errors")
"""What a sink counts."""


class Runner:
    """
    Runs chunks and notes what they cost, until ``close``.

    Args:
        measured: is added to.
        directory: where both processes work.
    """

    def __init__(self, measured: Measured, directory: Path) -> None:
        self.measured = measured
        self.workload, self.variant = measured.workload, measured.variant
        self._sink = start_sink(self.variant, directory)
        self._before = dict.fromkeys(COUNTS, 0)
        """What the sink had counted before the units whose arrival is of interest."""
        self._units = 1
        """So many of those: the worker does one by itself at its start."""
        try:
            self.worker = start_worker(self.workload, self.variant, self._sink, directory)
            measured.patched = self.worker.ask(do="patched")["functions"]
        except BaseException:  # whatever happened, the other half must not stay behind
            if self._sink is not None:
                self._sink.close()
            raise
        # The first unit loads templates, which one of the peers tells as a span: it is no example of the others.
        self._await_arrival()
        self._before, self._units = self._counts(), 0

    def chunk(self, units: int) -> tuple[float, float, float]:
        """Run so many units: CPU of the caller, the same in the fastest slice, and of all threads; microseconds an item."""
        answer = self.worker.ask(do="run", units=units)
        self._units += units
        self._await_arrival()
        settled = self.worker.ask(do="settle")
        items = units * self.workload.items * 1e3
        return answer["thread_ns"] / items, answer["fastest_ns"] / items, settled["process_ns"] / items

    def measure(self, units: int) -> None:
        """Run a chunk and note what it cost."""
        caller_us, fastest_us, all_us = self.chunk(units)
        self.measured.caller_us.append(caller_us)
        self.measured.fastest_us.append(fastest_us)
        self.measured.all_us.append(all_us)

    def finish(self) -> None:
        """Note what has arrived."""
        self.measured.arrived += self._arrived()

    def close(self) -> None:
        """End both processes."""
        self.worker.close()
        if self._sink is not None:
            self._sink.close()

    def _await_arrival(self) -> None:
        """Ask the sink, not the worker: waiting costs the worker nothing."""
        deadline = time.monotonic() + PATIENCE
        arrived = self._arrived()
        while not arrived.has_ended and not arrived.errors and time.monotonic() < deadline:
            time.sleep(GLANCE)
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
        """All that the sink has by now; zero for a variant without one."""
        if self._sink is None:
            return dict.fromkeys(COUNTS, 0)
        answer = self._sink.ask()
        self.measured.last_error = answer["last_error"]
        return {name: answer[name] for name in COUNTS}


def start_sink(variant: Variant, directory: Path) -> Child | None:
    """Where the variant's agent sends to; None where there is none."""
    if variant.agent == "alone":
        return None
    return Child(variant.python, "bench.sink", variant.agent, directory=directory)


def start_worker(workload: Workload, variant: Variant, sink: Child | None, directory: Path) -> Child:
    """The process that does the work; it has done one unit when this returns."""
    url = f"127.0.0.1:{0 if sink is None else sink.first['port']}"
    more = workload.settings if variant.agent == "scout_core" else {}
    settings = json.dumps({**more, **variant.settings})
    return Child(variant.python, "bench.worker", workload.key, variant.agent, url, settings, directory=directory)
