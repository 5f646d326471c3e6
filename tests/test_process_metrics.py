"""The built-in plugin that measures the process."""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading

import pytest

from scout_core import transaction
from scout_core.builtin import process_metrics
from scout_core.sending.wire import decode, encode
from tests.workbench import eventually

pytestmark = pytest.mark.scout(plugins_autoload=False, plugins_enable=["process"])


@pytest.fixture(params=["the system", "psutil"], autouse=True)
def source(request, monkeypatch, tmp_path):
    """The files of Linux, or psutil as everywhere else."""
    if request.param == "psutil":
        monkeypatch.setattr(process_metrics, "PROC", str(tmp_path / "none"))
    elif not os.path.exists(process_metrics.PROC):
        pytest.skip("not on this system: it has no /proc")
    monkeypatch.delitem(sys.modules, "psutil", raising=False)
    yield
    assert (request.param == "psutil") == ("psutil" in sys.modules)


def gauges(scout):
    return scout.report().gauges["process"]


def test_the_gauges_agree_with_the_operating_system(scout):
    before = resource.getrusage(resource.RUSAGE_SELF)
    measured = gauges(scout)
    after = resource.getrusage(resource.RUSAGE_SELF)

    assert {"rss_bytes", "cpu_seconds", "threads", "open_files", "gc_collections", "gc_full_collections"} == set(
        measured
    )
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert before.ru_utime + before.ru_stime - 2 * tick <= measured["cpu_seconds"]
    assert measured["cpu_seconds"] <= after.ru_utime + after.ru_stime + 2 * tick
    assert 0.5 < measured["rss_bytes"] / (after.ru_maxrss * 1024) < 1.1  # the kernel updates both at different times


def test_the_gauges_follow_the_process(scout, tmp_path):
    before = gauges(scout)
    released = threading.Event()
    thread = threading.Thread(target=released.wait)
    thread.start()
    with (tmp_path / "open").open("w"):
        gc.collect()
        during = gauges(scout)
    released.set()
    thread.join()

    assert (before["threads"] + 1, before["open_files"] + 1) == (during["threads"], during["open_files"])
    eventually(lambda: gauges(scout)["threads"] == before["threads"])  # the system ends it a little later than Python
    assert before["open_files"] == gauges(scout)["open_files"]
    assert during["gc_full_collections"] > before["gc_full_collections"]
    assert during["gc_collections"] > before["gc_collections"]


def test_the_gauges_travel_in_the_report(scout):
    with transaction("Controller/home"):
        pass
    report = scout.report()

    assert report.gauges["process"]["rss_bytes"] > 0
    assert report.gauges == decode(encode(report)).gauges


def test_the_processor_time_grows_by_what_is_used_and_not_by_what_was_used_before(scout):
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    tick = 1 / os.sysconf("SC_CLK_TCK")
    for _ in range(3):
        earliest = used()
        before = gauges(scout)["cpu_seconds"]
        began = used()
        while used() - began < 0.1:
            pass
        grown = gauges(scout)["cpu_seconds"] - before

        assert 0.1 - 2 * tick <= grown <= used() - earliest + 2 * tick
