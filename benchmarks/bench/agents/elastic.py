"""Elastic's agent. Similar spans are not merged, so that each query is one span."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import elasticapm  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

_options: dict[str, Any] = {}  # Any: options of several types
_client: Any = None  # Any: elasticapm.Client has no types


def start(url: str, settings: dict[str, str]) -> None:
    """
    Instrument the libraries, before the application connects to its database, and keep the options.

    The Flask extension makes the client; without Flask, the first transaction does.
    """
    elasticapm.instrument()
    _options.update(
        server_url=f"http://{url}",
        service_name="Benchmark",
        central_config=False,
        cloud_provider="none",
        span_compression_enabled=False,
        transaction_max_spans=2_000,
        **settings,
    )


def attach(app: Flask, engine: Engine | None) -> None:
    """Install the Flask extension."""
    global _client
    from elasticapm.contrib.flask import ElasticAPM  # type: ignore[import-not-found]

    _client = ElasticAPM(app, **_options).client


class Transaction:
    """A transaction by hand."""

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def __enter__(self) -> Transaction:
        global _client
        if _client is None:
            _client = elasticapm.Client(**_options)
        _client.begin_transaction("task")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _client.end_transaction(self.operation, "success")


transaction = Transaction


def span(operation: str) -> AbstractContextManager[object]:
    """Start a span."""
    made: AbstractContextManager[object] = elasticapm.capture_span(operation)
    return made


def flush() -> None:
    """Send the queue, and wait until it is sent."""
    if _client is not None:
        _client._transport.flush()
