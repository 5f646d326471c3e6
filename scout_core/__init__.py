"""An application performance monitoring agent that is a framework of plugins. These are the names that plugins and applications use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scout_core.hookspecs import hookimpl
from scout_core.recording.context import current_transaction
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.recording.web import WebRequest

if TYPE_CHECKING:
    from scout_core.agent import Agent as Agent
    from scout_core.agent import start as start
    from scout_core.agent import stop as stop

span = Span
transaction = Transaction

__all__ = [
    "Agent",
    "Span",
    "Transaction",
    "WebRequest",
    "current_transaction",
    "hookimpl",
    "span",
    "start",
    "stop",
    "transaction",
]


def __getattr__(name: str) -> Any:  # Any: whatever the agent's module has under that name
    """``start``, ``stop`` and ``Agent`` load the agent when they are first used: a plugin needs only the names above."""
    if name in ("Agent", "start", "stop"):
        from scout_core import agent

        return getattr(agent, name)
    raise AttributeError(f"module 'scout_core' has no attribute {name!r}")
