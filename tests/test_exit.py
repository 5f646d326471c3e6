"""All the ways in which applications end: everything recorded arrives, the end is not delayed, and nothing is printed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

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


def start_timing():
    \"\"\"Measure the time from here to the end of the process.\"\"\"
    ended.append(time.monotonic())


scout_core.start()
"""


@pytest.fixture
def black_hole(tmp_path):
    """A server that accepts connections and reads nothing."""
    hole = Sink(None)
    announced(tmp_path / "state", hole.url)
    yield hole
    hole.close()


@pytest.fixture
def end(tmp_path):
    """Return a function that runs a script to its end with ``run_app``; by default with a long shutdown timeout."""

    def run(source: str, *, begin: str = BEGIN, **environment: str):
        return run_app(begin + source, tmp_path / "state", **(environment or LONG_TIMEOUT))

    return run


LONG_TIMEOUT = {"SCOUT_SHUTDOWN_TIMEOUT_SECONDS": "20"}
BUSY = "did not return in time; the last period is lost\n"
UNREACHABLE = "reports wait and are sent again\n"


def shutdown_time(end, source: str, at_most: float, **environment: str) -> float:
    """Return the seconds that the end took; up to three runs, since the machine may be busy with something else."""
    for _ in range(3):
        done = end(source, **{"SCOUT_NAME": "Shop", **environment})
        assert 0 == done.code
        assert not done.err or done.err.endswith((BUSY, UNREACHABLE))
        if float(done.out) <= at_most:
            break
    return float(done.out)


def test_everything_arrives_when_the_application_ends_normally(sink, end):
    done = end("work(1_000)")

    assert (0, "") == (done.code, done.err)
    assert 1_000 == sink.counted


def test_everything_arrives_when_an_exception_ends_it(sink, end):
    done = end("work(5)\nwith transaction('Job/failing'):\n    raise KeyError('last')")

    assert 1 == done.code
    assert done.err.startswith("Traceback")
    assert done.err.endswith("KeyError: 'last'\n")
    assert 1 == done.err.count("Traceback")
    assert 6 == sink.counted
    assert 1 == sum(metrics.errors for report in sink.reports for metrics in report.transactions)


@pytest.mark.parametrize(("code", "errors"), [(0, 0), (3, 1)])
def test_everything_arrives_when_the_application_exits_within_a_transaction(sink, end, code, errors):
    done = end(f"with transaction('Job/last'):\n    sys.exit({code})")

    assert (code, "") == (done.code, done.err)
    assert 1 == sink.counted
    assert errors == sum(metrics.errors for report in sink.reports for metrics in report.transactions)


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
def test_threads_that_outlive_the_main_thread_are_waited_for_as_usual(sink, end):
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


def test_daemon_threads_may_trace_until_the_end(sink, end):
    """They leave little CPU time to our threads, so the timeout is long."""
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


