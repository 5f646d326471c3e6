"""``scout_core.testing.upstream``: a suite that knows nothing of scout-core has the same outcomes with the agent on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

import scout_core.testing.upstream.outcomes as recorder
from scout_core.testing.upstream.comparison import Comparison, Run

EVERY_OUTCOME = """
import asyncio, inspect, os, string, sys, threading, unittest, warnings
import pytest

@pytest.fixture
def broken():
    raise ValueError

@pytest.fixture
def broken_later():
    yield
    raise ValueError

@pytest.fixture(scope="session")
def shared():
    thread = threading.Thread(target=string.Template("a").substitute)
    thread.start()
    yield thread
    thread.join()

def test_passes(shared):
    assert "Ada" == string.Template("$name").substitute(name="Ada")

def test_fails():
    assert 0

def test_fails_in_the_setup(broken):
    pass

def test_fails_in_the_teardown(broken_later):
    pass

@pytest.mark.xfail
def test_fails_as_expected():
    assert 0

@pytest.mark.xfail(run=False)
def test_does_not_run():
    assert 0

@pytest.mark.xfail
def test_passes_unexpectedly():
    pass

@pytest.mark.xfail(strict=True)
def test_passes_against_the_mark():
    pass

def test_is_skipped():
    pytest.skip("here")

@pytest.mark.skip
def test_is_marked():
    pass

@pytest.mark.parametrize("number", [1, 2, 3])
def test_numbers(number):
    assert number < 3

def test_warns():
    warnings.warn("of the suite")

class TestUnit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        string.Template("a").substitute()

    def test_passes(self):
        string.Template("a").substitute()

    def test_has_parts(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertLess(number, 2)

    @unittest.expectedFailure
    def test_fails_as_expected(self):
        self.fail()

    def test_is_skipped(self):
        self.skipTest("here")

class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_passes(self):
        await asyncio.gather(*(asyncio.to_thread(string.Template("a").substitute) for _ in range(3)))

    async def test_fails(self):
        await asyncio.sleep(0)
        string.Template("$a").substitute()

def test_has_its_own_loop():
    async def fill():
        return string.Template("a").substitute()
    assert "a" == asyncio.run(fill())

def test_sees_no_thread_of_others(shared):
    shared.join()
    known = {threading.main_thread()}
    assert [] == [thread for thread in threading.enumerate() if thread not in known and "execnet" not in thread.name and thread.daemon is False]
    assert not [thread for thread in threading.enumerate() if "scout" in thread.name]

def test_sees_no_fixture_of_others(request):
    assert [] == [name for name in request.session._fixturemanager._arg2fixturedefs if "scout" in name]
    assert not [line for line in request.config.getini("markers") if "scout" in line]

def test_sees_no_output_and_no_log_of_others(caplog, capfd, recwarn):
    caplog.set_level(0)
    string.Template("a").substitute()
    assert ([], "", "", 0) == (caplog.records, *capfd.readouterr(), len(recwarn))

def test_is_as_deep_in_the_stack():
    with open("depth.txt", "w") as file:
        file.write("\\n".join(frame.function for frame in inspect.stack()))

def test_a_forked_child_has_a_single_thread():
    pid = os.fork()
    if pid == 0:
        try:
            string.Template("a").substitute()
            os._exit(0 if threading.active_count() == 1 else 1)
        except BaseException:
            os._exit(2)
    assert 0 == os.waitpid(pid, 0)[1]
"""
CONFTEST = """
import pytest, string

assert "a" == string.Template("a").substitute()

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    result = yield
    if item.name == "test_numbers[1]":
        raise RuntimeError("of the suite's own hook")
    return result

def pytest_collection_modifyitems(items):
    items.reverse()
"""
LETTERS = """
from scout_core import hookimpl, span

@hookimpl
def instrument(wrap):
    wrap("string:Template.substitute", fill)

def fill(template, *args, **kwargs):
    return span("Template/Fill")
"""
FAILING = LETTERS.replace('return span("Template/Fill")', "return 1 / 0")
CHANGING = """
from scout_core import hookimpl

@hookimpl
def instrument(wrap):
    wrap.around("string:Template.substitute", changed)  # what a plugin must not do

def changed(wrapped, instance, args, kwargs):
    return wrapped(*args, **kwargs).upper()
"""
FILLED = 5 if sys.version_info >= (3, 11) else 9
"""
Calls in that suite that belong to a test: not those of threads and of a forked child. From Python 3.11 on also not those of the
asynchronous test case, whose context is copied when pytest collects it.
"""
FORKING = '''
"""Each test runs in a forked child, which sends its reports to the parent, as pytest-forked does."""
import os, pickle
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item):
    hook = item.config.hook
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            reports = runtestprotocol(item, log=False)
            data = [hook.pytest_report_to_serializable(config=item.config, report=report) for report in reports]
            os.write(write, pickle.dumps(data))
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        for data in pickle.load(file):
            hook.pytest_runtest_logreport(report=hook.pytest_report_from_serializable(config=item.config, data=data))
    os.waitpid(pid, 0)
    return True
'''


@frozen
class Place:
    """A folder with a suite of tests, and how it is run."""

    path: Path

    def run(self, name: str, *options: str, **environment: str) -> Run:
        """Run the suite in a process of its own, and read what was written."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SCOUT_", "PYTEST_"))}
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--scout-outcomes={name}.json",
            *options,
        ]
        paths = os.pathsep.join([str(self.path / "modules"), *filter(None, [own.get("PYTHONPATH")])])
        state = {"XDG_STATE_HOME": str(self.path / "state"), "PYTHONPATH": paths, "SCOUT_PLUGINS_AUTOLOAD": "false"}
        done = subprocess.run(
            command, cwd=self.path / "suite", env=own | state | environment, capture_output=True, text=True
        )
        file = self.path / "suite" / f"{name}.json"
        assert file.exists(), done.stdout + done.stderr
        return Run.from_file(file)

    def without(self, *options: str) -> Run:
        """Run it in a process that imports nothing of scout-core."""
        return self.run("without", "-p", "outcomes_alone", "-p", "no:scout_core", *options)

    def recorded(self, *options: str, plugin: str = "letters", **environment: str) -> Run:
        """Run it with the agent on."""
        environment = {"SCOUT_PLUGINS": plugin, **environment}
        return self.run("recorded", "-p", "scout_core.testing.upstream", *options, **environment)

    def write(self, name: str, text: str) -> None:
        """Write a file of the suite."""
        (self.path / "suite" / name).write_text(text)


