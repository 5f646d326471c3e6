"""The agent of one test, and what it recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scout_core import running
from scout_core.agent import Agent
from scout_core.config.config import read_config
from scout_core.errors import ScoutError
from scout_core.measuring.report import Report, Trace
from scout_core.recording import context
from scout_core.testing.leaks import Leaks, LeftBehind
from scout_core.testing.seen import Notes, SeenSpan, SeenTransaction


class Scout:
    """The agent of one test. Nothing runs by itself; reading what was recorded makes the agent do its work."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._notes = Notes()
        agent.plugins.add_object(self._notes, "scout-fixture")
        agent.freeze()

    @property
    def transactions(self) -> list[SeenTransaction]:
        """All that ended and count, in order of their end."""
        self.agent.recorder.work()
        return list(self._notes.seen)

    @property
    def transaction(self) -> SeenTransaction:
        """The only one; AssertionError when there is none, or another."""
        transactions = self.transactions
        if len(transactions) != 1:
            raise AssertionError(
                f"expected one transaction, found {len(transactions)}: {[seen.operation for seen in transactions]}"
            )
        return transactions[0]

    @property
    def spans(self) -> list[SeenSpan]:
        """All finished spans of all transactions, without the transactions themselves."""
        return [span for transaction in self.transactions for span in transaction.spans]

    @property
    def operations(self) -> list[str]:
        """Of everything recorded, in order of the end: spans, then their transaction."""
        return [span.operation for transaction in self.transactions for span in (*transaction.spans, transaction)]

    @property
    def ignored(self) -> list[tuple[str, str]]:
        """Ignored transactions: operation and reason."""
        self.agent.recorder.work()
        return list(self._notes.ignored)

    def forget(self) -> None:
        """Begin anew: what was recorded until now is not told any more."""
        self.agent.recorder.work()
        self._notes.seen.clear()
        self._notes.ignored.clear()

    def report(self) -> Report:
        """End the period now; the report as every exporter gets it: aggregates, and traces that are sanitised."""
        self.agent.recorder.work()
        self.agent.recorder.close_period()
        return self._notes.reports[-1]

    def traces(self) -> list[Trace]:
        """The kept traces of the period, which ends now, best first."""
        return list(self.report().traces)


@contextmanager
def recording(**settings: Any) -> Iterator[Scout]:
    """
    An agent for one test: installed plugins are loaded, exceptions of plugins are raised, nothing is sent.

    An exporter is there when its plugin is named in ``plugins`` or ``plugins_enable``, or when ``plugins_disable`` is given.

    Args:
        settings: any option; ``plugins=[module]`` loads further plugins.

    Raises:
        LeftBehind: an AssertionError, at the end, when a span is still open here, a target is still wrapped, or a thread of ours runs.
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
    agent = Agent(read_config({**defaults, **settings}, environment={}))
    if "plugins_disable" not in settings:  # else the test has said itself who shall not send
        _send_nothing(agent)
    scout = Scout(agent)
    before = running.use(agent)
    try:
        agent.start(threaded=False)
        yield scout
    finally:
        left_open = context.current.get()
        context.current.set(None)
        try:
            agent.stop(0)
        finally:
            agent.plugins.undo()  # also when a plugin raised while the agent started or stopped
            running.use(before)
    found = leaks.found(patch.target for plugin in agent.plugins.all.values() for patch in plugin.patches)
    if left_open is not None:
        found.insert(0, f"the span {left_open.operation} is still open at the end of the test")
    if found:
        raise LeftBehind("; ".join(found))


def _send_nothing(agent: Agent) -> None:
    """Let go of the exporters of installed plugins. Those of plugins that the test names are what it is about."""
    named = {getattr(one, "__name__", one) for one in agent.config.get("plugins")}
    enabled = (*agent.config.get("plugins.enable"), *agent.config.get("plugins.require"))
    installed = {
        plugin.module.partition(".")[0]
        for plugin in agent.plugins.all.values()
        if plugin.found is not None and plugin.module not in named and plugin.name not in enabled
        if "register_exporters" in plugin.hooks
    }
    left = [one for one in agent.exporters if type(one).__module__.partition(".")[0] not in installed]
    agent.recorder.outboxes = [
        outbox for outbox in agent.recorder.outboxes if any(outbox.exporter is one for one in left)
    ]
    agent.exporters[:] = left
