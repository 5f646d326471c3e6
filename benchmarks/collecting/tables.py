"""The results as text tables."""

from __future__ import annotations

from collections.abc import Iterable

from bench.table import aligned

from collecting.latency import BUDGET, BUSY, QUIET, Latency
from collecting.load import Load


def load_table(loads: Iterable[Load]) -> str:
    """Return a line for each number of processes and names."""
    rows: list[tuple[str, ...]] = [
        ("processes", "names", "reports", "refused", "ack p50", "ack p95", "behind", "CPU", "pages", "page p95", "load", "budget", "")
    ]  # fmt: skip
    for load in loads:
        refused = ", ".join(f"{count} × {status}" for status, count in load.refused.items())
        budget = "" if load.budget is None else f"≥ {load.budget}"
        verdict = "keeps up" if load.keeps_up else "falls behind"
        if load.budget is not None:
            verdict = "ok" if load.keeps_up else "missed"
        rows.append(
            (
                f"{load.processes}", f"{load.names}", f"{load.sent}", refused or "0", _ms(load.p50), _ms(load.p95),
                _ms(load.behind), f"{load.busy:.0%}", f"{load.pages}", _ms(load.page_p95), f"{load.load_average:.1f}", budget,
                verdict,
            )
        )  # fmt: skip
    return aligned(rows, left=(12,))


def latency_table(latencies: Iterable[Latency]) -> str:
    """Return a line for each page and range."""
    rows: list[tuple[str, ...]] = [
        ("page", "range", "first", "p50", "p95", "CPU", "load", "p50 +", "p95 +", "CPU +", "load +", "budget", "")
    ]
    for latency in latencies:
        cells = [
            text
            for state in (QUIET, BUSY)
            for text in (
                _ms(latency.p50[state]), _ms(latency.p95[state]), _ms(latency.cpu[state]),
                f"{latency.load_average[state]:.1f}",
            )
        ]  # fmt: skip
        first = "" if latency.first is None else _ms(latency.first)
        verdict = "ok" if latency.worst <= latency.budget else "missed"
        rows.append((latency.page, latency.range, first, *cells, f"≤ {BUDGET * 1_000:.0f}", verdict))
    return aligned(rows, left=(0, 1, 12))


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.0f}" if seconds >= 0.01 else f"{seconds * 1_000:.1f}"
