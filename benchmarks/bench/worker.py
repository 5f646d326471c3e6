"""A process with one variant of the application. Commands arrive on stdin and are answered on stdout, as lines of JSON.

Started as ``python -m bench.worker <workload> <agent> <url of the sink> <settings as JSON>``. It imports only the standard
library and the measured code.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from itertools import pairwise
from time import process_time_ns, thread_time_ns
from types import FunctionType, ModuleType

from bench.agents.protocol import Agent, agent_named
from bench.arguments import arguments
from bench.work import WORK, Run

PAGE = os.sysconf("SC_PAGE_SIZE")
SLICES = 10
"""Slices of a chunk whose units can be divided by this number."""


def rss_bytes() -> int:
    """Return the resident memory of this process."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * PAGE


def patched_functions() -> int:
    """Return how many functions and methods of other modules have been replaced by scout-core's wrappers."""
    core = sys.modules.get("scout_core")
    if core is None:
        return 0
    wrappers = os.path.join(os.path.dirname(core.__file__ or ""), "boundary", "")
    found = set()
    for name, module in list(sys.modules.items()):
        if type(module) is not ModuleType or name.partition(".")[0] == "scout_core":
            continue
        for value in list(vars(module).values()):
            for attribute in (value, *vars(value).values()) if isinstance(value, type) else (value,):
                # Compare types: attribute access on anything else, such as Flask's proxies, may run code.
                function = attribute.__func__ if type(attribute) in (classmethod, staticmethod) else attribute
                if type(function) is FunctionType and function.__code__.co_filename.startswith(wrappers):
                    found.add(id(function))
    return len(found)


class Worker:
    """Runs units of one workload under one agent, and reads the clocks."""

    def __init__(self, agent: Agent, run: Run) -> None:
        self._agent = agent
        self._run = run
        self._process_ns = 0

    def run(self, units: int) -> dict[str, int]:
        """
        Collect garbage, then run units.

        Returns:
            ``thread_ns``: CPU of the calling thread.
            ``fastest_ns``: the same if every slice of the chunk were as fast as the fastest one, because other programs disturb a
            whole chunk more often than a slice of it.
        """
        gc.collect()
        self._process_ns = process_time_ns()
        clock = [thread_time_ns()]
        sizes = [units // SLICES] * SLICES if units % SLICES == 0 else [units]
        for size in sizes:
            self._run(size)
            clock.append(thread_time_ns())
        self._agent.flush()
        fastest_ns = min(after - before for before, after in pairwise(clock))
        return {"thread_ns": clock[-1] - clock[0], "fastest_ns": fastest_ns * len(sizes)}

    def settle(self) -> dict[str, int]:
        """
        Call this when the sink has received all data.

        Returns:
            ``process_ns``: CPU of all threads since the start of ``run``.
        """
        return {"process_ns": process_time_ns() - self._process_ns}

    def rss(self) -> dict[str, int]:
        """Return the resident memory."""
        return {"bytes": rss_bytes()}

    def patched(self) -> dict[str, int]:
        """Return the number of wrapped functions."""
        return {"functions": patched_functions()}

    def serve(self) -> None:
        """Answer commands until stdin is closed."""
        for line in sys.stdin:
            command = json.loads(line)
            method = command.pop("method")
            answer(getattr(self, method)(**command))


def answer(facts: dict[str, int]) -> None:
    """Print a line of JSON."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(workload: str, agent_name: str, url: str, settings: str) -> None:
    """Start the agent, then the application. The first answer is the CPU time of this process until its first unit is done."""
    agent = agent_named(agent_name)
    agent.start(url, json.loads(settings))
    run = WORK[workload](agent)
    run(1)
    answer({"process_ns": process_time_ns()})
    agent.flush()
    Worker(agent, run).serve()


if __name__ == "__main__":
    main(*arguments(__doc__))
