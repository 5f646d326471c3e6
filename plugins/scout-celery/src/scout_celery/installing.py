"""``install(app)``: start the agent with the settings of a Celery application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scout_core

if TYPE_CHECKING:
    from celery import Celery  # type: ignore[import-untyped]


def install(app: Celery | None = None) -> None:
    """
    Start the agent with the settings ``scout_*`` of an application, as soon as Celery has loaded them.

    Celery loads settings when a worker starts, or a task is published for the first time. Nothing is loaded earlier for this, because
    the settings may be in a module that imports this one. If an agent is already running, as under ``scout-core run``, the settings
    are added to it.

    Args:
        app: None: start the agent at once.
    """
    if app is None:
        scout_core.start()
    elif app.configured:
        configured(app, app.conf)
    else:
        app.on_after_configure.connect(configured)


def configured(sender: Celery, source: Any, **named: object) -> None:
    """Start the agent. A receiver of Celery's signal."""
    names = [name for name in source if isinstance(name, str) and name.lower().startswith("scout_")]
    scout_core.start_from_settings("Celery", {name.upper(): source[name] for name in names})
