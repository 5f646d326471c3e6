"""The queue of an exporter. Pauses between attempts are skipped unless a test is about them."""

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
from scout_core.sending.exporter import Delivery
from scout_core.sending.ledger import Ledger
from scout_core.sending.outbox import Outbox, pause_after
from scout_core.sending.report_queue import MAX_BYTES, MAX_REPORTS
from tests.workbench import Behaving, Keeper, eventually, sample_report


class Sender:
    """An outbox with its exporter and a ledger; every report has ten transactions."""

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
        """Return the numbers of the reports that the exporter received, in order."""
        return [int(report.id.rpartition("-")[2]) for report in self.exporter.reports]

    @property
    def places(self) -> tuple[int, int, dict[str, int]]:
        """Return the numbers of reports exported, queued, and dropped by reason; every report is in one of these places."""
        counters = self.ledger.counters(self.exporter.name)
        assert (
            self.put * 10 == counters.finished == counters.exported + counters.queued + sum(counters.dropped.values())
        )
        return counters.exported // 10, counters.queued // 10, {why: n // 10 for why, n in counters.dropped.items()}

    def stop(self, seconds: float = 10.0) -> None:
        self.outbox.stop(monotonic() + seconds)
        self.outbox.join()


@pytest.fixture
def sender_for():
    """Return a function that creates a sender for an exporter; all are stopped at the end."""
    senders: list[Sender] = []

    def create(exporter) -> Sender:
        senders.append(Sender(exporter))
        return senders[-1]

    yield create
    for sender in senders:
        sender.stop(0)


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(module, "pause_after", lambda failures: 0.0)


def failing(times: int, error: BaseException):
    """Return a behaviour of an exporter that raises the error a number of times."""
    left = [times]

    def behave(report):
        if left[0]:
            left[0] -= 1
            raise error

    return behave


class Gate:
    """A behaviour of an exporter: wait until the test opens the gate."""

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


def test_reports_arrive_in_order(sender_for):
    sender = sender_for(Keeper())

    sender.send(20)

    eventually(lambda: (20, 0, {}) == sender.places)
    assert list(range(1, 21)) == sender.arrived


def test_the_thread_starts_with_the_first_report(sender_for):
    sender = sender_for(Keeper())
    before = sender.outbox._thread
    sender.send()
    first = sender.outbox._thread
    sender.send()
    eventually(lambda: 2 == len(sender.arrived))

    assert None is before
    assert first is sender.outbox._thread
    assert first.is_alive()
    assert first.daemon


@pytest.mark.parametrize("error", [ConnectionRefusedError(), ValueError("x"), SystemExit(3), KeyboardInterrupt()])
def test_a_failed_report_is_sent_again_after_any_exception(sender_for, no_pause, error):
    sender = sender_for(Behaving("test", failing(5, error)))

    sender.send(3)

    eventually(lambda: (3, 0, {}) == sender.places)
    assert [1, 2, 3] == sender.arrived


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")


def test_an_exception_without_a_printable_message_is_handled_like_any_other(sender_for, no_pause):
    sender = sender_for(Behaving("test", failing(2, Unprintable())))

    sender.send()

    eventually(lambda: (1, 0, {}) == sender.places)


def test_a_rejected_report_is_dropped_with_its_reason_and_the_next_is_sent(sender_for):
    sender = sender_for(Behaving("test", failing(2, RejectedReport("no", "collector answered 413"))))

    sender.send(3)

    eventually(lambda: (1, 0, {"collector answered 413": 2}) == sender.places)
    assert [3] == sender.arrived


class WithoutReason(RejectedReport):
    def __init__(self) -> None:
        Exception.__init__(self)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RejectedReport("no", ["a", "list"]), "['a', 'list']"),
        (RejectedReport("no", "x" * 1_000), "x" * 99 + "…"),
        (RejectedReport("no", Unprintable()), "<unprintable exception>"),
        (WithoutReason(), "rejected"),
    ],
    ids=["no text", "long", "unprintable", "missing"],
)
def test_an_invalid_reason_is_replaced_and_the_next_report_is_sent(sender_for, error, reason):
    sender = sender_for(Behaving("test", failing(1, error)))

    sender.send(2)

    eventually(lambda: (1, 0, {reason: 1}) == sender.places)


