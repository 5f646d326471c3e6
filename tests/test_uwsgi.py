"""uWSGI forks its workers in C: every worker reports for itself, with each of its ways to fork."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from scout_core.boundary.imports import ImportWatch
from scout_core.measuring.report import Report
from scout_core.uwsgi import watch_uwsgi
from tests.servers import BIN, servers
from tests.workbench import eventually

pytest.importorskip("pyuwsgi", reason="not with the oldest libraries: no uWSGI")

APP = """
import os
import scout_core
from scout_core import transaction

scout_core.start()
{more}

def application(environ, start_response):
    with transaction("Controller/shop.home"):
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""
RECORDS_IN_THE_MASTER = """
with transaction("Job/warm.up"):
    pass
"""
DECORATED = """
import uwsgidecorators

@uwsgidecorators.postfork
def note():
    print("the hook of the application ran", flush=True)
"""


SLOW = """
import time

fast = application


def application(environ, start_response):
    time.sleep(0.05)
    return fast(environ, start_response)
"""
PERIOD = """
import os

os.environ.pop("SCOUT_REPORT_PERIOD")
os.environ.update({settings})
import scout_core


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(scout_core.start().recorder.period).encode()]
"""
UWSGI = (BIN / "uwsgi", "--http-socket", "127.0.0.1:0", "--master", "--enable-threads", "--wsgi", "shop")


@pytest.fixture
def uwsgi(tmp_path):
    with servers(tmp_path) as started:
        yield started


WAYS_TO_FORK = {
    "default": ([], ""),
    "threads": (["--threads", "3"], ""),
    "the master has recorded": ([], RECORDS_IN_THE_MASTER),
    "a hook of the application": ([], DECORATED),
    "lazy-apps": (["--lazy-apps"], ""),
    "fork hooks": (["--py-call-uwsgi-fork-hooks"], RECORDS_IN_THE_MASTER),
    "os after fork": (["--py-call-osafterfork"], ""),
    "max-requests": (["--max-requests", "20"], ""),
}


@pytest.mark.parametrize(("options", "more"), WAYS_TO_FORK.values(), ids=WAYS_TO_FORK)
def test_every_worker_reports_as_a_process_of_its_own(uwsgi, options, more):
    if "--py-call-osafterfork" in options and sys.version_info >= (3, 12):
        pytest.skip("not on Python 3.12 and later: with this option the workers of uWSGI crash without the agent, too")
    uwsgi.write("shop.py", APP.format(more=more))
    server = uwsgi.start(
        *UWSGI, "--processes", "3", "--stats", uwsgi.folder / "stats", *options,
        SCOUT_REPORT_PERIOD="0.5" if "--threads" in options else "60",
    )  # fmt: skip
    answers = server.ask_all(120)
    # A signal that comes while a worker loads the application, or while it ends anyway, is lost by uWSGI itself.
    loads = 3 if "--lazy-apps" in options else 1
    eventually(lambda: server.log.read_text().count("WSGI app 0") >= loads)
    if "--threads" in options:  # uWSGI cancels its threads at the end, whatever they hold
        eventually(lambda: uwsgi.counted >= 120)
    recycled = sum(count for count in answers.values() if count == 20) if "--max-requests" in options else 0
    eventually(lambda: uwsgi.counted >= recycled)
    # A client has its answer before the worker has finished the request, and until then uWSGI ends it without any ``atexit``.
    eventually(lambda: are_idle(uwsgi.folder / "stats"))
    printed = server.end(signal.SIGINT)

    assert answers == counts_by_process(uwsgi.reports)
    assert 120 == answers.total()
    pids = {report.process.pid for report in uwsgi.reports}
    assert len(pids) == len({report.process.instance for report in uwsgi.reports})
    assert len(uwsgi.reports) == len({report.id for report in uwsgi.reports})
    traces = [trace.id for report in uwsgi.reports for trace in report.traces]
    assert len(traces) == len(set(traces))
    assert (more == DECORATED) == ("the hook of the application ran" in printed)
    assert (
        "Traceback" not in printed or "--py-call-osafterfork" in options
    )  # then CPython's logging complains of a lock


def are_idle(stats: Path) -> bool:
    """Whether every worker accepts requests and handles none, by the figures of uWSGI."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(stats))
        with connection.makefile("rb") as file:
            workers = json.load(file)["workers"]
    return all(worker["accepting"] and worker["status"] == "idle" for worker in workers)


def counts_by_process(reports: list[Report]) -> Counter[str]:
    """Return how many requests each process has reported, by its id."""
    counts: Counter[str] = Counter()
    for report in reports:
        for metrics in report.transactions:
            if metrics.name == "Controller/shop.home":
                counts[str(report.process.pid)] += metrics.count
    return counts


@pytest.mark.parametrize("options", [[], ["--threads", "3"], ["--lazy-apps"]], ids=["default", "threads", "lazy-apps"])
def test_workers_that_finish_their_requests_at_the_end_report_all_of_them(uwsgi, options):
    uwsgi.write("shop.py", APP.format(more="") + SLOW)
    graceful = ("--hook-master-start", "unix_signal:15 gracefully_kill_them_all")  # as the documentation recommends
    server = uwsgi.start(*UWSGI, "--processes", "3", *graceful, *options)
    eventually(lambda: server.log.read_text().count("WSGI app 0") >= (3 if "--lazy-apps" in options else 1))
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(server.ask_all, 200)
        eventually(lambda: server.log.read_text().count("generated") >= 30)
        server.end(signal.SIGTERM)
        answers = asking.result()

    assert 30 <= answers.total() < 200
    assert answers == counts_by_process(uwsgi.reports)


@pytest.mark.parametrize(("settings", "period"), [({}, "5.0"), ({"SCOUT_REPORT_PERIOD": "20"}, "20.0")])
def test_workers_that_may_be_ended_within_a_request_report_more_often_unless_the_period_is_configured(
    uwsgi, settings, period
):
    uwsgi.write("shop.py", PERIOD.format(settings=settings))
    server = uwsgi.start(*UWSGI)

    assert period == eventually(server.ask)


class Uwsgi(ModuleType):
    """The module that uWSGI puts into its processes."""

    opt: dict[str, object] = {}


@pytest.mark.parametrize(("has_threads", "warnings"), [(0, 1), (1, 0)])
def test_without_threads_a_warning_names_the_setting(monkeypatch, caplog, has_threads, warnings):
    uwsgi = Uwsgi("uwsgi")
    uwsgi.has_threads = has_threads
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    watch = ImportWatch()
    watch_uwsgi(watch, lambda: None)
    watch.forget()

    assert warnings == len(caplog.messages)
    assert all("add to its configuration: enable-threads = true" in message for message in caplog.messages)


def test_a_hook_of_the_application_is_called_after_ours_and_starting_again_adds_none(monkeypatch):
    calls = []
    uwsgi = Uwsgi("uwsgi")
    uwsgi.post_fork_hook = lambda: calls.append("application")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    for _ in range(2):
        watch = ImportWatch()
        watch_uwsgi(watch, lambda: calls.append("agent"))
        watch.forget()
    uwsgi.post_fork_hook()

    assert ["agent", "application"] == calls


def test_a_module_of_the_application_with_that_name_is_left_alone(monkeypatch):
    uwsgi = ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    watch = ImportWatch()
    watch_uwsgi(watch, lambda: None)

    assert not hasattr(uwsgi, "post_fork_hook")
