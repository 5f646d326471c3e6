"""Applications that end, in every way that they do: what was recorded arrives, the end is not held up, and nothing is said."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.workbench import CollectorSink, Sink, announced, environment_for, eventually, run_app

BEGIN = """
import atexit, os, signal, sys, threading, time
ended = []
atexit.register(lambda: ended and print(round(time.monotonic() - ended[0], 3)))
import scout_core
from scout_core import span, transaction


def work(count=1, name="Job/work"):
    for _ in range(count):
        with transaction(name), span("SQL/Query"):
            pass


def the_end():
    \"\"\"From here on it is measured how long the end takes.\"\"\"
    ended.append(time.monotonic())


scout_core.start()
"""


@pytest.fixture
def sink(tmp_path):
    sink = CollectorSink()
    announced(tmp_path / "state", sink.url)
    yield sink
    sink.close()


@pytest.fixture
def black_hole(tmp_path):
    """Connections are taken, nothing is ever read."""
    hole = Sink(None)
    announced(tmp_path / "state", hole.url)
    yield hole
    hole.close()


@pytest.fixture
def end(tmp_path):
    """Runs a script to its end; gives what ``run_app`` gives. Unless the test looks at the time, there is plenty."""

    def run(source: str, *, begin: str = BEGIN, **environment: str):
        return run_app(begin + source, tmp_path / "state", **(environment or PATIENT))

    return run


PATIENT = {"SCOUT_SHUTDOWN_TIMEOUT_SECONDS": "20"}
BUSY = "the agent's thread is busy in a plugin; its last period is lost\n"


def held_up(end, source: str, at_most: float, **environment: str) -> float:
    """Seconds the end took: in the first of three runs that is in time, else in the last; the machine may be busy."""
    for _ in range(3):
        done = end(source, **{"SCOUT_NAME": "Shop", **environment})
        assert 0 == done.code
        assert done.err in ("", BUSY)
        if float(done.out) <= at_most:
            break
    return float(done.out)


def test_everything_arrives_when_the_application_has_nothing_more_to_do(sink, end):
    done = end("work(1_000)")

    assert (0, "") == (done.code, done.err)
    assert 1_000 == sink.counted


def test_everything_arrives_when_an_exception_ends_it(sink, end):
    done = end("work(5)\nwith transaction('Job/failing'):\n    raise KeyError('what ends it')")

    assert 1 == done.code
    assert done.err.startswith("Traceback")
    assert done.err.endswith("KeyError: 'what ends it'\n")
    assert 1 == done.err.count("Traceback")
    assert 6 == sink.counted
    assert 1 == sum(metrics.errors for report in sink.reports for metrics in report.transactions)


def test_everything_arrives_when_it_exits_amid_a_transaction(sink, end):
    done = end("with transaction('Job/last'):\n    sys.exit(3)")

    assert (3, "") == (done.code, done.err)
    assert 1 == sink.counted
    assert 0 == sum(metrics.errors for report in sink.reports for metrics in report.transactions)


def test_everything_arrives_when_a_thread_exits(sink, end):
    done = end(
        """
def leave():
    with transaction("Job/leaving"):
        sys.exit(1)

thread = threading.Thread(target=leave)
thread.start()
thread.join()
work(2)
"""
    )

    assert (0, "") == (done.code, done.err)
    assert 3 == sink.counted


@pytest.mark.skipif(
    (3, 12, 0) <= sys.version_info[:3] <= (3, 12, 1),
    reason="not on Python 3.12.0 and 3.12.1: they start no thread once the main one has ended (CPython issue 113964)",
)
def test_threads_that_work_on_when_the_main_one_has_ended_are_waited_for_as_ever(sink, end):
    done = end(
        """
started = threading.Event()

def go_on():
    started.set()
    threading.main_thread().join()
    work(3)

threading.Thread(target=go_on).start()
started.wait()
"""
    )

    assert (0, "") == (done.code, done.err)
    assert 3 == sink.counted


def test_daemon_threads_that_trace_to_the_end_do_no_harm(sink, end):
    """They leave our threads little of the processor, so there is more time than usual."""
    done = end(
        """
def for_ever():
    while True:
        work(1)

for _ in range(3):
    threading.Thread(target=for_ever, daemon=True).start()
while scout_core.start().counters("collector").finished < 500:
    pass
""",
        SCOUT_SHUTDOWN_TIMEOUT_SECONDS="20",
    )

    assert (0, "") == (done.code, done.err)
    assert sink.counted >= 500


def test_the_applications_own_handler_of_a_signal_is_left_and_everything_arrives(sink, tmp_path):
    source = (
        BEGIN.replace(
            "scout_core.start()",
            """
def handler(number, frame):
    work(1)
    sys.exit(7)

signal.signal(signal.SIGTERM, handler)
before = {number: signal.getsignal(number) for number in signal.valid_signals()}
scout_core.start()
""",
        )
        + """
work(4)
assert before == {number: signal.getsignal(number) for number in signal.valid_signals()}
print("ready", flush=True)
while True:
    signal.pause()
