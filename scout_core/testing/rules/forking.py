"""The rule about forked processes."""

from __future__ import annotations

import json
import os
import select
import signal
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Final

from scout_core.recording.transaction import Transaction
from scout_core.testing.rules.calls import OURS, Bench, Bound, Outline, describe, outline, run_within, without_ours
from scout_core.testing.rules.problems import Violation
from scout_core.testing.scout import Scout

PATIENCE: Final = 20.0
"""Seconds that a child may take for a call."""
_encode: Final = json.JSONEncoder().encode  # created before the plugin, which may replace json.dumps


def fork(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Fork inside a transaction, with calls before and after the fork on both sides."""
    if not hasattr(os, "fork"):
        return
    with bench.recording() as scout:
        run_within(bound)
        once = outline(scout)
        scout.forget()
        with Transaction(OURS):
            bound.run()
            child = _in_child(scout, bound)
            bound.run()
        parent = outline(scout)
    advice = "keep no per-process state in the module; create it in on_start"
    if child is None:
        evidence = f"the call did not end within {PATIENCE:.0f} s in a forked child, or ended the child"
        yield Violation("fork", evidence, advice, bound.call.name)
    elif child != once:
        evidence = f"a forked child recorded {describe(child)} instead of {describe(once)}"
        yield Violation("fork", evidence, advice, bound.call.name)
    expected = without_ours(once) + once
    if without_ours(parent) != without_ours(expected):
        evidence = f"the parent recorded {describe(parent)} around the fork instead of {describe(expected)}"
        yield Violation("fork", evidence, advice, bound.call.name)


def _in_child(scout: Scout, bound: Bound) -> Outline | None:
    """Return the records of one call in a forked child; None if it sends none."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 and later warn about forking while threads run, such as a test server's; the child only makes the call.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            scout.agent.tracer.await_none()  # start no thread: the records are read here
            scout.forget()
            run_within(bound)
            os.write(write, _encode(list(outline(scout).elements())).encode()[:60_000])
        finally:
            os._exit(0)  # the child must not continue with the test
    os.close(write)
    received: list[bytes] = []
    try:
        while select.select([read], [], [], PATIENCE)[0] and (part := os.read(read, 65_536)):
            received.append(part)
    finally:
        os.close(read)
        os.kill(pid, signal.SIGKILL)  # it has ended, or hangs
        os.waitpid(pid, 0)
    try:
        return Counter((name, parent, error) for name, parent, error in json.loads(b"".join(received)))
    except ValueError:
        return None
