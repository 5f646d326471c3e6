"""Resident memory after many requests, and whether it still grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.figures import Figure
from bench.plan import MEMORY_BYTES_PER_REQUEST, MEMORY_MB, Variant, Workload
from bench.runner import start_sink, start_worker

MIXED: Final = Workload(key="mixed", title="memory", item="request", units=0, spans=1)
STEPS: Final = 20
"""Number of readings; the growth is that of the second half, when caches and free lists are full."""


def measure_memory(
    variants: Sequence[Variant], *, requests: int, directory: Path, progress: Callable[[str], None]
) -> list[Figure]:
    """Measure the resident memory that each variant adds after many requests, one in ten of them with queries and a template."""
    read: dict[str, list[int]] = {}
    for variant in variants:  # the first one compiles the modules, and keeps the memory that this takes
        progress(f"memory: {variant.name} (to compile its modules)")
        readings(variant, 0, directory)
    for variant in variants:
        progress(f"memory: {variant.name}")
        read[variant.name] = readings(variant, requests // STEPS, directory)
    baselines = {variant.baseline for variant in variants}
    found = []
    for variant in variants:
        if variant.name not in baselines:
            ours, bare = read[variant.name], read[variant.baseline]
            found += figures_of(variant, bare, ours, requests // STEPS)
    return found


def readings(variant: Variant, step: int, directory: Path) -> list[int]:
    """
    Return the resident bytes after the first response, and after each step of requests.

    Args:
        step: requests of each step; 0: there are no steps.
    """
    with ExitStack() as stack:
        sink = start_sink(variant, directory)
        if sink is not None:
            stack.callback(sink.close)
        worker = start_worker(MIXED, variant, sink, directory)
        stack.callback(worker.close)
        sizes = [worker.ask(method="rss")["bytes"]]
        for _ in range(STEPS if step else 0):
            worker.ask(method="run", units=step)
            sizes.append(worker.ask(method="rss")["bytes"])
        return sizes


def figures_of(variant: Variant, bare: Sequence[int], ours: Sequence[int], step: int) -> list[Figure]:
    """Return what is added at the first response, what is added at the end, and the growth per request."""
    is_ours = variant.agent == "scout_core"
    moments = ((0, "RSS at the first response"), (-1, f"RSS after {step * STEPS:,} requests"))
    sizes = [
        Figure(
            what="memory",
            variant=variant.name,
            measure=moment,
            unit="MB",
            bare=bare[place] / 1e6,
            value=ours[place] / 1e6,
            added=(ours[place] - bare[place]) / 1e6,
            budget=MEMORY_MB if is_ours else None,
        )
        for place, moment in moments
    ]
    grows = Figure(
        what="memory",
        variant=variant.name,
        measure="growth, second half",
        unit="bytes/request",
        bare=slope(bare[STEPS // 2 :]) / step,
        value=slope(ours[STEPS // 2 :]) / step,
        added=(slope(ours[STEPS // 2 :]) - slope(bare[STEPS // 2 :])) / step,
        budget=MEMORY_BYTES_PER_REQUEST if is_ours else None,
        noise=slope([0, *[4096] * (STEPS // 2)]) / step,
        note="flat" if ours[-1] == ours[STEPS // 2] else "",
    )
    return [*sizes, grows]


def slope(sizes: Sequence[int]) -> float:
    """Return the growth in bytes per step, by least squares."""
    middle = (len(sizes) - 1) / 2
    mean = sum(sizes) / len(sizes)
    above = sum((place - middle) * (size - mean) for place, size in enumerate(sizes))
    return above / sum((place - middle) ** 2 for place in range(len(sizes)))