"""
    )
    script = tmp_path / "app.py"
    script.write_text(source, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(script)],
        env=environment_for(tmp_path / "state", **PATIENT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert "ready\n" == process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()

    assert (7, "", "") == (process.returncode, out, err)
    assert 5 == sink.counted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_signals_that_nobody_handles_end_it_as_ever(sink, tmp_path, number):
    """
    A first report has been sent before.

    Else its imports come after Ctrl-C, and CPython forgets over the first ``namedtuple`` that the signal was to end it: it exits with 1.
    """
    source = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
work(4)
while scout_core.start().counters("collector").exported < 4:
    time.sleep(0.01)
work(1)
print("ready", flush=True)
signal.pause()
"""
    script = tmp_path / "app.py"
    script.write_text(BEGIN + source, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(script)],
        env=environment_for(tmp_path / "state", **PATIENT, SCOUT_REPORT_PERIOD="0.05"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert "ready\n" == process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()

    assert -number == process.returncode
    if number == signal.SIGINT:
        assert err.endswith("KeyboardInterrupt\n")
        assert 1 == err.count("Traceback")
        assert 5 == sink.counted
    else:
        assert "" == err


def test_leaving_without_any_clean_up_does_not_hang(sink, end):
    done = end("work(10)\nsys.stdout.flush()\nos._exit(5)")

    assert (5, "", "") == (done.code, done.out, done.err)
    assert done.seconds < 5


@pytest.mark.parametrize("amount", [1, 5_000])
def test_a_receiver_that_never_answers_holds_up_the_end_for_two_seconds_at_most(black_hole, end, amount):
    assert 1.8 < held_up(end, f"work({amount})\nthe_end()", 2.2) <= 2.2


def test_the_time_at_the_end_can_be_chosen(black_hole, end):
    none = held_up(end, "work(1)\nthe_end()", 0.2, SCOUT_SHUTDOWN_TIMEOUT_SECONDS="0")
    little = held_up(end, "work(1)\nthe_end()", 0.7, SCOUT_SHUTDOWN_TIMEOUT_SECONDS="0.5")

    assert none < 0.2
    assert 0.45 < little < 0.7


def test_a_receiver_that_is_not_there_does_not_hold_up_the_end(tmp_path, end):
    gone = Sink(None)
    gone.close()
    announced(tmp_path / "state", gone.url)

    assert held_up(end, "work(10)\nthe_end()", 1.0) < 1.0


def test_no_receiver_at_all_does_not_hold_up_the_end(end):
    assert held_up(end, "work(10)\nthe_end()", 0.5) < 0.5


def test_an_application_that_traced_nothing_ends_at_once_and_sends_nothing(black_hole, end):
    assert held_up(end, "assert 1 == threading.active_count()\nthe_end()", 0.1) < 0.1


def test_a_plugin_that_hangs_holds_up_the_end_for_two_seconds_at_most(sink, end, tmp_path):
    (tmp_path / "hanging.py").write_text(
        """
import threading
from scout_core import hookimpl


@hookimpl
def score_transaction(transaction):
    threading.Event().wait(40)
""",
        encoding="utf-8",
    )

    assert held_up(end, "work(1)\nthe_end()", 2.2, SCOUT_PLUGINS="hanging") <= 2.2


def test_what_runs_at_the_end_may_trace(sink, end):
    """Before our own turn it is recorded; after it, it does nothing."""
    done = end("atexit.register(work, 2)\nwork(1)")

    assert (0, "") == (done.code, done.err)
    assert 3 == sink.counted


def test_what_runs_at_the_end_after_us_does_no_harm(sink, end):
    late = BEGIN.replace("scout_core.start()\n", "atexit.register(work, 2)\nscout_core.start()\n")
    done = end("work(1)", begin=late)

    assert (0, "") == (done.code, done.err)
    assert 1 == sink.counted


def test_a_first_transaction_at_the_very_end_does_no_harm(end):
    """Python 3.12 and later start no thread then."""
    assert held_up(end, "atexit.register(work, 2)\nthe_end()", 2.2) <= 2.2


def test_stopping_by_hand_and_ending_afterwards_sends_once(sink, end):
    done = end("work(3)\nscout_core.stop()")

    assert (0, "") == (done.code, done.err)
    assert 3 == sink.counted
    assert len(sink.reports) == len({report.id for report in sink.reports})


def test_an_agent_that_was_started_by_a_thread_sends_at_the_end(sink, end, tmp_path):
    begin = BEGIN.replace(
        "scout_core.start()\n", "thread = threading.Thread(target=scout_core.start)\nthread.start()\nthread.join()\n"
    )
    done = end("work(3)", begin=begin)

    assert (0, "") == (done.code, done.err)
    assert 3 == sink.counted


def test_reports_that_wait_for_a_collector_are_sent_at_the_end(tmp_path):
    """It comes while the exporter pauses after a failure."""
    gone = Sink(None)
    gone.close()
    announced(tmp_path / "state", gone.url)
    script = tmp_path / "app.py"
    script.write_text(BEGIN + "work(4)\nprint('ready', flush=True)\ninput()\n", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(script)],
        env=environment_for(tmp_path / "state", **PATIENT, SCOUT_REPORT_PERIOD="0.05"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    collector = CollectorSink()
    try:
        assert "ready\n" == process.stdout.readline()
        announced(tmp_path / "state", collector.url)
        out, err = process.communicate("\n", timeout=30)
        eventually(lambda: collector.counted == 4)
    finally:
        process.kill()
        collector.close()

    assert (0, "", "") == (process.returncode, out, err)
    assert 4 == collector.counted
