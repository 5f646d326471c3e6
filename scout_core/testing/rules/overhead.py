"""The rule about the cost of the plugin's part of a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import sleep
from typing import Final

from attrs import define, field

from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.testing.rules.calls import OURS, Bench, Bound, run_within
from scout_core.testing.rules.effort import LONGEST_NS, LONGEST_WAIT_NS, Steps, Times
from scout_core.testing.rules.probes import Passage
from scout_core.testing.rules.problems import Violation

ROUNDS: Final = 10
"""Repetitions of a call to find its fewest steps."""
TIMED: Final = 60
"""Repetitions of a call to find its shortest time: even on a busy machine some call is not interrupted."""
ATTEMPTS: Final = 4
"""Times that this is repeated, with a pause before each, until the shortest time is within the limit."""
_PAUSE: Final = 0.05
"""Seconds, times the number of attempts before: a machine is busy for a while, and a describer is slow in every call."""
REFERENCES: Final = 60
"""The limit in calls of a recorded function that does nothing, which take longer, too, while the machine is busy."""


@Span("Conformance/reference")
def _reference() -> None:
    pass


def overhead(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check the steps and the time of the plugin's part of a call."""
    steps = _fewest_steps(bench, bound)
    expensive = {name for name, count in steps.items() if count > bench.steps}
    for name in expensive:
        evidence = f"its part of {name} takes {steps[name]} steps, more than the {bench.steps} allowed"
        advice = "leave work that needs only the tags to hooks on the agent's thread"
        yield Violation("overhead", evidence, advice, bound.call.name)
    times = _shortest_times(bench, bound)
    for name, (took, waited) in times.shortest.items():
        if name in expensive:
            continue
        if waited > times.longest_wait:
            evidence = f"its part of {name} waits for {waited / 1e6:.2f} ms in the fastest of {times.calls} calls"
            advice = "do not block in a describer: no sleep, no contended lock, no network"
            yield Violation("overhead", evidence, advice, bound.call.name)
        elif took > times.longest:
            evidence = (
                f"its part of {name} takes {took / 1e6:.2f} ms of the processor in the fastest of {times.calls} calls"
            )
            advice = (
                f"the budget of a hook is {LONGEST_NS / 1e6:.1f} ms: do no work in describers that grows with the data"
            )
            yield Violation("overhead", evidence, advice, bound.call.name)


def _fewest_steps(bench: Bench, bound: Bound) -> dict[str, int]:
    """Map each target to its fewest steps."""
    fewest: dict[str, int] = {}
    for _ in range(ROUNDS):
        with bench.probed(meter=Steps) as (_, passages):
            for _ in range(2):  # the second call uses what the first one has cached
                del passages[:]
                run_within(bound)
        for passage in passages:
            if isinstance(passage.meter, Steps):
                steps = passage.meter.steps
                fewest[passage.target.name] = min(steps, fewest.get(passage.target.name, steps))
        if all(steps <= bench.steps for steps in fewest.values()):
            break
    return fewest


@define
class _Shortest:
    """The shortest times of each target, and those of the reference, in nanoseconds: of the processor, and of waiting."""

    shortest: dict[str, tuple[int, int]] = field(factory=dict)
    reference: tuple[int, int] = (0, 0)
    calls: int = 0

    @property
    def longest(self) -> int:
        """Limit of the time of the processor."""
        return max(LONGEST_NS, REFERENCES * self.reference[0])

    @property
    def longest_wait(self) -> int:
        """Limit of waiting."""
        return max(LONGEST_WAIT_NS, self.reference[1] * 2)

    @property
    def is_enough(self) -> bool:
        """Whether everything is within the limits."""
        return all(took <= self.longest and waited <= self.longest_wait for took, waited in self.shortest.values())

    def add(self, passages: Iterable[Passage], reference: Times) -> None:
        """Add one call, and one of the reference right after it."""
        for passage in passages:
            if isinstance(passage.meter, Times):
                name, now = passage.target.name, passage.meter.times
                self.shortest[name] = _shorter(self.shortest.get(name, now), now)
        self.reference = _shorter(self.reference, reference.times) if self.calls else reference.times
        self.calls += 1


def _shortest_times(bench: Bench, bound: Bound) -> _Shortest:
    """Measure calls until all targets are within the limits."""
    times = _Shortest()
    with bench.probed(meter=Times) as (_, passages):
        run_within(bound)
        for attempt in range(ATTEMPTS):
            sleep(attempt * _PAUSE)
            for _ in range(TIMED):
                del passages[:]
                run_within(bound)
                times.add(passages, _time_of_reference())
                if times.is_enough:
                    return times
    return times


def _time_of_reference() -> Times:
    meter = Times()
    with Transaction(OURS):
        meter.resume(())
        _reference()
        meter.pause()
    return meter


def _shorter(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    return min(first[0], second[0]), min(first[1], second[1])