def test_the_applications_signal_handler_is_kept_and_everything_arrives(sink, tmp_path):
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
        env=environment_for(tmp_path / "state", **LONG_TIMEOUT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
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
def test_signals_without_a_handler_end_the_application_as_usual(sink, tmp_path, number):
    """
    The application has already sent a report.

    Otherwise the imports for it follow Ctrl-C, and the first ``namedtuple`` makes CPython forget that a signal ended it: it exits with 1.
    """
    source = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
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
        env=environment_for(tmp_path / "state", **LONG_TIMEOUT, SCOUT_REPORT_PERIOD="0.05"),
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


def test_ending_without_any_cleanup_does_not_hang(sink, end):
    done = end("work(10)\nsys.stdout.flush()\nos._exit(5)")

    assert (5, "", "") == (done.code, done.out, done.err)
    assert done.seconds < 20


CHILD = """
import multiprocessing


def child(action):
    work(10)
    if action == "alarm":
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
    if action == "fork":
        pid = os.fork()
        if not pid:
            os._exit(3)
        assert 3 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(5)


def interrupt(number, frame):
    raise TimeoutError


if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
    process = multiprocessing.Process(target=child, args=({action!r},))
    process.start()
    process.join()
    print(process.exitcode, repr(os._exit))
"""


@pytest.mark.parametrize(("method", "action"), [("fork", ""), ("fork", "fork"), ("spawn", ""), ("forkserver", "")])
def test_everything_arrives_when_a_child_of_multiprocessing_ends_without_any_cleanup(sink, end, method, action):
    done = end(
        CHILD.format(method=method, action=action),
        begin=BEGIN.replace("scout_core.start()", "if __name__ != '__mp_main__' or True:\n    scout_core.start()"),
    )

    assert (0, "5 <built-in function _exit>\n", "") == (done.code, done.out, done.err)
    assert 10 == sink.counted
    assert sink.reports[-1].is_last


@pytest.mark.parametrize("action", ["", "alarm"])
def test_a_child_that_ends_without_any_cleanup_waits_for_a_second_at_most(black_hole, end, action):
    """And it ends, even if its signal handler raises meanwhile."""
    done = end(CHILD.format(method="fork", action=action))

    assert (0, "5 <built-in function _exit>\n", "") == (done.code, done.out, done.err)
    assert done.seconds < 20


@pytest.mark.parametrize("amount", [1, 5_000])
def test_a_receiver_that_never_answers_delays_the_end_by_at_most_two_seconds(black_hole, end, amount):
    assert 1.8 < shutdown_time(end, f"work({amount})\nstart_timing()", 2.2) <= 2.2


def test_the_shutdown_timeout_can_be_set(black_hole, end):
    no_time = shutdown_time(end, "work(1)\nstart_timing()", 0.2, SCOUT_SHUTDOWN_TIMEOUT_SECONDS="0")
    half_a_second = shutdown_time(end, "work(1)\nstart_timing()", 0.7, SCOUT_SHUTDOWN_TIMEOUT_SECONDS="0.5")

    assert no_time < 0.2
    assert 0.45 < half_a_second < 0.7


def test_an_unreachable_receiver_does_not_delay_the_end(tmp_path, end):
    gone = Sink(None)
    gone.close()
    announced(tmp_path / "state", gone.url)

    assert shutdown_time(end, "work(10)\nstart_timing()", 1.0) < 1.0


def test_the_end_is_not_delayed_without_a_receiver(end):
    assert shutdown_time(end, "work(10)\nstart_timing()", 0.5) < 0.5


def test_an_application_that_traced_nothing_ends_at_once_and_sends_nothing(black_hole, end):
    assert shutdown_time(end, "assert 1 == threading.active_count()\nstart_timing()", 0.1) < 0.1


def test_a_plugin_that_hangs_delays_the_end_by_at_most_two_seconds(sink, end, tmp_path):
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

    assert shutdown_time(end, "work(1)\nstart_timing()", 2.2, SCOUT_PLUGINS="hanging") <= 2.2


STOPPING = """
import threading
from scout_core import hookimpl


@hookimpl
def on_stop(agent):
    print("stopping", flush=True)
    threading.Event().wait({seconds})
    print("stopped", flush=True)
"""


def test_on_stop_that_blocks_holds_the_end_up_no_longer_than_the_timeout(black_hole, end, tmp_path):
    """The exporters have used up the time, and the plugin is named."""
    (tmp_path / "blocking.py").write_text(STOPPING.format(seconds=30))
    done = end("work(1)", SCOUT_PLUGINS="blocking", SCOUT_SHUTDOWN_TIMEOUT_SECONDS="0.5")

    assert (0, "stopping\n") == (done.code, done.out)
    assert "plugin 'blocking': on_stop did not return in time; the process does not wait for it\n" == done.err
    assert done.seconds < 20


def test_on_stop_that_blocks_after_an_explicit_stop_without_any_transaction_is_not_awaited(end, tmp_path):
    (tmp_path / "blocking.py").write_text(STOPPING.format(seconds=30))
    done = end("scout_core.stop(1)", SCOUT_PLUGINS="blocking")

    assert (0, "stopping\n") == (done.code, done.out)
    assert "plugin 'blocking': on_stop did not return in time" in done.err


@pytest.mark.parametrize("source", ["", "work(1)", "scout_core.stop(0)", "work(1)\nscout_core.stop(0)"])
def test_on_stop_that_returns_is_always_called(sink, end, tmp_path, source):
    (tmp_path / "prompt.py").write_text(STOPPING.format(seconds=0))
    done = end(source, SCOUT_PLUGINS="prompt")

    assert (0, "stopping\nstopped\n", "") == (done.code, done.out, done.err)


def test_functions_that_run_at_the_end_may_trace(sink, end):
    """A function that runs at the end before the agent stops is recorded."""
    done = end("atexit.register(work, 2)\nwork(1)")

    assert (0, "") == (done.code, done.err)
    assert 3 == sink.counted


def test_functions_that_run_after_the_agent_stopped_record_nothing(sink, end):
    late = BEGIN.replace("scout_core.start()\n", "atexit.register(work, 2)\nscout_core.start()\n")
    done = end("work(1)", begin=late)

    assert (0, "") == (done.code, done.err)
    assert 1 == sink.counted


def test_a_first_transaction_at_the_end_does_not_delay_it(end):
    """Python 3.12 and later do not start a thread then."""
    assert shutdown_time(end, "atexit.register(work, 2)\nstart_timing()", 2.2) <= 2.2


def test_stopping_explicitly_and_then_ending_sends_everything_once(sink, end):
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


def test_reports_that_are_waiting_for_a_collector_are_sent_at_the_end(tmp_path):
    """The collector starts while the exporter pauses after a failure."""
    gone = Sink(None)
    gone.close()
    announced(tmp_path / "state", gone.url)
    script = tmp_path / "app.py"
    script.write_text(BEGIN + "work(4)\nprint('ready', flush=True)\ninput()\n", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(script)],
        env=environment_for(tmp_path / "state", **LONG_TIMEOUT, SCOUT_REPORT_PERIOD="0.05"),
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


def test_the_end_waits_until_the_last_report_is_accepted_although_none_waits_any_more(tmp_path):
    """Scout's agent waits only until its queue is empty: what it is sending then is lost."""
    received, may_answer = threading.Event(), threading.Event()

    class Slow(CollectorSink):
        def accept(self, report):
            if report.is_last:
                received.set()
                may_answer.wait(30)
            super().accept(report)

    collector = Slow()
    announced(tmp_path / "state", collector.url)
    script = tmp_path / "app.py"
    script.write_text(BEGIN + "work(4)", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(script)], env=environment_for(tmp_path / "state", **LONG_TIMEOUT),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert received.wait(30)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        may_answer.set()
        out, err = process.communicate(timeout=30)
    finally:
        may_answer.set()
        process.kill()
        process.communicate()
        collector.close()

    assert (0, "", "") == (process.returncode, out, err)
    assert 4 == collector.counted
