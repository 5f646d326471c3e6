"""
Log messages, whatever the application's logging does.

Filters, handlers and even the class of loggers are code of the application. A filter may read the request that there is not, a
handler's database may be down: what they raise stays here. ``tests/test_house.py`` holds that no other module uses ``logging``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Hashable
from contextlib import suppress
from contextvars import ContextVar
from typing import Final

from scout_core.signals import is_from_outside
from scout_core.text.plain import text_of, visible
from scout_core.threads import is_own_thread

MOST_CAUSES: Final = 50
"""Causes for which one ``LogOnce`` logs a message."""
LONGEST: Final = 4000
"""Characters of a message, without the traceback."""


class LoggingFailures:
    """The messages of this process that the application's logging did not take, because it raised."""

    def __init__(self) -> None:
        self.count = 0


logging_failures: Final = LoggingFailures()
_is_logging: Final[ContextVar[bool]] = ContextVar("scout_core_is_logging", default=False)


class Log:
    """The logger with a name, such as ``scout_core.flask``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def info(self, message: str, *values: object) -> None:
        """Log what happens once per process."""
        self._log(logging.INFO, message, values)

    def warning(self, message: str, *values: object) -> None:
        """Log that telemetry is missing."""
        self._log(logging.WARNING, message, values)

    def error(self, message: str, *values: object, exc_info: bool = False) -> None:
        """Log a fault of our own; with ``exc_info``, the exception that is being handled, too."""
        self._log(logging.ERROR, message, values, exc_info=exc_info)

    def _log(self, level: int, message: str, values: tuple[object, ...], *, exc_info: bool = False) -> None:
        if _is_logging.get():  # a handler that starts the agent or logs through a plugin would be called forever
            return
        before = _is_logging.set(True)
        try:
            message, values = _one_line(message, values)
            # Looked up each time: an application may set a class of loggers that raises.
            logging.getLogger(self.name).log(level, message, *values, exc_info=exc_info, stacklevel=3)
        except BaseException as error:
            if _passes(error):
                raise
            logging_failures.count += 1
            _print_instead(message, values, error)
        finally:
            _is_logging.reset(before)


class LogOnce:
    """Messages that are logged once for each cause, until ``forget``."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._causes: set[Hashable] = set()

    def warning(self, cause: Hashable, message: str, *values: object, is_expected: bool = False) -> None:
        """Log a warning; what is expected is information."""
        if self._is_new(cause):
            (self._log.info if is_expected else self._log.warning)(message, *values)

    def error(self, cause: Hashable, message: str) -> None:
        """Log the exception that is being handled."""
        if self._is_new(cause):
            self._log.error("%s", message, exc_info=True)

    def forget(self) -> None:
        """Log again whatever happens again."""
        self._causes.clear()

    def _is_new(self, cause: Hashable) -> bool:
        if cause in self._causes or len(self._causes) >= MOST_CAUSES:
            return False
        self._causes.add(cause)
        return True


def _one_line(message: str, values: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
    """Return both as they are, unless a text of a plugin makes the line too long, or would control a terminal or add a line."""
    line = message % values if values else message
    if len(line) <= LONGEST and line.isprintable():
        return message, values
    return "%s", (text_of(line, LONGEST),)


def _passes(error: BaseException) -> bool:
    """
    Whether something else than logging raised it: Ctrl-C, a signal handler, or gevent's kill or time limit.

    Whatever else a handler or a filter raises stays here, also ``SystemExit`` and classes of its own. The threads of the agent live
    on whatever it is.
    """
    return not is_own_thread.get() and is_from_outside(error)


def _print_instead(message: str, values: tuple[object, ...], error: BaseException) -> None:
    """Print it, as ``logging`` itself does with an error of a handler."""
    if logging.raiseExceptions:
        with suppress(Exception):  # stderr may be missing, closed, or an object of the application
            sys.stderr.write(f"scout-core: {visible(message % values)} (logging raised {type(error).__name__})\n")
