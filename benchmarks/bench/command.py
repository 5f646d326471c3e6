"""The command that measures time and memory: options, measurements and the two tables."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from subprocess import CalledProcessError

from attrs import evolve

from bench.child import ChildFailed
from bench.environments import PEERS, peer_variants, with_twenty_plugins
from bench.figures import Figure, figures_of, patches_of
from bench.finding import measure_finding
from bench.measured import Measured
from bench.memory import measure_memory
from bench.plan import BARE, BARE_FOR, CONTROL, OURS, SHOP, WORKLOADS, Variant, Workload
from bench.rounds import run_rounds
from bench.start import measure_first_response, measure_import
from bench.table import arrivals_table, as_json, figures_table, machine

OTHERS = ("import", "find", "first-response", "memory")
"""Measurements that are not rounds of a workload."""
FULL = {"processes": 4, "rounds": 5, "scale": 1.0, "requests": 50_000}
QUICK = {"processes": 1, "rounds": 3, "scale": 0.25, "requests": 4_000}
CHOICES = (*(workload.key for workload in WORKLOADS), *OTHERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Measure and print the result.

    Returns:
        0, even when a budget is missed; 1 when data is missing, so that the figures mean nothing; 2 when it cannot run.
    """
    options = read_options(arguments)
    chosen = options.only or list(CHOICES)
    missing = missing_modules(chosen)
    if missing:
        print(
            f"not installed here: {', '.join(missing)}; see benchmarks/README.md, or choose with --only",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory(prefix="scout-bench-") as folder:
        directory = Path(folder)
        try:
            peers = peer_variants(options.peers, show_progress) if options.peers is not None else []
            by_workload = measure_rounds(chosen, options, peers, directory)
            others = measure_others(chosen, options, peers, directory)
        except (ChildFailed, CalledProcessError) as error:
            show_progress("")
            print(f"measurement failed: {error}", file=sys.stderr)
            return 2
    show_progress("")
    figures = [figure for measured in by_workload for figure in (*figures_of(measured), *patches_of(measured))]
    all_measured = [measured for workload in by_workload for measured in workload]
    print_report([*figures, *others], all_measured, options)
    return 0 if all(measured.arrived.is_complete for measured in all_measured) else 1


def measure_rounds(
    chosen: Sequence[str], options: argparse.Namespace, peers: Sequence[Variant], directory: Path
) -> list[list[Measured]]:
    """Run all rounds of each chosen workload."""
    return [
        run_rounds(
            workload,
            variants_of(workload, peers),
            processes=options.processes,
            rounds=options.rounds,
            units=max(1, round(workload.units * options.scale)),
            directory=directory,
            progress=show_progress,
        )
        for workload in WORKLOADS
        if workload.key in chosen
    ]


def measure_others(
    chosen: Sequence[str], options: argparse.Namespace, peers: Sequence[Variant], directory: Path
) -> list[Figure]:
    """Measure import, finding plugins, first response and memory, if chosen."""
    figures = []
    ours, request = OURS[0], WORKLOADS[0]
    if "import" in chosen:
        show_progress("import")
        figures.append(measure_import(options.processes * options.rounds, directory))
    if "find" in chosen:
        figures += measure_finding(options.processes * options.rounds, directory, show_progress)
    if "first-response" in chosen:
        show_progress("first response: creating an environment with twenty more plugins")
        python = with_twenty_plugins(directory / "twenty")
        bare = evolve(BARE, name="bare, for 20 plugins", python=python)
        twenty = evolve(ours, name="ours, 20 more plugins", python=python, baseline=bare.name)
        variants = [BARE, ours, bare, twenty, *peers]
        figures += measure_first_response(
            request,
            variants,
            rounds=options.processes * options.rounds // 2 + 1,
            directory=directory,
            progress=show_progress,
        )
    if "memory" in chosen:
        figures += measure_memory(
            [BARE, ours, *peers], requests=options.requests, directory=directory, progress=show_progress
        )
    return figures


def variants_of(workload: Workload, peers: Sequence[Variant]) -> list[Variant]:
    """Return the variants to measure: the bare application twice, the workload's variants of scout-core, and the peers."""
    ours = [variant for variant in OURS if variant.name in workload.variants]
    if not workload.has_peers:
        peers = []
    elif workload.peers:
        peers = [peer for peer in peers if peer.name.removeprefix(BARE_FOR) in workload.peers]
    return [BARE, CONTROL, *ours, *peers]


def missing_modules(chosen: Sequence[str]) -> list[str]:
    """Return the modules that must be installed first."""
    needed = {"scout_core"}
    for workload in WORKLOADS:
        if workload.key in chosen:
            needed.update(workload.needs)
    if {"first-response", "memory"}.intersection(chosen):
        needed.update(SHOP)
    return sorted(name for name in needed if find_spec(name) is None)


def print_report(figures: Sequence[Figure], all_measured: Sequence[Measured], options: argparse.Namespace) -> None:
    """Print both tables, and write the file if requested."""
    print(" · ".join(f"{name} {value}" for name, value in machine().items()), "\n")
    print(figures_table(figures), "\n")
    if all_measured:
        print(arrivals_table(all_measured))
    if options.json:
        shown = {name: value for name, value in vars(options).items() if name != "json"}
        text = json.dumps(as_json(figures, all_measured, shown), indent=1, ensure_ascii=False)
        Path(options.json).write_text(f"{text}\n", encoding="utf-8")


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed options, with the defaults of ``--quick`` if requested."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py", description="Measure what scout-core costs, against the same application without it."
    )
    parser.add_argument(
        "--only", nargs="+", choices=CHOICES, metavar="WHAT", help=f"measure only these: {', '.join(CHOICES)}"
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=PEERS,
        metavar="PEER",
        help=f"also measure other agents, each in an environment of its own: {', '.join(PEERS)} (default: all)",
    )
    parser.add_argument(
        "--processes", type=int, help=f"processes of each variant, one after another (default: {FULL['processes']})"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds of each process (default: {FULL['rounds']})")
    parser.add_argument("--scale", type=float, help=f"factor for the size of a chunk (default: {FULL['scale']})")
    parser.add_argument(
        "--requests", type=int, help=f"requests of the memory measurement (default: {FULL['requests']:,})"
    )
    parser.add_argument("--quick", action="store_true", help=f"about a minute: {QUICK}")
    parser.add_argument("--json", metavar="FILE", help="also write all figures to this file")
    options = parser.parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def show_progress(text: str) -> None:
    """Show the progress, only on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()
