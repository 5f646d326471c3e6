"""The limits of the conformance rule `overhead` on a busy machine; `conformance/mutations.py` has describers that exceed them."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from scout_core.testing.rules.effort import LONGEST_NS, LONGEST_WAIT_NS, Times
from scout_core.testing.rules.overhead import REFERENCES, _Shortest, _time_of_reference


def measured(took, waited=0):
    meter = Times()
    meter.took_ns, meter.waited_ns = took, waited
    return meter


def passages(*times):
    return [SimpleNamespace(target=SimpleNamespace(name="shelf:fetch"), meter=measured(*time)) for time in times]


@pytest.mark.parametrize(
    ("reference", "longest"),
    [(1_000, LONGEST_NS), (LONGEST_NS // REFERENCES, LONGEST_NS), (20_000, 20_000 * REFERENCES)],
)
def test_the_limit_rises_with_the_time_of_a_function_that_does_nothing(reference, longest):
    times = _Shortest()
    times.add(passages((longest, 0)), measured(reference))
    assert (longest, True) == (times.longest, times.is_enough)
    times = _Shortest()
    times.add(passages((longest + REFERENCES, 0)), measured(reference))
    assert not times.is_enough


def test_the_shortest_of_many_calls_counts_and_that_of_the_reference():
    times = _Shortest()
    for took, waited, reference in [(900_000, 0, 9_000), (100_000, 70_000, 2_000), (800_000, 5_000, 3_000)]:
        times.add(passages((took, waited)), measured(reference))

    assert ({"shelf:fetch": (100_000, 0)}, (2_000, 0), 3) == (times.shortest, times.reference, times.calls)
    assert times.is_enough


@pytest.mark.parametrize("waited", [50_000, 800_000])
def test_waiting_has_a_limit_of_its_own(waited):
    times = _Shortest()
    times.add(passages((1_000, waited)), measured(1_000, 2_000))

    assert (LONGEST_WAIT_NS, False) == (times.longest_wait, times.is_enough)


def test_the_time_of_the_processor_leaves_out_waiting_and_other_threads():
    stop = threading.Event()
    busy = [threading.Thread(target=lambda: [sum(range(1_000)) for _ in iter(stop.is_set, True)]) for _ in range(2)]
    for thread in busy:
        thread.start()
    meter = Times()
    meter.resume(())
    time.sleep(0.05)
    meter.pause()
    stop.set()
    for thread in busy:
        thread.join()

    assert meter.took_ns < 25_000_000 < meter.waited_ns
    assert 0 < _time_of_reference().took_ns
