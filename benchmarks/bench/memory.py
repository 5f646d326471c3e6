"""What stays in memory: resident size after many requests, and whether it still grows."""

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
"""Readings; the slope is that of the second half, when caches and free lists are full."""


def measure_memory(
    variants: Sequence[Variant], *, requests: int, directory: Path, tell: Callable[[str], None]
) -> list[Figure]:
    """Added resident memory of each variant after so many requests, one in ten of them with queries and a template."""
    read: dict[str, list[int]] = {}
    for variant in variants:
        tell(f"memory: {variant.name}")
        read[variant.name] = readings(variant, requests // STEPS, directory)
    baselines = {variant.baseline for variant in variants}
    found = []
    for variant in variants:
        if variant.name not in baselines:
            ours, alone = read[variant.name], read[variant.baseline]
            found += figures_of(variant, alone, ours, requests // STEPS)
    return found


def readings(variant: Variant, step: int, directory: Path) -> list[int]:
    """Resident bytes after the first response, then after each step of requests."""
    with ExitStack() as stack:
        sink = start_sink(variant, directory)
        if sink is not None:
            stack.callback(sink.close)
        worker = start_worker(MIXED, variant, sink, directory)
        stack.callback(worker.close)
        sizes = [worker.ask(do="rss")["bytes"]]
        for _ in range(STEPS):
            worker.ask(do="run", units=step)
            sizes.append(worker.ask(do="rss")["bytes"])
        return sizes


def figures_of(variant: Variant, alone: Sequence[int], ours: Sequence[int], step: int) -> list[Figure]:
    """Added at the first response, added at the end, and what each further request adds."""
    is_ours = variant.agent == "scout_core"
    moments = ((0, "RSS at the first response"), (-1, f"RSS after {step * STEPS:,} requests"))
    sizes = [
        Figure(
            what="memory",
            variant=variant.name,
            measure=moment,
            unit="MB",
            alone=alone[place] / 1e6,
            value=ours[place] / 1e6,
            added=(ours[place] - alone[place]) / 1e6,
            budget=MEMORY_MB if is_ours else None,
        )
        for place, moment in moments
    ]
    grows = Figure(
        what="memory",
        variant=variant.name,
        measure="growth, second half",
        unit="bytes/request",
        alone=slope(alone[STEPS // 2 :]) / step,
        value=slope(ours[STEPS // 2 :]) / step,
        added=(slope(ours[STEPS // 2 :]) - slope(alone[STEPS // 2 :])) / step,
        budget=MEMORY_BYTES_PER_REQUEST if is_ours else None,
        noise=slope([0, *[4096] * (STEPS // 2)]) / step,
        note="flat" if ours[-1] == ours[STEPS // 2] else "",
    )
    return [*sizes, grows]


def slope(sizes: Sequence[int]) -> float:
    """Bytes for each step: the straight line with the least squares."""
    middle = (len(sizes) - 1) / 2
    mean = sum(sizes) / len(sizes)
    above = sum((place - middle) * (size - mean) for place, size in enumerate(sizes))
    return above / sum((place - middle) ** 2 for place in range(len(sizes)))
