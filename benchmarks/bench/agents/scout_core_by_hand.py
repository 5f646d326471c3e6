"""scout-core without threads and without a collector: ``flush`` does the work of the agent's thread."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import scout_core
from bench.agents.scout_core import (
    around,
    around_asgi,
    attach,
    attach_django,
    attach_starlette,
    span,
    transaction,
)  # fmt: skip

if TYPE_CHECKING:
    from scout_core import Agent

__all__ = [
    "around",
    "around_asgi",
    "attach",
    "attach_django",
    "attach_starlette",
    "flush",
    "running_agent",
    "span",
    "start",
    "transaction",
]

_agent: Agent | None = None


def start(url: str, settings: dict[str, str]) -> None:
    """Start the agent and keep it from starting its threads at the first transaction."""
    global _agent
    own = {"name": "Benchmark", "plugins_disable": "collector"}
    os.environ.update({f"SCOUT_{key.upper()}": value for key, value in {**own, **settings}.items()})
    _agent = scout_core.start()
    running_agent().tracer.await_none()


def running_agent() -> Agent:
    """
    Return the agent.

    Raises:
        RuntimeError: it did not start.
    """
    if _agent is None:
        raise RuntimeError("scout-core is not running: is 'monitor' false?")
    return _agent


def flush() -> None:
    """Decide on every finished transaction, and close the period."""
    agent = running_agent()
    agent.recorder.work()
    if agent.ledger.has_any:
        agent.recorder.close_period()
