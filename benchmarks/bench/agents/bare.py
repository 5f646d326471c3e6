"""No agent, for comparison. A span by hand is a context manager that does nothing."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Handler

    from flask import Flask
    from sqlalchemy import Engine
    from starlette.applications import Starlette

    from bench.agents.protocol import App, AsgiApp


class EmptyContext:
    """The smallest possible context manager."""

    __slots__ = ("operation",)

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def __enter__(self) -> EmptyContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


transaction = EmptyContext
span = EmptyContext


def start(url: str, settings: dict[str, str]) -> None:
    """Nothing to start."""


def attach(app: Flask, engine: Engine | None) -> None:
    """Nothing to attach."""


def attach_django() -> None:
    """Nothing to attach."""


def attach_starlette(app: Starlette) -> None:
    """Nothing to attach."""


def around(app: App) -> App:
    """Return the application itself."""
    return app


def around_asgi(app: AsgiApp) -> AsgiApp:
    """Return the application itself."""
    return app


def attach_log(handler: Handler) -> None:
    """Nothing to attach."""


def record_error(error: Exception) -> None:
    """Nothing to record."""


def propagate(function: Callable[[], object]) -> Callable[[], object]:
    """Return the function itself."""
    return function


def flush() -> None:
    """Nothing to send."""
