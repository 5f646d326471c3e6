"""The kit for tests of plugins and applications."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time
from types import ModuleType

import pytest

import scout_core
from scout_core import clocks, current_transaction, hookimpl, running, span, transaction
from scout_core.errors import ScoutError
from scout_core.measuring.report import Report
from scout_core.recording import context
from scout_core.testing import (
    Call,
    RecordedSpan,
    RecordedTransaction,
    Scout,
    Violation,
    conformance,
    hostile,
    recording,
    static_problems,
    stopped_clock,
)
from scout_core.testing.hostility import collecting_evaluations, in_plugin


def plugin(**functions):
    module = ModuleType("mine")
    for hook, function in functions.items():
        setattr(module, hook, hookimpl(function))
    return module


def test_everything_recorded_compares_as_plain_data(scout):
    with pytest.raises(ValueError, match="text"), transaction("Controller/home", plan="gold"), span("SQL/Query", n=1):
        raise ValueError("text")

    expected = RecordedTransaction(
        operation="Controller/home",
        tags={"plan": "gold"},
        error="ValueError",
        is_error=True,
        message="text",
        spans=(RecordedSpan("SQL/Query", {"n": 1}, parent="Controller/home", error="ValueError"),),
    )
    assert expected == scout.transaction
    assert [expected] == scout.transactions
    assert list(expected.spans) == scout.spans
    assert ["SQL/Query", "Controller/home"] == scout.operations
    assert expected != RecordedTransaction(operation="Controller/other")
    assert scout.transaction.duration > scout.spans[0].duration > 0


def test_reading_twice_gives_the_same(scout):
    with transaction("Controller/home"):
        pass

    assert scout.operations == scout.operations == ["Controller/home"]
    with transaction("Controller/next"):
        pass
    assert ["Controller/home", "Controller/next"] == scout.operations


def test_reading_the_only_transaction_fails_unless_there_is_exactly_one(scout):
    with pytest.raises(AssertionError, match=r"expected one transaction, found 0: \[\]"):
        scout.transaction  # noqa: B018
    for name in ("a", "b"):
        with transaction(f"Job/{name}"):
            pass

    with pytest.raises(AssertionError, match=r"expected one transaction, found 2: \['Job/a', 'Job/b'\]"):
        scout.transaction  # noqa: B018


def test_a_report_is_what_an_exporter_gets(scout):
    with transaction("Controller/home"):
        pass
    first, second = scout.report(), scout.report()

    assert isinstance(first, Report)
    assert [1, 0] == [len(report.transactions) for report in (first, second)]
    assert "test" == first.process.hostname
    assert [] == scout.traces()


def test_nothing_is_sent_and_no_thread_runs(scout):
    with transaction("Controller/home"):
        pass
    scout.report()

    assert [] == scout.agent.exporters
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("scout-core")]


def test_the_environment_of_the_test_run_does_not_matter(monkeypatch):
    monkeypatch.setenv("SCOUT_NAME", "of the environment")
    monkeypatch.setenv("SCOUT_MAX_SPANS", "1")
    with recording() as scout:
        assert ("Python App", 1500) == (scout.agent.config.get("name"), scout.agent.tracer.max_spans)


@pytest.mark.scout(name="Shop", max_spans=7)
class TestMarker:
    @pytest.mark.scout(max_spans=8)
    def test_options_come_from_the_nearest_marker(self, scout):
        assert ("Shop", 8) == (scout.agent.config.get("name"), scout.agent.tracer.max_spans)

    def test_and_from_the_class(self, scout):
        assert 7 == scout.agent.tracer.max_spans


def test_start_and_stop_in_the_application_mean_the_agent_of_the_test(scout):
    assert scout_core.start(name="Shop") is scout.agent
    assert "Shop" == scout.agent.config.get("name")


def test_afterwards_nothing_records_and_the_agent_from_before_is_back():
    before = running.use(None)
    with recording() as scout:
        assert isinstance(scout, Scout)
        assert context.tracer is scout.agent.tracer
    with transaction("Controller/home"):
        assert current_transaction() is None

    assert running.use(before) is None
    assert context.tracer is None


def test_a_second_one_at_once_is_refused(scout):
    with pytest.raises(ScoutError, match="an agent is recording in this process already"), recording():
        pass
    with transaction("Controller/home"):
        pass

    assert ["Controller/home"] == scout.operations


def test_a_span_that_is_left_open_fails_the_test():
    with pytest.raises(AssertionError, match="the span SQL/Query is still open at the end of the test"), recording():
        transaction("Controller/home").__enter__()
        span("SQL/Query").__enter__()

    assert (None, None) == (context.current.get(), context.tracer)


def test_a_test_that_fails_is_not_hidden_by_a_span_left_open():
    with pytest.raises(ZeroDivisionError), recording():
        transaction("Controller/home").__enter__()
        raise ZeroDivisionError

    assert (None, None) == (context.current.get(), context.tracer)


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("some_library")
    exec("def work(): return 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "some_library", module)
    return module


def instrument(wrap):
    wrap("some_library:work", lambda: span("Work/call"))


def test_what_was_wrapped_is_the_original_again(library):
    original = library.work
    with recording(plugins=[plugin(instrument=instrument)]):
        assert library.work is not original

    assert library.work is original


@pytest.mark.parametrize("hook", ["instrument", "on_start", "on_stop"])
def test_a_plugin_that_raises_fails_the_test_and_leaves_nothing_behind(library, hook):
    def fail(*args):
        raise ZeroDivisionError

    original, finders = library.work, list(sys.meta_path)
    argument = {"instrument": lambda wrap: fail(), "on_start": lambda agent: fail(), "on_stop": lambda agent: fail()}
    other = ModuleType("other")
    other.instrument = hookimpl(tryfirst=True)(
        lambda wrap: (instrument(wrap), wrap("not_imported_yet:work", lambda: None))
    )
    with pytest.raises(ZeroDivisionError), recording(plugins=[other, plugin(**{hook: argument[hook]})]):
        assert hook == "on_stop"

    assert library.work is original
    assert finders == sys.meta_path
    assert (None, None) == (context.tracer, running.use(None))
    with recording() as scout:
        with transaction("Controller/home"):
            pass
        assert ["Controller/home"] == scout.operations


def test_a_plugin_that_cannot_be_loaded_fails_the_test():
    with pytest.raises(ScoutError, match="no_such_plugin cannot be imported"), recording(plugins=["no_such_plugin"]):
        pass

    assert context.tracer is None


def test_a_policy_that_raises_fails_the_test():
    with pytest.raises(ZeroDivisionError), recording(plugins=[plugin(score_transaction=lambda: 1 / 0)]) as scout:
        with transaction("Controller/home"):
            pass
        scout.transactions  # noqa: B018


def test_a_wrapper_that_somebody_put_around_ours_and_left_there_fails_the_test(library):
    original = library.work
    with (
        pytest.raises(AssertionError, match="some_library:work is still wrapped at the end of the test"),
        recording(plugins=[plugin(instrument=instrument)]),
    ):
        ours = library.work

        @functools.wraps(ours)
        def theirs():
            return ours()

        library.work = theirs

    assert library.work is theirs
    library.work = original


def test_a_wrapper_that_was_taken_away_in_time_is_none_of_our_business(library, monkeypatch):
    original = library.work
    with recording(plugins=[plugin(instrument=instrument)]), monkeypatch.context() as patch:
        patch.setattr(library, "work", lambda: 2)
        assert 2 == library.work()

    assert library.work is original


def test_a_thread_of_ours_that_still_runs_fails_the_test():
    end = threading.Event()
    late = threading.Thread(target=end.wait, name="scout-core-late", daemon=True)
    other = threading.Thread(target=end.wait, name="of the application", daemon=True)
    try:
        with (
            pytest.raises(AssertionError, match="^the thread scout-core-late is still running at the end"),
            recording(),
        ):
            late.start()
            other.start()
    finally:
        end.set()
        late.join()
        other.join()


def test_the_thread_of_another_agent_is_not_that_of_the_test():
    end = threading.Event()
    earlier = threading.Thread(target=end.wait, name="scout-core-earlier", daemon=True)
    earlier.start()
    try:
        with recording() as scout, transaction("Job/one"):
            pass
        assert ["Job/one"] == scout.operations
    finally:
        end.set()
        earlier.join()


ENVIRONMENTS = """
import os
import pytest


