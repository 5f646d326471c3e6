"""Programs that run tests of unittest: the same outcomes with the agent and without it, whatever happens to a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scout_core.testing.upstream import programs
from scout_core.testing.upstream.comparison import Comparison, Run

PROGRAM = """
import string, sys, unittest

class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise KeyError("of the class")

    def test_never_runs(self):
        pass

class Letters(unittest.TestCase):
    def setUp(self):
        self.letter = string.Template("Dear $name")

    def test_passes(self):
        self.assertEqual("Dear Ada", self.letter.substitute(name="Ada"))

    def test_fails(self):
        self.assertEqual("Dear Ada", self.letter.substitute(name="Grace"))

    def test_raises(self):
        self.letter.substitute()

    @unittest.skip("here")
    def test_is_skipped(self):
        pass

    @unittest.expectedFailure
    def test_fails_as_expected(self):
        self.fail()

    @unittest.expectedFailure
    def test_passes_unexpectedly(self):
        pass

    def test_has_parts(self):
        for name in ("Ada", "Grace"):
            with self.subTest(name=name):
                self.assertEqual("Dear Ada", self.letter.substitute(name=name))

class Later(unittest.IsolatedAsyncioTestCase):
    async def test_runs_in_a_loop(self):
        self.assertEqual("Dear Ada", string.Template("Dear $name").substitute(name="Ada"))

class Nested(unittest.TestCase):
    def test_runs_another_test(self):
        result = unittest.TestResult()
        Letters("test_passes").run(result)
        self.assertEqual(1, result.testsRun)

if __name__ == "__main__":
    unittest.main(argv=["program", *sys.argv[1:]])
"""
LETTERS = """
from scout_core import hookimpl, span

@hookimpl
def instrument(wrap):
    wrap("string:Template.substitute", fill)

def fill(template, *args, **kwargs):
    return span("Template/Fill")
"""

FILLED = 6
"""Calls that belong to a test; an asynchronous test case takes its context before its test begins."""


@pytest.fixture
def run(tmp_path):
    """Run the program with a module and its options, and return what was written."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "letters.py").write_text(LETTERS)
    shutil.copy(programs.__file__, tmp_path / "programs_alone.py")
    own = {name: value for name, value in os.environ.items() if not name.startswith("SCOUT_")}
    own |= {"PYTHONPATH": str(tmp_path), "SCOUT_PLUGINS_AUTOLOAD": "false", "SCOUT_PLUGINS": "letters"}

    def run(module: str, *options: str) -> Run:
        file = tmp_path / "outcomes.json"
        command = [sys.executable, "-m", module, f"--scout-outcomes={file}", *options]
        done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=60)
        assert file.exists(), done.stdout + done.stderr
        assert [] == list(Path(tmp_path).glob("*.running"))
        return Run.from_file(file)

    return run


RECORDED = "scout_core.testing.upstream.recorded_programs"


def test_every_outcome_is_the_same_with_the_agent(run):
    without, recorded = run("programs_alone", "program.py"), run(RECORDED, "program.py")

    assert {
        "setUpClass (__main__.Broken)": "error",
        "__main__.Letters.test_passes": "passed, passed",
        "__main__.Letters.test_fails": "failed",
        "__main__.Letters.test_raises": "error",
        "__main__.Letters.test_is_skipped": "skipped",
        "__main__.Letters.test_fails_as_expected": "xfailed",
        "__main__.Letters.test_passes_unexpectedly": "xpassed",
        "__main__.Letters.test_has_parts": "failed in a part",
        "__main__.Later.test_runs_in_a_loop": "passed",
        "__main__.Nested.test_runs_another_test": "passed",
    } == without.tests
    assert (1, 1) == (without.status, recorded.status)
    assert [] == Comparison([without], [recorded]).problems()
    assert (9, FILLED) == (recorded.evidence.transactions, recorded.evidence.spans["Template"])


def test_outside_a_transaction_no_test_is_one(run):
    recorded = run(RECORDED, "--scout-outside", "program.py", "Letters.test_passes")

    assert {"__main__.Letters.test_passes": "passed"} == recorded.tests
    assert (0, 0) == (recorded.status, recorded.evidence.transactions)
    assert not recorded.evidence.spans
