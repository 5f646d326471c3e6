"""The calls that a plugin's author gives, and the bench on which rules are tried with them."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from attrs import define, field, frozen

from scout_core.recording.transaction import Transaction
from scout_core.testing.effort import STEPS, Meter
from scout_core.testing.leaks import LeftBehind
from scout_core.testing.probes import Passage, Probes
from scout_core.testing.scout import Scout, recording
from scout_core.testing.targets import Target, import_targets, targets_of

Outline = tuple[tuple[str, str | None, str | None], ...]
"""Operation, operation of the parent and class of the error, of everything recorded, in order of the end."""


@frozen
class Call:
    """
    One way to call the library, to try the rules on.

    It is made many times over, with and without the agent, in a forked child, and an ``async`` one several times at once.
    """

    function: Callable[..., object]
    """Calls the real library. Its arguments are fixtures of pytest, by their names; an ``async def`` runs in a loop of its own."""
    raises: type[Exception] | None = None
    """The library's own exception that leaves it."""
    attach: Callable[..., object] | None = None
    """What a user may do besides installing the plugin, as adding an extension; its arguments are fixtures, too."""

    @property
    def name(self) -> str:
        """Of its function."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def is_async(self) -> bool:
        """Whether it must be awaited."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def fixtures(self) -> tuple[str, ...]:
        """Names of all fixtures that it needs."""
        functions = [self.function, *([self.attach] if self.attach else [])]
        return tuple(dict.fromkeys(name for function in functions for name in inspect.signature(function).parameters))


@frozen
class Bound:
    """A call with its fixtures."""

    call: Call
    given: Mapping[str, object]

    def start(self) -> Any:  # Any: the coroutine of an async call, whatever a plain one returns
        """Call the function itself."""
        return self.call.function(**self._of(self.call.function))

    def run(self) -> Exception | None:
        """Make the call once; the exception that left it."""
        try:
            result = self.start()
            if self.call.is_async:
                asyncio.run(result)
        except Exception as error:  # noqa: BLE001  # which one is what the rules are about
            return error
        return None

    def attach(self) -> None:
        """Do what a user may do besides."""
        if self.call.attach is not None:
            self.call.attach(**self._of(self.call.attach))

    def _of(self, function: Callable[..., object]) -> dict[str, object]:
        return {name: self.given[name] for name in inspect.signature(function).parameters}


@define
class Bench:
    """One plugin, ready to be tried."""

    module: str
    targets: tuple[Target, ...]
    steps: int = STEPS
    settings: dict[str, Any] = field(factory=dict)  # Any: of options
    left_behind: list[str] = field(factory=list)
    """Sentences; the rule `undo` tells of them, and the others do not fail for it."""

    @classmethod
    def of(cls, module: str, steps: int, settings: dict[str, Any]) -> Bench:
        """Import the plugin and the library, so that nothing is first imported while it is watched."""
        targets = targets_of(importlib.import_module(module))
        import_targets(targets)
        return cls(module, targets, steps, settings)

    @contextmanager
    def recording(self) -> Iterator[Scout]:
        """An agent with this plugin alone."""
        try:
            with recording(plugins_autoload=False, plugins=[self.module], **self.settings) as scout:
                yield scout
        except LeftBehind as left:
            self.left_behind.append(str(left))

    @contextmanager
    def probed(self, *, meter: type[Meter] | None = None) -> Iterator[tuple[Scout, list[Passage]]]:
        """The same with probes around its targets."""
        probes = Probes(self.targets, meter=meter)
        with ExitStack() as stack:
            stack.enter_context(probes.beneath())
            scout = stack.enter_context(self.recording())
            stack.enter_context(probes.above())
            yield scout, probes.passages


def run_within(bound: Bound) -> Exception | None:
    """Make the call within a transaction; the exception that left it."""
    with Transaction("Job/conformance"):
        return bound.run()


def outline(scout: Scout) -> Outline:
    """What was recorded, without what may differ from one call to the next."""
    return tuple(
        (seen.operation, seen.parent, seen.error)
        for transaction in scout.transactions
        for seen in (*transaction.spans, transaction)
    )


def told(recorded: Outline) -> str:
    """For a message."""
    return ", ".join(operation for operation, _, _ in recorded) or "nothing"
