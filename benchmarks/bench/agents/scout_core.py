"""scout-core with its plugins, as applications use it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import scout_core

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

span = scout_core.span
transaction = scout_core.transaction

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


def flush() -> None:
    """Do nothing: reports are sent at the end of each period."""
