"""gevent and eventlet replace threads and locks while the application runs, often after the agent was started."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from tests.workbench import CollectorSink, announced, run_app

PATCH = {
    "gevent": """
        import gevent.monkey
        gevent.monkey.patch_all()
        from gevent import sleep
    """,
    "eventlet": """
        import eventlet
        eventlet.monkey_patch()
        from eventlet import sleep
    """,
}
TRACE = """
    import warnings
    warnings.simplefilter("ignore")  # of gevent and eventlet themselves
    import threading
    from time import sleep
    import scout_core

    def trace(number):
        for _ in range(number):
            with scout_core.transaction("Controller/home"):
                pass

    def wait_for(number):
        while scout_core.start().counters("collector").exported < number:
            sleep(0.01)
"""


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def sink(state_dir):
    sink = CollectorSink()
    announced(state_dir, sink.url)
    yield sink
    sink.close()


@pytest.fixture
def run(state_dir):
    def run_parts(*parts):
        return run_app("".join(map(dedent, parts)), state_dir, SCOUT_REPORT_PERIOD="1")

    return run_parts


@pytest.mark.parametrize("library", PATCH)
def test_locks_made_before_a_patch_are_replaced(run, sink, library):
    ended = run(
        TRACE, "scout_core.start()", PATCH[library], "trace(3)\nwait_for(3)\ntrace(2)\nwait_for(5)\nprint('done')"
    )

    assert (0, "done\n") == (ended.code, ended.out)
    assert "Traceback" not in ended.err
    assert 5 == sink.counted


@pytest.mark.parametrize("library", PATCH)
def test_greenlets_that_start_the_agent_at_the_same_time_get_one_agent(run, sink, library):
    """``scout_core`` was imported before the patch, and so was the lock of ``start``."""
    ended = run(
        TRACE,
        PATCH[library],
        """
        from scout_core import hookimpl

        class Slow:
            __name__ = "slow"

            @hookimpl
            def on_start(self):
                sleep(0.01)

        agents = []
        threads = [threading.Thread(target=lambda: agents.append(scout_core.start(plugins=[Slow()]))) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        trace(1)
        print(len(agents), len(set(map(id, agents))), None in agents)
        """,
    )

    assert (0, "5 1 False\n") == (ended.code, ended.out), ended.err
    assert 1 == sink.counted


SUBINTERPRETER = """
    try:
        from concurrent import interpreters
        run = lambda code: interpreters.create().exec(code)
    except ImportError:
        try:
            import _interpreters
            run = lambda code: _interpreters.exec(_interpreters.create(), code)
        except ImportError:
            import _xxsubinterpreters
            run = lambda code: _xxsubinterpreters.run_string(_xxsubinterpreters.create(isolated=True), code)
    print(run('''
    import scout_core
    scout_core.start()
    for _ in range(3):
        with scout_core.transaction("Controller/home"):
            pass
    print("done", flush=True)
    '''))
"""


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="not on python before 3.12: its subinterpreters have daemon threads"
)
def test_a_subinterpreter_that_refuses_threads_is_not_recorded_which_is_logged_once(run, sink):
    ended = run(SUBINTERPRETER)

    assert (0, "done\nNone\n") == (ended.code, ended.out), ended.err
    assert 1 == ended.err.count("not recording: RuntimeError: daemon threads are disabled")
    assert 0 == sink.counted


def test_a_fault_while_the_threads_start_does_not_reach_the_application(run, sink):
    ended = run(
        TRACE,
        """
        from scout_core.sending.recorder import Recorder

        def fail(self):
            raise LookupError("a fault of our own")

        agent = scout_core.start()
        Recorder.begin = fail
        trace(3)
        print(agent.counters().finished)
        """,
    )

    assert (0, "1\n") == (ended.code, ended.out), ended.err
    assert 1 == ended.err.count("not recording: LookupError: a fault of our own; the application is not affected")
