"""Processes that fork in all the ways that applications do; the reports are compared with what every process did."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from scout_core.measuring.report import Report
from tests.workbench import run_app

BEGIN = """
import os, sys, threading
import scout_core
from scout_core import span, transaction


def work(count, name="Job/work"):
    for _ in range(count):
        with transaction(name):
            with span("SQL/Query"):
                pass


def fork(function):
    \"\"\"Run the function in a child, which then ends normally, and return the child's pid.\"\"\"
    pid = os.fork()
    if pid == 0:
        function()
        if threading.current_thread().name == "MainThread":
            sys.exit(0)
        scout_core.stop()  # in another thread, sys.exit() ends only that thread
        os._exit(0)
    return pid


def wait_for(*pids):
    for pid in pids:
        assert 0 == os.waitpid(pid, 0)[1], "the child failed"
"""


@pytest.fixture
def app(tmp_path):
    """Return a function that runs a script, which must succeed without output on stderr, and returns the numbers that it prints."""

    def run(source: str, **environment: str) -> list[int]:
        generous = {"SCOUT_REPORT_PERIOD": "0.3", "SCOUT_SHUTDOWN_TIMEOUT_SECONDS": "20"}
        done = run_app(BEGIN + source, tmp_path / "state", **generous, **environment)
        assert (0, "") == (done.code, done.err), done
        return [int(number) for number in done.out.split()]

    return run


def by_process(reports: list[Report]) -> dict[int, int]:
    """Return the number of transactions by pid; check that every report came once and every process has one instance."""
    assert len(reports) == len({report.id for report in reports})
    assert len({report.process.pid for report in reports}) == len({report.process.instance for report in reports})
    assert all(report.id.startswith(report.process.instance) for report in reports)
    counts: Counter[int] = Counter()
    for report in reports:
        counters = report.counters["collector"]
        assert counters.finished == counters.exported + counters.queued + sum(counters.dropped.values())
        counts[report.process.pid] += sum(metrics.count for metrics in report.transactions)
    return dict(counts)


def test_every_process_reports_only_its_own_transactions(sink, app):
    """The parent's transactions are in its inbox, in its open period or in its outbox when it forks."""
    parent, child = app(
        """
scout_core.start()
work(100)
pid = fork(lambda: work(7))
work(20)
wait_for(pid)
print(os.getpid(), pid)
"""
    )

    assert {parent: 120, child: 7} == by_process(sink.reports)


def test_the_counters_of_a_child_start_at_zero(sink, app):
    parent, child = app(
        """
agent = scout_core.start()
work(50)
while agent.ledger.taken < 50 or agent.ledger.in_hand:
    threading.Event().wait(0.01)
pid = fork(lambda: work(3))
wait_for(pid)
print(os.getpid(), pid)
"""
    )
    last = {report.process.pid: report.counters["collector"] for report in sink.reports}
    calls = {
        report.process.pid: {status.name: status.calls for status in report.plugins}["speed"] for report in sink.reports
    }

    assert (50, 3) == (last[parent].finished, last[child].finished)
    assert (50, 3) == (last[parent].spans, last[child].spans)
    assert (50, 3) == (calls[parent], calls[child])


def test_a_child_that_traces_nothing_has_no_thread_and_sends_nothing(sink, app):
    parent, threads_of_the_child, took_ms = app(
        """
import time
scout_core.start()
work(10)
read, write = os.pipe()
begin = time.monotonic()
pid = fork(lambda: os.write(write, b"%d" % threading.active_count()))
wait_for(pid)
print(os.getpid(), int(os.read(read, 10)), int((time.monotonic() - begin) * 1000))
"""
    )

    assert 1 == threads_of_the_child
    assert {parent: 10} == by_process(sink.reports)
    assert took_ms < 2_000, "there is nothing to wait for"


def test_grandchildren_and_forks_in_a_thread_report(sink, app):
    parent, child, grandchild = app(
        """
scout_core.start()
read, write = os.pipe()


def in_child():
    work(2)
    pid = fork(lambda: work(3))
    work(4)
    wait_for(pid)
    os.write(write, b"%d" % pid)


pids = []
thread = threading.Thread(target=lambda: pids.append(fork(in_child)))
thread.start()
work(5)
thread.join()
wait_for(*pids)
print(os.getpid(), pids[0], int(os.read(read, 20)))
"""
    )

    assert {parent: 5, child: 6, grandchild: 3} == by_process(sink.reports)


