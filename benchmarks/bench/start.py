"""The cost of starting, in new processes: importing the core, and the first response of the application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.child import run_once
from bench.figures import Figure, Series, compare
from bench.plan import FIRST_RESPONSE_MS, IMPORT_MS, PYTHON, Variant, Workload
from bench.runner import start_sink, start_worker

IMPORT: Final = """
import sys, time
before, start_ns = set(sys.modules), time.process_time_ns()
import scout_core
took_ns = time.process_time_ns() - start_ns
import json
print(json.dumps({"ns": took_ns, "modules": sorted(set(sys.modules) - before)}))
"""
EXPENSIVE: Final = frozenset({"asyncio", "cattrs", "importlib.metadata", "psutil", "ssl", "wrapt"})
"""Modules that importing the core must not load, because each takes tens of milliseconds."""


def measure_import(rounds: int, directory: Path) -> Figure:
    """Measure the CPU time of ``import scout_core`` in a new interpreter: the minimum of all rounds."""
    answers = [run_once([str(PYTHON), "-c", IMPORT], directory=directory) for _ in range(rounds)]
    loaded = sorted(EXPENSIVE.intersection(answers[-1]["modules"]))
    smallest = min(answer["ns"] for answer in answers) / 1e6
    return Figure(
        what="import scout_core",
        variant="ours",
        measure="CPU",
        unit="ms",
        value=smallest,
        added=smallest,
        budget=IMPORT_MS,
        note=f"{len(answers[-1]['modules'])} modules, {'including ' + ', '.join(loaded) if loaded else 'none of the expensive ones'}",
    )


def measure_first_response(
    workload: Workload,
    variants: Sequence[Variant],
    *,
    rounds: int,
    directory: Path,
    progress: Callable[[str], None],
) -> list[Figure]:
    """Measure the CPU time of a process from its start to its first response; the variants take turns."""
    took: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for number in range(rounds + 1):
        progress(f"first response: round {number} of {rounds}")
        for variant in variants:
            answer = first_response_ms(workload, variant, directory)
            if number:  # the first round compiles modules and fills the file cache
                took[variant.name].append(answer)
    baselines = {variant.baseline for variant in variants}
    return [
        compare(
            Series(took[variant.baseline], took[variant.baseline]),
            Series(took[variant.name], took[variant.name]),
            what="first response",
            variant=variant.name,
            measure="CPU",
            unit="ms",
            budget=FIRST_RESPONSE_MS if variant.agent == "scout_core" else None,
        )
        for variant in variants
        if variant.name not in baselines
    ]


def first_response_ms(workload: Workload, variant: Variant, directory: Path) -> float:
    """Run one process to its first response, and return its CPU time."""
    with ExitStack() as stack:
        sink = start_sink(variant, directory)
        if sink is not None:
            stack.callback(sink.close)
        worker = start_worker(workload, variant, sink, directory)
        worker.close()
        return float(worker.first["process_ns"]) / 1e6
