"""One line of the result: what was measured, what the agent added, and what it may add."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from attrs import frozen

from bench.plan import ALL, BUDGETS, CALLER, CONTROL, Variant
from bench.rounds import Runner


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
        """``ok``, ``missed``, or ``in noise`` where it is beyond its budget by less than the run can tell; empty without a budget."""
        if self.budget is None:
            return ""
        if self.added <= self.budget:
            return "ok"
        return "in noise" if self.added - self.noise <= self.budget else "missed"


def compare(
    alone: Sequence[float], values: Sequence[float], *, what: str, variant: str, measure: str, unit: str,
    budget: float | None = None, noise: float = 0.0, note: str = "",
) -> Figure:  # fmt: skip
    """A figure from two rows of numbers, where the same place is the same round."""
    return Figure(
        what=what,
        variant=variant,
        measure=measure,
        unit=unit,
        alone=min(alone),
        value=min(values),
        added=min(values) - min(alone),
        added_median=median(value - without for without, value in zip(alone, values, strict=True)),
        budget=budget,
        noise=noise,
        note=note,
    )


def figures_of(runners: Sequence[Runner]) -> list[Figure]:
    """Two figures, one for each clock, for every variant of one workload that has something to compare with."""
    by_name = {runner.variant.name: runner for runner in runners}
    found = []
    for measure in (CALLER, ALL):
        noise = 0.0
        if CONTROL.name in by_name:
            noise = abs(min(_series(by_name[CONTROL.name], measure)) - min(_series(by_name[CONTROL.baseline], measure)))
        for runner in runners:
            variant = runner.variant
            if is_baseline(variant, runners):
                continue
            found.append(
                compare(
                    _series(by_name[variant.baseline], measure),
                    _series(runner, measure),
                    what=runner.workload.title,
                    variant=variant.name,
                    measure=measure,
                    unit=f"µs/{runner.workload.item}",
                    budget=BUDGETS.get((runner.workload.key, variant.name, measure)),
                    noise=noise,
                )
            )
    return found


def is_baseline(variant: Variant, runners: Sequence[Runner]) -> bool:
    """Whether it is what another one is compared with."""
    return variant.name in {runner.variant.baseline for runner in runners}


def _series(runner: Runner, measure: str) -> list[float]:
    return runner.caller_us if measure == CALLER else runner.all_us
