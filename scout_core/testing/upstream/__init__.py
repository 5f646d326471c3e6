"""
A pytest plugin that runs any test suite, unchanged, with the agent on: ``pytest -p scout_core.testing.upstream``.

Each test is a transaction, from its setup to its teardown, unless ``--scout-outside`` is given. The agent runs no thread, sends
nothing, and logs nothing to the suite's handlers. Outcomes, counts and the agent's own failures are written by
``scout_core.testing.upstream.outcomes``.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from scout_core import Transaction, transaction
from scout_core.errors import ScoutError
from scout_core.operations import JOB
from scout_core.recording import context
from scout_core.testing.unattended import Evidence, Unattended
from scout_core.testing.upstream.outcomes import OUTCOMES, is_worker

pytest_plugins = ["scout_core.testing.upstream.outcomes"]
_OF_THE_FIXTURES = "scout_core"
"""The name under which ``scout_core.pytest_plugin`` is installed."""
_OF_A_REPORT = "scout_core_evidence"
"""An attribute that pytest-xdist and pytest-forked carry to the process that shows the results; nothing else reads it."""


class Recorded:
    """The hooks while the agent is on."""

    def __init__(self, agent: Unattended, *, is_outside: bool) -> None:
        self._agent = agent
        self._is_outside = is_outside
        self._total = Evidence()
        self._open: Transaction | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begin: an event loop that the setup creates has this transaction in its context."""
        __tracebackhide__ = True
        self._total.add(self._agent.take())  # before a child is forked for this test, which would count it again
        if not self._is_outside:
            self._open = transaction(f"{JOB}/test", test=item.nodeid).begin()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """End after the teardown, which pytest calls whatever has happened before."""
        __tracebackhide__ = True
        try:
            return (yield)
        finally:
            self._end()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Process what the phase has recorded, in the process that has run it."""
        report = yield
        setattr(report, _OF_A_REPORT, self._agent.take().as_data())
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a phase has recorded, in whatever process."""
        self._total.add(Evidence.from_data(getattr(report, _OF_A_REPORT, {})))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Add what a worker of pytest-xdist found at its end."""
        output = getattr(node, "workeroutput", {})
        self._total.add(Evidence.from_data(output.get(_OF_A_REPORT, {})))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Stop the agent, and hand over everything to be written."""
        try:
            return (yield)
        finally:
            self._end()  # interrupted
            at_end = self._agent.stop()
            if is_worker(session.config):
                session.config.workeroutput[_OF_A_REPORT] = at_end.as_data()  # type: ignore[attr-defined]  # of pytest-xdist
            else:
                self._total.add(at_end)
                session.config.stash[OUTCOMES].more["agent"] = self._total.as_data()

    def _end(self) -> None:
        if self._open is not None:
            self._open.end()
            self._open = None


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the option, and keep the fixtures for tests of plugins out of the suite."""
    pluginmanager.set_blocked(_OF_THE_FIXTURES)
    group = parser.getgroup("scout-core")
    group.addoption(
        "--scout-plugin",
        metavar="NAME",
        action="append",
        help="load this installed plugin and those of the core, instead of all that are installed; may be repeated",
    )
    group.addoption(
        "--scout-outside",
        action="store_true",
        help="run no test inside a transaction: for plugins of frameworks, whose requests or jobs are transactions",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start the agent before the suite's own modules are imported, as ``scout-core run`` does."""
    _begin(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the agent in a worker of pytest-xdist, where conftest files are loaded first."""
    _begin(config)


def _begin(config: pytest.Config) -> None:
    if context.tracer is not None:  # it has begun, or this is a run inside a test
        return
    given = config.known_args_namespace
    try:
        agent = Unattended(given.scout_plugin or ())
    except ScoutError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(Recorded(agent, is_outside=given.scout_outside), "scout-core-upstream")
