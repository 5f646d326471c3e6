"""After an early patch by gevent or eventlet, the agent's work is done in slices, between which the application's greenlets run."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.workbench import CollectorSink, announced, run_app

PATCH = {
    "gevent": "import gevent.monkey\ngevent.monkey.patch_all()\n",
    "eventlet": "import eventlet\neventlet.monkey_patch()\n",
}
APP = """
    import sys, threading, time
    import scout_core
    from scout_core import transaction, span
    from scout_core.text import patterns

    agent = scout_core.start(report_period=1)
    seen, is_over = set(), False

    def watch():  # what has been done at each turn of another greenlet
        while not is_over:
            seen.add(("taken", agent.ledger.taken // 100))
            seen.add(("patterns", len(patterns._not_compiled)))
            modules = [name in sys.modules for name in ("http.client", "email.parser", "scout_core.sending.wire")]
            seen.add(("modules", *modules))
            time.sleep(0)

    for number in range(3_000):
        with transaction(f"Controller/{number % 30}"):
            pass
    watcher = threading.Thread(target=watch)
    watcher.start()
    deadline = time.monotonic() + 50
    while agent.counters("collector").exported < 3_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    is_over = True
    watcher.join()
    for kind in ("taken", "patterns", "modules"):
        print(kind, sum(found[0] == kind for found in seen))
    print(agent.counters("collector").exported)
    scout_core.stop(5)
"""


@pytest.mark.parametrize("library", PATCH)
def test_other_greenlets_run_between_the_steps_of_the_first_report(tmp_path, library):
    sink = CollectorSink()
    announced(tmp_path, sink.url)
    try:
        text = "import warnings\nwarnings.simplefilter('ignore')\n" + PATCH[library] + dedent(APP)
        ended = run_app(text, tmp_path)
    finally:
        sink.close()

    assert 0 == ended.code, ended.err
    lines = ended.out.split()
    found = dict(zip(lines[:6:2], map(int, lines[1:6:2]), strict=True))
    assert "3000" == lines[6], ended.err
    assert found["taken"] > 20, "3,000 transactions in batches of 100"
    assert found["patterns"] > 5
    assert found["modules"] >= 3, "imports happen one after another"
