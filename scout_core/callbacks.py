"""
Functions of the application that are called with each transaction, or with each report, without writing a plugin.

Each becomes a plugin of its own, with one hook: one that raises or is slow is counted, shown and switched off as a plugin's function
is, and stops no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from inspect import iscoroutinefunction, unwrap
from itertools import count
from platform import platform
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define, field, frozen

from scout_core.classes import attribute_of
from scout_core.hookspecs import hookimpl
from scout_core.operations import CONTROLLER, JOB
from scout_core.running import add_plugin, remove_plugin

if TYPE_CHECKING:
    from scout_core.agent import Agent
    from scout_core.measuring.report import Report
    from scout_core.recording.transaction import Transaction

_SLUGS: Final = {CONTROLLER: "web", JOB: "job"}


@frozen(kw_only=True)
class TransactionPayload:
    """The facts of one transaction that has ended; nothing that is done to them changes it."""

    transaction_name: str
    """Its operation: ``Controller/shop.cart``, ``Job/mail.send``."""
    transaction_type: str
    """The operation up to its first slash: ``Controller``, ``Job``."""
    transaction_type_slug: str
    """``web``, ``job``, or ``transaction`` for any other type."""
    duration_ms: float
    queue_time_ms: float | None
    """Milliseconds that it waited before it began; None: unknown."""
    is_error: bool
    context: Mapping[str, Any]
    """Its tags, as they were set: nothing is masked, because they stay in this process."""
    hostname: str
    app_name: str


@frozen(kw_only=True)
class PeriodMetadata:
    """The process and the moment of a report."""

    app_name: str
    hostname: str
    agent_version: str
    agent_time: str
    """When the period ended, as ``2026-11-30T12:00:00+00:00``."""
    agent_pid: int
    platform: str
    """The operating system, as Python describes it: ``Linux-6.1.0-amd64-x86_64-with-glibc2.36``."""
    revision: str
    """The revision of the application; empty if it is unknown."""


TransactionCallback = Callable[[TransactionPayload], object]
PeriodicCallback = Callable[["Report", PeriodMetadata], object]
_T = TypeVar("_T", bound=TransactionCallback)
_P = TypeVar("_P", bound=PeriodicCallback)

_names: Final[list[tuple[Callable[..., object], str]]] = []
"""Each callback with the name of its plugin."""


def add_transaction_callback(callback: _T) -> _T:
    """
    Call a function with the facts of each transaction that ends and counts, also in children that are forked later.

    It is called on the agent's thread, as ``on_request_end`` is; before or after ``start()``, also as a decorator::

        @scout_core.add_transaction_callback
        def log_queue_time(payload):
            if payload.transaction_type_slug == "web":
                log.info("%s waited %s ms", payload.transaction_name, payload.queue_time_ms)

    Args:
        callback: takes a ``TransactionPayload``. What it returns is ignored.

    Returns:
        The callback.

    Raises:
        TypeError: it cannot be called, or is a coroutine function.
        ValueError: it has been added already.
    """
    return _add(callback, lambda: _OfTransactions(callback))


def add_periodic_callback(callback: _P) -> _P:
    """
    Call a function with each report, once a period, before the report is sent.

    It is called on the agent's thread, as ``on_report`` is; before or after ``start()``, also as a decorator.

    Args:
        callback: takes the ``Report`` and a ``PeriodMetadata``. What it returns is ignored.

    Returns:
        The callback.

    Raises:
        TypeError: it cannot be called, or is a coroutine function.
        ValueError: it has been added already.
    """
    return _add(callback, lambda: _OfPeriods(callback))


def remove_callback(callback: Callable[..., object]) -> None:
    """
    Call a function no more.

    Raises:
        ValueError: it has not been added.
    """
    for entry in _names:
        if entry[0] == callback:
            _names.remove(entry)
            remove_plugin(entry[1])
            return
    raise ValueError(f"{_path_of(callback)} is not a callback: it has not been added, or was removed already")


@define(eq=False)
class _OfTransactions:
    """The plugin of one callback."""

    callback: TransactionCallback
    agent: Agent = field(init=False)

    @hookimpl
    def on_start(self, agent: Agent) -> None:
        """Keep the agent, which knows its process; also where this is added later."""
        self.agent = agent

    @hookimpl
    def on_request_end(self, transaction: Transaction) -> None:
        """Give the callback the facts of the transaction."""
        waited, process = transaction.queue_time, self.agent.process
        self.callback(
            TransactionPayload(
                transaction_name=transaction.operation,
                transaction_type=transaction.kind,
                transaction_type_slug=_SLUGS.get(transaction.kind, "transaction"),
                duration_ms=transaction.duration * 1000,
                queue_time_ms=None if waited is None else waited * 1000,
                is_error=transaction.is_error,
                context=MappingProxyType(dict(transaction.tags)),
                hostname=process.hostname,
                app_name=process.app,
            )
        )


@define(eq=False)
class _OfPeriods:
    """The plugin of one callback."""

    callback: PeriodicCallback
    platform: str = field(factory=platform)

    @hookimpl
    def on_report(self, report: Report) -> None:
        """Give the callback the report."""
        process = report.process
        metadata = PeriodMetadata(
            app_name=process.app,
            hostname=process.hostname,
            agent_version=process.agent,
            agent_time=datetime.fromtimestamp(report.end, timezone.utc).isoformat(timespec="seconds"),
            agent_pid=process.pid,
            platform=self.platform,
            revision=process.revision,
        )
        self.callback(report, metadata)


_C = TypeVar("_C", bound=Callable[..., object])


def _add(callback: _C, plugin: Callable[[], object]) -> _C:
    path = _path_of(callback)
    if not callable(callback):
        raise TypeError(f"a callback is a function, not {path}")
    if iscoroutinefunction(unwrap(callback)) or iscoroutinefunction(attribute_of(type(callback), "__call__")):
        raise TypeError(f"{path} is a coroutine function; a callback is called on the agent's thread, without a loop")
    if any(added == callback for added, _ in _names):
        raise ValueError(f"{path} is a callback already")
    taken = {name for _, name in _names}
    name = next(name for number in count(1) if (name := _name(path, number)) not in taken)
    add_plugin(plugin(), name)
    _names.append((callback, name))
    return callback


def _name(path: str, number: int) -> str:
    return f"callback {path}" if number == 1 else f"callback {path} {number}"


def _path_of(callback: object) -> str:
    name = getattr(callback, "__qualname__", None)
    if not isinstance(name, str):
        return type(callback).__qualname__
    return f"{getattr(callback, '__module__', '')}.{name}"
