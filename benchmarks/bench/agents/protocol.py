"""The functions that a worker needs of the agent that it measures."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine


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

    def transaction(self, operation: str) -> AbstractContextManager[object]:
        """Start a background job."""

    def span(self, operation: str) -> AbstractContextManager[object]:
        """Start a span."""

    def flush(self) -> None:
        """Send what is waiting; may return before it has arrived."""


def agent_named(name: str) -> Agent:
    """Import the module of an agent, which imports the agent."""
    return cast(Agent, import_module(f"bench.agents.{name}"))
