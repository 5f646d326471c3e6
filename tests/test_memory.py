"""Memory does not grow with the number of transactions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.workbench import run_app

FLAT = """
import gc, os, time
gc.disable()  # finished transactions must be freed without the collector, which applications disable or run rarely
import scout_core
from scout_core import span, transaction
from scout_core.recording.span import Span
from scout_core.sending import agent_thread

agent_thread.TICK = 0.001  # the application waits for the agent below
agent = scout_core.start(report_period=0.2)


def load(count):
    for number in range(count):
        try:
            with transaction(f"Controller/{number % 3000}", user=number) as web:
                with span("SQL/Query", statement=f"select {number}"):
                    pass
                if number % 10 == 0:
                    raise KeyError(number)
                if number % 10 == 1:
                    web.ignore()
        except KeyError:
            pass
        while number % 500 == 0 and len(agent.tracer.inbox) > 2000:
            time.sleep(0.001)


def kib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


load(110_000)
before = kib()
load(90_000)
after = kib()
while agent.tracer.inbox or agent.ledger.in_hand:
    time.sleep(0.001)
scout_core.stop()
counters = agent.counters("collector")
print(after - before, counters.finished, counters.names_merged > 0, counters.dropped.get("inbox full", 0))
print(sum(isinstance(found, Span) for found in gc.get_objects()))
"""


def test_memory_is_flat_over_two_hundred_thousand_transactions(tmp_path):
    """With names beyond the limit, errors, ignored transactions and kept traces, and with the collector disabled."""
    if not Path("/proc/self/statm").exists():
        pytest.skip(f"not on {sys.platform}: the memory of a process is unknown")
    done = run_app(FLAT, tmp_path / "state", seconds=100)

    assert (0, "") == (done.code, done.err)
    more_kib, finished, has_merged, refused, alive = done.out.split()
    assert ("200000", "True", "0") == (finished, has_merged, refused)
    assert int(more_kib) < 2_048
    assert int(alive) <= 3, "the placeholders for finished and ignored transactions"
