"""The rules that every plugin must follow, and violations of them as data."""

from __future__ import annotations

from typing import Final

from attrs import frozen

RULES: Final = {
    "import": "importing the plugin, and starting the agent with it, imports no library",
    "hooks": "every hook that it implements exists and accepts its arguments, and the types of its options are supported",
    "targets": "its targets exist, can be wrapped, and name the module that defines them",
    "undo": "after the agent has stopped, every attribute is the original object again",
    "process": "it leaves the process as it was: environment, signals, imports, streams, logging, threads, child processes",
    "groups": "trace_group gives a text or None for every transaction, and the groups repeat",
    "answers": "hooks accept every transaction, return what they should, change and keep nothing, and are fast",
    "gauges": "measure_process gives finite numbers by name, and is fast",
    "metadata": "its metadata has an entry point, a range of scout-core, and the supported versions of the library",
    "calls": "the calls of this suite reach every describer, raise an exception of the library, and pass a user's object",
    "spans": "a call inside a transaction is recorded, and otherwise behaves as without the plugin",
    "exceptions": "exceptions of the library pass untouched",
    "results": "the library is called once, with the same unchanged arguments, and its own result is returned",
    "outside": "outside a transaction no span is created",
    "twice": "starting twice, restarting, or attaching by hand as well gives one set of spans",
    "async": "a span lasts until its call has been awaited, and concurrent calls have their own parents",
    "ends": "every span and transaction that begins with a call has ended after it",
    "fork": "a forked child records its own calls, and the parent records only its own",
    "overhead": "the plugin's part of a call is short and does not wait",
    "headers": "of the calls that send headers, one at least carries those of the trace, and none carries them twice",
    "hostile": "the repr, truth, equality and the like of user objects are never evaluated",
}
"""Name of a rule to its text."""

STATIC_RULES: Final = ("import", "hooks", "targets", "undo", "process", "groups", "answers", "gauges", "metadata")
"""Rules that need no calls from the plugin's author."""

STARTED_RULES: Final = ("undo", "process", "groups", "answers", "gauges")
"""The rules of these that need an agent that starts with the plugin."""

CALL_RULES: Final = (
    "spans",
    "exceptions",
    "results",
    "outside",
    "twice",
    "async",
    "ends",
    "fork",
    "overhead",
    "headers",
    "hostile",
    "undo",
)
"""Rules that are checked for each call."""


@frozen
class Violation:
    """A rule that a plugin does not follow, and where that was observed."""

    rule: str
    """Key of ``RULES``."""
    evidence: str
    """The observation, and where it was made."""
    advice: str
    """The fix."""
    call: str = ""
    """Name of the author's call; empty for rules without calls."""
    is_fatal: bool = False
    """No other rule can be checked until it is fixed."""
    is_note: bool = False
    """It breaks no rule, and is worth knowing."""
    ends_process: bool = False
    """The process in which the rule was checked ended, or hung: later rules were not reached."""

    def __str__(self) -> str:
        return f"{self.rule}: {f'{self.call}: ' if self.call else ''}{self.evidence}; {self.advice}"
