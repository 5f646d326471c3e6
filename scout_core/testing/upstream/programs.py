"""
Run a program whose tests are those of ``unittest``, unchanged, and write the outcome of each test to a file:
``python -m scout_core.testing.upstream.programs --scout-outcomes=FILE tests/runtests.py --verbosity=1``.

It imports only the standard library, so a copy of this file also works where scout-core is not installed. The file is that of
``scout_core.testing.upstream.outcomes``, without warnings: ``scout_core.testing.upstream.recorded_programs`` is the same with the agent on.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from unittest import TestCase, TestResult

WORDS: Final = {
    "addSuccess": "passed",
    "addFailure": "failed",
    "addError": "error",
    "addSkip": "skipped",
    "addExpectedFailure": "xfailed",
    "addUnexpectedSuccess": "xpassed",
}
"""Method of a ``TestResult`` to what happened to the test."""


class ProgramOutcomes:
    """The outcomes of the tests of this process, whatever collects and runs them, if its results derive from ``TestResult``."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.tests: dict[str, list[str]] = {}
        """Test id to what happened to it, in order."""
        self.more: dict[str, Any] = {}  # Any: JSON
        """Further keys of the file."""
        self._running: list[str] = []

    def observe(self) -> None:
        """Let the base class of all results note what it is given."""
        for method, word in WORDS.items():
            self._precede(method, functools.partial(self._note, word))
        self._precede("addSubTest", self._note_part)
        self._precede("startTest", self._start)
        self._precede("stopTest", self._stop)

    def begin(self, test: str) -> None:
        """Do something before the set-up of a test."""

    def end(self, test: str) -> None:
        """Do something after the tear-down of a test."""

    def finish(self) -> None:
        """Do something after all tests."""

    def run(self, program: str, arguments: Sequence[str]) -> None:
        """Run the program as ``python`` does, and write the file. Whatever it raises passes, ``SystemExit`` too."""
        sys.argv[:] = [program, *arguments]
        sys.path[0] = str(Path(program).resolve().parent)
        status: object = 1
        try:
            runpy.run_path(program, run_name="__main__")
            status = 0
        except SystemExit as exit:
            status = exit.code or 0
            raise
        finally:
            self.finish()
            self._write(status if isinstance(status, int) else 1)

    def _precede(self, method: str, note: Callable[..., None]) -> None:
        original = getattr(TestResult, method)

        @functools.wraps(original)
        def noting(result: TestResult, *args: Any, **kwargs: Any) -> Any:  # Any: of whatever method
            note(*args, **kwargs)
            return original(result, *args, **kwargs)

        setattr(TestResult, method, noting)

    def _note(self, word: str, test: TestCase, *details: object) -> None:
        self.tests.setdefault(test.id(), []).append(word)

    def _note_part(self, test: TestCase, part: TestCase, error: object) -> None:
        if error is not None:
            self.tests.setdefault(test.id(), []).append("failed in a part")

    def _start(self, test: TestCase) -> None:
        self._running.append(test.id())
        self._running_file.write_text(", ".join(self._running), encoding="utf-8")
        self.begin(test.id())

    def _stop(self, test: TestCase) -> None:
        self.end(test.id())
        self._running.remove(test.id())

    @property
    def _running_file(self) -> Path:
        return self.file.with_name(f"{self.file.name}.running")

    def _write(self, status: int) -> None:
        self._running_file.unlink(missing_ok=True)
        content = {
            "python": platform.python_version(),
            "exit_status": status,
            "tests": {test: ", ".join(words) for test, words in self.tests.items()},
            "warnings": {},
            **self.more,
        }
        self.file.write_text(json.dumps(content, indent=1), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """Return the options, the program, and its arguments."""
    found = argparse.ArgumentParser(description="Run a program whose tests are those of unittest.")
    found.add_argument(
        "--scout-outcomes",
        metavar="FILE",
        required=True,
        type=Path,
        help="write the outcome of each test to this file, as JSON",
    )
    found.add_argument("program", help="path of the program")
    found.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    return found


def main() -> None:
    """Run the program without the agent."""
    given = parser().parse_args()
    outcomes = ProgramOutcomes(given.scout_outcomes.absolute())
    outcomes.observe()
    outcomes.run(given.program, given.arguments)


if __name__ == "__main__":
    main()
