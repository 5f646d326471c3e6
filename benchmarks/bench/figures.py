"""Lines of the result: what was measured, what the agent added, and its budget."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from attrs import frozen

from bench.measured import Measured
from bench.plan import ALL, BUDGETS, CALLER, CONTROL, PATCHED, Variant


@frozen(kw_only=True)
class Figure:
    """One line of the result, about one variant."""

    what: str
    variant: str
    measure: str
    """``caller``, ``all threads``, ``CPU``, ``RSS`` …"""
    unit: str
    bare: float | None = None
    """Minimum without an agent; None when there is nothing to compare with."""
    value: float
    """Minimum with the agent."""
    added: float
    """Difference of the minima: the figure to use, because other programs only ever add time."""
    added_median: float | None = None
    """Median of the differences within each round."""
    budget: float | None = None
    noise: float = 0.0
    """Absolute difference between two processes without an agent in the same rounds."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """With the agent, divided by without."""
        return self.value / self.bare if self.bare else None

    @property
    def verdict(self) -> str:
        """``ok``, ``missed``, or ``in noise`` when the noise is too large to decide; empty without a budget."""
        if self.budget is None:
            return ""
        if self.added + self.noise <= self.budget:
            return "ok"
        return "missed" if self.added - self.noise > self.budget else "in noise"


@frozen
class Series:
    """Measurements of all rounds."""

    rounds: Sequence[float]
    best: Sequence[float]
    """Those that the minimum is taken from."""


def compare(bare: Series, with_agent: Series, **facts: Any) -> Figure:  # Any: the other fields of a figure
    """Return a figure from two series of the same rounds."""
    return Figure(
        bare=min(bare.best),
        value=min(with_agent.best),
        added=min(with_agent.best) - min(bare.best),
        added_median=median(value - without for without, value in zip(bare.rounds, with_agent.rounds, strict=True)),
        **facts,
    )


def figures_of(all_measured: Sequence[Measured]) -> list[Figure]:
    """Return two figures for every variant of a workload that has a baseline: one for the caller, one for all threads."""
    by_name = {measured.variant.name: measured for measured in all_measured}
    figures = []
    for measure, series_of in ((CALLER, caller), (ALL, all_threads)):
        noise = 0.0
        if CONTROL.name in by_name:
            again, bare = series_of(by_name[CONTROL.name]), series_of(by_name[CONTROL.baseline])
            noise = abs(min(again.best) - min(bare.best))
        for measured in all_measured:
            if is_baseline(measured.variant, all_measured):
                continue
            key = (measured.workload.key, measured.variant.name, measure)
            figures.append(
                compare(
                    series_of(by_name[measured.variant.baseline]),
                    series_of(measured),
                    what=measured.workload.title,
                    variant=measured.variant.name,
                    measure=measure,
                    unit=f"µs/{measured.workload.item}",
                    budget=BUDGETS.get(key),
                    noise=noise,
                )
            )
    return figures


def caller(measured: Measured) -> Series:
    """Return the CPU time of the calling thread."""
    return Series(measured.caller_us, measured.fastest_us)


def all_threads(measured: Measured) -> Series:
    """Return the CPU time of the process."""
    return Series(measured.all_us, measured.all_us)


def patches_of(all_measured: Sequence[Measured]) -> list[Figure]:
    """Return the number of wrapped functions of each variant of scout-core; it must be 0 where nothing is recorded."""
    return [
        Figure(
            what=measured.workload.title,
            variant=measured.variant.name,
            measure="wrapped functions",
            unit="",
            value=measured.patched,
            added=measured.patched,
            budget=PATCHED if measured.variant.silent else None,
        )
        for measured in all_measured
        if measured.variant.agent == "scout_core"
    ]


def is_baseline(variant: Variant, all_measured: Sequence[Measured]) -> bool:
    """Whether another variant is compared with this one."""
    return variant.name in {measured.variant.baseline for measured in all_measured}
