"""An agent for code that knows nothing of it, such as a library's own test suite, and what it noticed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from scout_core import running
from scout_core.agent import Agent
from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.importing import search_path
from scout_core.boundary.plugin import OWN
from scout_core.config.config import read_config
from scout_core.hookspecs import hookimpl
from scout_core.measuring.report import PluginStatus
from scout_core.recording.transaction import Transaction
from scout_core.states import State
from scout_core.testing.leaks import Leaks

_UNLIMITED = 60.0
"""Seconds a function of a plugin may take: suites run on busy machines, and time is not the question."""

_HARMLESS = ("slow", "unfollowed-result")
"""Kinds of problems that do not matter here: a span that ends before its result is used, and time."""


@define
class Evidence:
    """Counts of what was recorded, and failures of the agent or of a plugin; can be added."""

    transactions: int = 0
    spans: Counter[str] = field(factory=Counter)
    """Kind to count, without the transactions themselves."""
    failures: list[str] = field(factory=list)
    plugins: dict[str, str] = field(factory=dict)
    """Installed plugin to its state at the end, unless it is disabled; those of the core only where they have failed."""

    def add(self, other: Evidence) -> None:
        """Add what another process, or another part of the run, has noticed."""
        self.transactions += other.transactions
        self.spans.update(other.spans)
        self.failures += (failure for failure in other.failures if failure not in self.failures)
        self.plugins.update(other.plugins)

    def as_data(self) -> dict[str, Any]:  # Any: JSON
        """Return it as plain data, for JSON and for other processes."""
        return {
            "transactions": self.transactions,
            "spans": dict(self.spans),
            "failures": list(self.failures),
            "plugins": dict(self.plugins),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Evidence:  # Any: JSON
        """Return it from plain data; what is missing is empty."""
        return cls(
            data.get("transactions", 0),
            Counter(data.get("spans", {})),
            list(data.get("failures", ())),
            dict(data.get("plugins", {})),
        )


class _Messages(logging.Handler):
    """Takes the agent's warnings and errors, none of which the suite sees."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


class _Counting:
    """Counts what counts."""

    def __init__(self) -> None:
        self.evidence = Evidence()

    @hookimpl
    def on_request_end(self, transaction: Transaction) -> None:
        self.evidence.transactions += 1
        self.evidence.spans.update(span.kind for span in transaction.spans)


class Unattended:
    """
    The agent of this process, without threads and exporters. It is started, and ``stop`` must be called.

    Args:
        names: of installed plugins to load beside those of the core; none: all that are installed.

    Raises:
        PluginError: one of these plugins cannot be used.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._leaks = Leaks()
        self._messages = _Messages()
        self._logger = logging.getLogger("scout_core")
        self._logger.addHandler(self._messages)
        self._logger.propagate = False
        self._counting = _Counting()
        settings: dict[str, Any] = {"hook_budget_seconds": _UNLIMITED, "slow_hook_seconds": _UNLIMITED}
        if names := tuple(names):
            own = [found.name for found in find_plugins(search_path()).plugins if found.distribution == OWN]
            settings |= {"plugins_autoload": False, "plugins_enable": (*own, *names), "plugins_require": names}
        self._agent = Agent(read_config(settings), may_export=lambda plugin: False)
        self._agent.plugins.add_object(self._counting, "scout-core-upstream")
        self._agent.freeze()
        self._before = running.use(self._agent)
        self._agent.start(threaded=False)

    def take(self) -> Evidence:
        """Process what has ended in this process, and return what was noticed since the last call."""
        self._agent.recorder.work()
        taken, self._counting.evidence = self._counting.evidence, Evidence()
        taken.failures, self._messages.texts = self._messages.texts, []
        return taken

    def stop(self) -> Evidence:
        """Stop the agent, and return what was noticed since ``take``, and which plugins have failed."""
        evidence = self.take()
        statuses = [status for status in self._agent.plugin_statuses() if status.distribution != OWN or status.errors]
        evidence.failures += [failure for status in statuses if (failure := _failure(status))]
        evidence.failures += self._failed_counters()
        used = [status for status in statuses if status.distribution and status.state is not State.DISABLED]
        evidence.plugins = {status.name: str(status.state) for status in used}
        self._agent.stop(0)
        running.use(self._before)
        targets = (patch.target for plugin in self._agent.plugins.all.values() for patch in plugin.patches)
        evidence.failures += [*self._leaks.found(targets), *self._messages.texts]
        self._logger.removeHandler(self._messages)
        self._logger.propagate = True
        return evidence

    def _failed_counters(self) -> list[str]:
        counters = self._agent.counters()
        found = {
            "invalid_values": counters.invalid_values,
            "logging_failures": counters.logging_failures,
            "internal error": counters.dropped.get("internal error", 0),
        }
        return [f"the counter {name!r} is {count}, expected 0" for name, count in found.items() if count]


def _failure(status: PluginStatus) -> str | None:
    """Return what is wrong with a plugin at the end; None: nothing."""
    if status.state in (State.DISABLED, State.WAITING):
        return None
    problems = [str(problem) for problem in status.problems if problem.kind not in _HARMLESS]
    problems += [f"{status.errors} errors, the last: {status.last_error}"] if status.errors else []
    if not problems:
        return None
    return f"plugin {status.name!r} {status.state.predicate}: {'; '.join(problems)}"
