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
    """Settle transactions with these numbers of ``(spans, merged spans)``, and some dropped for these reasons."""
    tally = Tally()
    for spans, merged in counted:
        tally.count(spans, merged)
    for reason in dropped:
        tally.drop(reason)
    ledger.settle(tally)


def figures(counters: Counters) -> tuple[int, int, int, dict[str, int]]:
    return counters.finished, counters.exported, counters.queued, counters.dropped


def test_a_transaction_is_counted_in_a_single_place_at_every_step(tracer, ledger):
    observed = []

    def observe() -> None:
        observed.append(figures(ledger.counters("first")))

    finish(tracer, 4)
    observe()
    assert 3 == len(ledger.take(3))
    observe()
    settle(ledger, dropped=("ignored",))
    observe()
    settle(ledger, (5, 2), (1, 0))
    observe()
    assert 2 == ledger.close_period(["first", "second"])
    observe()
    ledger.delivered("first", 2)
    observe()

    assert [
        (4, 0, 4, {}),
        (4, 0, 4, {}),
        (4, 0, 3, {"ignored": 1}),
        (4, 0, 3, {"ignored": 1}),
        (4, 0, 3, {"ignored": 1}),
        (4, 2, 1, {"ignored": 1}),
    ] == observed
    assert (4, 0, 3, {"ignored": 1}) == figures(ledger.counters("second")), "the other exporter has not delivered"
    assert (6, 2) == (ledger.counters().spans, ledger.counters().spans_merged)


def test_what_an_exporter_lost_is_dropped_only_for_that_exporter(tracer, ledger):
    finish(tracer, 2)
    ledger.take(2)
    settle(ledger, (0, 0), (0, 0))
    ledger.close_period(["first", "second"])

    ledger.lost("first", 2, "outbox full")

    assert (2, 0, 0, {"outbox full": 2}) == figures(ledger.counters("first"))
    assert (2, 0, 2, {}) == figures(ledger.counters("second"))


def test_a_closed_period_is_dropped_when_there_is_no_exporter(tracer, ledger):
    finish(tracer, 1)
    ledger.take(1)
    settle(ledger, (0, 0))
    ledger.close_period([])

    assert (1, 0, 0, {"no exporter": 1}) == figures(ledger.counters())


def test_transactions_for_a_full_inbox_are_dropped(tracer, ledger):
    finish(tracer, 1_003)

    assert (1_003, 0, 1_000, {"inbox full": 3}) == figures(ledger.counters())


def test_transactions_left_in_the_inbox_are_dropped_at_the_end(tracer, ledger):
    finish(tracer, 1_000)

    ledger.abandon()

    assert (1_000, 0, 0, {"not sent before the process ended": 1_000}) == figures(ledger.counters())


def test_the_number_of_reasons_is_limited(tracer, ledger):
    """An exporter whose reasons contain a time or an id must not fill the memory."""
    for number in range(MAX_REASONS + 10):
        ledger.close_period(["first"])
        ledger.waiting["first"] += 1
        tracer.refused += 1
        ledger.lost("first", 1, f"refused at {number}")

    dropped = ledger.counters("first").dropped

    assert MAX_REASONS + 2 == len(dropped), "these, other, and inbox full"
    assert 10 == dropped["other"]


def test_counters_can_be_read_while_the_lock_is_held(ledger):
    with ledger.lock:
        assert 0 == ledger.counters().finished


def test_threads_that_finish_transactions_at_the_same_time_are_counted_exactly(tracer, ledger):
    """The counters that application threads write have no lock; this relies on CPython not switching within ``+=``."""
    tracer.max_queue = 50
    count = 5_000
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=finish, args=(tracer, count)) for _ in range(4)]
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
    assert 4 * count == counters.finished
    assert 4 * count == taken + len(tracer.inbox) + counters.dropped["inbox full"]
    assert taken == ledger.in_hand
    assert len(tracer.inbox) <= 50 + 4, "every thread can check the length before the others append"
