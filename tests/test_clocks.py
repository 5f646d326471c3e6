"""Tools that freeze the time of an application's tests: what is recorded has the real one."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from scout_core import clocks, span, transaction
from tests.workbench import Keeper, exporting, running

freezegun = pytest.importorskip("freezegun")


@pytest.mark.parametrize("moment", ["1966-11-28", "2086-11-28"])
def test_a_transaction_across_a_freeze_has_its_real_duration(scout, moment):
    with transaction("Controller/home") as outer, span("SQL/Outer"):
        with freezegun.freeze_time(moment):
            with span("SQL/Inner"):
                assert time.gmtime().tm_year == int(moment[:4])
    with freezegun.freeze_time(moment):
        frozen = transaction("Controller/frozen").__enter__()
        frozen_span = span("SQL/Across").__enter__()
    frozen_span.__exit__(None, None, None)
    frozen.__exit__(None, None, None)

    for seen in scout.transactions:
        assert 0 < seen.duration < 60
        assert all(0 < record.duration < 60 for record in seen.spans)
    assert abs(outer.started - frozen.started) < 60


def test_time_that_stands_still_neither_blames_a_policy_nor_stops_reports():
    keeper = Keeper()
    with freezegun.freeze_time("1966-11-28"), running(exporting(keeper), threaded=False) as agent:
        for _ in range(30):
            with transaction("Controller/home"):
                pass
            agent.recorder.work()
        agent.recorder.begin()
        before = clocks.monotonic()
        assert clocks.monotonic() >= before
        assert [0] * len(agent.plugin_statuses()) == [status.errors for status in agent.plugin_statuses()]


def test_the_clocks_are_real_when_they_are_imported_while_time_is_frozen():
    source = (
        "import time, freezegun\n"
        "real = [time.monotonic]\n"
        "with freezegun.freeze_time('1966-11-28'):\n"
        "    from scout_core import clocks\n"
        "    first, second = clocks.perf_counter_ns(), clocks.perf_counter_ns()\n"
        "    print(second > first, abs(clocks.monotonic() - real[0]()) < 60, clocks.time() > 1e9)\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)

    assert "True True True" == done.stdout.strip()
