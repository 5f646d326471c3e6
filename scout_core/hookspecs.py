"""Every hook that a plugin can implement.

``register_*`` and ``instrument`` contribute once, ``on_*`` observe and cannot change the outcome, a verb with its
object decides. An implementation takes any of the arguments, by name, and leaves out those that it does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pluggy import HookimplMarker, HookspecMarker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

    from scout_core.agent import Agent
    from scout_core.boundary.wrap import Wrap
    from scout_core.config.config import Config
    from scout_core.measuring.report import ErrorReport, Report
    from scout_core.measuring.stats import Stats
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction
    from scout_core.sending.exporter import Exporter

PROJECT = "scout_core"

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)

_Function = TypeVar("_Function", bound="Callable[..., object]")


def when_set(*options: str) -> Callable[[_Function], _Function]:
    """
    Mark a hook's implementation, below ``@hookimpl``, as wanted only while one of these options is not at its default.

    Until then it is not called at all, so that a feature that nobody has switched on costs nothing.

    Args:
        options: keys as in ``scout-core config``.
    """

    def mark(function: _Function) -> _Function:
        function.scout_core_when_set = options  # type: ignore[attr-defined]  # read where hooks are frozen
        return function

    return mark


@hookspec
def register_options() -> type | None:
    """
    An attrs class with the plugin's own options; called once, before the configuration is read.

    Returns:
        Each attribute is one option: its default is the option's default, its type (str, bool, int, float,
        ``tuple[str, ...]``) tells how text is converted, ``metadata={"help": ...}`` says what it does.
        Read it back with ``config.plugin("<name>")``.
    """


@hookspec
def register_exporters(config: Config) -> Iterable[Exporter] | None:
    """
    Where reports go; called once at start.

    Returns:
        Objects with a ``name`` and ``export(report)``. Each gets a bounded queue and a thread of its own.
    """


@hookspec
def register_commands(cli: click.Group) -> None:
    """
    Commands for ``scout-core``; called when the command runs, outside any application.

    Args:
        cli: add with ``@cli.command()``.
    """


@hookspec
def instrument(wrap: Wrap) -> None:
    """
    What to time; called once at start. Targets are strings, so nothing is imported here.

    Args:
        wrap: ``wrap("module:Class.method", describer)``; see ``docs/writing-a-plugin.md``.
    """


@hookspec
def on_start(agent: Agent) -> None:
    """The agent has started in this process; called again in a forked child, when its first transaction ends."""


@hookspec
def on_stop(agent: Agent) -> None:
    """The agent stops in this process; the last report has been handed to the exporters."""


@hookspec
def on_request_start(transaction: Transaction, config: Config) -> None:
    """A transaction began. On the application's thread: tag it, or ``transaction.ignore(reason)``; nothing slow."""


@hookspec
def on_span(span: Span) -> None:
    """A span ended. On the application's thread, for every recorded span except the transaction itself."""


@hookspec
def on_error(transaction: Transaction, error: ErrorReport) -> None:
    """An exception left a transaction. On the agent's thread, before the transaction is counted."""


@hookspec
def on_request_end(transaction: Transaction) -> None:
    """A transaction that counts has ended: not an ignored and not a sampled one. On the agent's thread."""


@hookspec
def on_ignore(transaction: Transaction, reason: str) -> None:
    """A transaction was ignored and is in no figure. On the agent's thread."""


@hookspec
def on_keep(transaction: Transaction, score: float) -> None:
    """
    The trace of this transaction is kept: it won a place among the best of its period. On the agent's thread.

    Called when the period is over, once for each trace in its report, so a trace that was beaten later is not announced.
    """


@hookspec
def on_report(report: Report) -> None:
    """A period is over and its report complete. On the agent's thread, before any exporter has it."""


@hookspec
def ignore_transaction(transaction: Transaction, config: Config) -> bool | None:
    """
    Whether to leave a transaction out of every figure. On the agent's thread, once its name is final.

    Returns:
        True drops it, and one True suffices; anything else leaves it.
    """


@hookspec
def score_transaction(transaction: Transaction, stats: Stats, config: Config) -> float | None:
    """
    How much the trace of this transaction is worth. On the agent's thread.

    Args:
        stats: what the agent knows of all transactions of this name.

    Returns:
        Points, usually 0 to 5, summed over all policies after their weights. None is 0. Anything that is not a finite
        number is an error of the policy and counts 0.
    """
