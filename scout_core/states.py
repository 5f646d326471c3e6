"""The states of a plugin, written once: their words, their order, and which of them need attention."""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    """The state of one plugin in one process, from the best to the worst: the order in which they are counted and compared."""

    ACTIVE = "active"
    """Loaded; its hooks are called and its targets wrapped."""
    WAITING = "waiting"
    """Loaded; the library that it instruments is not imported yet, or not installed."""
    DISABLED = "disabled"
    """The configuration disables it; the reason names the option and where it is set."""
    SKIPPED = "skipped"
    """The installed version of its library or of scout-core is not supported; it was not imported."""
    QUARANTINED = "quarantined"
    """Some of its functions kept failing or were too slow and are switched off, or one has not returned for ten seconds."""
    FAILED = "failed"
    """It cannot be imported, implements a hook that does not exist, or cannot wrap its targets; nothing of it is called or wrapped."""

    def __str__(self) -> str:  # Python 3.12 changed what format() gives for a member
        return self.value

    @property
    def predicate(self) -> str:
        """The state as the verb of a sentence: ``is waiting``, ``has failed``."""
        return "has failed" if self is State.FAILED else f"is {self.value}"

    @property
    def severity(self) -> int:
        """0 for the best state; a higher number is worse."""
        return _ORDER.index(self)

    @property
    def is_fine(self) -> bool:
        """Whether nobody needs to do anything."""
        return self in (State.ACTIVE, State.WAITING, State.DISABLED)


_ORDER = tuple(State)
