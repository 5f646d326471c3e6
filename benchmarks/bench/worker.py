"""One process with one variant of the application. It does as told on stdin and answers on stdout, a line of JSON each.

Started as ``python -m bench.worker <workload> <agent> <url of the sink> <settings as JSON>``. The standard library and what
is measured is all that it imports.
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
from bench.work import WORK, Run

PAGE = os.sysconf("SC_PAGE_SIZE")
SLICES = 10
"""Of a chunk whose units can be shared out so."""


def rss_bytes() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * PAGE


def patched_functions() -> int:
    """How many functions and methods of loaded modules are scout-core's own code, found by looking at all of them."""
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
                # By type: to look into anything else, as a proxy of Flask's, may run its code.
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
        The units, from a collected heap.

        Returns:
            ``thread_ns``: CPU of the calling thread.
            ``fastest_ns``: the same, had every slice of the chunk been as fast as the fastest: other programs spoil a whole
            chunk more often than one of its slices.
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
        To be asked when the sink has everything.

        Returns:
            ``process_ns``: CPU of all threads since ``run`` began.
        """
        return {"process_ns": process_time_ns() - self._process_ns}

    def rss(self) -> dict[str, int]:
        """Resident memory."""
        return {"bytes": rss_bytes()}

    def patched(self) -> dict[str, int]:
        """How many functions are wrapped."""
        return {"functions": patched_functions()}

    def serve(self) -> None:
        """Answer until stdin ends."""
        for line in sys.stdin:
            order = json.loads(line)
            do = order.pop("do")
            say(getattr(self, do)(**order))


def say(answer: dict[str, int]) -> None:
    """One line on stdout."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(workload: str, agent_name: str, url: str, settings: str) -> None:
    """Start the agent, then the application; the first answer is the CPU of this process until it has done one unit."""
    agent = agent_named(agent_name)
    agent.start(url, json.loads(settings))
    run = WORK[workload](agent)
    run(1)
    say({"process_ns": process_time_ns()})
    agent.flush()
    Worker(agent, run).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
