"""The rule about what the plugin's part of a call costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scout_core.testing.calls import Bench, Bound, run_within
from scout_core.testing.effort import LONGEST_NS, LONGEST_WAIT_NS, Steps, Times
from scout_core.testing.problems import Problem

ROUNDS: Final = 10
"""So often is a call repeated to count its fewest steps."""
TIMED: Final = 60
"""So often to take its shortest time. On a machine that is busy, one of so many is not interrupted; mostly the first."""


def overhead(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """What the plugin's part of a call costs."""
    steps = _fewest_steps(bench, bound)
    dear = {name for name, count in steps.items() if count > bench.steps}
    for name in dear:
        seen = f"its part of {name} takes {steps[name]} steps, {bench.steps} are allowed"
        advice = "leave to the agent's thread what can be worked out from tags"
        yield Problem("overhead", seen, advice, bound.call.name)
    for name, (took, waited) in _shortest_times(bench, bound).items():
        if name in dear:
            continue
        if waited > LONGEST_WAIT_NS:
            seen = f"its part of {name} waits for {waited / 1e6:.2f} ms in the fastest of {TIMED} calls"
            advice = "do not block in a describer: no sleep, no lock that others hold, no network"
            yield Problem("overhead", seen, advice, bound.call.name)
        elif took > LONGEST_NS:
            seen = f"its part of {name} takes {took / 1e6:.2f} ms in the fastest of {TIMED} calls"
            advice = (
                f"{LONGEST_NS / 1e6:.1f} ms is the budget of a hook: do no work in describers that grows with the data"
            )
            yield Problem("overhead", seen, advice, bound.call.name)


def _fewest_steps(bench: Bench, bound: Bound) -> dict[str, int]:
    """Target to steps."""
    fewest: dict[str, int] = {}
    for _ in range(ROUNDS):
        with bench.probed(meter=Steps) as (_, passages):
            for _ in range(2):  # what is cached for later calls is not what a call costs
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
    """Target to nanoseconds that it took and that it waited, each the least of all calls; as soon as all are short."""
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
