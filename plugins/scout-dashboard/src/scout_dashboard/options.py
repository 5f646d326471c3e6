"""The dashboard's own options: ``[tool.scout-core.plugins.dashboard]`` or ``SCOUT_DASHBOARD_…``."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen


def _option(default: Any, text: str) -> Any:  # Any: attrs types a field by its annotation
    return field(default=default, metadata={"help": text})


@frozen
class Options:
    """Read by ``scout-core up``, whose own options win."""

    port: int = _option(0, "Where to listen. 0: 7600, or any free port when that is taken.")
    data_dir: str = _option("", "Where data is kept. Empty: 'data' in the state directory.")
    retention_days: int = _option(30, "For how many days figures are kept.")
    trace_retention_days: int = _option(7, "For how many days traces are kept.")
