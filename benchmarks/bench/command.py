"""The command: options, what is to be run, and the two tables at the end."""

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
from bench.environments import peer_variants, with_twenty_plugins
from bench.figures import Figure, figures_of, patches_of
from bench.finding import measure_finding
from bench.measured import Measured
from bench.memory import measure_memory
from bench.plan import ALONE, CONTROL, OURS, SHOP, WORKLOADS, Variant, Workload
from bench.rounds import run_rounds
from bench.start import measure_first_response, measure_import
from bench.table import arrivals_table, as_json, figures_table, machine

BESIDE = ("import", "find", "first-response", "memory")
"""What is measured in other ways than by rounds of a workload."""
FULL = {"processes": 4, "rounds": 5, "scale": 1.0, "requests": 50_000}
QUICK = {"processes": 1, "rounds": 3, "scale": 0.25, "requests": 4_000}
CHOICES = (*(workload.key for workload in WORKLOADS), *BESIDE)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Measure and print.

    Returns:
        0; 1 when something did not arrive, so that its figures mean nothing; 2 when it cannot run at all. A missed budget
        is no failure of the command.
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
            peers = peer_variants(tell) if options.peers else []
            by_workload = measure_rounds(chosen, options, peers, directory)
            beside = measure_beside(chosen, options, peers, directory)
        except (ChildFailed, CalledProcessError) as error:
            tell("")
            print(f"cannot go on: {error}", file=sys.stderr)
            return 2
    tell("")
    figures = [figure for measured in by_workload for figure in (*figures_of(measured), *patches_of(measured))]
    flat = [one for measured in by_workload for one in measured]
    report([*figures, *beside], flat, options)
    return 0 if all(one.arrived.is_complete for one in flat) else 1


def measure_rounds(
    chosen: Sequence[str], options: argparse.Namespace, peers: Sequence[Variant], directory: Path
) -> list[list[Measured]]:
    """All rounds of each workload that was chosen."""
    return [
        run_rounds(
            workload,
            variants_of(workload, peers),
            processes=options.processes,
            rounds=options.rounds,
            units=max(1, round(workload.units * options.scale)),
            directory=directory,
            tell=tell,
        )
        for workload in WORKLOADS
        if workload.key in chosen
    ]


def measure_beside(
    chosen: Sequence[str], options: argparse.Namespace, peers: Sequence[Variant], directory: Path
) -> list[Figure]:
    """Import, first response and memory, as far as they were chosen."""
    figures = []
    ours, request = OURS[0], WORKLOADS[0]
    if "import" in chosen:
        tell("import")
        figures.append(measure_import(options.processes * options.rounds, directory))
    if "find" in chosen:
        figures += measure_finding(options.processes * options.rounds, directory, tell)
    if "first-response" in chosen:
        tell("first response: an environment with twenty more plugins")
        python = with_twenty_plugins(directory / "twenty")
        alone = evolve(ALONE, name="alone, for 20 plugins", python=python)
        twenty = evolve(ours, name="ours, 20 more plugins", python=python, baseline=alone.name)
        variants = [ALONE, ours, alone, twenty, *peers]
        figures += measure_first_response(
            request, variants, rounds=options.processes * options.rounds // 2 + 1, directory=directory, tell=tell
        )
    if "memory" in chosen:
        figures += measure_memory([ALONE, ours, *peers], requests=options.requests, directory=directory, tell=tell)
    return figures


def variants_of(workload: Workload, peers: Sequence[Variant]) -> list[Variant]:
    """Who takes part: alone twice, ours as the workload asks for, the peers."""
    ours = [variant for variant in OURS if variant.name in workload.variants]
    return [ALONE, CONTROL, *ours, *(peers if workload.has_peers else ())]


def missing_modules(chosen: Sequence[str]) -> list[str]:
    """What would have to be installed first."""
    needed = {"scout_core"}
    for workload in WORKLOADS:
        if workload.key in chosen:
            needed.update(workload.needs)
    if {"first-response", "memory"}.intersection(chosen):
        needed.update(SHOP)
    return sorted(name for name in needed if find_spec(name) is None)


def report(figures: Sequence[Figure], all_measured: Sequence[Measured], options: argparse.Namespace) -> None:
    """Both tables, and the file if one is wanted."""
    print(" · ".join(f"{name} {value}" for name, value in machine().items()), "\n")
    print(figures_table(figures), "\n")
    if all_measured:
        print(arrivals_table(all_measured))
    if options.json:
        shown = {name: value for name, value in vars(options).items() if name != "json"}
        text = json.dumps(as_json(figures, all_measured, shown), indent=1, ensure_ascii=False)
        Path(options.json).write_text(f"{text}\n", encoding="utf-8")


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for; the small numbers of ``--quick`` where no others were given."""
    made = argparse.ArgumentParser(
        prog="benchmarks/run.py", description="What scout-core costs, measured against the same application without it."
    )
    made.add_argument(
        "--only", nargs="+", choices=CHOICES, metavar="WHAT", help=f"measure only these: {', '.join(CHOICES)}"
    )
    made.add_argument(
        "--peers", action="store_true", help="also other agents, each in an environment of its own (peers.toml)"
    )
    made.add_argument(
        "--processes", type=int, help=f"how many each variant has, one after another ({FULL['processes']})"
    )
    made.add_argument("--rounds", type=int, help=f"how often each of them has its turn ({FULL['rounds']})")
    made.add_argument("--scale", type=float, help=f"size of a chunk, as a multiple ({FULL['scale']})")
    made.add_argument(
        "--requests", type=int, help=f"how many requests the memory is watched over ({FULL['requests']:,})"
    )
    made.add_argument("--quick", action="store_true", help=f"about a minute: {QUICK}")
    made.add_argument("--json", metavar="FILE", help="also write everything there")
    options = made.parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def tell(progress: str) -> None:
    """How far it is, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{progress}")
        sys.stderr.flush()
