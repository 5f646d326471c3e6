"""
Wrap the targets of plugins when their modules are imported: all of a plugin or none, and all of a group or none.

A library that is timed in part shows wrong figures, so one missing target costs the others of its plugin, or of its group. Those
that are missing in what is imported by then are all reported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from types import ModuleType

from scout_core.boundary.imports import ImportWatch, is_complete
from scout_core.boundary.patches import Patch, PatchState
from scout_core.boundary.plugin import Plugin, not_wrapped
from scout_core.boundary.state_log import log_states
from scout_core.boundary.wrap import Wrap
from scout_core.errors import TargetError, with_kind
from scout_core.problems import Problem
from scout_core.states import State
from scout_core.text.message import error_message


class Wrapping:
    """The targets of all plugins of one agent."""

    def __init__(self, watch: ImportWatch) -> None:
        self.watch = watch
        self.is_logging = False
        """Log plugins whose targets turn out to be missing; until the start is over, the agent does that."""
        self._applied: list[Patch] = []
        """In the order in which they were applied."""

    def begin(self, plugin: Plugin, wrap: Wrap) -> None:
        """Wrap what a plugin has named, now or when it is imported; from now on also what it names later."""
        plugin.wrap = wrap
        for patch in tuple(wrap.patches):
            self.watch.when_imported(patch.module, partial(self._apply, plugin, patch))
        wrap.begin(partial(self._wrap_late, plugin, wrap))

    def undo(self, plugins: Iterable[Plugin]) -> None:
        """Put back every object that was wrapped, and stop waiting for imports."""
        found = tuple(plugins)
        for plugin in found:
            if plugin.wrap is not None:
                plugin.wrap.close()  # from now on other threads wrap nothing any more, or undo it themselves
        self.watch.forget()
        for patch in reversed(tuple(self._applied)):  # in reverse: two plugins may have wrapped the same target
            patch.undo()
        self._applied.clear()
        for plugin in found:
            plugin.undo()

    def _wrap_late(self, plugin: Plugin, wrap: Wrap, patch: Patch) -> None:
        """Wrap a target that is named while the application runs, perhaps on its threads: nothing is logged."""
        patch.is_optional = True
        if patch.owner is None:
            self.watch.when_imported(patch.module, partial(self._apply, plugin, patch))
        else:
            _put(patch, None)
        if wrap.is_closed:  # it was closed meanwhile, and may have missed this one
            self.watch.forget()
            patch.undo()
            if patch.guard is not None:
                patch.guard.close()

    def _apply(self, plugin: Plugin, patch: Patch, module: ModuleType) -> None:
        if plugin.state is State.FAILED and patch.state is PatchState.UNDONE:
            self._add_missing(plugin, patch, module)
        if plugin.state is not State.ACTIVE or patch.state in (PatchState.LEFT_OUT, PatchState.UNDONE):
            return
        _put(patch, module)
        if patch.state is PatchState.WRAPPED:
            self._applied.append(patch)
        elif patch.state is PatchState.NOT_FOUND and not patch.is_optional:
            _leave_out(plugin, patch, module)
        if patch.state is not PatchState.WRAPPED and self.is_logging and not patch.is_late:
            log_states([plugin])

    def _add_missing(self, plugin: Plugin, patch: Patch, module: ModuleType) -> None:
        """Show a target that is missing, too, in a module that is imported after the plugin has failed."""
        if patch.is_optional or patch.group is not None or patch.is_late:
            return
        _look_for(patch, module)
        if patch.state is not PatchState.NOT_FOUND:
            return
        *others, nothing = plugin.problems
        plugin.problems = (*others, not_wrapped(patch), nothing)
        if self.is_logging:
            plugin.is_logged = False
            log_states([plugin])


def missing_targets(patches: Iterable[Patch]) -> list[Problem]:
    """Return what is wrong with targets whose modules are imported, without wrapping any; for a plugin that has failed before."""
    needed = [patch for patch in patches if not patch.is_optional and patch.group is None]
    for patch in needed:
        _look_for(patch)
    return [not_wrapped(patch) for patch in needed if patch.state is PatchState.NOT_FOUND]


def _put(patch: Patch, module: ModuleType | None) -> None:
    """Put a wrapper in place, inside the application's import or call: nothing may be raised."""
    try:
        patch.apply(module)
    except TargetError as error:
        patch.state, patch.reason = PatchState.NOT_FOUND, str(error)
    except Exception as error:  # noqa: BLE001  # the library's own, as when a class refuses the attribute
        patch.state, patch.reason = PatchState.NOT_FOUND, with_kind(type(error).__name__, error_message(error))


def _leave_out(plugin: Plugin, missing: Patch, module: ModuleType) -> None:
    """Undo everything that must not be wrapped without a target that is missing in a module that has just been imported."""
    members = [patch for patch in plugin.patches if patch.group == missing.group]
    for patch in members:
        if not patch.is_optional and patch.state is PatchState.WAITING:
            _look_for(patch, module if patch.module == missing.module else None)
    absent = [patch for patch in members if patch.state is PatchState.NOT_FOUND and not patch.is_optional]
    if missing.group is None:
        nothing = Problem("nothing-wrapped", plugin.name, "none of its targets is wrapped")
        plugin.fail(*map(not_wrapped, absent), nothing)
        return
    reason = f"its group {missing.group!r} is incomplete without {' and '.join(patch.target for patch in absent)}"
    for patch in reversed(members):
        if patch.state in (PatchState.WAITING, PatchState.WRAPPED):
            patch.undo(PatchState.LEFT_OUT)
            patch.reason = reason
            if patch.guard is not None:
                patch.guard.close()


def _look_for(patch: Patch, module: ModuleType | None = None) -> None:
    if module is None:
        module = sys.modules.get(patch.module)
        if module is None or not is_complete(module):
            return
    try:
        patch.check(module)
    except TargetError as error:
        patch.state, patch.reason = PatchState.NOT_FOUND, str(error)
    except Exception as error:  # noqa: BLE001  # as above
        patch.state, patch.reason = PatchState.NOT_FOUND, with_kind(type(error).__name__, error_message(error))
