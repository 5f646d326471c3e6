"""New Relic's agent in its developer mode, which does everything but send: it accepts no other address without TLS."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

_application: Any = None  # Any: the agent is imported in start, after its settings are in the environment
_CLOUDS = ("aws", "azure", "azurefunctions", "gcp", "pcf", "docker", "kubernetes", "ecs", "heroku")


def start(url: str, settings: dict[str, str]) -> None:
    """Set the environment, initialise the agent, and wait until the application is registered."""
    global _application
    own = {
        "license_key": "0" * 40,
        "app_name": "Benchmark",
        "developer_mode": "true",
        "log": os.devnull,
        **{f"utilization_detect_{cloud}": "false" for cloud in _CLOUDS},
    }
    os.environ.update({f"NEW_RELIC_{key.upper()}": value for key, value in {**own, **settings}.items()})
    import newrelic.agent  # type: ignore[import-not-found]

    newrelic.agent.initialize()
    _application = newrelic.agent.register_application(timeout=10)


def attach(app: Flask, engine: Engine | None) -> None:
    """Do nothing: the libraries have been instrumented when they were imported."""


def transaction(operation: str) -> AbstractContextManager[object]:
    """Start a background job."""
    from newrelic.agent import BackgroundTask  # type: ignore[import-not-found]

    made: AbstractContextManager[object] = BackgroundTask(_application, operation)
    return made


def span(operation: str) -> AbstractContextManager[object]:
    """Start a span."""
    from newrelic.agent import FunctionTrace  # type: ignore[import-not-found]

    made: AbstractContextManager[object] = FunctionTrace(operation)
    return made


def flush() -> None:
    """Do nothing: there is nothing to send to."""
