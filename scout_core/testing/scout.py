"""The agent of one test, and everything that it recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from scout_core import running
from scout_core.agent import Agent
from scout_core.boundary.plugin import Plugin
from scout_core.config.config import Config, read_config
from scout_core.errors import ScoutError
from scout_core.measuring.report import Report, Trace
from scout_core.recording import context
from scout_core.testing.leaks import Leaks, LeftBehind
from scout_core.testing.recorded import RecordedSpan, RecordedTransaction, RecordingPlugin


class Scout:
    """The agent of one test. It runs no thread: reading its records makes it process what has ended."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._plugin = RecordingPlugin()
        agent.plugins.add_object(self._plugin, "scout-fixture")
        agent.freeze()

    @property
    def transactions(self) -> list[RecordedTransaction]:
        """All finished transactions that count, in order of their end."""
        self.agent.recorder.work()
        return list(self._plugin.transactions)

    @property
    def transaction(self) -> RecordedTransaction:
        """The only transaction; AssertionError unless there is exactly one."""
        transactions = self.transactions
        if len(transactions) != 1:
            raise AssertionError(
                f"expected one transaction, found {len(transactions)}: {[recorded.operation for recorded in transactions]}"
            )
        return transactions[0]

    @property
    def spans(self) -> list[RecordedSpan]:
        """All finished spans of all transactions, without the transactions themselves."""
        return [span for transaction in self.transactions for span in transaction.spans]

    @property
    def operations(self) -> list[str]:
        """Operations of everything recorded, in order of the end: spans, then their transaction."""
        return [span.operation for transaction in self.transactions for span in (*transaction.spans, transaction)]

    @property
    def ignored(self) -> list[tuple[str, str]]:
        """Operation and reason of each ignored transaction."""
        self.agent.recorder.work()
        return list(self._plugin.ignored)

    def forget(self) -> None:
        """Discard everything recorded so far."""
        self.agent.recorder.work()
        self._plugin.transactions.clear()
        self._plugin.ignored.clear()

    def report(self) -> Report:
        """End the period now, and return the report as exporters get it: aggregates and masked traces."""
        self.agent.recorder.work()
        self.agent.recorder.close_period()
        return self._plugin.reports[-1]

    def traces(self) -> list[Trace]:
        """End the period now, and return its kept traces, best first."""
        return list(self.report().traces)


@contextmanager
def recording(**settings: Any) -> Iterator[Scout]:
    """
    Run an agent for one test: installed plugins are loaded, exceptions of plugins are raised, nothing is sent.

    Exporters are used only if their plugin is named in ``plugins`` or ``plugins_enable``, or when ``plugins_disable`` is given.

    Args:
        settings: any options; ``plugins=[module]`` loads further plugins.

    Raises:
        LeftBehind: at the end, when a span is still open, a target is still wrapped, or one of our threads still runs.
        ScoutError: an agent is recording already.
    """
    if context.tracer is not None:
        raise ScoutError("an agent is recording in this process already; stop it before a test records")
    defaults: dict[str, Any] = {
        "plugins_reraise": True,
        "plugins_disable": ("collector",),
        "slow_hook_seconds": 60.0,
        "hostname": "test",
    }
    leaks = Leaks()
    config = read_config({**defaults, **settings}, environment={})
    # A test that disables plugins chooses its exporters itself.
    agent = Agent(config, None if "plugins_disable" in settings else partial(_is_about, config))
    scout = Scout(agent)
    before = running.use(agent)
    try:
        agent.start(threaded=False)
        yield scout
    finally:
        left_open = context.innermost_open(context.current.get())
        context.current.set(None)
        try:
            agent.recorder.work()  # stopping at once leaves no time for hooks, and `Scout` is one
        finally:
            try:
                agent.stop(0)
            finally:
                agent.plugins.undo()  # even if a plugin raised while the agent started or stopped
                running.use(before)
    found = leaks.found(patch.target for plugin in agent.plugins.all.values() for patch in plugin.patches)
    if left_open is not None:
        found.insert(
            0, f"the span {getattr(left_open, 'operation', 'around a hook')} is still open at the end of the test"
        )
    if found:
        raise LeftBehind("; ".join(found))


def _is_about(config: Config, plugin: Plugin) -> bool:
    """Whether a test has named a plugin: only the exporters of those are used, not of whatever is installed."""
    named = {getattr(module, "__name__", module) for module in config.get("plugins")}
    enabled = (*config.get("plugins.enable"), *config.get("plugins.require"))
    return plugin.found is None or plugin.module in named or plugin.name in enabled