@pytest.fixture(scope="module")
def database():
    before = os.environ.get("DATABASE")
    os.environ["DATABASE"] = "test"
    yield
    del os.environ["DATABASE"]


def test_adds(scout):
    os.environ["ADDED"] = "1"


def test_changes(scout):
    os.environ["CHANGED"] = "2"


def test_removes(scout):
    del os.environ["REMOVED"]


def test_puts_back(monkeypatch, scout):
    monkeypatch.setenv("CHANGED", "3")
    monkeypatch.setenv("NEW", "4")


def test_puts_back_in_the_other_order(scout, monkeypatch):
    monkeypatch.delenv("HOME")


def test_has_a_fixture_that_stays(scout, database):
    assert "test" == os.environ["DATABASE"]


def test_has_it_too_and_is_the_last(scout, database):
    assert "test" == os.environ["DATABASE"]


def test_does_not_record():
    os.environ["UNSEEN"] = "1"
"""


def test_a_changed_environment_fails_the_test_that_left_it(tmp_path):
    (tmp_path / "test_environments.py").write_text(ENVIRONMENTS, encoding="utf-8")
    # Where CI is set, pytest prints each error again, in full.
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "PYTEST_", "CI"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=short"],
        cwd=tmp_path,
        env={**plain, "CHANGED": "1", "REMOVED": "1"},
        capture_output=True,
        text=True,
    )

    assert "8 passed, 3 errors" in done.stdout
    for name in ("ADDED", "CHANGED", "REMOVED"):
        assert 1 == done.stdout.count(
            f"the test left the environment variable {name} changed: use monkeypatch.setenv\n"
        )
    assert 3 == done.stdout.count("the test left the environment variable")


def test_a_clock_that_stands_still_makes_durations_exact(scout, scout_clock):
    with transaction("Job/report"):
        scout_clock.advance(0.25)
        with span("SQL/Query"):
            scout_clock.advance(1.5)
        with span("Cart/Total"):
            pass

    assert [1.5, 0.0] == [seen.duration for seen in scout.spans]
    assert 1.75 == scout.transaction.duration


def test_periods_and_the_age_of_traces_go_by_the_same_clock(scout_clock, scout):
    seconds = []

    class Policy:
        @hookimpl
        def score_transaction(self, transaction, stats):
            seconds.append(stats.seconds_since_kept)
            return 0.0

    scout.agent.plugins.add_object(Policy(), "noting")
    scout.agent.freeze()
    for _ in range(2):
        with transaction("Job/report"):
            pass
        scout.report()
        scout_clock.advance(3600)
    with transaction("Job/report"):
        pass
    scout.report()

    assert [3600.0, 3600.0] == seconds[1:]


def test_a_stopped_clock_is_that_of_scout_core_alone_and_goes_on_afterwards():
    with stopped_clock() as clock:
        stands = [clock.perf_counter_ns(), clock.time(), clock.monotonic()]
        clock.advance(0)
        assert stands == [clock.perf_counter_ns(), clock.time(), clock.monotonic()]
        assert time.perf_counter_ns() < time.perf_counter_ns() + 1
        with pytest.raises(ValueError, match="cannot advance by -1 s"):
            clock.advance(-1)
    from scout_core.recording import span as spans
    from scout_core.recording import transaction as transactions

    assert (clocks.perf_counter_ns, clocks.perf_counter_ns) == (spans.perf_counter_ns, transactions.perf_counter_ns)
    assert transactions.time is clocks.time


def test_a_plugin_that_reads_the_public_clocks_has_the_stopped_one_whenever_it_was_imported(monkeypatch):
    class Strange(ModuleType):
        """Has items that cannot be compared."""

        class monotonic:  # the name of a clock
            __eq__ = None

    early, late, other = ModuleType("early"), ModuleType("late"), ModuleType("other")
    for module in early, late, other, Strange("strange"):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("from scout_core.clocks import monotonic, time", vars(early))
    exec("from time import monotonic, time", vars(other))
    with stopped_clock() as clock:
        exec("from scout_core.clocks import monotonic, time", vars(late))
        before = [early.monotonic(), late.monotonic(), early.time(), late.time()]
        clock.advance(60)
        assert [value + 60 for value in before] == [early.monotonic(), late.monotonic(), early.time(), late.time()]
        assert (time.monotonic, time.time) == (other.monotonic, other.time)

    for module in early, late:
        assert (clocks.monotonic, clocks.time) == (module.monotonic, module.time)
    assert (time.monotonic, time.time) == (other.monotonic, other.time)


def test_a_child_forked_in_a_test_records_for_itself():
    program = """
