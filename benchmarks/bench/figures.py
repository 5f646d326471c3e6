"""One line of the result: what was measured, what the agent added, and what it may add."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from attrs import frozen

from bench.measured import Measured
from bench.plan import ALL, BUDGETS, CALLER, CONTROL, PATCHED, Variant


@frozen(kw_only=True)
class Figure:
    """One measured thing of one variant."""

    what: str
    variant: str
    measure: str
    """What was read, as ``caller``, ``all threads``, ``CPU``, ``RSS``."""
    unit: str
    alone: float | None = None
    """The smallest without an agent; None where there is nothing to compare with."""
    value: float
    """The smallest with the agent."""
    added: float
    """Smallest minus smallest: what to go by, since other programs only ever add."""
    added_median: float | None = None
    """Median of the differences within each round."""
    budget: float | None = None
    noise: float = 0.0
    """What a second process without agent seemed to add in the same rounds, as a distance from nothing."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """With the agent to without."""
        return self.value / self.alone if self.alone else None

    @property
    def verdict(self) -> str:
        """``ok``, ``missed``, or ``in noise`` where the run cannot tell; empty without a budget."""
        if self.budget is None:
            return ""
        if self.added + self.noise <= self.budget:
            return "ok"
        return "missed" if self.added - self.noise > self.budget else "in noise"


@frozen
class Series:
    """A number for each round."""

    every: Sequence[float]
    best: Sequence[float]
    """What the smallest is taken from."""


def compare(alone: Series, with_agent: Series, **facts: Any) -> Figure:  # Any: the other fields of a figure
    """A figure from two series, where the same place is the same round."""
    return Figure(
        alone=min(alone.best),
        value=min(with_agent.best),
        added=min(with_agent.best) - min(alone.best),
        added_median=median(value - without for without, value in zip(alone.every, with_agent.every, strict=True)),
        **facts,
    )


def figures_of(all_measured: Sequence[Measured]) -> list[Figure]:
    """Two figures, one for each clock, for every variant of one workload that has something to compare with."""
    by_name = {measured.variant.name: measured for measured in all_measured}
    found = []
    for measure, series_of in ((CALLER, caller), (ALL, all_threads)):
        noise = 0.0
        if CONTROL.name in by_name:
            again, alone = series_of(by_name[CONTROL.name]), series_of(by_name[CONTROL.baseline])
            noise = abs(min(again.best) - min(alone.best))
        for measured in all_measured:
            if is_baseline(measured.variant, all_measured):
                continue
            key = (measured.workload.key, measured.variant.name, measure)
            found.append(
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
    return found


def caller(measured: Measured) -> Series:
    """CPU of the calling thread."""
    return Series(measured.caller_us, measured.fastest_us)


def all_threads(measured: Measured) -> Series:
    """CPU of the process."""
    return Series(measured.all_us, measured.all_us)


def patches_of(all_measured: Sequence[Measured]) -> list[Figure]:
    """How many functions are wrapped by each variant of scout-core; none may be where it records nothing."""
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
    """Whether it is what another one is compared with."""
    return variant.name in {measured.variant.baseline for measured in all_measured}
