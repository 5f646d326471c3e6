"""Interleaved rounds: the variants take turns, so that other work on the machine affects all of them equally.

The rounds are repeated with new processes, because the memory layout of a process makes it a few percent faster or slower for
as long as it runs.
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
    progress: Callable[[str], None],
) -> list[Measured]:
    """
    Measure all variants of a workload.

    Args:
        processes: number for each variant, one after another.
        rounds: number for each process.
        units: in a chunk; twice as many warm up a process.
        progress: called with a description of the current step.

    Returns:
        The results, in the order of the variants.
    """
    results = [Measured(workload=workload, variant=variant) for variant in variants]
    for process in range(processes):
        with ExitStack() as stack:
            runners = []
            for measured in results:
                progress(f"{workload.title}: process {process + 1} of {processes}, {measured.variant.name}")
                runner = Runner(measured, directory)
                stack.callback(runner.close)
                runners.append(runner)
            for runner in runners:
                runner.chunk(2 * units)
            for number in range(rounds):
                progress(f"{workload.title}: process {process + 1} of {processes}, round {number + 1} of {rounds}")
                for runner in rotated(runners, number):
                    runner.measure(units)
            for runner in runners:
                runner.finish()
    return results


def rotated(runners: Sequence[Runner], number: int) -> tuple[Runner, ...]:
    """Return them starting with a different one in each round, so that none always follows the same neighbour."""
    first = number % len(runners)
    return (*runners[first:], *runners[:first])
