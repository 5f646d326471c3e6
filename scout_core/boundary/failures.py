"""The exceptions of one function, counted, and the last one as data: no object of the application is kept alive."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from scout_core.boundary.blame import Culprit
from scout_core.errors import ScoutError, with_kind
from scout_core.problems import TooManyErrors
from scout_core.tracebacks import MAX_FRAMES, frames_of

IN_A_ROW: Final = 10
WINDOW: Final = 100
"""Half of this many last calls may fail."""
MAX_CULPRITS: Final = 1000
"""Functions of the application that are remembered for one function of a plugin; failures of others always count."""
_CORE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
_BUILTIN: Final = os.path.join(_CORE, "builtin", "")
"""Built-in plugins; all other core frames are dropped from a plugin's traceback."""
_IN_A_ROW_MASK: Final = (1 << IN_A_ROW) - 1
_WINDOW_MASK: Final = (1 << WINDOW) - 1


class Failure(NamedTuple):
    """One exception."""

    kind: str
    """The name of its class."""
    message: str
    frames: tuple[tuple[str, int, str], ...]
    """``(file, line, function)``, innermost first, at most 50; empty when the call itself failed."""
    is_of_application: bool = False
    """Code of an object that the application passed raised it."""

    def __str__(self) -> str:
        """``KeyError: 'plan' at /srv/app/shop/scout.py:12 in score_transaction``."""
        text = with_kind(self.kind, self.message)
        if not self.frames:
            return text
        file, line, function = self.frames[0]
        blame = " (code of the application, counted once)" if self.is_of_application else ""
        return f"{text} at {file}:{line} in {function}{blame}"


class Failures:
    """Record which of the last calls failed, and the last error."""

    __slots__ = ("count", "history", "last", "culprits")

    def __init__(self) -> None:
        self.count = 0
        self.history = 0
        """The last calls as bits, the newest lowest: 1 failed. It is 0 as long as nothing needs to be noted."""
        self.last: Failure | None = None
        self.culprits: set[Culprit] = set()
        """Functions of the application that raised: each counts as one failure, however often it is called."""

    def is_known(self, culprit: Culprit | None) -> bool:
        """
        Return True for a failure that does not count, because the same function of the application raised before.

        Args:
            culprit: that function; None: the plugin is at fault, which always counts.
        """
        if culprit in self.culprits:
            self.count += 1
            return True
        if culprit is not None and len(self.culprits) < MAX_CULPRITS:
            self.culprits.add(culprit)
        return False

    def begin_call(self) -> None:
        """Note a call, as one that succeeds unless ``add`` follows."""
        self.history = (self.history << 1) & _WINDOW_MASK

    def add(
        self, error: BaseException, message: str | None = None, *, is_of_application: bool = False
    ) -> TooManyErrors | None:
        """
        Mark the noted call as failed.

        Args:
            message: the text to keep; None: the exception's own, with literals masked.

        Returns:
            The reason to switch the function off, if there is one now.
        """
        self.count += 1
        self.history |= 1
        frames = [
            (code.co_filename, line, code.co_name)
            for code, line in frames_of(error.__traceback__)
            if not code.co_filename.startswith(_CORE) or code.co_filename.startswith(_BUILTIN)
        ]
        text = _message(error) if message is None else message
        self.last = Failure(type(error).__name__, text, tuple(frames[: -MAX_FRAMES - 1 : -1]), is_of_application)
        if self.history & _IN_A_ROW_MASK == _IN_A_ROW_MASK:
            return TooManyErrors(IN_A_ROW, IN_A_ROW)
        if self.history.bit_count() >= WINDOW // 2:
            return TooManyErrors(WINDOW // 2, WINDOW)
        return None


def _message(error: BaseException) -> str:
    from scout_core.text.message import UNREADABLE, error_message

    if not isinstance(error, ScoutError):
        return error_message(error)
    try:
        return str(error)  # ours quote the plugin's code
    except Exception:  # noqa: BLE001  # a plugin's subclass of our class can fail even at that
        return UNREADABLE
