"""The dashboard's options: ``[tool.scout-core.plugins.dashboard]`` or ``SCOUT_DASHBOARD_…``."""

from __future__ import annotations

from typing import Any, Final

from attrs import field, frozen
from attrs.validators import ge, gt, in_, le

LARGEST_PORT: Final = 65_535
RETENTION_DAYS: Final = 30
TRACE_RETENTION_DAYS: Final = 7
MOST_DAYS: Final = 3_650
BY_NAME: Final = "name"
BY_IP: Final = "ip"
ADDRESSES: Final = (BY_NAME, BY_IP)
OPEN_COMMAND: Final = "scout-core open"
"""Makes a login link."""


def _option(default: Any, text: str, *validators: Any) -> Any:  # Any: attrs types a field by its annotation
    return field(default=default, metadata={"help": text}, validator=list(validators))


@frozen
class Options:
    """Defaults for ``scout-core up``; its command-line options take precedence."""

    port: int = _option(0, "Port to listen on. 0: 7600, or any free port when that is in use.", ge(0), le(LARGEST_PORT))
    address: str = _option(
        "",
        "Address of the pages in login links: 'name', a host name below localhost, or 'ip' for browsers that do not find it, "
        "such as Safari. Empty: 'ip' on macOS, otherwise 'name'.",
        in_(("", *ADDRESSES)),
    )
    data_dir: str = _option("", "Directory for the data. Empty: 'data' in the state directory.")
    retention_days: int = _option(RETENTION_DAYS, "Number of days to keep metrics.", ge(1), le(MOST_DAYS))
    trace_retention_days: int = _option(TRACE_RETENTION_DAYS, "Number of days to keep traces.", ge(1), le(MOST_DAYS))
    apdex_seconds: float = _option(0.5, "Seconds up to which a response satisfies, for the Apdex.", gt(0))
    apdex_seconds_by_name: dict[str, float] = field(
        factory=dict,
        metadata={"help": "The same for some endpoints and jobs, by full name: ``Controller/shop.home:0.2``."},
    )
