"""Interleaved rounds: one process for each variant, each does a chunk in turn, so that the machine's moods hit all alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from bench.child import Child
from bench.plan import Variant, Workload

PATIENCE: Final = 30.0
"""Seconds until what has not arrived counts as lost."""
GLANCE: Final = 0.02
"""Seconds between two questions to the sink, which is another process."""
COUNTS: Final = ("transactions", "spans", "dropped", "payloads", "bytes", "errors")
"""What a sink counts."""


@frozen(kw_only=True)
class Arrived:
    """What a variant's sink has decoded, beside what it should have."""

    expected: int
    """Transactions."""
    transactions: int
    spans_expected: int
    spans: int
    dropped_expected: int
    dropped: int
    payloads: int
    bytes: int
    errors: int
    last_error: str

    @property
    def is_complete(self) -> bool:
        """Whether everything arrived, once, and nothing else."""
        return self.has_ended and (self.spans_expected, 0) == (self.spans, self.errors)

    @property
    def has_ended(self) -> bool:
        """Whether every transaction arrived, or was counted as left out."""
        return (self.expected, self.dropped_expected) == (self.transactions, self.dropped)


@define
class Runner:
    """One variant of one workload, in its processes."""

    workload: Workload
    variant: Variant
    directory: Path
    worker: Child = field(init=False)
    sink: Child | None = field(init=False, default=None)
    patched: int = field(init=False, default=0)
    """Functions that scout-core has wrapped in the worker."""
    caller_us: list[float] = field(init=False, factory=list)
    """CPU of the calling thread for each item, one number a round."""
    all_us: list[float] = field(init=False, factory=list)
    """CPU of the process for each item, until everything had arrived."""
    _units: int = field(init=False, default=1)
    """Whose arrival is counted; the worker does one by itself at its start."""
    _before: dict[str, int] = field(init=False, factory=dict)
    """What the sink had counted before these."""

    def __attrs_post_init__(self) -> None:
        url = "127.0.0.1:0"
        if self.variant.agent != "alone":
            self.sink = Child(self.variant.python, "bench.sink", self.variant.agent, directory=self.directory)
            url = f"127.0.0.1:{self.sink.first['port']}"
        settings = worker_settings(self.workload, self.variant)
        try:
            self.worker = Child(
                self.variant.python,
                "bench.worker",
                self.workload.key,
                self.variant.agent,
                url,
                settings,
                directory=self.directory,
            )
            self.patched = self.worker.ask(do="patched")["functions"]
        except BaseException:  # the other half must not stay behind, whatever happened
            if self.sink is not None:
                self.sink.close()
            raise
        # The first unit loads templates, which one of the peers tells as a span: it is no example of the others.
        self._await_arrival()
        self._units = 0
        self._before = {} if self.sink is None else {name: self.sink.ask()[name] for name in COUNTS}

    def chunk(self, units: int, *, is_warm_up: bool = False) -> None:
        """Run so many units and note what each item cost, unless only to warm up."""
        answer = self.worker.ask(do="run", units=units)
        self._units += units
        self._await_arrival()
        settled = self.worker.ask(do="settle")
        if not is_warm_up:
            items = units * self.workload.items * 1e3
            self.caller_us.append(answer["thread_ns"] / items)
            self.all_us.append(settled["process_ns"] / items)

    def arrived(self) -> Arrived:
        """What the sink has by now; all zero for a variant that sends nothing."""
        told = {} if self.sink is None else self.sink.ask()
        counts = {name: told.get(name, 0) - self._before.get(name, 0) for name in COUNTS}
        sent = self._units if self.variant.sampled and not self.variant.silent and self.workload.spans else 0
        return Arrived(
            expected=sent,
            spans_expected=sent * self.variant.spans.get(self.workload.key, self.workload.spans),
            dropped_expected=0 if self.variant.sampled else self._units,
            last_error=told.get("last_error", ""),
            **counts,
        )

    def close(self) -> None:
        """End both processes."""
        self.worker.close()
        if self.sink is not None:
            self.sink.close()

    def _await_arrival(self) -> None:
        """Ask the sink, not the worker: waiting costs the worker nothing."""
        deadline = time.monotonic() + PATIENCE
        arrived = self.arrived()
        while not arrived.has_ended and not arrived.errors and time.monotonic() < deadline:
            time.sleep(GLANCE)
            arrived = self.arrived()


def worker_settings(workload: Workload, variant: Variant) -> str:
    """What the worker's agent is started with, as JSON."""
    more = workload.settings if variant.agent == "scout_core" else {}
    return json.dumps({**more, **variant.settings})


def run_rounds(
    workload: Workload,
    variants: Sequence[Variant],
    *,
    rounds: int,
    units: int,
    directory: Path,
    tell: Callable[[str], None],
) -> list[tuple[Runner, Arrived]]:
    """
    Measure the variants of one workload against each other.

    Args:
        units: in a chunk; twice as many warm each process up.
        tell: is told how far it is.

    Returns:
        In the order of the variants, closed, each with what its sink had at the end.
    """
    runners: list[Runner] = []
    try:
        for variant in variants:
            runners.append(Runner(workload, variant, directory))  # noqa: PERF401  # each is closed if the next one fails
        for runner in runners:
            runner.chunk(2 * units, is_warm_up=True)
        for number in range(rounds):
            tell(f"{workload.title}: round {number + 1} of {rounds}")
            for runner in turned(runners, number):
                runner.chunk(units)
        return [(runner, runner.arrived()) for runner in runners]
    finally:
        for runner in runners:
            runner.close()


def turned(runners: Sequence[Runner], number: int) -> Iterable[Runner]:
    """Each round begins with another one, so that none always follows the same neighbour."""
    first = number % len(runners)
    return (*runners[first:], *runners[:first])
