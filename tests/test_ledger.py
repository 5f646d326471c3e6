from __future__ import annotations

import sys
import threading

import pytest

from scout_core.config.config import read_config
from scout_core.measuring.report import Counters
from scout_core.recording.tracer import Tracer
from scout_core.recording.transaction import Transaction
from scout_core.sending.ledger import MAX_REASONS, Ledger, Tally


@pytest.fixture
def tracer():
    return Tracer(read_config({"max_queue": 1_000}, environment={}), lambda: None)


@pytest.fixture
def ledger(tracer):
    return Ledger(tracer)


def finish(tracer: Tracer, count: int) -> None:
    for _ in range(count):
        tracer.finish(Transaction("Job/x"))


def settle(ledger: Ledger, *counted: tuple[int, int], dropped: tuple[str, ...] = ()) -> None:
    """Settle transactions with so many ``(spans, merged spans)``, and some that were dropped for these reasons."""
    tally = Tally()
    for spans, merged in counted:
        tally.count(spans, merged)
    for reason in dropped:
        tally.drop(reason)
    ledger.settle(tally)


def figures(counters: Counters) -> tuple[int, int, int, dict[str, int]]:
    return counters.finished, counters.exported, counters.queued, counters.dropped


def test_a_transaction_is_in_one_place_all_its_way(tracer, ledger):
    seen = []

    def look() -> None:
        seen.append(figures(ledger.counters("one")))

    finish(tracer, 4)
    look()
    assert 3 == len(ledger.take(3))
    look()
    settle(ledger, dropped=("ignored",))
    look()
    settle(ledger, (5, 2), (1, 0))
    look()
    assert 2 == ledger.close_period(["one", "two"])
    look()
    ledger.delivered("one", 2)
    look()

    assert [
        (4, 0, 4, {}),
        (4, 0, 4, {}),
        (4, 0, 3, {"ignored": 1}),
        (4, 0, 3, {"ignored": 1}),
        (4, 0, 3, {"ignored": 1}),
        (4, 2, 1, {"ignored": 1}),
    ] == seen
    assert (4, 0, 3, {"ignored": 1}) == figures(ledger.counters("two")), "the other exporter has not delivered"
    assert (6, 2) == (ledger.counters().spans, ledger.counters().spans_merged)


def test_what_an_exporter_lost_is_dropped_for_it_alone(tracer, ledger):
    finish(tracer, 2)
    ledger.take(2)
    settle(ledger, (0, 0), (0, 0))
    ledger.close_period(["one", "two"])

    ledger.lost("one", 2, "outbox full")

    assert (2, 0, 0, {"outbox full": 2}) == figures(ledger.counters("one"))
    assert (2, 0, 2, {}) == figures(ledger.counters("two"))


def test_without_an_exporter_a_closed_period_is_dropped(tracer, ledger):
    finish(tracer, 1)
    ledger.take(1)
    settle(ledger, (0, 0))
    ledger.close_period([])

    assert (1, 0, 0, {"no exporter": 1}) == figures(ledger.counters())


def test_what_the_inbox_had_no_room_for_is_dropped(tracer, ledger):
    finish(tracer, 1_003)

    assert (1_003, 0, 1_000, {"inbox full": 3}) == figures(ledger.counters())


def test_what_is_left_in_the_inbox_is_dropped_at_the_end(tracer, ledger):
    finish(tracer, 1_000)

    ledger.abandon()

    assert (1_000, 0, 0, {"not sent before the process ended": 1_000}) == figures(ledger.counters())


def test_reasons_are_bounded(tracer, ledger):
    """An exporter that puts a time or an id into its reason must not fill the memory."""
    for number in range(MAX_REASONS + 10):
        ledger.close_period(["one"])
        ledger.waiting["one"] += 1
        tracer.refused += 1
        ledger.lost("one", 1, f"refused at {number}")

    dropped = ledger.counters("one").dropped

    assert MAX_REASONS + 2 == len(dropped), "those, other, and inbox full"
    assert 10 == dropped["other"]


def test_a_signals_handler_may_ask_while_somebody_else_does(ledger):
    with ledger.lock:
        assert 0 == ledger.counters().finished


def test_threads_that_finish_at_the_same_time_lose_no_count(tracer, ledger):
    """The places that applications' threads write to have no lock; that needs CPython not to switch within ``+=``."""
    tracer.max_queue = 50
    each = 5_000
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=finish, args=(tracer, each)) for _ in range(4)]
        for thread in threads:
            thread.start()
        taken = 0
        while any(thread.is_alive() for thread in threads):
            counters = ledger.counters()
            assert counters.finished == counters.queued + sum(counters.dropped.values())
            taken += len(ledger.take(7))
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)

    counters = ledger.counters()
    assert 4 * each == counters.finished
    assert 4 * each == taken + len(tracer.inbox) + counters.dropped["inbox full"]
    assert taken == ledger.in_hand
    assert len(tracer.inbox) <= 50 + 4, "each thread may have looked before the others appended"