def test_the_oldest_waiting_report_is_dropped_when_the_outbox_is_full(sender_for, gate):
    """The report that is being sent may still arrive, so it must not be counted as dropped."""
    sender = sender_for(Behaving("test", gate))
    sender.send()
    gate.wait_until_entered()

    sender.send(MAX_REPORTS + 4)
    full = sender.places
    gate.opened.set()
    eventually(lambda: sender.places[1] == 0)

    assert (0, MAX_REPORTS, {"outbox full": 5}) == full
    assert (MAX_REPORTS, 0, {"outbox full": 5}) == sender.places
    assert [1, *range(7, MAX_REPORTS + 6)] == sender.arrived


def big_report_changes(megabytes: float) -> dict:
    """Return the changes that give a report a trace with this much text."""
    record = SpanRecord(
        id=1, parent=0, operation="SQL/Query", start=0.0, duration=0.1,
        tags={f"t{n}": "x" * 2_000 for n in range(int(megabytes * 500))},
    )  # fmt: skip
    trace = Trace(
        id="0" * 16, name="Controller/home", start=1e9, duration=0.1, queue_time=None, is_error=False, error=None,
        tags={}, score=1.0, policies={}, spans=(record,),
    )  # fmt: skip
    return {"traces": (trace,)}


def test_the_outbox_is_limited_by_the_size_of_its_reports(sender_for, gate):
    sender = sender_for(Behaving("test", gate))
    sender.send()
    gate.wait_until_entered()

    sender.send(6, **big_report_changes(1.1))
    exported, queued, dropped = sender.places

    assert 4 * 1024 * 1024 == MAX_BYTES
    assert (0, 4, {"outbox full": 3}) == (exported, queued, dropped)


def test_a_single_report_takes_no_more_memory_than_all_may(sender_for, gate, caplog):
    """Its figures arrive; the trace that is too large is left out, and counted."""
    sender = sender_for(Behaving("test", gate))
    sender.send(1, **big_report_changes(6.0))
    gate.wait_until_entered()
    size = sender.outbox._queue.bytes
    gate.opened.set()

    eventually(lambda: (1, 0, {}) == sender.places)
    (report,) = sender.exporter.reports
    assert size < MAX_BYTES
    assert (1, ()) == (report.transactions[0].count, report.traces)
    assert {"traces": 1} == report.left_out == sender.ledger.counters("test").left_out
    expected = "exporter test: a report was too large, and parts of it left out (traces: 1); its figures are complete"
    assert expected in caplog.text
    caplog.clear()
    sender.send(2, **big_report_changes(6.0))
    eventually(lambda: (3, 0, {}) == sender.places)
    assert "" == caplog.text, "it is logged once"


def test_parts_that_an_exporter_left_out_are_counted(sender_for):
    class Cutting(Keeper):
        def export(self, report):
            super().export(report)
            return Delivery(next_report=5.0, left_out={"traces": 2})

    sender = sender_for(Cutting())

    sender.send(3)

    eventually(lambda: (3, 0, {}) == sender.places)
    assert {"traces": 6} == sender.ledger.counters("keeper").left_out
    assert 5.0 == sender.outbox.requested_interval


def test_pauses_double_up_to_a_minute_with_a_jitter_of_a_quarter():
    drawn = {failures: [pause_after(failures) for _ in range(300)] for failures in (1, 2, 3, 4, 5, 6, 7, 8, 100)}

    for failures, expected in {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 60, 8: 60, 100: 60}.items():
        assert expected * 0.75 <= min(drawn[failures]) < expected * 0.85
        assert expected * 1.15 < max(drawn[failures]) <= expected * 1.25


def test_the_pause_is_limited_after_a_year_of_failures():
    """2.0 ** 1024 is too large for a float."""
    assert 45 <= pause_after(600_000) <= 75


