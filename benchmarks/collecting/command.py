"""The command that measures the collector: options, measurements and the two tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import asdict
from bench.command import show_progress

ROOT: Final = Path(__file__).resolve().parents[2]
FULL: Final = {"seconds": 65.0, "search": 20.0, "requests": 20, "days": 30, "traces": 15_000}
QUICK: Final = {"seconds": 12.0, "search": 0.0, "requests": 5, "days": 8, "traces": 1_500}
CHOICES: Final = ("intake", "pages")
WANTED: Final = ((100, 50), (20, 500))
"""Processes and names in each of their reports that the writer must keep up with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Measure and print the result.

    Returns:
        0, even when a budget is missed; 2 when it cannot run.
    """
    options = read_options(arguments)
    try:
        from collecting.data import Size, prepare
        from collecting.latency import RANGES, measure_latency
        from collecting.load import measure_load
        from collecting.tables import latency_table, load_table
    except ModuleNotFoundError as error:
        print(f"not installed here: {error.name}; see benchmarks/README.md", file=sys.stderr)
        return 2
    print(f"{machine()}\nTimes in ms.")
    facts: dict[str, object] = {"options": vars(options), "machine": machine()}
    if "intake" in options.only:
        loads = measure_load(options.load, seconds=options.seconds, search=options.search, progress=show_progress)
        show_progress("")
        print(f"\nReports every 5 s, while two pages a second are read\n\n{load_table(loads)}")
        facts["intake"] = [asdict(load) | {"keeps_up": load.keeps_up} for load in loads]
    if "pages" in options.only:
        size = Size(days=options.days, names=options.names, traces_per_day=options.traces)
        folder, taken = prepare(options.cache, size, show_progress)
        stored = sum(path.stat().st_size for path in folder.iterdir())
        latencies = measure_latency(
            folder,
            names=options.names,
            requests=options.requests,
            ranges=options.ranges or RANGES,
            progress=show_progress,
        )
        show_progress("")
        print(
            f"\nPages of {size.days} days of {size.names} names ({stored / 1e6:,.0f} MB, generated in {taken:.0f} s);"
            f" +: while a report of {size.names} names arrives each second\n\n{latency_table(latencies)}"
        )
        facts["pages"] = [asdict(latency) for latency in latencies]
    if options.json:
        text = json.dumps(facts, indent=1, ensure_ascii=False, default=str)
        Path(options.json).write_text(f"{text}\n", encoding="utf-8")
    return 0


def machine() -> str:
    """Return what the figures depend on."""
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')} · Python {platform.python_version()} · {platform.system()} {platform.machine()}"
        f" · {os.cpu_count()} cpus · load {os.getloadavg()[0]:.1f}"
    )


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed options, with the defaults of ``--quick`` if requested."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/collector.py",
        description="Measure how many processes the collector keeps up with, and how fast its pages are after weeks.",
    )
    parser.add_argument("--only", nargs="+", choices=CHOICES, default=CHOICES, help="measure only these")
    parser.add_argument(
        "--load",
        nargs="+",
        type=_load,
        default=WANTED,
        metavar="PROCESSESxNAMES",
        help=f"processes, and names in a report of each (default: {' '.join(f'{a}x{b}' for a, b in WANTED)})",
    )
    parser.add_argument("--seconds", type=float, help=f"seconds of each of them (default: {FULL['seconds']:g})")
    parser.add_argument(
        "--search", type=float, help=f"seconds of each attempt to find the most; 0: none (default: {FULL['search']:g})"
    )
    parser.add_argument("--requests", type=int, help=f"requests of each page (default: {FULL['requests']})")
    parser.add_argument("--ranges", nargs="+", help="only these ranges, such as 7d")
    parser.add_argument("--days", type=int, help=f"days of the generated store (default: {FULL['days']})")
    parser.add_argument("--names", type=int, default=500, help="names in it, a tenth of them jobs (default: 500)")
    parser.add_argument(
        "--traces", type=int, help=f"traces of each of its last seven days (default: {FULL['traces']:,})"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=ROOT / "build" / "benchmarks" / "stores",
        help="where generated stores are kept for the next run (default: build/benchmarks/stores)",
    )
    parser.add_argument("--quick", action="store_true", help=f"a few minutes: {QUICK}")
    parser.add_argument("--json", metavar="FILE", help="also write all figures to this file")
    options = parser.parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _load(text: str) -> tuple[int, int]:
    processes, _, names = text.partition("x")
    return int(processes), int(names)