import os
from scout_core import transaction
from scout_core.testing import recording

with recording(plugins_autoload=False) as scout:
    with transaction("Job/parent"):
        pass
    before = scout.agent.process.instance
    if os.fork() == 0:
        with transaction("Job/child"):
            pass
        print(scout.agent.process.instance != before, scout.operations, flush=True)
        os._exit(0)
    os.wait()
    print(scout.agent.process.instance == before, scout.operations)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "True ['Job/child']\nTrue ['Job/parent']\n" == done.stdout


def test_a_hostile_object_is_what_it_stands_for():
    class Item:
        def __init__(self, price):
            self.price = price

    text, number, items, item, thing = hostile("tea"), hostile(3), hostile(["tea"]), hostile(Item(5)), hostile()

    assert ("tea", 3, ["tea"], 5) == (text, number, items, item.price)
    assert [True] * 4 == [
        isinstance(text, str),
        isinstance(number, int),
        isinstance(items, list),
        isinstance(item, Item),
    ]
    assert ("TEA", 4, "hostile") == (text.upper(), number + 1, str(thing))
    with pytest.raises(TypeError, match="bool"):
        hostile(True)


@pytest.mark.parametrize(
    "evaluate, noted",
    [
        (repr, "__repr__ of a str"),
        (str, "__str__ of a str"),
        ("{}".format, "__format__ of a str"),
        (len, "__len__ of a str"),
        (bool, "__len__ of a str"),
        (hash, "__hash__ of a str"),
        (list, "__iter__ of a str"),
        (lambda text: text == "tea", "__eq__ of a str"),
        (lambda text: "t" in text, "__contains__ of a str"),
        (lambda text: text[0], "__getitem__ of a str"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_object_notes_its_evaluation_by_a_plugin_alone(evaluate, noted):
    with collecting_evaluations() as evaluations:
        text = hostile("tea")
        evaluate(text)
        assert ([], 1) == (evaluations.found, evaluations.created)
        before = in_plugin.set(True)
        try:
            evaluate(text)
        finally:
            in_plugin.reset(before)

    assert noted in evaluations.found


def test_static_rules_are_asked_without_raising_anything():
    hanging = static_problems("this", packaged=False, timeout=0.001)

    assert [("import", "this: it timed out after 0.001 s")] == [(problem.rule, problem.evidence) for problem in hanging]
    assert [("import", True)] == [(problem.rule, problem.is_fatal) for problem in static_problems("no_such_plugin")]
    assert [
        "hooks: string: it has no function marked with @hookimpl; compare it with the documentation of the hooks"
    ] == [str(problem) for problem in static_problems("string", packaged=False)]
    assert [] == static_problems("scout_core.builtin.policies.speed")


WORKS_ON = """
import threading
from scout_core import hookimpl

END = threading.Event()
THREAD = []


@hookimpl
def on_start(agent):
    THREAD.append(threading.Thread(target=END.wait, name="works on"))
    THREAD[-1].start()


@hookimpl
def on_stop(agent):
    {after}
"""


@pytest.mark.parametrize(
    "after, count", [("END.set(), THREAD.pop().join(), END.clear()", 0), ("pass", 1)], ids=["joined", "left"]
)
def test_a_thread_that_is_ended_and_joined_is_no_problem(tmp_path, after, count):
    (tmp_path / "works_on.py").write_text(WORKS_ON.format(after=after), encoding="utf-8")
    problems = static_problems("works_on", packaged=False, path=[str(tmp_path), *sys.path])

    assert count * ["starting the agent with works_on starts the thread works on"] == [
        problem.evidence for problem in problems
    ]


def test_the_path_of_the_static_rules_is_the_callers(tmp_path):
    (tmp_path / "team_policy.py").write_text(
        "from scout_core import hookimpl\n\n\n@hookimpl\ndef score_transaction(transaction):\n    return 1.0\n"
    )

    assert [] == static_problems("team_policy", packaged=False, path=[str(tmp_path), *sys.path])
    (problem,) = static_problems("team_policy", path=[str(tmp_path), *sys.path])
    assert ("metadata", False) == (problem.rule, problem.is_fatal)
    assert ["import"] == [problem.rule for problem in static_problems("team_policy")]


def test_a_problem_is_one_sentence_and_its_advice():
    assert "import: it imports flask; do not" == str(Violation("import", "it imports flask", "do not"))
    assert "fork: asks: nothing; wait" == str(Violation("fork", "nothing", "wait", "asks"))


def test_a_suite_with_an_unknown_rule_or_its_own_fixture_is_refused():
    def call(scout):
        """Would meet two agents."""

    with pytest.raises(ValueError, match="unknown rule forks; expected import, "):
        conformance("scout_shelf", skip={"forks": "on Windows"})
    with pytest.raises(TypeError, match="cannot take the fixture scout"):
        conformance("scout_shelf", call)
    with pytest.raises(TypeError, match="cannot take the fixture scout"):
        conformance("scout_shelf", Call(lambda: None, attach=call))


EXPORTER = """
from scout_core import hookimpl


class ToList:
    name = "to_list"
    sent = []

    def export(self, report):
        self.sent.append(report)


@hookimpl
def register_exporters(config):
    return [ToList()]
"""


@pytest.fixture
def exporter(tmp_path, monkeypatch):
    """An installed plugin that would send every report."""
    (tmp_path / "to_list.py").write_text(EXPORTER, encoding="utf-8")
    metadata = tmp_path / "to_list-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.3\nName: to-list\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[scout_core]\nto-list = to_list\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "to_list"
    sys.modules.pop("to_list", None)


def test_what_is_installed_sends_nothing_of_a_test(exporter):
    with recording() as scout:
        with transaction("Job/one"):
            pass
        scout.report()

        assert "active" == scout.agent.plugins.all["to-list"].state
        assert [] == scout.agent.exporters == scout.agent.recorder.outboxes
    assert [] == sys.modules["to_list"].ToList.sent


@pytest.mark.parametrize(
    "settings", [{"plugins": ["to_list"]}, {"plugins_enable": "to-list"}, {"plugins_disable": "age,collector"}]
)
def test_an_exporter_that_the_test_is_about_is_there(exporter, settings):
    with recording(**settings) as scout:
        assert ["to_list"] == [exporter.name for exporter in scout.agent.exporters]
        assert 1 == len(scout.agent.recorder.outboxes)


# The whole suite of a policy, which wraps nothing.
test_conformance_of_a_policy = conformance("scout_core.builtin.policies.speed")
