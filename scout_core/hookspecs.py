"""Every hook that a plugin can implement.

``register_*`` and ``instrument`` contribute once, ``on_*`` observe and cannot change the outcome, a verb with its
object decides. An implementation takes any of the arguments, by name, and leaves out those that it does not need.

``options`` are the plugin's own, an object of the class that its ``register_options`` returned; None when it returned none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar  # Any: each plugin has its own class of options

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


WHEN_CHANGED = f"{PROJECT}_when_changed"
WHEN = f"{PROJECT}_when"
FAILED, ERRORS = "failed", "errors"


def when_changed(*options: str) -> Callable[[_Function], _Function]:
    """
    Call an implementation only while one of these options differs from its default; goes below ``@hookimpl``.

    A feature that nobody has switched on then costs nothing.

    Args:
        options: keys as in ``scout-core config``.
    """

    def mark(function: _Function) -> _Function:
        setattr(function, WHEN_CHANGED, options)
        return function

    return mark


def when_failed(function: _Function) -> _Function:
    """
    Call an implementation of ``score_transaction`` or ``trace_group`` only for transactions that failed; goes below ``@hookimpl``.

    All others, which are most, then cost nothing. One has failed if its ``is_error`` is true.
    """
    setattr(function, WHEN, FAILED)
    return function


def when_errors(function: _Function) -> _Function:
    """
    The same for transactions that failed, and those in which an error was recorded that something handled.

    In all others ``is_error`` is false and ``error_count`` is 0.
    """
    setattr(function, WHEN, ERRORS)
    return function


@hookspec
def register_options() -> type | None:
    """
    The plugin's own options; called once, before the configuration is read.

    Returns:
        An attrs class. Each attribute is one option: its default is the option's default, its type determines how text is
        converted, validators of attrs limit it, ``metadata={"help": ...}`` describes it. Every other hook can take
        ``options``, an object of the class.
    """


@hookspec
def register_exporters(config: Config, options: Any) -> Iterable[Exporter] | None:
    """
    Return the exporters that send reports; called once at start.

    Returns:
        Objects with a ``name`` and ``export(report)``. Each gets a bounded queue and a thread of its own.
    """


@hookspec
def register_commands(cli: click.Group, options: Any) -> None:
    """
    Commands for ``scout-core``; called when the command runs, outside any application.

    Args:
        cli: add with ``@cli.command()``.
    """


@hookspec
def instrument(wrap: Wrap, config: Config, options: Any) -> None:
    """
    The targets to time; called once at start. Targets are strings, so nothing is imported here.

    Args:
        wrap: ``wrap("module:Class.method", describer)``; see ``docs/writing-a-plugin.md``. Describers get the arguments of
            the call and nothing else: bind options with ``functools.partial``.
        config: the configuration in effect.
    """


@hookspec
def on_start(agent: Agent, options: Any) -> None:
    """The agent has started in this process; called again in a forked child, when its first transaction ends."""


@hookspec
def on_stop(agent: Agent, options: Any) -> None:
    """The agent stops in this process; the last report has been handed to the exporters."""


@hookspec
def on_request_start(transaction: Transaction, config: Config, options: Any) -> None:
    """
    A transaction began, a web request or a job: see ``transaction.is_web``.

    On the application's thread: tag it, or ``transaction.ignore(reason)``; nothing slow.
    """


@hookspec
def on_span(span: Span, options: Any) -> None:
    """A span ended. On the application's thread, for every recorded span except the transaction itself."""


@hookspec
def on_error(transaction: Transaction, error: ErrorReport, options: Any) -> None:
    """
    An exception left a transaction, or was recorded in it. On the agent's thread, before the transaction is counted.

    Called once for each recorded error; first for those that made the transaction fail.
    """


@hookspec
def on_request_end(transaction: Transaction, options: Any) -> None:
    """A web request or a job that counts has ended: it is neither ignored nor left out of the sample. On the agent's thread."""


@hookspec
def on_ignore(transaction: Transaction, reason: str, options: Any) -> None:
    """A transaction was ignored and is in no figure. On the agent's thread."""


@hookspec
def on_keep(transaction: Transaction, score: float, options: Any) -> None:
    """
    The trace of this transaction is kept: it won a place among the best of its period. On the agent's thread.

    Called when the period is over, once for each trace in its report; a trace that lost its place is not announced.
    """


@hookspec
def on_report(report: Report, options: Any) -> None:
    """A period is over and its report complete. On the agent's thread, before any exporter has it."""


@hookspec
def measure_process(options: Any) -> dict[str, float] | None:
    """
    Gauges of this process, for the report of the period that is over. On the agent's thread, before ``on_report``.

    Returns:
        Names to finite numbers, at most 50; names end in their unit, as in ``rss_bytes``. A total since the process started is
        a gauge, too. None: nothing to report this time.
    """


@hookspec
def ignore_transaction(transaction: Transaction, config: Config, options: Any) -> bool | str | None:
    """
    Whether to leave a transaction out of every figure. On the agent's thread, once its name is final.

    Returns:
        True ignores it, and so does a text, which is the reason; ``sampled`` counts it as not sampled. The first that ignores it
        decides, and later plugins are not asked. Anything else leaves the decision to other plugins.
    """


@hookspec
def trace_group(transaction: Transaction, stats: Stats, config: Config, options: Any) -> str | None:
    """
    The group in which the trace of this transaction competes for a place. On the agent's thread, before it is scored.

    Only the best trace of each group is kept in a period. Groups of two plugins are different, even if their texts are equal.

    Args:
        stats: as for ``score_transaction``, except that ``seconds_since_kept`` is that of the group by name.

    Returns:
        A text of 1 to 500 characters, which is shown with the trace. The first plugin that returns one decides, and later plugins
        are not asked. None leaves the decision to them; if all return None, the group is the transaction's name. Anything else is an
        error of the plugin and counts as None.
    """


@hookspec
def score_transaction(transaction: Transaction, stats: Stats, config: Config, options: Any) -> float | None:
    """
    How much the trace of this transaction is worth. On the agent's thread.

    Args:
        stats: what the agent knows of all transactions of this name, and when a trace of this group was last kept.

    Returns:
        Points, usually 0 to 5: any real, finite number, also of numpy, ``Decimal`` or ``Fraction``. They are multiplied by the
        policy's weight and summed over all policies. None counts 0. Anything else, also a bool, is an error of the policy and
        counts 0.
    """
