"""What a worker asks of the agent that it measures."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine


class Agent(Protocol):
    """A module of this folder."""

    def start(self, url: str, settings: dict[str, str]) -> None:
        """
        Begin to record, before the application is imported, as its documentation tells a user to.

        Args:
            url: of the sink; the path and the scheme are the agent's.
            settings: of the variant, in the agent's own words.
        """

    def attach(self, app: Flask, engine: Engine) -> None:
        """Do what the agent asks its users to do with their application and engine."""

    def transaction(self, operation: str) -> AbstractContextManager[object]:
        """A background job, begun by hand."""

    def span(self, operation: str) -> AbstractContextManager[object]:
        """A span, begun by hand."""

    def flush(self) -> None:
        """Start to send what is left; returns at once or when it is sent."""


def agent_named(name: str) -> Agent:
    """The agent's module, which imports the agent."""
    return cast(Agent, import_module(f"bench.agents.{name}"))
