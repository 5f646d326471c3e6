"""One exporter's queue. Pauses between attempts are cut short where a test does not look at them."""

from __future__ import annotations

import logging
import threading
from time import monotonic

import pytest

from scout_core.config.config import read_config
from scout_core.errors import RejectedReport
from scout_core.measuring.report import SpanRecord, Trace
from scout_core.recording.tracer import Tracer
from scout_core.sending import outbox as module
from scout_core.sending.ledger import Ledger
from scout_core.sending.outbox import MAX_BYTES, MAX_REPORTS, Outbox, pause_after
from tests.workbench import Behaving, Keeper, eventually, sample_report


class Desk:
    """An outbox with its exporter, and the ledger whose every report holds ten transactions."""

    def __init__(self, exporter) -> None:
        self.exporter = exporter
        self.ledger = Ledger(Tracer(read_config(environment={}), lambda: None))
        self.outbox = Outbox(exporter, self.ledger)
        self.put = 0

    def send(self, count: int = 1, **changes) -> None:
        for _ in range(count):
            self.put += 1
            self.ledger.taken += 10
            self.ledger.in_period += 10
            report = sample_report(self.put, **changes)
            self.outbox.put(report, self.ledger.close_period([self.exporter.name]))

    @property
    def arrived(self) -> list[int]:
        """Numbers of the reports that the exporter took, in their order."""
        return [int(report.id.rpartition("-")[2]) for report in self.exporter.reports]

    @property
    def places(self) -> tuple[int, int, dict[str, int]]:
        """Reports that were exported, are queued, and were dropped; everything that was put is in one of them."""
        counters = self.ledger.counters(self.exporter.name)
        assert (
            self.put * 10 == counters.finished == counters.exported + counters.queued + sum(counters.dropped.values())
        )
        return counters.exported // 10, counters.queued // 10, {why: n // 10 for why, n in counters.dropped.items()}

    def stop(self, seconds: float = 10.0) -> None:
        self.outbox.stop(monotonic() + seconds)
        self.outbox.join()


@pytest.fixture
def desk():
    """Makes a desk for an exporter; all are stopped at the end."""
    made: list[Desk] = []

    def make(exporter) -> Desk:
        made.append(Desk(exporter))
        return made[-1]

    yield make
    for one in made:
        one.stop(0)


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(module, "pause_after", lambda failures: 0.0)


def failing(times: int, error: BaseException):
    """What an exporter does that raises so often."""
    left = [times]

    def behave(report):
        if left[0]:
            left[0] -= 1
            raise error

    return behave


