"""Subinterpreters that share the lock of the main one record for themselves; `test_late_patch.py` has those with their own lock."""

from __future__ import annotations

from importlib.util import find_spec
from textwrap import dedent

import pytest

from tests.workbench import CollectorSink, announced, run_app

BEGIN = """
try:
    import _interpreters as interpreters

    new = lambda: interpreters.create("legacy")
    run = interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters

    new = lambda: interpreters.create(isolated=False)
    run = interpreters.run_string

import string
import scout_core
"""
INSIDE = """
import string
from types import ModuleType
import scout_core
from scout_core import hookimpl, span, transaction

plugin = ModuleType("letters")
plugin.instrument = hookimpl(lambda wrap: wrap("string:Template.substitute", lambda *args, **kwargs: span("Template/Fill")))
assert scout_core.current_transaction() is None
scout_core.start(plugins=[plugin])
for _ in range(2):
    with transaction("Controller/home"):
        string.Template("$a").substitute(a=1)
"""
STOP = "scout_core.stop(5)\n"


@pytest.fixture
def sink(tmp_path):
    sink = CollectorSink()
    announced(tmp_path / "state", sink.url)
    yield sink
    sink.close()


def run(tmp_path, *parts):
    return run_app("".join(map(dedent, parts)), tmp_path / "state", SCOUT_REPORT_PERIOD="60")


def test_each_interpreter_has_an_agent_of_its_own(sink, tmp_path):
    ended = run(
        tmp_path,
        BEGIN,
        f"""
        original = string.Template.substitute
        scout_core.start()
        with scout_core.transaction("Controller/main"):
            for inner in new(), new():
                problem = run(inner, {INSIDE + STOP!r})
                assert problem is None, problem
                interpreters.destroy(inner)
        assert string.Template.substitute is original
        print(scout_core.start().counters().finished)
        scout_core.stop(5)
        """,
    )

    assert (0, "1\n", "") == (ended.code, ended.out, ended.err)
    assert 5 == sink.counted
    processes = {(report.process.pid, report.process.instance) for report in sink.reports}
    assert (1, 3) == (len({pid for pid, _ in processes}), len(processes))
    traces = [{span.operation for span in trace.spans} for report in sink.reports for trace in report.traces]
    assert 2 == sum("Template/Fill" in operations for operations in traces)


@pytest.mark.skipif(find_spec("_testcapi") is None, reason="not on a Python without _testcapi, which ends interpreters")
def test_an_interpreter_that_a_server_ends_stops_its_agent_and_sends_what_is_left(sink, tmp_path):
    """Python ends the process where an interpreter that ends has a thread left."""
    ended = run(
        tmp_path,
        f"""
        import _testcapi
        print(_testcapi.run_in_subinterp({INSIDE!r}))
        """,
    )

    assert (0, "0\n", "") == (ended.code, ended.out, ended.err)
    assert 2 == sink.counted
