"""Run a worker under valgrind's callgrind and read how many instructions each part of it took."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from bench.child import ChildFailed, run_once
from bench.cost_plan import Case

TOTAL: Final = re.compile(r"^totals: (\d+)$", re.MULTILINE)
PARTS: Final = 3
"""Counts for each size: up to the units, the units on the calling thread, the work of the agent's thread."""


CACHE_MISS: Final = "find_name_in_mro*"
"""CPython's function that looks for an attribute in all classes of an object, when its cache does not have it. The cache is
indexed by addresses: where the same objects come to lie in memory changes the ten queries by 4 %. Without these, by 0.04 %."""
VALGRIND: Final = (
    "valgrind",
    "--quiet",
    "--tool=callgrind",
    "--dump-before=getsid",
    f"--toggle-collect={CACHE_MISS}",
    "--collect-atstart=yes",  # after the line above, which implies the contrary: count everything except that function
)
HEALTHY: Final = ("active", "waiting", "disabled")
"""States of plugins."""


@frozen
class Count:
    """Instructions of one unit of work."""

    caller: float
    agent: float


def valgrind_version() -> str | None:
    """Return the version of valgrind, as ``3.19.0``; None when it is not installed."""
    if shutil.which("valgrind") is None:
        return None
    answer = subprocess.run(["valgrind", "--version"], check=True, capture_output=True, text=True)
    return answer.stdout.strip().removeprefix("valgrind-")


def count(case: Case, directory: Path) -> Count:
    """
    Count the instructions of one item of a case.

    Two chunks are run in one process. For the agent's thread the difference of their counts is divided by the difference in
    units: what it does once in a period cancels out.

    Args:
        directory: an empty folder.

    Raises:
        ChildFailed: the worker failed, recorded the wrong number of spans, or valgrind did not count.
    """
    directory.mkdir(parents=True)
    _run(case, 1, 1, directory)  # not counted: it compiles the modules
    output = directory / "callgrind"
    _run(case, case.few, case.many, directory, [*VALGRIND, f"--callgrind-out-file={output}"])
    parts = [total_of(output.with_name(f"{output.name}.{number + 1}")) for number in range(2 * PARTS)]
    (_, caller_few, agent_few), (_, caller_many, agent_many) = parts[:PARTS], parts[PARTS:]
    items = case.workload.items
    return Count(
        caller=(caller_few + caller_many) / (case.few + case.many) / items,
        agent=(agent_many - agent_few) / (case.many - case.few) / items,
    )


def total_of(file: Path) -> int:
    """
    Return the instructions of one part.

    Raises:
        ChildFailed: callgrind did not write it.
    """
    found = TOTAL.search(file.read_text(encoding="utf-8")) if file.exists() else None
    if found is None:
        raise ChildFailed(f"callgrind wrote no count to {file.name}; does valgrind find the C library's symbols?")
    return int(found[1])


def _run(case: Case, few: int, many: int, directory: Path, prefix: Sequence[str] = ()) -> None:
    """Run the worker, and check that it did the work, with fixed clocks, and that no plugin was disabled."""
    recorded = run_once([*prefix, *case.command(few, many)], directory=directory)
    states = recorded.pop("plugins", {})
    broken = [f"plugin {name} is {state}" for name, state in states.items() if state not in HEALTHY]
    broken += [f"{clock} is a real clock" for clock in recorded.pop("real_clocks", [])]
    expected = case.expected(few, many)
    if recorded != expected:
        broken.append(f"expected {expected}, recorded {recorded}")
    if broken:
        raise ChildFailed(f"{case.name}: {'; '.join(broken)}")
