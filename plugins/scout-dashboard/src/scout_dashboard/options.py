"""The dashboard's options: ``[tool.scout-core.plugins.dashboard]`` or ``SCOUT_DASHBOARD_…``."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen


def _option(default: Any, text: str) -> Any:  # Any: attrs types a field by its annotation
    return field(default=default, metadata={"help": text})


@frozen
class Options:
    """Defaults for ``scout-core up``; its command-line options take precedence."""

    port: int = _option(0, "Port to listen on. 0: 7600, or any free port when that is in use.")
    data_dir: str = _option("", "Directory for the data. Empty: 'data' in the state directory.")
    retention_days: int = _option(30, "Number of days to keep metrics.")
    trace_retention_days: int = _option(7, "Number of days to keep traces.")
