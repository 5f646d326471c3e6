"""One plugin in this process, and the state it is in."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from attrs import define, field

from scout_core.boundary.guard import Guard
from scout_core.boundary.metadata import Found
from scout_core.boundary.patches import Patch, PatchState
from scout_core.boundary.versions import Support
from scout_core.boundary.wrap import Wrap
from scout_core.clocks import monotonic
from scout_core.problems import NextStep, Problem, join_problems
from scout_core.states import State
from scout_core.tracebacks import Frame

INVALID_OPTIONS: Final = "invalid-options"
"""The kind of the complaint about ``register_options``."""
MISSING_TARGET: Final = "missing-target"
"""The kind of the problem of a target that does not exist, or cannot be replaced."""
OWN: Final = "scout-core"
"""The distribution whose plugins come with the core."""


@define(eq=False)
class Plugin:
    """A plugin that was found in an installed distribution or named by the user, loaded or not."""

    name: str
    module: str
    found: Found | None = None
    """None for a module that the user named."""
    is_relied_on: bool = False
    """The user named it in code, so ``start`` raises when it cannot be used."""
    state: State = State.ACTIVE
    """As decided at start; ``current_state`` also considers its targets and functions."""
    problems: tuple[Problem, ...] = ()
    """Why it is disabled, skipped or failed."""
    step: NextStep | None = None
    """How to enable it, if it is disabled."""
    is_logged: bool = False
    """Set once the reason why it cannot be used was logged."""
    frames: tuple[Frame, ...] = ()
    """The frames in which loading it failed, innermost first."""
    support: Support = field(factory=lambda: Support(target=""))
    hooks: tuple[str, ...] = ()
    complaints: list[Problem] = field(factory=list)
    """Problems found at start that leave the rest of it usable: an exporter that cannot be used."""
    wrap: Wrap | None = None
    """Its targets; None if it has none, or was not loaded."""
    guards: list[Guard] = field(factory=list)

    @property
    def reason(self) -> str:
        """Why it is disabled, skipped or failed, as text."""
        return join_problems(self.problems)

    @property
    def patches(self) -> list[Patch]:
        """Everything that it wants to wrap."""
        return [] if self.wrap is None else self.wrap.all_patches()

    @property
    def all_guards(self) -> list[Guard]:
        """The guards of its hooks, and those of its describers."""
        return self.guards if self.wrap is None else [*self.guards, *self.wrap.guards]

    def leave_out(self, state: State, *problems: Problem, step: NextStep | None = None) -> None:
        """Do not load it."""
        self.state, self.problems, self.step = state, problems, step

    def fail(self, *problems: Problem, frames: Iterable[Frame] = ()) -> None:
        """Put back what it had wrapped, and do not call any of its functions again."""
        self.state, self.problems, self.frames = State.FAILED, problems, tuple(frames)
        self.undo()

    def undo(self) -> None:
        """Put back what it had wrapped, and call none of its functions any more."""
        if self.wrap is not None:
            self.wrap.close()
        for patch in reversed(self.patches):
            patch.undo()
        for guard in self.all_guards:
            guard.close()

    def current_state(self) -> tuple[State, tuple[Problem, ...]]:
        """Return its state at this moment, and why it is in it."""
        if self.state is not State.ACTIVE:
            return self.state, (*self.problems, *self.complaints)
        guards = self.all_guards
        off = [guard for guard in guards if guard.reason is not None]
        if off:
            return State.QUARANTINED, tuple(
                Problem("switched-off", guard.place, f"{guard.place} is switched off: {guard.reason}") for guard in off
            )
        hanging = [(guard.place, guard.hangs_since) for guard in guards if guard.hangs_since is not None]
        if hanging:
            return State.QUARANTINED, tuple(_hangs(place, monotonic() - since) for place, since in hanging)
        patches = self.patches
        late = [] if self.wrap is None else self.wrap.current_problems()
        wrapped = [patch for patch in patches if patch.state is PatchState.WRAPPED]
        waiting = [patch for patch in patches if patch.state is PatchState.WAITING]
        if waiting and not wrapped:
            return State.WAITING, (self._waits_for(waiting), *self.complaints, *late)
        missing = [patch for patch in patches if patch.state is PatchState.NOT_FOUND and not patch.is_late]
        if missing and not wrapped:
            return State.FAILED, tuple(map(not_wrapped, missing))
        slow = [(guard.place, guard.pace.slowness) for guard in guards if guard.pace.slowness is not None]
        problems = [Problem("slow", place, f"{place} is slow: {slowness}") for place, slowness in slow]
        now = [guard.problem for guard in guards if guard.problem is not None]
        replaced = map(_replaced, (patch for patch in wrapped if patch.replaced_by))
        values = map(_not_called, (patch for patch in wrapped if patch.value_given))
        unfollowed = [_unfollowed(guard) for guard in guards if guard.unfollowed]
        unsent = [_unsent(guard) for guard in guards if guard.unsent]
        return State.ACTIVE, (*self.complaints, *late, *now, *replaced, *values, *problems, *unfollowed, *unsent)

    def target_problems(self) -> tuple[Problem, ...]:
        """Return why targets are neither wrapped nor waiting, one problem for each such target."""
        return tuple(not_wrapped(patch) for patch in self.patches if patch.state in _TARGET_PROBLEMS)

    def _waits_for(self, waiting: list[Patch]) -> Problem:
        if self.support.absent:
            return Problem("not-installed", self.support.target, f"{self.support.target} is not installed")
        modules = sorted({_not_imported(patch.module) for patch in waiting})
        names = ", ".join(modules)
        return Problem("not-imported", names, f"{names} {'is' if len(modules) == 1 else 'are'} not imported")


_TARGET_PROBLEMS: Final = {
    PatchState.NOT_FOUND: MISSING_TARGET,
    PatchState.LEFT_ALONE: "unsupported-target",
    PatchState.LEFT_OUT: "incomplete-group",
}
"""The states of targets that cannot be wrapped, each with its kind of problem."""


def not_wrapped(patch: Patch) -> Problem:
    """Return why a target is neither wrapped nor waiting."""
    return Problem(_TARGET_PROBLEMS[patch.state], patch.target, f"{patch.target}: {patch.reason}")


def _unfollowed(guard: Guard) -> Problem:
    results = " and ".join(guard.unfollowed)
    detail = f"the spans of {guard.place} end with the call, though it returns {results}"
    return Problem("unfollowed-result", guard.place, detail, "keep_open() lets them last longer")


def _unsent(guard: Guard) -> Problem:
    detail = f"{guard.place} sends no trace headers where {' or '.join(guard.unsent)}"
    return Problem(
        "unsent-headers",
        guard.place,
        detail,
        "headers must be a dict or pairs, a url a text, and default_headers what a call without headers stands for",
    )


def _hangs(place: str, seconds: float) -> Problem:
    detail = (
        f"{place} has not returned for {seconds:.0f} s; until it does, nothing is counted or reported in this process"
    )
    return Problem("hook-hangs", place, detail, "give what it waits for a timeout")


def _not_imported(module: str) -> str:
    """The package of a module; if that is imported, the module."""
    package = module.partition(".")[0]
    return module if package in sys.modules else package


def _not_called(patch: Patch) -> Problem:
    detail = (
        f"reading {patch.target} gives a value of type {patch.value_given}, which is not called, so nothing is recorded"
    )
    return Problem("not-called", patch.target, detail, "wrap a function that it calls")


def _replaced(patch: Patch) -> Problem:
    detail = f"{patch.replaced_by} has replaced the class of {patch.target}; the library's own class is wrapped"
    return Problem("replaced-class", patch.target, detail, "check that both are meant to record the same calls")
