"""scout-core with its plugins, as applications use it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import scout_core

if TYPE_CHECKING:
    from logging import Handler

    from flask import Flask
    from sqlalchemy import Engine
    from starlette.applications import Starlette

    from bench.agents.protocol import App, AsgiApp

span = scout_core.span
transaction = scout_core.transaction
propagate = scout_core.propagate

PERIOD = "1"
"""Seconds between reports. Shorter than in any application, so that a round need not wait for a minute; this adds to the cost."""


def start(url: str, settings: dict[str, str]) -> None:
    """
    Start the agent with the sink as its collector.

    Settings are environment variables, because the Flask extension reads them too.
    """
    own = {"name": "Benchmark", "collector_url": f"http://{url}", "collector_token": "none", "report_period": PERIOD}
    os.environ.update({f"SCOUT_{key.upper()}": value for key, value in {**own, **settings}.items()})
    scout_core.start()


def attach(app: Flask, engine: Engine | None) -> None:
    """Install the Flask extension; SQLAlchemy and Jinja2 need nothing."""
    from scout_flask import ScoutApm

    ScoutApm(app)


def attach_django() -> None:
    """Nothing to attach: the plugin wraps it."""


def attach_starlette(app: Starlette) -> None:
    """Nothing to attach: the plugin has wrapped it."""


def around(app: App) -> App:
    """Put the middleware of the core around an application."""
    from scout_core.instruments.wsgi import WsgiMiddleware

    return WsgiMiddleware(app, name="Controller/constant")


def around_asgi(app: AsgiApp) -> AsgiApp:
    """The same for ASGI."""
    from scout_core.instruments.asgi import AsgiMiddleware

    return AsgiMiddleware(app, name="Controller/constant")


def attach_log(handler: Handler) -> None:
    """Add the filter of the core."""
    from scout_core.log_records import TraceFilter

    handler.addFilter(TraceFilter())


def record_error(error: Exception) -> None:
    """Record it in the current transaction."""
    current = scout_core.current_transaction()
    if current is not None:
        current.record_error(error)


def flush() -> None:
    """Do nothing: reports are sent at the end of each period."""
