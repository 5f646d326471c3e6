"""The functions that a worker needs of the agent that it measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

App = Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]  # Any: a WSGI environ
AsgiApp = Callable[..., Any]  # Any: awaitable

if TYPE_CHECKING:
    from logging import Handler

    from flask import Flask
    from sqlalchemy import Engine
    from starlette.applications import Starlette


class Agent(Protocol):
    """A module in this folder."""

    def start(self, url: str, settings: dict[str, str]) -> None:
        """
        Start to record, as the agent's documentation describes, before the application is imported.

        Args:
            url: host and port of the sink; the agent adds scheme and path.
            settings: options of the agent.
        """

    def attach(self, app: Flask, engine: Engine | None) -> None:
        """Instrument the application and its engine, where the agent needs that; the engine is None when there is no database."""

    def attach_django(self) -> None:
        """Instrument Django, whose settings are known, before it is set up; only agents that are measured with it have this."""

    def attach_starlette(self, app: Starlette) -> None:
        """Instrument a Starlette application; only agents that are measured with one have this."""

    def around(self, app: App) -> App:
        """Put the agent's middleware around a WSGI application that has no framework; only for workloads without peers."""

    def around_asgi(self, app: AsgiApp) -> AsgiApp:
        """The same for an ASGI application."""

    def attach_log(self, handler: Handler) -> None:
        """Give the records of a handler the ids of the trace; only for workloads without peers, as are the next two."""

    def record_error(self, error: Exception) -> None:
        """Record an exception that is dealt with."""

    def propagate(self, function: Callable[[], object]) -> Callable[[], object]:
        """Return a function that belongs to the open transaction, in whichever thread it runs."""

    def transaction(self, operation: str) -> AbstractContextManager[object]:
        """Start a background job."""

    def span(self, operation: str) -> AbstractContextManager[object]:
        """Start a span."""

    def flush(self) -> None:
        """Send what is waiting; may return before it has arrived."""


def agent_named(name: str) -> Agent:
    """Import the module of an agent, which imports the agent."""
    return cast(Agent, import_module(f"bench.agents.{name}"))
