"""OpenTelemetry's SDK with the batch processor and OTLP over HTTP, set up as its documentation describes."""

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
    from starlette.applications import Starlette

_provider = TracerProvider(resource=Resource.create({"service.name": "Benchmark"}))
_tracer = trace.get_tracer("benchmark", tracer_provider=_provider)


def start(url: str, settings: dict[str, str]) -> None:
    """Set the tracer provider, and instrument Jinja2."""
    from opentelemetry.instrumentation.jinja2 import Jinja2Instrumentor  # type: ignore[import-not-found]

    # The queue holds a whole chunk, so that nothing is dropped before the flush.
    exporter = OTLPSpanExporter(endpoint=f"http://{url}/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000, **settings))
    trace.set_tracer_provider(_provider)
    Jinja2Instrumentor().instrument(raise_exception_on_conflict=True)


def attach(app: Flask, engine: Engine | None) -> None:
    """Instrument the application and the engine."""
    from opentelemetry.instrumentation.flask import FlaskInstrumentor  # type: ignore[import-not-found]

    FlaskInstrumentor.instrument_app(app)
    if engine is not None:
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # type: ignore[import-not-found]

        SQLAlchemyInstrumentor().instrument(engine=engine, raise_exception_on_conflict=True)


def attach_django() -> None:
    """Instrument Django, and the driver, because that makes the spans of its queries."""
    from opentelemetry.instrumentation.django import DjangoInstrumentor  # type: ignore[import-not-found]
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor  # type: ignore[import-not-found]

    DjangoInstrumentor().instrument(raise_exception_on_conflict=True)
    SQLite3Instrumentor().instrument(raise_exception_on_conflict=True)


def attach_starlette(app: Starlette) -> None:
    """Instrument the application."""
    from opentelemetry.instrumentation.starlette import StarletteInstrumentor  # type: ignore[import-not-found]

    StarletteInstrumentor.instrument_app(app)


def transaction(operation: str) -> AbstractContextManager[object]:
    """Open a span; outside any other it is a root, as a transaction."""
    span: AbstractContextManager[object] = _tracer.start_as_current_span(operation)
    return span


span = transaction


def flush() -> None:
    """Send the queue, and wait until it is sent."""
    _provider.force_flush()