def test_a_transaction_that_is_open_at_the_fork_belongs_to_the_parent(sink, app):
    parent, child = app(
        """
scout_core.start()
with transaction("Controller/open"), span("View/v"):
    pid = os.fork()
    if pid == 0:
        assert scout_core.current_transaction() is None
        with span("SQL/in the child"):
            pass
        work(2)
if pid == 0:
    work(1)
    sys.exit(0)
wait_for(pid)
print(os.getpid(), pid)
"""
    )

    assert {parent: 1, child: 3} == by_process(sink.reports)
    names = {metrics.name: set(metrics.kinds) for report in sink.reports for metrics in report.transactions}
    assert {"Controller/open": {"Controller", "View"}, "Job/work": {"Job", "SQL"}} == names


def test_a_child_does_not_wait_for_locks_that_were_held_at_the_fork(sink, app):
    """Another thread holds all our locks; it does not exist in the child."""
    parent, child = app(
        """
agent = scout_core.start()
work(10)
held, done = threading.Event(), threading.Event()


def hold():
    from scout_core import running as module
    with agent.ledger.lock, agent.recorder.outboxes[0]._changed, module._starting.held():
        held.set()
        done.wait(30)


thread = threading.Thread(target=hold)
thread.start()
held.wait(30)
pid = fork(lambda: (work(3), scout_core.stop()))
wait_for(pid)
done.set()
thread.join()
print(os.getpid(), pid)
"""
    )

    assert {parent: 10, child: 3} == by_process(sink.reports)


def test_nothing_is_lost_in_forks_while_other_threads_trace(sink, app):
    """All transactions of the parent and the children are counted exactly, whenever the forks happen."""
    own, *children = app(
        """
scout_core.start()
counts = []


def hammer():
    for turn in range(40):
        work(25)
    counts.append(1000)


threads = [threading.Thread(target=hammer) for _ in range(3)]
for thread in threads:
    thread.start()
pids = [fork(lambda: work(5)) for _ in range(20)]
for thread in threads:
    thread.join()
wait_for(*pids)
assert 3000 == sum(counts)
print(os.getpid(), *pids)
"""
    )

    assert {own: 3_000, **dict.fromkeys(children, 5)} == by_process(sink.reports)


def test_a_child_forked_during_an_import_in_the_exporters_thread_reports(sink, app):
    """Its first report imports HTTP and the encoding; a child that is forked meanwhile would have a partly imported module."""
    parent, child = app(
        """
scout_core.start()
work(1)


def is_loading(name):
    return getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False)


watched = ("http.client", "email.parser", "json.decoder", "scout_core.builtin.posting", "scout_core.sending.wire")
while not any(is_loading(name) for name in watched) and "scout_core.sending.wire" not in sys.modules:
    pass
pid = fork(lambda: work(2))
wait_for(pid)
print(os.getpid(), pid)
"""
    )

    assert {parent: 1, child: 2} == by_process(sink.reports)


def test_children_that_another_thread_forks_while_the_agent_is_imported_and_started_report_and_end(sink, app):
    """The application has imported ``logging``, which adds hooks for forks: Python calls one without the other during such an import."""
    (*ended,) = app(
        """
import logging

children = []


def fork_again_and_again():
    while not started.is_set() and len(children) < 30:
        children.append(fork(lambda: (scout_core.start(), work(1), scout_core.stop())))


started = threading.Event()
thread = threading.Thread(target=fork_again_and_again)
thread.start()
scout_core.start()
work(1)
started.set()
thread.join()
for child in children:
    wait_for(child)
print(len(children))
"""
    )

    assert ended[0] + 1 == sum(by_process(sink.reports).values())


def test_a_child_forked_during_an_import_of_psutil_in_the_agent_s_thread_reports(sink, app):
    parent, child = app(
        """
from scout_core.builtin import process_metrics
process_metrics.PROC = "/none"  # as on other systems than Linux
scout_core.start()
work(1)
while not getattr(getattr(sys.modules.get("psutil"), "__spec__", None), "_initializing", False) and not hasattr(sys.modules.get("psutil"), "Process"):
    pass
pid = fork(lambda: work(2))
wait_for(pid)
print(os.getpid(), pid)
""",
        SCOUT_PLUGINS_ENABLE="collector,process",
    )

    assert {parent: 1, child: 2} == by_process(sink.reports)
    assert all(report.gauges for report in sink.reports)