@pytest.fixture
def place(tmp_path):
    for folder in ("suite", "modules"):
        (tmp_path / folder).mkdir()
    for name, text in {"letters": LETTERS, "failing": FAILING, "changing": CHANGING}.items():
        (tmp_path / "modules" / f"{name}.py").write_text(text)
    shutil.copy(recorder.__file__, tmp_path / "modules" / "outcomes_alone.py")
    place = Place(tmp_path)
    place.write("pytest.ini", "[pytest]\naddopts = -p no:randomly\n")
    return place


@pytest.mark.parametrize(
    "options",
    [(), ("-W", "error"), ("-n2",), ("-p", "randomly", "-p", "no:xdist")],
    ids=["plain", "warnings are errors", "processes", "no xdist"],
)
def test_every_outcome_is_the_same_with_the_agent(place, options):
    place.write("test_every_outcome.py", EVERY_OUTCOME)
    place.write("conftest.py", CONFTEST)
    without = place.without(*options)
    depth = (place.path / "suite" / "depth.txt").read_text()
    recorded = place.recorded(*options)

    assert without.tests == recorded.tests
    assert without.warnings == recorded.warnings
    assert depth == (place.path / "suite" / "depth.txt").read_text()
    assert [] == Comparison([without], [recorded]).problems()
    assert {"passed", "failed", "error in setup", "passed, error in teardown", "xfailed", "xpassed", "skipped"} <= {
        *without.tests.values()
    }
    assert recorded.evidence.spans["Template"] in (FILLED, FILLED + 1)  # two processes set up the class once each
    assert len(recorded.tests) == recorded.evidence.transactions
    assert {} == recorded.evidence.plugins  # a module is not a distribution


