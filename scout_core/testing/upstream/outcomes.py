"""
A pytest plugin that writes the outcome of each test to a file: ``pytest -p scout_core.testing.upstream.outcomes --scout-outcomes=FILE``.

It imports only pytest and the standard library, so a copy of this file also works where scout-core is not installed. It changes
nothing in the run: ``scout_core.testing.upstream`` is the plugin that runs the agent. It has no assertion for pytest to rewrite
(PYTEST_DONT_REWRITE), about which pytest would warn.
"""

from __future__ import annotations

import json
import platform
import re
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any
from warnings import WarningMessage

import pytest

_ADDRESS = re.compile(r"\b0x[0-9a-f]+\b|\d+")
"""In the text of a warning: parts that differ from run to run."""


class Outcomes:
    """The outcomes of one run of pytest, and what else is written beside them."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        self.tests: dict[str, list[str]] = {}
        """Test id to what happened to it, in order: ``["passed"]``, ``["failed", "error in teardown"]``."""
        self.warnings: Counter[str] = Counter()
        """Class and text, numbers left out."""
        self.more: dict[str, Any] = {}  # Any: JSON
        """Further keys of the file."""
        self._running: dict[str, None] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Write which tests run, for a run that never ends."""
        self._running[nodeid] = None
        if self.file is not None:
            self._running_file(self.file).write_text(", ".join(self._running), encoding="utf-8")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Forget a test, which the next one that starts overwrites in the file."""
        self._running.pop(nodeid, None)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the outcome of a phase of a test, or of a subtest."""
        happened = word_for(report)
        if happened is not None:
            self.tests.setdefault(report.nodeid, []).append(happened)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Add a file that cannot be collected, or is skipped as a whole."""
        if not report.passed:
            self.tests.setdefault(report.nodeid, []).append(f"{report.outcome} in collection")

    def pytest_warning_recorded(self, warning_message: WarningMessage) -> None:
        """Count a warning."""
        line = next(iter(str(warning_message.message).strip().splitlines()), "")
        self.warnings[f"{warning_message.category.__name__}: {_ADDRESS.sub('…', line)}"] += 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, object, object]:
        """Write the file after everyone else has finished."""
        try:
            return (yield)
        finally:
            if self.file is not None:
                self._running_file(self.file).unlink(missing_ok=True)
                self.file.write_text(json.dumps(self._content(int(exitstatus)), indent=1), encoding="utf-8")

    @staticmethod
    def _running_file(file: Path) -> Path:
        return file.with_name(f"{file.name}.running")

    def _content(self, status: int) -> dict[str, Any]:  # Any: JSON
        return {
            "python": platform.python_version(),
            "exit_status": status,
            "tests": {test: ", ".join(words) for test, words in self.tests.items()},
            "warnings": dict(sorted(self.warnings.items())),
            **self.more,
        }


OUTCOMES: pytest.StashKey[Outcomes] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("scout-core")
    group.addoption("--scout-outcomes", metavar="FILE", help="write the outcome of each test to this file, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin. A worker of pytest-xdist writes nothing: its reports arrive at the process that started it."""
    if not is_worker(config):
        name = config.getoption("scout_outcomes")
        config.stash[OUTCOMES] = Outcomes(Path(name).absolute() if name else None)
        config.pluginmanager.register(config.stash[OUTCOMES], "scout-core-outcomes")


def is_worker(config: pytest.Config) -> bool:
    """Whether this is a process that pytest-xdist has started."""
    return hasattr(config, "workerinput")


def word_for(report: pytest.TestReport) -> str | None:
    """Return what happened in a phase; None for a setup or teardown that passed, which is not worth a word."""
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed" if report.passed else report.outcome
    if report.when == "call" or report.skipped:
        return report.outcome
    return None if report.passed else f"error in {report.when}" if report.failed else report.outcome