EVERYTHING = """
import policy_of_the_shop
from scout_core.fork_lock import importing


class Watch:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread().name.startswith("scout-core") and not importing._is_owned():
            print("imported while the process may fork:", name, file=sys.stderr)


sys.meta_path.insert(0, Watch())
agent = scout_core.start(plugins=["policy_of_the_shop"])
for number in range(40):
    with transaction("Controller/shop.home") as web:
        web.environ = {"PATH_INFO": "/p", "QUERY_STRING": "q=1&token=a", "HTTP_X_FORWARDED_FOR": "2001:db8::1", "HTTP_X_REQUEST_START": "t=1", "HTTP_TRACEPARENT": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
        web.tag("number", number)
        with span("SQL/Query") as query:
            query.tag("sql", "SELECT * FROM shop WHERE name = 'x'")
        try:
            raise ValueError("http://h/p?q=1") from ExceptionGroup("g", [KeyError(1)]) if sys.version_info >= (3, 11) else KeyError(1)
        except ValueError as error:
            scout_core.record_error(error)
work(10)
scout_core.flush()
print(agent.counters("collector").exported)
"""
HOOKS = """
import sys
from fractions import Fraction
from scout_core import hookimpl


@hookimpl
def score_transaction(transaction):
    return Fraction(1, 2)


@hookimpl
def on_report(report):
    raise ValueError("the plugin fails")
"""


def test_the_threads_of_the_agent_import_only_while_the_process_cannot_fork(sink, tmp_path):
    """A child that is forked during an import of another thread waits forever when it imports the same module."""
    (tmp_path / "policy_of_the_shop.py").write_text(HOOKS)

    done = run_app(BEGIN + EVERYTHING, tmp_path / "state", SCOUT_REPORT_PERIOD="0.3", SCOUT_LOG_LEVEL="error")

    assert (0, "50") == (done.code, done.out.strip()), done
    assert [] == [line for line in done.err.splitlines() if "may fork" in line]


def test_the_parent_reports_after_two_hundred_forks(sink, app):
    """Half of the children trace; they end with ``os._exit``, as RQ's work horse does, so they send nothing."""
    (parent,) = app(
        """
scout_core.start()
for turn in range(200):
    work(1)
    pid = os.fork()
    if pid == 0:
        if turn % 2:
            work(2)
        os._exit(0)
    wait_for(pid)
print(os.getpid())
"""
    )

    assert {parent: 200} == by_process(sink.reports)


def test_on_start_is_called_in_a_child_that_traces(sink, app, tmp_path):
    (tmp_path / "starting.py").write_text(
        """
import os
from scout_core import hookimpl


@hookimpl
def on_start(agent):
    print(os.getpid(), agent.process.pid, flush=True)
""",
        encoding="utf-8",
    )
    pids = app(
        """
scout_core.start()
wait_for(fork(lambda: None))
pid = fork(lambda: work(2))
wait_for(pid)
print(os.getpid(), pid)
""",
        SCOUT_PLUGINS="starting",
    )
    *pids, parent, child = pids

    assert [parent, parent, child, child] == pids, "on_start is not called in the child that traces nothing"


def test_an_agent_that_the_parent_stopped_stays_stopped_in_a_child(sink, app):
    app(
        """
scout_core.start()
work(1)
scout_core.stop()
wait_for(fork(lambda: work(5)))
"""
    )

    assert 1 == sink.counted


def test_a_child_may_start_its_own_agent(sink, app):
    parent, child = app(
        """
pid = fork(lambda: (scout_core.start(), work(2)))
scout_core.start()
work(1)
wait_for(pid)
print(os.getpid(), pid)
"""
    )

    assert {parent: 1, child: 2} == by_process(sink.reports)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_report_their_transactions(sink, app, method):
    """They end with ``os._exit``, which skips ``atexit``, so the agent is stopped by ``multiprocessing`` itself."""
    if method == "forkserver" and sys.platform == "darwin":
        pytest.skip("not on macOS")
    parent, *children = app(
        f"""
import multiprocessing


def target(queue):
    work(3)
    queue.put(os.getpid())


scout_core.start()
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    queue = context.Queue()
    processes = [context.Process(target=target, args=(queue,)) for _ in range(2)]
    for process in processes:
        process.start()
    work(1)
    pids = [queue.get(timeout=40) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    print(os.getpid(), *sorted(pids))
"""
    )

    assert {parent: 1, **dict.fromkeys(children, 3)} == by_process(sink.reports)


