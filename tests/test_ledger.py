from __future__ import annotations

import sys
import threading

import pytest

from scout_core.config.config import read_config
from scout_core.measuring.report import Counters
from scout_core.recording.limits import overflow as module
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
        finished = Transaction("Job/x")
        finished.tracer = tracer
        tracer.finish(finished)


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


def test_transactions_for_a_full_inbox_are_dropped_when_there_is_no_room_for_their_figures_either(
    tracer, ledger, monkeypatch
):
    monkeypatch.setattr(module, "MOST_BRIEFS", 10)
    finish(tracer, 1_013)

    assert (1_013, 0, 1_010, {"inbox full": 3}) == figures(ledger.counters())


def test_transactions_that_were_open_when_the_agent_stopped_have_their_own_reason(tracer, ledger):
    finish(tracer, 1)
    tracer.retire()
    ledger.abandon()
    finish(tracer, 2)

    dropped = {"open when the agent stopped": 2, "not sent before the process ended": 1}
    assert (3, 0, 0, dropped) == figures(ledger.counters())


def test_transactions_left_in_the_inbox_are_dropped_at_the_end(tracer, ledger):
    finish(tracer, 1_500)

    ledger.abandon()

    assert (1_500, 0, 0, {"not sent before the process ended": 1_500}) == figures(ledger.counters())


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


def test_threads_that_finish_transactions_at_the_same_time_are_counted_exactly(tracer, ledger, monkeypatch):
    """The counters that application threads write have no lock; this relies on CPython not switching within ``+=``."""
    tracer.max_queue = 50
    monkeypatch.setattr(module, "MOST_BRIEFS", 30)
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
            taken += len(ledger.take(7)) + len(ledger.take_briefs(3))
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)

    counters = ledger.counters()
    assert 4 * count == counters.finished
    assert 4 * count == taken + len(tracer.inbox) + len(tracer.overflow) + counters.dropped["inbox full"]
    assert taken == ledger.in_hand
    assert len(tracer.inbox) <= 50 + 4, "every thread can check the length before the others append"
    assert len(tracer.overflow) <= 30 + 4


@pytest.mark.parametrize("may_ignore", [False, True])
def test_everything_that_was_taken_is_settled_or_dropped_by_reason_while_threads_finish_and_read(
    tracer, ledger, monkeypatch, may_ignore
):
    """All places at once: inbox, overflow, hands, period, two exporters, the end; each reading adds up for each exporter."""
    monkeypatch.setattr(module, "MOST_BRIEFS", 20)
    tracer.max_queue = 30
    tracer.may_ignore = may_ignore
    made, unbalanced, is_enough, is_over = [], [], threading.Event(), threading.Event()

    def produce() -> None:
        count = 0
        while not is_enough.is_set():
            finish(tracer, 5)
            count += 5
        made.append(count)

    def read() -> None:
        while not is_over.is_set():
            for exporter in ("first", "second"):
                counters = ledger.counters(exporter)
                if counters.finished != counters.exported + counters.queued + sum(counters.dropped.values()):
                    unbalanced.append(counters)

    producers = [threading.Thread(target=produce) for _ in range(3)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    evaluated = 0
    try:
        for thread in (*producers, *readers):
            thread.start()
        for _ in range(300):
            tally = Tally()
            for number, _ in enumerate(ledger.take(5)):
                tally.count(2, 0) if number % 2 else tally.drop("ignored")
            tally.count_figures(len(ledger.take_briefs(9)))
            evaluated += tally.transactions
            ledger.settle(tally)
            closed = ledger.close_period(["first", "second"])
            ledger.delivered("first", closed)
            ledger.lost("second", closed, "outbox full")
        is_enough.set()
        for thread in producers:
            thread.join()
        tracer.retire()
        finish(tracer, 10)
        ledger.abandon()
    finally:
        sys.setswitchinterval(before)
        is_enough.set()
        is_over.set()
        for thread in (*producers, *readers):
            thread.join()

    assert [] == unbalanced[:3]
    counters = ledger.counters("first")
    dropped = counters.dropped
    assert sum(made) + 10 == counters.finished == counters.exported + sum(dropped.values())
    assert 0 == counters.queued == ledger.in_hand
    assert ledger.taken == evaluated + dropped.get("not sent before the process ended", 0)
    assert 10 == dropped["open when the agent stopped"]
    assert evaluated == counters.exported + dropped["ignored"]
    assert 0 < counters.figures_only <= counters.exported
