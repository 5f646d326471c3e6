"""Every error that scout_core raises on purpose."""


class ScoutError(Exception):
    """What a person can act on: the message names the thing, where it came from and what to do."""


class ConfigError(ScoutError):
    """Values that cannot be used, told all at once."""


class PluginError(ScoutError):
    """A plugin that was named by the user cannot be used."""


class TargetError(ScoutError):
    """A target of ``wrap`` that does not exist or cannot be replaced."""


class LeftAlone(TargetError):
    """A target of ``wrap`` that could be replaced and had better not be."""


class RejectedReport(ScoutError):
    """
    The receiver refused a report for good; sending it again would not help.

    Args:
        message: what happened and what to do.
        reason: a few words to count it under; always the same for the same cause.
    """

    def __init__(self, message: str, reason: str = "rejected") -> None:
        super().__init__(message)
        self.reason = reason