def test_the_pause_grows_with_every_failure_and_is_reset_by_a_success(sender_for, monkeypatch):
    failure_counts = []

    def pause(failures):
        failure_counts.append(failures)
        return 0.0

    monkeypatch.setattr(module, "pause_after", pause)
    sender = sender_for(Behaving("test", failing(4, ConnectionRefusedError())))
    sender.send()
    eventually(lambda: (1, 0, {}) == sender.places)
    sender.exporter.behave = failing(2, ConnectionRefusedError())
    sender.send()
    eventually(lambda: (2, 0, {}) == sender.places)

    assert [1, 2, 3, 4, 1, 2] == failure_counts


def test_the_pause_is_reset_by_a_rejection_since_the_receiver_is_reachable(sender_for, monkeypatch):
    failure_counts = []

    def pause(failures):
        failure_counts.append(failures)
        return 0.0

    errors = [ConnectionRefusedError(), ConnectionRefusedError(), RejectedReport("no"), ConnectionRefusedError()]

    def behave(report):
        if errors:
            raise errors.pop(0)

    monkeypatch.setattr(module, "pause_after", pause)
    sender = sender_for(Behaving("test", behave))
    sender.send(2)
    eventually(lambda: (1, 0, {"rejected": 1}) == sender.places)

    assert [1, 2, 1] == failure_counts


def test_nothing_is_sent_during_a_pause_until_the_outbox_is_stopped(sender_for, monkeypatch):
    """Stopping ends the pause immediately, and waiting reports are sent once more."""
    monkeypatch.setattr(module, "pause_after", lambda failures: 60.0)
    sender = sender_for(Behaving("test", failing(1, ConnectionRefusedError())))
    sender.send()
    eventually(lambda: sender.outbox._failures == 1)
    sender.send(3)

    assert (0, 4, {}) == sender.places
    sender.stop(30)

    assert (4, 0, {}) == sender.places


def test_stopping_sends_the_waiting_reports(sender_for, gate):
    sender = sender_for(Behaving("test", gate))
    sender.send(5)
    gate.wait_until_entered()
    gate.opened.set()

    sender.stop(20)

    assert (5, 0, {}) == sender.places


def test_stopping_does_not_wait_beyond_the_deadline(sender_for, gate):
    sender = sender_for(Behaving("test", gate))
    sender.send(3)
    gate.wait_until_entered()

    begin = monotonic()
    sender.stop(0.3)

    assert 0.3 <= monotonic() - begin < 10
    assert (0, 0, {"not sent before the process ended": 3}) == sender.places


def test_a_report_that_arrives_after_the_deadline_is_not_counted_twice(sender_for, gate):
    sender = sender_for(Behaving("test", gate))
    sender.send(3)
    gate.wait_until_entered()
    sender.stop(0)

    gate.opened.set()
    sender.outbox._thread.join(20)

    assert [1] == sender.arrived
    assert (0, 0, {"not sent before the process ended": 3}) == sender.places


def test_a_report_that_is_added_after_the_stop_is_dropped(sender_for):
    """As when the agent stopped without its thread, which hung in a plugin, and the thread then continues."""
    sender = sender_for(Keeper())
    sender.stop()

    sender.send(2)

    assert (0, 0, {"not sent before the process ended": 2}) == sender.places


def test_an_unreachable_receiver_does_not_delay_the_stop(sender_for, no_pause):
    sender = sender_for(Behaving("test", failing(10**9, ConnectionRefusedError())))
    sender.send(3)

    begin = monotonic()
    sender.stop(20)

    assert monotonic() - begin < 15
    assert (0, 0, {"not sent before the process ended": 3}) == sender.places


def test_the_last_valid_interval_that_the_receiver_requested_is_kept(sender_for):
    answers = [5, 2.5, None, 0, -1, float("nan"), float("inf"), 10**400, "soon", 60]
    intervals = []

    def answer(report):
        intervals.append(sender.outbox.requested_interval)
        return answers.pop(0)

    sender = sender_for(Behaving("test", answer))
    sender.send(10)

    eventually(lambda: (10, 0, {}) == sender.places)
    assert [None, 5.0, *[2.5] * 8, 60.0] == [*intervals, sender.outbox.requested_interval]


