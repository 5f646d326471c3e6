"""One line of the result: what was measured, what the agent added, and what it may add."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

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


def figures_of(all_measured: Sequence[Measured]) -> list[Figure]:
    """Two figures, one for each clock, for every variant of one workload that has something to compare with."""
    by_name = {measured.variant.name: measured for measured in all_measured}
    found = []
    for measure in (CALLER, ALL):
        noise = 0.0
        if CONTROL.name in by_name:
            noise = abs(min(_series(by_name[CONTROL.name], measure)) - min(_series(by_name[CONTROL.baseline], measure)))
        for measured in all_measured:
            variant = measured.variant
            if is_baseline(variant, all_measured):
                continue
            found.append(
                compare(
                    _series(by_name[variant.baseline], measure),
                    _series(measured, measure),
                    what=measured.workload.title,
                    variant=variant.name,
                    measure=measure,
                    unit=f"µs/{measured.workload.item}",
                    budget=BUDGETS.get((measured.workload.key, variant.name, measure)),
                    noise=noise,
                )
            )
    return found


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


def _series(measured: Measured, measure: str) -> list[float]:
    return measured.caller_us if measure == CALLER else measured.all_us