class Gate:
    """Something an exporter waits at until the test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self, report) -> None:
        self.entered.release()
        self.opened.wait(30)

    def wait_until_entered(self) -> None:
        assert self.entered.acquire(timeout=20)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


def test_reports_arrive_in_order(desk):
    one = desk(Keeper())

    one.send(20)

    eventually(lambda: (20, 0, {}) == one.places)
    assert list(range(1, 21)) == one.arrived


def test_there_is_no_thread_before_there_is_something_to_send(desk):
    one = desk(Keeper())
    before = one.outbox._thread
    one.send()
    first = one.outbox._thread
    one.send()
    eventually(lambda: 2 == len(one.arrived))

    assert None is before
    assert first is one.outbox._thread
    assert first.is_alive()
    assert first.daemon


@pytest.mark.parametrize("error", [ConnectionRefusedError(), ValueError("x"), SystemExit(3), KeyboardInterrupt()])
def test_what_fails_is_sent_again_whatever_was_raised(desk, no_pause, error):
    one = desk(Behaving("one", failing(5, error)))

    one.send(3)

    eventually(lambda: (3, 0, {}) == one.places)
    assert [1, 2, 3] == one.arrived


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("not even that")


def test_an_exception_that_cannot_be_told_is_one_like_any_other(desk, no_pause):
    one = desk(Behaving("one", failing(2, Unspeakable())))

    one.send()

    eventually(lambda: (1, 0, {}) == one.places)


def test_what_is_rejected_is_dropped_under_its_reason_and_the_next_is_sent(desk):
    one = desk(Behaving("one", failing(2, RejectedReport("no", "collector answered 413"))))

    one.send(3)

    eventually(lambda: (1, 0, {"collector answered 413": 2}) == one.places)
    assert [3] == one.arrived


class WithoutReason(RejectedReport):
    def __init__(self) -> None:
        Exception.__init__(self)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RejectedReport("no", ["a", "list"]), "['a', 'list']"),
        (RejectedReport("no", "x" * 1_000), "x" * 100),
        (RejectedReport("no", Unspeakable()), "<unprintable exception>"),
        (WithoutReason(), "rejected"),
    ],
    ids=["no text", "long", "unspeakable", "missing"],
)
def test_a_reason_that_makes_no_sense_costs_only_itself(desk, error, reason):
    one = desk(Behaving("one", failing(1, error)))

    one.send(2)

    eventually(lambda: (1, 0, {reason: 1}) == one.places)


def test_a_full_outbox_lets_the_oldest_go_but_not_the_one_on_its_way(desk, gate):
    """What is being sent may arrive: to count it as dropped then would be wrong."""
    one = desk(Behaving("one", gate))
    one.send()
    gate.wait_until_entered()

    one.send(MAX_REPORTS + 4)
    full = one.places
    gate.opened.set()
    eventually(lambda: one.places[1] == 0)

    assert (0, MAX_REPORTS, {"outbox full": 5}) == full
    assert (MAX_REPORTS, 0, {"outbox full": 5}) == one.places
    assert [1, *range(7, MAX_REPORTS + 6)] == one.arrived


def big_report_changes(megabytes: float) -> dict:
    """A trace of one span that carries so much text."""
    record = SpanRecord(
        id=1, parent=0, operation="SQL/Query", start=0.0, duration=0.1,
        tags={f"t{n}": "x" * 2_000 for n in range(int(megabytes * 500))},
    )  # fmt: skip
    trace = Trace(
        id="0" * 16, name="Controller/home", start=1e9, duration=0.1, queue_time=None, is_error=False, error=None,
        tags={}, score=1.0, policies={}, spans=(record,),
    )  # fmt: skip
    return {"traces": (trace,)}


def test_an_outbox_is_bounded_by_the_size_of_what_its_reports_hold(desk, gate):
    one = desk(Behaving("one", gate))
    one.send()
    gate.wait_until_entered()

    one.send(6, **big_report_changes(1.1))
    exported, queued, dropped = one.places

    assert 4 * 1024 * 1024 == MAX_BYTES
    assert (0, 4, {"outbox full": 3}) == (exported, queued, dropped)


def test_a_report_that_is_too_big_on_its_own_is_sent_all_the_same(desk):
    one = desk(Keeper())

    one.send(1, **big_report_changes(6.0))

    eventually(lambda: (1, 0, {}) == one.places)


def test_pauses_double_up_to_a_minute_and_are_spread_by_a_quarter():
    drawn = {failures: [pause_after(failures) for _ in range(300)] for failures in (1, 2, 3, 4, 5, 6, 7, 8, 100)}

    for failures, wanted in {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 60, 8: 60, 100: 60}.items():
        assert wanted * 0.75 <= min(drawn[failures]) < wanted * 0.85
        assert wanted * 1.15 < max(drawn[failures]) <= wanted * 1.25


def test_an_outage_of_a_year_does_not_end_the_attempts():
    """2.0 ** 1024 is too large for a float."""
    assert 45 <= pause_after(600_000) <= 75


def test_the_pause_grows_with_each_failure_and_begins_anew_after_a_success(desk, monkeypatch):
    asked = []

    def pause(failures):
        asked.append(failures)
        return 0.0

    monkeypatch.setattr(module, "pause_after", pause)
    one = desk(Behaving("one", failing(4, ConnectionRefusedError())))
    one.send()
    eventually(lambda: (1, 0, {}) == one.places)
    one.exporter.behave = failing(2, ConnectionRefusedError())
    one.send()
    eventually(lambda: (2, 0, {}) == one.places)

    assert [1, 2, 3, 4, 1, 2] == asked


def test_a_receiver_that_rejects_is_there_so_the_pause_begins_anew(desk, monkeypatch):
    asked = []

    def pause(failures):
        asked.append(failures)
        return 0.0

    errors = [ConnectionRefusedError(), ConnectionRefusedError(), RejectedReport("no"), ConnectionRefusedError()]

    def behave(report):
        if errors:
            raise errors.pop(0)

    monkeypatch.setattr(module, "pause_after", pause)
    one = desk(Behaving("one", behave))
    one.send(2)
    eventually(lambda: (1, 0, {"rejected": 1}) == one.places)

    assert [1, 2, 1] == asked


def test_while_it_pauses_nothing_is_sent_until_it_is_stopped(desk):
    """A pause of 0.75 s at least; a stop ends it at once, and what waits gets one more chance."""
    one = desk(Behaving("one", failing(1, ConnectionRefusedError())))
    one.send()
    eventually(lambda: one.outbox._failures == 1)
    one.send(3)

    begin = monotonic()
    one.stop(10)

    assert monotonic() - begin < 0.5
    assert (4, 0, {}) == one.places


def test_stopping_sends_what_is_there(desk, gate):
    one = desk(Behaving("one", gate))
    one.send(5)
    gate.wait_until_entered()
    gate.opened.set()

    one.stop(20)

    assert (5, 0, {}) == one.places


def test_stopping_waits_no_longer_than_until_the_deadline(desk, gate):
    one = desk(Behaving("one", gate))
    one.send(3)
    gate.wait_until_entered()

    begin = monotonic()
    one.stop(0.3)

    assert 0.3 <= monotonic() - begin < 1.0
    assert (0, 0, {"not sent before the process ended": 3}) == one.places


def test_what_arrives_after_the_deadline_is_not_counted_a_second_time(desk, gate):
    one = desk(Behaving("one", gate))
    one.send(3)
    gate.wait_until_entered()
    one.stop(0)

    gate.opened.set()
    one.outbox._thread.join(20)

    assert [1] == one.arrived
    assert (0, 0, {"not sent before the process ended": 3}) == one.places


def test_what_is_put_after_the_end_is_dropped(desk):
    """The agent's thread had been given up because a plugin hung, and now it goes on."""
    one = desk(Keeper())
    one.stop()

    one.send(2)

    assert (0, 0, {"not sent before the process ended": 2}) == one.places