def test_each_test_has_its_own_entry(place):
    place.write("test_few.py", "def test_passes():\n    pass\n\n\ndef test_fails():\n    assert 0\n")
    place.write("test_broken.py", "import a_module_that_does_not_exist\n")
    place.write("test_skipped.py", "import pytest\npytest.skip('here', allow_module_level=True)\n")
    run = place.without("--continue-on-collection-errors")

    assert {
        "test_few.py::test_passes": "passed",
        "test_few.py::test_fails": "failed",
        "test_broken.py": "failed in collection",
        "test_skipped.py": "skipped in collection",
    } == run.tests
    assert 1 == run.status


def test_what_a_forked_test_records_is_counted(place):
    place.write("conftest.py", FORKING)
    place.write("test_fill.py", "import string\n\ndef test_fill():\n    string.Template('a').substitute()\n")
    recorded = place.recorded()

    assert {"test_fill.py::test_fill": "passed"} == recorded.tests
    assert (1, 1) == (recorded.evidence.transactions, recorded.evidence.spans["Template"])


@pytest.mark.parametrize("environment", [{}, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}], ids=["autoload", "no autoload"])
def test_the_agent_causes_no_warning(place, environment):
    place.write("test_fill.py", "import string\n\ndef test_fill():\n    string.Template('a').substitute()\n")

    assert frozenset() == place.recorded(**environment).warnings


def test_nothing_is_sent(place, sink):
    place.write("test_fill.py", "import string\n\ndef test_fill():\n    string.Template('a').substitute()\n")
    recorded = place.recorded(
        SCOUT_PLUGINS_AUTOLOAD="true", SCOUT_COLLECTOR_URL=sink.url, SCOUT_COLLECTOR_TOKEN="secret"
    )

    assert 1 == recorded.evidence.spans["Template"]
    assert ([], 0) == (sink.reports, sink.refused)


def test_outside_a_transaction_only_transactions_of_the_plugin_are_recorded(place):
    place.write("test_fill.py", "import string\n\ndef test_fill():\n    string.Template('a').substitute()\n")
    roots = LETTERS.replace("fill)\n", "fill, root=True)\n").replace("span", "transaction").replace("Template/", "Job/")
    (place.path / "modules" / "roots.py").write_text(roots)
    inside, outside = place.recorded(plugin="roots"), place.recorded("--scout-outside", plugin="roots")

    assert (1, {"Job": 1}) == (inside.evidence.transactions, dict(inside.evidence.spans))
    assert (1, {}) == (outside.evidence.transactions, dict(outside.evidence.spans))


def test_a_plugin_that_changes_a_result_is_found(place):
    place.write("test_every_outcome.py", EVERY_OUTCOME)
    comparison = Comparison([place.without()], [place.recorded(plugin="changing,letters")])

    assert ("passed", "failed") == comparison.differing["test_every_outcome.py::test_passes"]
    assert [
        "test_every_outcome.py::test_passes: passed without the agent, failed with it",
    ] == [problem for problem in comparison.problems() if "test_passes:" in problem and "Unit" not in problem]


def test_a_plugin_that_fails_is_found_although_the_suite_does_not_notice(place):
    place.write("test_every_outcome.py", EVERY_OUTCOME)
    without, recorded = place.without(), place.recorded(plugin="failing,letters")

    assert without.tests == recorded.tests
    failures = recorded.evidence.failures
    assert any("ZeroDivisionError" in failure and "failing" in failure for failure in failures), failures
    assert failures == Comparison([without], [recorded]).problems()


def test_without_a_span_the_suite_proves_nothing(place):
    place.write("test_nothing.py", "def test_nothing():\n    pass\n")

    assert ["no span was recorded"] == Comparison([place.without()], [place.recorded()]).problems()


def test_a_plugin_that_is_not_installed_is_refused(place):
    place.write("test_nothing.py", "def test_nothing():\n    pass\n")
    with pytest.raises(AssertionError, match="required plugins .*nowhere"):
        place.recorded("--scout-plugin=nowhere")


