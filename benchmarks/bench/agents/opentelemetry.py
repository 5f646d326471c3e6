"""OpenTelemetry's SDK with its batch processor and OTLP over HTTP, as its documentation sets it up."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from opentelemetry import trace  # type: ignore[import-not-found]
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # type: ignore[import-not-found]
from opentelemetry.sdk.resources import Resource  # type: ignore[import-not-found]
from opentelemetry.sdk.trace import TracerProvider  # type: ignore[import-not-found]
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

_provider = TracerProvider(resource=Resource.create({"service.name": "Benchmark"}))
_tracer = trace.get_tracer("benchmark", tracer_provider=_provider)


def start(url: str, settings: dict[str, str]) -> None:
    """Set the provider, and instrument Jinja2."""
    from opentelemetry.instrumentation.jinja2 import Jinja2Instrumentor  # type: ignore[import-not-found]

    # The queue holds a whole chunk, so that nothing is dropped before the flush.
    exporter = OTLPSpanExporter(endpoint=f"http://{url}/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000, **settings))
    trace.set_tracer_provider(_provider)
    Jinja2Instrumentor().instrument(raise_exception_on_conflict=True)


def attach(app: Flask, engine: Engine) -> None:
    """Its instrumentors for one application and one engine."""
    from opentelemetry.instrumentation.flask import FlaskInstrumentor  # type: ignore[import-not-found]
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # type: ignore[import-not-found]

    FlaskInstrumentor.instrument_app(app)
    SQLAlchemyInstrumentor().instrument(engine=engine, raise_exception_on_conflict=True)


def transaction(operation: str) -> AbstractContextManager[object]:
    """A span: what the first one is, a root, is up to where it is opened."""
    opened: AbstractContextManager[object] = _tracer.start_as_current_span(operation)
    return opened


span = transaction


def flush() -> None:
    """Send what the queue holds, and wait for it."""
    _provider.force_flush()
