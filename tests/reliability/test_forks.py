"""Many forks while other threads trace: no child hangs, no transaction is counted twice, and idle children have none of our threads."""

from __future__ import annotations

from collections import Counter

from tests.sizes import size
from tests.workbench import run_app

FORKS = size(80, 10_000)

HAMMERED = """
import os, signal, sys, threading, time
import scout_core
from scout_core import span, transaction

FORKS, WATCHDOG = {forks}, 60
agent = scout_core.start()
ended = threading.Event()
own = []


def work(name, count=1):
    for _ in range(count):
        with transaction(name), span("SQL/Query"):
            pass


def hammer():
    done = 0
    while not ended.is_set():
        work("Job/parent")
        done += 1
        ended.wait(0.0001)  # leave the processor to the forks
    own.append(done)


def child(turn):
    signal.alarm(WATCHDOG)  # a child that hangs is killed, which the parent sees
    if turn % 4 == 0:
        os._exit(0 if threading.active_count() == 1 else 9)
    work("Job/child", 2)
    if turn % 4 == 1:
        os._exit(0)  # like RQ's work horse
    if turn % 4 == 2:
        scout_core.stop()
        os._exit(0)
    sys.exit(0)


threads = [threading.Thread(target=hammer) for _ in range(2)]
for thread in threads:
    thread.start()
failed, longest = [], 0.0
for turn in range(FORKS):
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        child(turn)
    _, status = os.waitpid(pid, 0)
    longest = max(longest, time.monotonic() - begin)
    if status:
        failed.append((turn, status))
ended.set()
for thread in threads:
    thread.join()
scout_core.stop(30)
counters = agent.counters("collector")
assert counters.finished == sum(own)
assert not failed, failed
print(counters.exported, sum(counters.dropped.values()), sum(own), round(longest, 3))
"""


def test_no_fork_hangs_or_counts_twice_while_threads_trace(sink, tmp_path, record_property):
    """A quarter of the children traces nothing; the next quarter ends with ``os._exit``, so what it recorded is lost."""
    done = run_app(
        HAMMERED.format(forks=FORKS),
        tmp_path / "state",
        seconds=size(100, 7_200),
        SCOUT_REPORT_PERIOD="0.3",
        SCOUT_SHUTDOWN_TIMEOUT_SECONDS="30",
    )

    assert (0, "") == (done.code, done.err)
    *numbers, longest = done.out.split()
    exported, dropped, own = map(int, numbers)
    counts: Counter[str] = Counter()
    by_child: Counter[str] = Counter()
    for report in sink.reports:
        for metrics in report.transactions:
            counts[metrics.name] += metrics.count
            if metrics.name == "Job/child":
                by_child[report.process.instance] += metrics.count
    record_property(
        "forks",
        f"{FORKS}; {exported} transactions of the parent arrived, {dropped} dropped and counted; longest child {longest} s",
    )
    assert len(sink.reports) == len({report.id for report in sink.reports})
    assert exported == counts["Job/parent"]
    assert own == exported + dropped, "dropped only where the agent's thread gets too little of the processor"
    assert {2} == set(by_child.values())
    assert FORKS // 2 == len(by_child), "those that end with sys.exit() or after scout_core.stop()"


COST = """
import http.client, os, sys, time, threading
import scout_core, scout_core.sending.wire
if os.environ["WITH_AGENT"]:
    agent = scout_core.start(name="Shop")
    with scout_core.transaction("Job/first"):
        pass
    while not agent.counters("collector").exported:
        threading.Event().wait(0.01)
took = []
for _ in range({forks}):
    begin = time.perf_counter_ns()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    took.append(time.perf_counter_ns() - begin)
    os.waitpid(pid, 0)
print(min(took) // 1_000)
"""


def test_a_running_agent_makes_a_fork_hardly_longer(sink, tmp_path, record_property):
    """The same modules are imported in both processes, because the system copies the tables of all memory. Minima, with much room."""
    source = COST.format(forks=size(50, 1_000))
    without, with_agent = (
        int(run_app(source, tmp_path / "state", WITH_AGENT=flag, SCOUT_REPORT_PERIOD="0.1").out) for flag in ("", "1")
    )

    record_property("a fork", f"{without} µs without a running agent, {with_agent} µs with one")
    assert with_agent - without < 2_000
