"""How long the application waits for the agent, whatever timeout it gives: at most a day, and nothing is raised."""

from __future__ import annotations

from typing import Any

from scout_core.clocks import monotonic
from scout_core.config.config import Config
from scout_core.config.kinds import SECONDS
from scout_core.config.options import LONGEST_TIMEOUT
from scout_core.config.values import show
from scout_core.log import Log

log = Log("scout_core")

KEY = "shutdown_timeout_seconds"


def deadline_after(timeout: Any, config: Config) -> float:  # Any: whatever the application passed
    """
    Return the end of a timeout that begins now, in monotonic seconds.

    Args:
        timeout: seconds, or a duration as in the options. A negative one is 0, and one above a day is a day. None, and what
            is not a duration: ``shutdown_timeout_seconds``; the latter is logged.
    """
    seconds: float = config.get(KEY)
    if timeout is not None:
        try:
            seconds = _seconds(timeout)
        except Exception:  # noqa: BLE001  # an object of the application, which is perhaps about to end
            text = "invalid timeout %s; expected %s; using %s"
            log.warning(text, show("timeout", timeout), SECONDS.expected, KEY)
    return monotonic() + min(max(0.0, seconds), LONGEST_TIMEOUT)


def _seconds(timeout: Any) -> Any:
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    return timeout if is_number and timeout == timeout else SECONDS.read(timeout)  # NaN is refused
