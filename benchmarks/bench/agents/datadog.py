"""Datadog's tracer as ``import ddtrace.auto`` sets it up, without its telemetry, remote configuration and crash reports."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

_tracer: Any = None  # Any: imported in start, after its settings are in the environment


def start(url: str, settings: dict[str, str]) -> None:
    """Set the environment, and import the tracer, which instruments what is imported later."""
    global _tracer
    own = {
        "service": "benchmark",
        "trace_agent_url": f"http://{url}",
        "trace_api_version": "v0.4",  # which the sink can decode
        "instrumentation_telemetry_enabled": "false",
        "remote_configuration_enabled": "false",
        "crashtracking_enabled": "false",
        "trace_startup_logs": "false",
    }
    os.environ.update({f"DD_{key.upper()}": value for key, value in {**own, **settings}.items()})
    import ddtrace.auto  # type: ignore[import-not-found]  # noqa: F401
    from ddtrace.trace import tracer  # type: ignore[import-not-found]

    _tracer = tracer


def attach(app: Flask, engine: Engine | None) -> None:
    """Do nothing: the libraries have been instrumented when they were imported."""


def transaction(operation: str) -> AbstractContextManager[object]:
    """Open a span; outside any other it is a root, as a transaction."""
    made: AbstractContextManager[object] = _tracer.trace(operation)
    return made


span = transaction


def flush() -> None:
    """Send the queue, and wait until it is sent."""
    _tracer.flush()
