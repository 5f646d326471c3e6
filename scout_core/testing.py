"""For tests of plugins and applications: what was recorded, as plain data that compares.

Installed with the core; ``scout_core.pytest_plugin`` makes it the fixture ``scout``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import field, frozen

from scout_core import agent as agents
from scout_core.agent import Agent
from scout_core.config.config import read_config
from scout_core.errors import ScoutError
from scout_core.hookspecs import hookimpl
from scout_core.measuring.report import Report, Trace
from scout_core.recording import context
from scout_core.recording.transaction import Transaction
from scout_core.sending.traces import class_path


@frozen
class SeenSpan:
    """One finished span. Tags are as they were recorded, before anything is masked."""

    operation: str
    tags: dict[str, Any] = field(factory=dict)
    parent: str | None = None
    """Operation of its parent; None for the transaction itself."""
    error: str | None = None
    """Class of the exception that left it."""
    duration: float = field(default=0.0, eq=False)


@frozen
class SeenTransaction(SeenSpan):
    """One finished transaction."""

    spans: tuple[SeenSpan, ...] = ()
    """In order of their end."""
    is_error: bool = False
    queue_time: float | None = field(default=None, eq=False)
    message: str | None = None
    """Of the exception that left it, masked."""


class _Notes:
    """The plugin that notes what happens."""

    def __init__(self) -> None:
        self.seen: list[SeenTransaction] = []
        self.ignored: list[tuple[str, str]] = []
        self.reports: list[Report] = []

    @hookimpl
    def on_request_end(self, transaction: Transaction) -> None:
        """Note a transaction."""
        spans = tuple(
            SeenSpan(
                operation=span.operation,
                tags=dict(span.tags),
                parent=None if span.parent is None else span.parent.operation,
                error=None if span.error is None else class_path(span.error),
                duration=span.duration,
            )
            for span in transaction.spans
        )
        self.seen.append(
            SeenTransaction(
                operation=transaction.operation,
                tags=dict(transaction.tags),
                error=None if transaction.error is None else class_path(transaction.error),
                duration=transaction.duration,
                spans=spans,
                is_error=transaction.is_error,
                queue_time=transaction.queue_time,
                message=None if transaction.raised is None else transaction.raised.message,
            )
        )

    @hookimpl
    def on_ignore(self, transaction: Transaction, reason: str) -> None:
        """Note an ignored one."""
        self.ignored.append((transaction.operation, reason))

    @hookimpl
    def on_report(self, report: Report) -> None:
        """Note a report."""
        self.reports.append(report)


class Scout:
    """The agent of one test. Nothing runs by itself; reading what was recorded makes the agent do its work."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._notes = _Notes()
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

    Args:
        settings: any option; ``plugins=[module]`` loads further plugins.

    Raises:
        AssertionError: at the end, when a span is still open here.
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
    agent = Agent(read_config({**defaults, **settings}, environment={}))
    scout = Scout(agent)
    before = agents.use(agent)
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
            agents.use(before)
    if left_open is not None:
        raise AssertionError(f"the span {left_open.operation} is still open at the end of the test")