def test_a_test_that_is_unstable_by_itself_is_not_our_fault():
    comparison = Comparison(
        [Run({"a": "passed", "b": "passed"}), Run({"a": "failed", "b": "passed"})],
        [Run({"a": "failed", "b": "passed"}), Run({"a": "passed", "b": "passed"})],
    )

    assert ({}, {"a": "failed or passed"}) == (comparison.differing, comparison.unstable)


@pytest.mark.parametrize("outcome", [{"a": "failed"}, {}])
def test_another_outcome_in_one_of_several_runs_is_a_difference(outcome):
    comparison = Comparison([Run({"a": "passed"})] * 3, [Run({"a": "passed"}), Run(outcome), Run({"a": "passed"})])

    assert {"a": ("passed", f"{outcome.get('a', 'missing')} or passed")} == comparison.differing


def test_a_difference_may_be_expected_and_then_must_occur():
    runs = [Run({"a": "passed", "b": "passed"})], [Run({"a": "failed", "b": "passed"})]
    kinds = [Comparison(*runs, frozenset(expected)) for expected in ((), ("a",), ("a", "b"))]

    assert [["a"], [], ["b"]] == [
        [test for test in "ab" if any(problem.startswith(f"{test}: ") for problem in kind.problems())] for kind in kinds
    ]
    assert "b: expected to differ, and does not" in kinds[2].problems()
    assert (1, ["a"]) == (kinds[2].summary()["different"], kinds[2].summary()["expected"])


def test_a_test_whose_parts_have_all_passed_has_passed():
    outcomes = {"a": "passed", "b": "passed, passed", "c": "passed, failed", "d": "passed, error in teardown"}
    outcomes |= {"e": "skipped", "f": "xpassed", "g": "passed, skipped"}
    counts = Comparison([Run(outcomes)], [Run(outcomes)]).summary()

    assert (7, 2) == (counts["tests"], counts["passed"])


def test_a_run_that_never_ends_leaves_the_tests_that_run(place):
    place.write("test_kill.py", "import os\n\ndef test_a():\n    pass\n\ndef test_b():\n    os.kill(os.getpid(), 9)\n")
    with pytest.raises(AssertionError):
        place.without()
    assert "test_kill.py::test_b" == (place.path / "suite" / "without.json.running").read_text()
    place.write("test_kill.py", "def test_a():\n    pass\n")
    place.without()

    assert not (place.path / "suite" / "without.json.running").exists()


def test_a_warning_that_only_the_agent_causes_is_a_difference():
    without, recorded = Run({"a": "passed"}, frozenset({"X: 1"})), Run({"a": "passed"}, frozenset({"X: 1", "X: 2"}))

    assert "a warning only with the agent: X: 2" in Comparison([without], [recorded]).problems()
    assert "a warning only with the agent: X: 2" not in Comparison([without], [recorded, without]).problems()


def test_the_command_prints_the_counts_and_exits_with_1_for_a_difference(place):
    place.write("test_fill.py", "import string\n\ndef test_fill():\n    string.Template('a').substitute()\n")
    place.without(), place.recorded()
    suite = place.path / "suite"
    command = [
        sys.executable,
        "-m",
        "scout_core.testing.upstream.comparison",
        "--without=without.json",
        "--summary=summary.json",
    ]
    same = subprocess.run([*command, "--recorded=recorded.json"], cwd=suite, capture_output=True, text=True)
    another = json.loads((suite / "recorded.json").read_text())
    another["tests"]["test_fill.py::test_fill"] = "failed"
    place.write("another.json", json.dumps(another))
    different = subprocess.run([*command, "--recorded=another.json"], cwd=suite, capture_output=True, text=True)
    place.write("empty.json", "{}")
    invalid = subprocess.run([*command, "--recorded=empty.json"], cwd=suite, capture_output=True, text=True)

    assert 0 == same.returncode, same.stdout + same.stderr
    assert ["1", "0", "1", "1", "Template"] == same.stdout.splitlines()[1].split()
    assert 1 == different.returncode
    assert "test_fill.py::test_fill: passed without the agent, failed with it" in different.stdout
    assert 1 == json.loads((suite / "summary.json").read_text())["different"]
    assert (1, True) == (invalid.returncode, "--scout-outcomes" in invalid.stderr)
