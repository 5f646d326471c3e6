"""Sentry's SDK with all transactions sampled; its integrations for Flask and SQLAlchemy are active where these are installed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import sentry_sdk  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine


def start(url: str, settings: dict[str, str]) -> None:
    """Initialise it. The queue holds a whole chunk, and a transaction all spans of a workload, so that nothing is dropped."""
    sentry_sdk.init(
        dsn=f"http://key@{url}/1",
        traces_sample_rate=1.0,
        transport_queue_size=100_000,
        _experiments={"max_spans": 2_000},
        **settings,
    )


def attach(app: Flask, engine: Engine | None) -> None:
    """Do nothing: its integrations have wrapped what they need."""


def transaction(operation: str) -> AbstractContextManager[object]:
    """Start a transaction."""
    made: AbstractContextManager[object] = sentry_sdk.start_transaction(name=operation, op="task")
    return made


def span(operation: str) -> AbstractContextManager[object]:
    """Start a span."""
    made: AbstractContextManager[object] = sentry_sdk.start_span(op=operation)
    return made


def flush() -> None:
    """Wait until the queue is sent."""
    sentry_sdk.flush(timeout=30)
