"""The rule about processes that fork."""

from __future__ import annotations

import json
import os
import select
import signal
import warnings
from collections.abc import Iterator
from typing import Final

from scout_core.recording.transaction import Transaction
from scout_core.testing.calls import Bench, Bound, Outline, outline, run_within, told
from scout_core.testing.problems import Problem
from scout_core.testing.scout import Scout

PATIENCE: Final = 20.0
"""Seconds that a child has for one call."""
_encode: Final = json.JSONEncoder().encode  # of before the plugin, which may replace json.dumps


def fork(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """A fork amid a transaction, with calls before and after it on both sides."""
    if not hasattr(os, "fork"):
        return
    with bench.recording() as scout:
        run_within(bound)
        once = outline(scout)
        scout.forget()
        with Transaction("Job/conformance"):
            bound.run()
            child = _in_child(scout, bound)
            bound.run()
        parent = outline(scout)
    advice = "keep no state of the process in the module; what must exist once for each process is made in on_start"
    if child is None:
        seen = f"the call did not end within {PATIENCE:.0f} s in a forked child, or ended it"
        yield Problem("fork", seen, advice, bound.call.name)
    elif child != once:
        seen = f"a forked child recorded {told(child)} in place of {told(once)}"
        yield Problem("fork", seen, advice, bound.call.name)
    expected = (*once[:-1], *once)
    if parent != expected:
        seen = f"the parent recorded {told(parent)} around the fork in place of {told(expected)}"
        yield Problem("fork", seen, advice, bound.call.name)


def _in_child(scout: Scout, bound: Bound) -> Outline | None:
    """What a forked child records of one call; None when it tells nothing."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 and later warn where threads run, as those of a test's server; the child runs the call and no more.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            scout.agent.tracer.has_started = True  # no thread: what was recorded is read here
            scout.forget()
            run_within(bound)
            os.write(write, _encode(outline(scout)).encode()[:60_000])
        finally:
            os._exit(0)  # nothing of the test may go on in the child
    os.close(write)
    told_of: list[bytes] = []
    try:
        while select.select([read], [], [], PATIENCE)[0] and (part := os.read(read, 65_536)):
            told_of.append(part)
    finally:
        os.close(read)
        os.kill(pid, signal.SIGKILL)  # it has ended, or never will
        os.waitpid(pid, 0)
    try:
        return tuple((name, parent, error) for name, parent, error in json.loads(b"".join(told_of)))
    except ValueError:
        return None