def test_workers_of_a_process_pool_report_their_transactions(sink, app):
    parent, *children = app(
        """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def task(number):
    work(2)
    return os.getpid()


scout_core.start()
if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        pids = list(pool.map(task, range(6)))
    work(1)
    print(os.getpid(), *pids)
"""
    )
    own = by_process(sink.reports)

    assert 1 == own.pop(parent)
    assert {pid: 2 * children.count(pid) for pid in children} == own


FORK_IN_C = """
import ctypes
fork_in_c = ctypes.PyDLL(None).fork  # calls nothing that is registered with os.register_at_fork

def child(count):
    pid = fork_in_c()
    if pid == 0:
        work(count)
        sys.exit(0)
    return pid
"""


def test_children_that_were_forked_without_notice_report_as_themselves(sink, app):
    pids = app(
        FORK_IN_C
        + """
scout_core.start()
pids = [child(count) for count in (3, 4, 200)]
wait_for(*pids)
work(5)
print(os.getpid(), *pids)
"""
    )

    assert dict(zip(pids, (5, 3, 4, 200), strict=True)) == by_process(sink.reports)
    traces = [trace.id for report in sink.reports for trace in report.traces]
    assert len(traces) == len(set(traces)) >= 4


def test_a_child_that_was_forked_without_notice_and_records_nothing_ends_at_once(sink, app):
    app(
        FORK_IN_C
        + """
scout_core.start()
wait_for(child(0))
"""
    )

    assert [] == sink.reports


def test_the_random_numbers_of_the_application_are_those_without_the_agent(sink, app):
    first, with_agent, without = app(
        """
import random
scout_core.start()
random.seed(7)
first = random.getrandbits(60)
random.seed(7)
work(5)
print(first, random.getrandbits(60), random.Random(7).getrandbits(60))
"""
    )

    assert first == with_agent == without


def test_a_child_that_was_forked_while_another_thread_started_the_agent_can_start_it(sink, app, tmp_path):
    (tmp_path / "blocking.py").write_text(
        """
import app_events
from scout_core import hookimpl

@hookimpl
def on_span(span):
    pass

app_events.is_importing.set()
app_events.may_end.wait(30)
"""
    )
    (tmp_path / "app_events.py").write_text(
        "import threading\nis_importing = threading.Event()\nmay_end = threading.Event()\n"
    )
    parent, child = app(
        """
import app_events


def in_child():
    scout_core.start()
    work(3)


thread = threading.Thread(target=scout_core.start, kwargs={"plugins": ["blocking"]})
thread.start()
app_events.is_importing.wait(30)
pid = fork(in_child)
wait_for(pid)
app_events.may_end.set()
thread.join()
work(2)
print(os.getpid(), pid)
"""
    )

    assert {parent: 2, child: 3} == by_process(sink.reports)


@pytest.mark.parametrize(
    "hook", ["on_request_end", "trace_group", "score_transaction", "ignore_transaction", "on_report", "on_keep"]
)
def test_a_hook_that_forks_leaves_the_agents_thread_only_in_its_own_process(sink, app, hook):
    """In the child, the copy of the thread ends with the hook: it neither evaluates the parent's transactions nor reports."""
    parent, finished, *exits = app(
        f"""
import types

pids = []

def forking():
    if len(pids) < 3 and os.getpid() == parent:
        pid = os.fork()
        if pid:
            pids.append(pid)

parent = os.getpid()
plugin = types.ModuleType("forking")
plugin.{hook} = scout_core.hookimpl(forking)
agent = scout_core.start(plugins=[plugin], slow_hook_seconds=10)
work(40)
scout_core.stop()
print(parent, agent.counters("collector").exported)
for pid in pids:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    )

    assert {parent: 40} == by_process(sink.reports)
    assert 40 == finished
    assert exits
    assert {0} == set(exits), "each child ends by itself"
