"""
Changes to the process that a plugin must leave alone: whatever exists once, for the application and for every plugin.

For a fresh process only: the functions that watch threads and child processes start are not removed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from scout_core.testing.rules import interpreter_state, process_state
from scout_core.testing.rules.interpreter_state import Imported, prepare
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.process_starts import MOST_SECONDS_AT_EXIT, Starts

MOST_SECONDS: Final = 3.0
"""Seconds that an import, a start or a stop may take; usually it takes a hundredth of that."""

_READERS: Final = (*process_state.READERS, *interpreter_state.READERS)
_ADVICE: Final = {
    process_state.environment: "only read the environment; settings of your own are options of your plugin",
    process_state.signals: "leave signals to the application; on_stop is called when the process ends",
    process_state.descriptors: "open files and connections when they are needed, and close them in on_stop",
    interpreter_state.loggers: "leave logging to the application; scout_core.log has a logger for plugins",
    interpreter_state.imports: "leave imports to the application; wrap names what is to be changed in another module",
}
_LEAVE_IT: Final = "leave it to the application: the process has it only once"
_THREAD: Final = (
    "on_request_end, on_report and exporters do not run on the application's threads; "
    "if you need a thread, stop and join it in on_stop"
)
_PROCESS: Final = "a plugin runs in the process of the application: start no other and never fork"
_SLOW: Final = "applications wait for it when they start: do it at first use, on the agent's thread"
_AT_EXIT: Final = "end it in on_stop, which is called with a deadline"

MOST_CHANGES: Final = 20
"""Changes that are listed after each step; a plugin that empties ``sys.modules`` makes hundreds."""

State = dict[str, tuple[object, str]]
"""Each thing that can change, with its value and the advice."""


class Process:
    """Finds what a plugin has changed; create it before the plugin is imported. Each change is reported once."""

    def __init__(self) -> None:
        prepare()
        self._starts = Starts()
        self._reported: set[str] = set()
        self._ours: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """Take a new snapshot: earlier changes do not count."""
        self._before = _read()
        self._starts.reset()

    def learn(self) -> None:
        """Ignore, while an agent runs, what has changed since the last snapshot: the agent itself has changed it."""
        self._ours = set(_changed(self._before, _read()))

    def changed(self, doing: str, *, agent_runs: bool = False) -> Iterator[Violation]:
        """
        Report what is different.

        Args:
            doing: for the message, such as ``importing scout_redis``.
            agent_runs: ignore what the agent itself changes while it runs.
        """
        found = _changed(self._before, _read())
        things = [thing for thing in found if not (agent_runs and thing in self._ours) and thing not in self._reported]
        for thing in things[:MOST_CHANGES]:
            yield from self._report(thing, f"{doing} changes", found[thing])
        if more := things[MOST_CHANGES:]:
            self._reported.update(more)
            yield Violation("process", f"{doing} changes {len(more)} more, the last of them {more[-1]}", _LEAVE_IT)
        for clause in self._starts.processes:
            yield from self._report(clause, doing, _PROCESS)
        for name in self._starts.registered:
            yield from self._report(f"something with {name}", f"{doing} registers", _LEAVE_IT)

    def slow(self, doing: str, seconds: float) -> Iterator[Violation]:
        """Report what took too long."""
        if seconds > MOST_SECONDS:
            yield Violation("process", f"{doing} takes {seconds:.1f} s, more than {MOST_SECONDS:.0f} s", _SLOW)

    def slow_at_exit(self, module: str) -> Iterator[Violation]:
        """Call what was registered with ``atexit``, and report what takes too long."""
        for name, _ in self._starts.slow_at_exit():
            text = f"{module} registers {name} with atexit, which takes more than {MOST_SECONDS_AT_EXIT:.0f} s"
            yield Violation("process", text, _AT_EXIT)

    def threads(self, doing: str, *, can_end: bool = False) -> Iterator[Violation]:
        """
        Report threads that were started.

        Args:
            doing: for the message, as above.
            can_end: ignore threads that have ended.
        """
        for function in self._starts.threads:
            thread = getattr(function, "__self__", None)
            if not isinstance(thread, threading.Thread):
                name = getattr(function, "__qualname__", function)
                yield from self._report(f"a thread for {name}", f"{doing} starts", _THREAD)
            elif not thread.name.startswith("scout-core") and (thread.is_alive() or not can_end):
                yield from self._report(f"the thread {thread.name}", f"{doing} starts", _THREAD)

    def _report(self, thing: str, doing: str, advice: str) -> Iterator[Violation]:
        if thing not in self._reported:
            self._reported.add(thing)
            yield Violation("process", f"{doing} {thing}", advice)


def _read() -> State:
    state: State = {}
    for read in _READERS:
        advice = _ADVICE.get(read, _LEAVE_IT)
        with suppress(Exception):  # something that it reads with was replaced; what is missing then counts as changed
            for thing, value in read():
                state[thing] = value, advice
    return state


def _changed(before: State, now: State) -> dict[str, str]:
    """Return what is different, with the advice."""
    found = {}
    for thing in {**before, **now}:
        old, new = before.get(thing), now.get(thing)
        if old is None and new is not None and isinstance(new[0], Imported):  # an ordinary import
            continue
        if old is None or new is None or old[0] != new[0]:
            found[thing] = (new or old or (None, ""))[1]
    return found
