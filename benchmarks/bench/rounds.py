"""Interleaved rounds: each variant does a chunk in turn, so that the machine's moods hit all alike.

Several times over with new processes: where the code and data of a process come to lie in memory makes it some per cent
faster or slower for all its life.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.measured import Measured
from bench.plan import Variant, Workload
from bench.runner import Runner


def run_rounds(
    workload: Workload,
    variants: Sequence[Variant],
    *,
    processes: int,
    rounds: int,
    units: int,
    directory: Path,
    tell: Callable[[str], None],
) -> list[Measured]:
    """
    Measure the variants of one workload against each other.

    Args:
        processes: how many each variant has, one after another.
        rounds: with each of them.
        units: in a chunk; twice as many warm a process up.
        tell: is told how far it is.

    Returns:
        In the order of the variants.
    """
    found = [Measured(workload=workload, variant=variant) for variant in variants]
    for process in range(processes):
        with ExitStack() as stack:
            runners = []
            for measured in found:
                tell(f"{workload.title}: process {process + 1} of {processes}, {measured.variant.name}")
                runner = Runner(measured, directory)
                stack.callback(runner.close)
                runners.append(runner)
            for runner in runners:
                runner.chunk(2 * units)
            for number in range(rounds):
                tell(f"{workload.title}: process {process + 1} of {processes}, round {number + 1} of {rounds}")
                for runner in turned(runners, number):
                    runner.measure(units)
            for runner in runners:
                runner.finish()
    return found


def turned(runners: Sequence[Runner], number: int) -> tuple[Runner, ...]:
    """Each round begins with another one, so that none always follows the same neighbour."""
    first = number % len(runners)
    return (*runners[first:], *runners[:first])
