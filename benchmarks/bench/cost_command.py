"""The command that counts instructions: options, the table, and the comparison with the baseline."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from attrs import asdict

from bench import baseline
from bench.baseline import Baseline
from bench.callgrind import Count, valgrind_version
from bench.child import ChildFailed
from bench.cost import TOLERANCE, Cost, costs_of, count_cases, smallest
from bench.cost_plan import Comparison, comparisons
from bench.plan import SHOP
from bench.table import aligned, machine

OK, GROWN, FAILED = range(3)
LAYOUTS: Final = 3
"""
Counts of what has grown, and of a new baseline. In about one of ten memory layouts CPython takes half a percent more
instructions for a request, which is 4 % of what scout-core adds to it.
"""
KEYS: Final = tuple(comparison.key for comparison in comparisons())
HEAD: Final = (
    "workload", "thread", "per", "request", "added", "ratio", "baseline", "change", "",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Count, print, and compare with the baseline.

    Returns:
        0; 1 when a ratio has grown by more than is tolerated; 2 when nothing could be counted or compared.
    """
    options = read_options(arguments)
    valgrind = valgrind_version()
    missing = [name for name in ("scout_core", *SHOP) if find_spec(name) is None]
    if valgrind is None:
        return fail(
            "valgrind is not installed; install it with the system's package manager, e.g. apt-get install valgrind"
        )
    if missing:
        return fail(f"not installed: {', '.join(missing)}; run 'nox -s cost', or see benchmarks/README.md")
    file = Path(options.baseline) if options.baseline else baseline.default_file()
    stored = baseline.read(file)
    available = comparisons(tuple(options.plugins))
    chosen = [comparison for comparison in available if not options.only or comparison.key in options.only]
    try:
        with tempfile.TemporaryDirectory(prefix="scout-cost-") as folder:
            costs = count_costs(chosen, Path(folder), stored=None if options.accept else stored, options=options)
    except ChildFailed as error:
        return fail(str(error))
    print(" · ".join(f"{name} {value}" for name, value in {**machine(), "valgrind": valgrind}.items()), "\n")
    print(cost_table(chosen, costs, stored), "\n")
    if options.json:
        write_json(Path(options.json), costs, stored, valgrind)
    if options.accept:
        baseline.write(file, costs, valgrind=valgrind, before=stored)
        print(f"stored in {file}")
        return OK
    return compare(costs, stored, file)


def count_costs(
    chosen: Sequence[Comparison], folder: Path, *, stored: Baseline | None, options: argparse.Namespace
) -> list[Cost]:
    """
    Count, and count again what has grown: the smallest of all counts is used.

    Args:
        folder: an empty one.
        stored: the baseline; None: count everything again.
    """
    counts: dict[str, Count] = {}
    again = list(chosen)
    for layout in range(LAYOUTS):
        directory = folder / ("layout" + "-" * 50 * layout)
        counts = smallest(counts, count_cases(again, directory, jobs=options.jobs))
        if stored is not None:
            again = [comparison for comparison in again if has_grown(costs_of(comparison, counts), stored)]
        if not again:
            break
    return [cost for comparison in chosen for cost in costs_of(comparison, counts)]


def has_grown(costs: Sequence[Cost], stored: Baseline) -> bool:
    """Whether any of them exceeds the baseline."""
    return any(cost.key in stored.costs and cost.has_grown(stored.costs[cost.key]) for cost in costs)


def compare(costs: Sequence[Cost], stored: Baseline | None, file: Path) -> int:
    """Print how the counts differ from the baseline, and return the exit code."""
    if stored is None:
        return fail(f"{file} does not exist; store these counts there with --accept")
    different = baseline.differences(stored, costs)
    if different:
        return fail(f"these counts cannot be compared with {file}:\n  " + "\n  ".join(different))
    known = [(cost, stored.costs[cost.key]) for cost in costs if cost.key in stored.costs]
    grown = [describe_growth(cost, before) for cost, before in known if cost.has_grown(before)]
    if grown:
        print(f"The cost has grown by more than {TOLERANCE:.0%}:", *grown, sep="\n  ", file=sys.stderr)
        print(
            "Find what the change added, and do it later, less often, or not at all. If it is worth its cost, store the new"
            " counts\nwith 'nox -s cost -- --accept', and give the reason and both ratios in the commit.",
            file=sys.stderr,
        )
        return GROWN
    if any(cost.has_shrunk(before) for cost, before in known):
        print(f"The cost has shrunk by more than {TOLERANCE:.0%}: keep it so with 'nox -s cost -- --accept'.")
    return OK


def describe_growth(cost: Cost, before: Cost) -> str:
    """Return one line about a ratio that has grown."""
    return (
        f"{cost.key}: {before.ratio:.4f} of a request before, {cost.ratio:.4f} now ({cost.change(before):+.1%});"
        f" {cost.added:,} instructions added to each {cost.item}, {before.added:,} before"
    )


def cost_table(chosen: Sequence[Comparison], costs: Sequence[Cost], stored: Baseline | None) -> str:
    """Return the table: two lines for each workload."""
    titles = {comparison.key: comparison.title for comparison in chosen}
    rows: list[tuple[str, ...]] = [HEAD]
    for cost in costs:
        before = stored.costs.get(cost.key) if stored else None
        compared = ("", "", "")
        if before:
            state = "GROWN" if cost.has_grown(before) else "shrunk" if cost.has_shrunk(before) else "ok"
            compared = (f"{before.ratio:.4f}", f"{cost.change(before):+.2%}", state)
        title = titles.pop(cost.workload, "")
        rows.append(
            (title, cost.thread, cost.item, f"{cost.request:,}", f"{cost.added:,}", f"{cost.ratio:.4f}", *compared)
        )
    return aligned(rows, left=(0, 1, 2, 8))


def write_json(file: Path, costs: Sequence[Cost], stored: Baseline | None, valgrind: str) -> None:
    """Write the counts and those of the baseline."""
    facts = {
        "machine": {**machine(), "valgrind": valgrind},
        "costs": [
            {**asdict(cost), "baseline": stored.costs[cost.key].ratio if stored and cost.key in stored.costs else None}
            for cost in costs
        ],
    }
    file.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed options."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/cost.py", description="Count the instructions that scout-core adds to a request."
    )
    parser.add_argument("--only", nargs="+", choices=KEYS, metavar="WORKLOAD", help=f"only these: {', '.join(KEYS)}")
    parser.add_argument("--accept", action="store_true", help="store the counts as the new baseline")
    parser.add_argument("--baseline", metavar="FILE", help="default: benchmarks/baselines/<version of Python>.json")
    parser.add_argument(
        "--plugins", nargs="+", default=[], metavar="MODULE", help="also load these modules as plugins of scout-core"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes at the same time (default: one per processor)"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the counts to this file")
    return parser.parse_args(arguments)


def fail(message: str) -> int:
    """Print why nothing was counted or compared."""
    print(message, file=sys.stderr)
    return FAILED
