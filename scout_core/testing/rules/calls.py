"""The calls that a plugin's author provides, and the bench on which the rules are checked with them."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from attrs import define, field, frozen

from scout_core.recording.transaction import Transaction
from scout_core.testing.leaks import LeftBehind
from scout_core.testing.rules.effort import STEPS, Meter
from scout_core.testing.rules.probes import Passage, Probes
from scout_core.testing.rules.targets import Target, import_targets, targets_of
from scout_core.testing.scout import Scout, recording

OURS: Final = "Job/conformance"
"""Operation of the transaction in which calls are made."""
Outline = Counter[tuple[str, str | None, str | None]]
"""
Operation, operation of the parent and class of the error, of each recorded span, to how often it was recorded.

Without an order: detached transactions end before the one around them, and concurrent calls in any order.
"""


@frozen
class Call:
    """
    One way to call the library, for checking the rules.

    It is repeated many times, with and without the agent, in a forked child, and concurrently if it is ``async``.
    """

    function: Callable[..., object]
    """Calls the real library. Its arguments are names of pytest fixtures; an ``async def`` runs in its own event loop."""
    raises: type[Exception] | None = None
    """The exception of the library that it raises."""
    attach: Callable[..., object] | None = None
    """Attaches the plugin in the library's own way, such as an extension; its arguments are fixtures, too."""

    @property
    def name(self) -> str:
        """Name of its function."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def is_async(self) -> bool:
        """Whether it must be awaited."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def fixtures(self) -> tuple[str, ...]:
        """Names of all fixtures that it takes."""
        functions = [self.function, *([self.attach] if self.attach else [])]
        return tuple(dict.fromkeys(name for function in functions for name in inspect.signature(function).parameters))


@frozen
class Bound:
    """A call with the values of its fixtures."""

    call: Call
    given: Mapping[str, object]

    def start(self) -> Any:  # Any: the coroutine of an async call, whatever a plain one returns
        """Call the function."""
        return self.call.function(**self._of(self.call.function))

    def run(self) -> Exception | None:
        """Make the call to its end; return the exception that it raised, or None."""
        try:
            result = self.start()
            if self.call.is_async:
                asyncio.run(result)
        except Exception as error:  # noqa: BLE001  # the rules examine it
            return error
        return None

    def attach(self) -> None:
        """Attach the plugin in the library's own way, if the call has one."""
        if self.call.attach is not None:
            self.call.attach(**self._of(self.call.attach))

    def _of(self, function: Callable[..., object]) -> dict[str, object]:
        return {name: self.given[name] for name in inspect.signature(function).parameters}


@define
class Bench:
    """One plugin, ready to be checked."""

    module: str
    targets: tuple[Target, ...]
    steps: int = STEPS
    settings: dict[str, Any] = field(factory=dict)  # Any: of options
    left_behind: list[str] = field(factory=list)
    """Messages for the rule `undo`; other rules do not fail because of them."""

    @classmethod
    def of(cls, module: str, steps: int, settings: dict[str, Any]) -> Bench:
        """Import the plugin and the library first, so that no import happens during a check."""
        targets = targets_of(importlib.import_module(module))
        import_targets(targets)
        return cls(module, targets, steps, settings)

    @contextmanager
    def recording(self) -> Iterator[Scout]:
        """Run an agent with this plugin only."""
        try:
            with recording(plugins_autoload=False, plugins=[self.module], **self.settings) as scout:
                yield scout
        except LeftBehind as left:
            self.left_behind.append(str(left))

    @contextmanager
    def probed(self, *, meter: type[Meter] | None = None) -> Iterator[tuple[Scout, list[Passage]]]:
        """Run an agent with this plugin only, and probes around its targets."""
        probes = Probes(self.targets, meter=meter)
        with ExitStack() as stack:
            stack.enter_context(probes.beneath())
            scout = stack.enter_context(self.recording())
            stack.enter_context(probes.above())
            yield scout, probes.passages


def run_within(bound: Bound) -> Exception | None:
    """Make the call inside a transaction; return the exception that it raised, or None."""
    with Transaction(OURS):
        return bound.run()


def outline(scout: Scout) -> Outline:
    """Return the records without anything that may differ between two calls."""
    return Counter(
        (span.operation, span.parent, span.error)
        for transaction in scout.transactions
        for span in (*transaction.spans, transaction)
    )


def without_ours(recorded: Outline) -> Outline:
    """Return the records without the transaction in which the call was made, whatever error was recorded in it."""
    return Counter({span: count for span, count in recorded.items() if span[:2] != (OURS, None)})


def describe(recorded: Outline) -> str:
    """Return the operations for a message."""
    return ", ".join(operation for operation, _, _ in recorded.elements()) or "nothing"
