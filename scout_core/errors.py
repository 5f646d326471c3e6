"""Every error that scout_core raises on purpose, and how any exception is named in a text."""


def with_kind(kind: str, message: str) -> str:
    """Return ``KeyError: 'plan'`` for the name of a class and a message; only ``CancelledError`` when the message is empty."""
    return f"{kind}: {message}" if message else kind


class ScoutError(Exception):
    """An error to act on: the message names the thing, where it came from and what to do."""


class ConfigError(ScoutError):
    """Invalid values, all reported at once."""


class PluginError(ScoutError):
    """
    A plugin cannot be used.

    Args:
        message: what is wrong with it, and what to do.
        kind: the kind of the problem: a stable identifier, for programs.
        frames: ``(file, line, function)`` of the code at fault, where it is known, innermost first.
    """

    def __init__(
        self, message: str, *, kind: str = "invalid-plugin", frames: tuple[tuple[str, int, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.frames = frames


class InvalidResult(ScoutError, ValueError):
    """A function of a plugin returned something that cannot be used; raised in tests, and counted otherwise."""


class TargetError(ScoutError):
    """A target of ``wrap`` that is missing or cannot be replaced."""


class LeftAlone(TargetError):
    """A target of ``wrap`` that could be replaced but must not be."""


class RejectedReport(ScoutError):
    """
    The receiver refused a report permanently; retrying would not help.

    Args:
        message: what happened, and what to do.
        reason: a few words under which it is counted; the same for the same cause.
    """

    def __init__(self, message: str, reason: str = "rejected") -> None:
        super().__init__(message)
        self.reason = reason


class NoReceiver(RejectedReport):
    """There is nobody to send reports to, as intended: they are dropped and counted, which is not an error of the exporter."""

    def __init__(self, message: str, reason: str = "no receiver") -> None:
        super().__init__(message, reason)