def test_a_receiver_that_is_gone_does_not_hold_up_the_end(desk, no_pause):
    one = desk(Behaving("one", failing(10**9, ConnectionRefusedError())))
    one.send(3)

    begin = monotonic()
    one.stop(20)

    assert monotonic() - begin < 5
    assert (0, 0, {"not sent before the process ended": 3}) == one.places


def test_the_interval_that_the_receiver_requested_last_is_kept(desk):
    answers = [5, 2.5, None, 0, -1, float("nan"), float("inf"), 10**400, "soon", 60]
    intervals = []

    def answer(report):
        intervals.append(sender.outbox.requested_interval)
        return answers.pop(0)

    sender = desk(Behaving("one", answer))
    sender.send(10)

    eventually(lambda: (10, 0, {}) == sender.places)
    assert [None, 5.0, *[2.5] * 8, 60.0] == [*intervals, sender.outbox.requested_interval]


def test_when_no_thread_can_be_started_reports_wait(desk, monkeypatch):
    """Too many threads, or the end of the interpreter; on the agent's thread, which has to go on."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    one = desk(Keeper())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        one.send(2)
        assert (0, 2, {}) == one.places

    one.send()

    eventually(lambda: (3, 0, {}) == one.places)
    assert [1, 2, 3] == one.arrived


def test_when_no_thread_could_be_started_until_the_end_everything_is_dropped(desk, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    one = desk(Keeper())
    one.send(2)
    one.stop()

    assert (0, 0, {"not sent before the process ended": 2}) == one.places


def test_the_same_trouble_is_logged_once_until_it_is_over(desk, no_pause, caplog):
    caplog.set_level(logging.INFO, "scout_core.exporters")
    one = desk(Behaving("one", failing(50, ConnectionRefusedError("nobody there"))))
    one.send()
    eventually(lambda: (1, 0, {}) == one.places)
    one.exporter.behave = failing(2, ConnectionRefusedError("again nobody"))
    one.send()
    eventually(lambda: (2, 0, {}) == one.places)

    assert [
        "exporter one: ConnectionRefusedError: nobody there; reports wait and are sent again",
        "exporter one: ConnectionRefusedError: again nobody; reports wait and are sent again",
    ] == [record.getMessage() for record in caplog.records]