def test_reports_wait_while_no_thread_can_be_started(sender_for, monkeypatch):
    """There are too many threads, or the interpreter is ending; the agent's thread must not fail."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    sender = sender_for(Keeper())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        sender.send(2)
        assert (0, 2, {}) == sender.places

    sender.send()

    eventually(lambda: (3, 0, {}) == sender.places)
    assert [1, 2, 3] == sender.arrived


def test_all_reports_are_dropped_when_no_thread_could_be_started_before_the_stop(sender_for, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    sender = sender_for(Keeper())
    sender.send(2)
    sender.stop()

    assert (0, 0, {"not sent before the process ended": 2}) == sender.places


def test_a_repeated_error_is_logged_once_until_a_report_arrives(sender_for, no_pause, caplog):
    caplog.set_level(logging.INFO, "scout_core.exporters")
    sender = sender_for(Behaving("test", failing(50, ConnectionRefusedError("connection refused"))))
    sender.send()
    eventually(lambda: (1, 0, {}) == sender.places)
    sender.exporter.behave = failing(2, ConnectionRefusedError("refused again"))
    sender.send()
    eventually(lambda: (2, 0, {}) == sender.places)

    assert [
        "exporter test: ConnectionRefusedError: connection refused; reports wait and are sent again",
        "exporter test: ConnectionRefusedError: refused again; reports wait and are sent again",
    ] == [record.getMessage() for record in caplog.records]


# reports that always fail


def failing_for(*numbers: int, error: BaseException):
    """Return a behaviour of an exporter that always raises the error for the reports with these numbers."""

    def behave(report):
        if int(report.id.rpartition("-")[2]) in numbers:
            raise error

    return behave


@pytest.mark.parametrize("error", [KeyError("plan"), ConnectionError("answered 500"), RecursionError(), SystemExit(3)])
def test_a_report_that_fails_while_others_arrive_is_dropped(sender_for, no_pause, caplog, error):
    sender = sender_for(Behaving("test", failing_for(1, error=error)))

    sender.send(6)

    eventually(lambda: (5, 0, {"cannot be exported": 1}) == sender.places)
    assert [2, 3, 4, 5, 6] == sender.arrived
    assert "report 0123456789abcdef-1 is dropped and counted: it fails while others arrive" in caplog.text


def test_several_reports_that_always_fail_do_not_delay_the_others(sender_for, no_pause):
    sender = sender_for(Behaving("test", failing_for(1, 2, 5, error=KeyError("plan"))))

    sender.send(12)

    eventually(lambda: (9, 0, {"cannot be exported": 3}) == sender.places)
    assert [3, 4, *range(6, 13)] == sender.arrived


def test_a_report_that_always_fails_is_dropped_as_later_ones_come(sender_for, no_pause):
    sender = sender_for(Behaving("test", failing_for(1, error=KeyError("plan"))))
    sender.send()
    for number in range(2, 5):
        eventually(lambda: sender.outbox._failures > 20)
        sender.send()
        eventually(lambda number=number: number in sender.arrived)

    eventually(lambda: (3, 0, {"cannot be exported": 1}) == sender.places)


@pytest.mark.parametrize("failures", [7, 29, 400])
def test_no_report_is_dropped_because_the_receiver_was_unreachable(sender_for, no_pause, failures):
    """However long: every report has failed many times by then."""
    sender = sender_for(Behaving("test", failing(failures, ConnectionError("answered 500"))))

    sender.send(10)

    eventually(lambda: (10, 0, {}) == sender.places)
    assert {*range(1, 11)} == {*sender.arrived}


def test_an_unreachable_receiver_that_answers_once_in_a_while_costs_no_report(sender_for, no_pause):
    calls = iter(range(10**6))

    def behave(report):
        if next(calls) % 9:
            raise ConnectionError("answered 500")

    sender = sender_for(Behaving("test", behave))
    sender.send(2)

    eventually(lambda: (2, 0, {}) == sender.places)


def test_nothing_is_dropped_when_every_report_fails(sender_for, no_pause):
    sender = sender_for(Behaving("test", failing(10**9, KeyError("plan"))))

    sender.send(8)

    eventually(lambda: sender.outbox._failures > 300)
    assert (0, 8, {}) == sender.places
