"""
An application performance monitoring agent that is a framework of plugins.

These are the names that applications and plugins use. What a plugin needs at its top level is loaded at once; everything else
when it is first used, so that importing a plugin stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scout_core.fork_lock import importing
from scout_core.hookspecs import hookimpl, when_changed, when_errors, when_failed
from scout_core.recording.context import current_transaction
from scout_core.recording.errors.recorded import record_error
from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.span import Span
from scout_core.recording.trace.headers import trace_headers
from scout_core.recording.transaction import Transaction
from scout_core.recording.web import WebRequest

if TYPE_CHECKING:
    from scout_core.agent import Agent
    from scout_core.boundary.wrap import Wrap
    from scout_core.callbacks import add_periodic_callback, add_transaction_callback, remove_callback
    from scout_core.config.config import Config
    from scout_core.errors import NoReceiver, RejectedReport, ScoutError
    from scout_core.measuring.report import ErrorReport, Report, Trace
    from scout_core.measuring.stats import Stats
    from scout_core.recording.propagation import propagate
    from scout_core.running import flush, start, start_from_settings, stop
    from scout_core.sending.exporter import Exporter

span = Span
outermost_span = OutermostSpan
transaction = Transaction

_LOADED_WHEN_USED = {
    "Agent": "agent",
    "Config": "config.config",
    "ErrorReport": "measuring.report",
    "Exporter": "sending.exporter",
    "NoReceiver": "errors",
    "RejectedReport": "errors",
    "Report": "measuring.report",
    "ScoutError": "errors",
    "Stats": "measuring.stats",
    "Trace": "measuring.report",
    "Wrap": "boundary.wrap",
    "add_periodic_callback": "callbacks",
    "add_transaction_callback": "callbacks",
    "flush": "running",
    "propagate": "recording.propagation",
    "remove_callback": "callbacks",
    "start": "running",
    "start_from_settings": "running",
    "stop": "running",
}

__all__ = [
    "Agent",
    "Config",
    "ErrorReport",
    "Exporter",
    "NoReceiver",
    "OutermostSpan",
    "RejectedReport",
    "Report",
    "ScoutError",
    "Span",
    "Stats",
    "Trace",
    "Transaction",
    "WebRequest",
    "Wrap",
    "add_periodic_callback",
    "add_transaction_callback",
    "current_transaction",
    "flush",
    "hookimpl",
    "outermost_span",
    "propagate",
    "record_error",
    "remove_callback",
    "span",
    "start",
    "start_from_settings",
    "stop",
    "trace_headers",
    "transaction",
    "when_changed",
    "when_errors",
    "when_failed",
]


def __getattr__(name: str) -> Any:  # Any: whatever stands under that name
    if name in _LOADED_WHEN_USED:
        from importlib import import_module

        import_module(
            "logging"
        )  # before: a fork that waits for us would release the lock that this adds, and has not acquired it
        with importing:
            module = import_module(f"{__name__}.{_LOADED_WHEN_USED[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
