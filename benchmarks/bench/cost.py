"""The instructions that scout-core adds, compared with a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from attrs import frozen

from bench.callgrind import Count, count
from bench.cost_plan import Case, Comparison

CALLER: Final = "caller"
AGENT: Final = "agent's thread"


TOLERANCE: Final = 0.03
"""Share by which a ratio may exceed the stored one."""
NEGLIGIBLE: Final = 0.0001
"""Growth of a ratio that is always allowed, for ratios that are nearly zero."""


@frozen(kw_only=True)
class Cost:
    """Instructions that one thread executes for one item of a workload."""

    workload: str
    thread: str
    item: str
    request: int
    """Instructions of the request without an agent."""
    added: int
    ratio: float
    """``added`` divided by ``request``."""

    @property
    def key(self) -> str:
        """Its name in a baseline."""
        return f"{self.workload}, {self.thread}"

    def change(self, stored: Cost) -> float:
        """Return how much the ratio grew, as a share of the stored one; 0 when both are negligible."""
        if max(self.ratio, stored.ratio) <= NEGLIGIBLE:
            return 0.0
        return self.ratio / max(stored.ratio, NEGLIGIBLE) - 1

    def has_grown(self, stored: Cost) -> bool:
        """Whether the ratio exceeds the stored one by more than is tolerated."""
        return self.ratio > stored.ratio * (1 + TOLERANCE) + NEGLIGIBLE

    def has_shrunk(self, stored: Cost) -> bool:
        """Whether the ratio is so much smaller that the baseline should be stored again."""
        return stored.has_grown(self)


def count_cases(comparisons: Sequence[Comparison], directory: Path, *, jobs: int) -> dict[str, Count]:
    """
    Count every case once.

    Args:
        directory: must not exist; another name gives the processes another memory layout.
        jobs: how many processes run at the same time; the counts do not depend on it.

    Returns:
        Name of the case to its count.

    Raises:
        ChildFailed: a case could not be counted.
    """
    cases = {case.name: case for comparison in comparisons for case in comparison.cases}
    longest_first = sorted(cases.values(), key=lambda case: case.workload.items)

    def run(case: Case) -> tuple[str, Count]:
        return case.name, count(case, directory / case.name)

    with ThreadPoolExecutor(jobs) as pool:
        return dict(pool.map(run, longest_first))


def smallest(counts: Mapping[str, Count], others: Mapping[str, Count]) -> dict[str, Count]:
    """Return the smaller count of each case: an unfortunate memory layout only adds instructions."""
    merged = dict(counts)
    for name, other in others.items():
        before = counts.get(name, other)
        merged[name] = Count(caller=min(before.caller, other.caller), agent=min(before.agent, other.agent))
    return merged


def costs_of(comparison: Comparison, counts: Mapping[str, Count]) -> list[Cost]:
    """Return the cost of one item on both threads."""
    ours, bare, request = (counts[case.name] for case in comparison.cases)
    added = {
        CALLER: ours.caller - bare.caller,
        AGENT: max(0.0, ours.agent),
    }  # the difference of two equal counts may be below 0
    return [
        Cost(
            workload=comparison.key,
            thread=thread,
            item=comparison.ours.workload.item,
            request=round(request.caller),
            added=round(instructions),
            ratio=round(instructions / request.caller, 5),
        )
        for thread, instructions in added.items()
    ]
