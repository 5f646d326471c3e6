"""The rules that every plugin keeps, and what is told of one that does not."""

from __future__ import annotations

from typing import Final

from attrs import frozen

RULES: Final = {
    "import": "importing the plugin, and starting the agent with it, imports no library",
    "hooks": "every hook that it implements exists and has those arguments",
    "targets": "what it wraps is there",
    "undo": "after the agent has stopped every attribute, of the library and of others, is the very object from before",
    "process": "the environment, the handlers of signals and the threads of the process are the application's",
    "metadata": "its metadata names it, a range of scout-core, and the versions of the library that it supports",
    "calls": "the calls of this suite reach every describer, raise the library's own exception, and pass a user's object",
    "spans": "a call within a transaction is recorded, and goes as it goes without the plugin",
    "exceptions": "the library's own exceptions pass untouched",
    "results": "the library is called once, with the very arguments as they were, and its very result is returned",
    "outside": "outside a transaction nothing is built",
    "twice": "starting twice, starting again, or attaching as well, is one set of spans",
    "async": "a span lasts as long as what is awaited, and calls at once have their own parents",
    "fork": "a forked child records its own calls, and the parent's count is unharmed",
    "overhead": "the plugin's part of a call is short",
    "hostile": "reprs, bools, equalities of user objects are never evaluated",
}
"""Name of a rule to its sentence."""

STATIC_RULES: Final = ("import", "hooks", "targets", "undo", "process", "metadata")
"""Those that need no calls from the plugin's author."""

CALL_RULES: Final = (
    "spans",
    "exceptions",
    "results",
    "outside",
    "twice",
    "async",
    "fork",
    "overhead",
    "hostile",
    "undo",
)
"""Those that are asked of each call."""


@frozen
class Problem:
    """One rule that a plugin breaks."""

    rule: str
    """Key of ``RULES``."""
    seen: str
    """What was seen, where."""
    advice: str
    """What to do."""
    call: str = ""
    """Name of the author's call; empty where no call is needed to see it."""
    is_fatal: bool = False
    """No other rule can be asked before."""
    ends_process: bool = False
    """The plugin ended or blocked the process in which the rule was checked."""

    def __str__(self) -> str:
        return f"{self.rule}: {f'{self.call}: ' if self.call else ''}{self.seen}; {self.advice}"
