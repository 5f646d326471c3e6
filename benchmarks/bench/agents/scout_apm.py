"""scout-apm, sending to the sink; no core agent is downloaded or launched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_apm.api import BackgroundTransaction, Config, install, instrument  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine
    from starlette.applications import Starlette

transaction = BackgroundTransaction
span = instrument


def start(url: str, settings: dict[str, str]) -> None:
    """Configure and install it."""
    Config.set(
        name="Benchmark",
        key="0" * 20,
        monitor=True,
        core_agent_download=False,
        core_agent_launch=False,
        core_agent_socket_path=f"tcp://{url}",
        errors_enabled=False,
        shutdown_timeout_seconds=0,
        **settings,
    )
    install()


def attach(app: Flask, engine: Engine | None) -> None:
    """Install the Flask extension and the engine's listeners; Jinja2 needs nothing."""
    from scout_apm.flask import ScoutApm  # type: ignore[import-not-found]

    ScoutApm(app)
    if engine is not None:
        from scout_apm.sqlalchemy import instrument_sqlalchemy  # type: ignore[import-not-found]

        instrument_sqlalchemy(engine)


def attach_django() -> None:
    """Add the application."""
    from django.conf import settings

    settings.INSTALLED_APPS.insert(0, "scout_apm.django")


def attach_starlette(app: Starlette) -> None:
    """Add the middleware."""
    from scout_apm.async_.starlette import ScoutMiddleware  # type: ignore[import-not-found]

    app.add_middleware(ScoutMiddleware)


def flush() -> None:
    """Do nothing: its thread sends each transaction as soon as possible."""
