"""The rule about the cost of the plugin's part of a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scout_core.testing.calls import Bench, Bound, run_within
from scout_core.testing.effort import LONGEST_NS, LONGEST_WAIT_NS, Steps, Times
from scout_core.testing.problems import Violation

ROUNDS: Final = 10
"""Repetitions of a call to find its fewest steps."""
TIMED: Final = 60
"""Repetitions of a call to find its shortest time: even on a busy machine some call is not interrupted."""


def overhead(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check the steps and the time of the plugin's part of a call."""
    steps = _fewest_steps(bench, bound)
    expensive = {name for name, count in steps.items() if count > bench.steps}
    for name in expensive:
        evidence = f"its part of {name} takes {steps[name]} steps, more than the {bench.steps} allowed"
        advice = "leave work that needs only the tags to hooks on the agent's thread"
        yield Violation("overhead", evidence, advice, bound.call.name)
    for name, (took, waited) in _shortest_times(bench, bound).items():
        if name in expensive:
            continue
        if waited > LONGEST_WAIT_NS:
            evidence = f"its part of {name} waits for {waited / 1e6:.2f} ms in the fastest of {TIMED} calls"
            advice = "do not block in a describer: no sleep, no contended lock, no network"
            yield Violation("overhead", evidence, advice, bound.call.name)
        elif took > LONGEST_NS:
            evidence = f"its part of {name} takes {took / 1e6:.2f} ms in the fastest of {TIMED} calls"
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


def _shortest_times(bench: Bench, bound: Bound) -> dict[str, tuple[int, int]]:
    """Map each target to its shortest time and wait in nanoseconds; stops as soon as both are below the limits."""
    best: dict[str, tuple[int, int]] = {}
    with bench.probed(meter=Times) as (_, passages):
        run_within(bound)
        for _ in range(TIMED):
            del passages[:]
            run_within(bound)
            for passage in passages:
                if isinstance(passage.meter, Times):
                    now = passage.meter.took_ns, passage.meter.waited_ns
                    took, waited = best.get(passage.target.name, now)
                    best[passage.target.name] = min(took, now[0]), min(waited, now[1])
            if all(took <= LONGEST_NS and waited <= LONGEST_WAIT_NS for took, waited in best.values()):
                break
    return best
