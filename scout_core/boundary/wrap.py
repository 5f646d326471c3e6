"""``wrap``, the argument of a plugin's ``instrument``: it collects the targets, and the describer of each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from scout_core.boundary.bound_calls import Around, Function, Original
from scout_core.boundary.describers import has_steps, why_invalid
from scout_core.boundary.describing import describe_or_send, header_parameter
from scout_core.boundary.guard import Guard
from scout_core.boundary.object_targets import ObjectTargets
from scout_core.boundary.pace import Limit
from scout_core.boundary.patches import Patch, PatchState
from scout_core.boundary.wrappers import Describer, around_wrapper
from scout_core.errors import PluginError, TargetError
from scout_core.problems import Problem, join_problems
from scout_core.tracebacks import Frame

if TYPE_CHECKING:
    from scout_core.boundary.header_places import DefaultHeaders, HeaderParameter

__all__ = ["Describer", "Wrap", "why_not_wrapped"]

MOST_LATE: Final = 500
"""Targets that one plugin can name after its ``instrument`` has returned."""
_MOST_PROBLEMS: Final = 20


class Wrap:
    """
    Collects what one plugin wraps; nothing is replaced before its ``instrument`` has returned.

    ``wrap("redis.client:Redis.execute_command", command)``: ``command`` is called with the arguments of each call
    and returns the span that the call is, or None.

    A plugin may keep the object and name further targets later, on any thread: they are wrapped at once, or when their module is
    imported. A target that is named again is not wrapped again.
    """

    def __init__(self, plugin: str, *, module: str = "", reraise: bool = False, limit: Limit | None = None) -> None:
        self.plugin = plugin
        self.module = module
        self.patches: list[Patch] = []
        self.guards: list[Guard] = []
        self.problems: list[Problem] = []
        """Targets and describers that are invalid."""
        self.frames: tuple[Frame, ...] = ()
        """The line that named the first of them; empty without problems."""
        self.is_closed = False
        """Nothing is wrapped any more: the agent has stopped, or the plugin has failed."""
        self.refused = 0
        """Calls that named a target when there were too many."""
        self.objects = ObjectTargets(self)
        self._reraise = reraise
        self._limit = limit
        self._wrap_now: Callable[[Patch], None] | None = None
        self._known: dict[tuple[str, str], Any] = {}
        """Target and role of everything that was named, once targets are wrapped at once."""

    def __call__(
        self,
        target: str,
        describer: Describer,
        *,
        root: bool = False,
        optional: bool = False,
        group: str | None = None,
        headers: str | None = None,
        default_headers: DefaultHeaders = None,
    ) -> None:
        """
        Time each call of a function or method.

        An invalid target or describer makes the plugin fail when ``instrument`` has returned, with all that are invalid.

        Args:
            target: ``module:Class.method`` or ``module:function``, whatever can be called, ``async`` or not; ``module:Class`` is
                the call that constructs an object. The span of a generator function lasts from the first step to the end.
            describer: called with the arguments of the call, on the application's thread. A generator function yields the
                span, receives the result of the call, and may tag or rename the span before it ends.
            root: also call it outside of a transaction, to begin one.
            optional: it may be missing, because only some supported versions have it. When any other target is missing,
                the plugin fails, and none of its targets is wrapped.
            group: the name of a part of the plugin. When a target of a group is missing, only that group is not wrapped.
            headers: name of the parameter that the call sends headers through; those of the trace are added to a copy, if the tag ``url``
                of the span allows it. Such a describer may also return the headers to add, as a dict, and no span.
            default_headers: the headers that a call without any stands for: ``{}``, or others, or the name of the attribute of the
                object that has them. None: they are not known, and nothing is added to such a call, which would lose them.
        """
        parameter = header_parameter(headers, default_headers)
        if self._is_valid(target, describer, "describer") and self._claim(target, "describer"):
            guard = self.make_guard(target, describer)
            patch = Patch(target, self.describing(guard, root, parameter), optional, group, asked_by=self, guard=guard)
            self.objects.leave_to_objects(patch.attribute, guard)
            self.add(patch)

    def around(self, target: str, function: Around, *, optional: bool = False, group: str | None = None) -> None:
        """
        Replace a call: the escape hatch, for a call that must be changed.

        A target may have a describer, too: the one that is named later is around the other.

        Args:
            function: ``(wrapped, instance, args, kwargs)``. It calls ``wrapped(*args, **kwargs)``, and its result is the
                result of the call; for an async function, what its result gives when awaited. ``instance`` is None for a
                plain function, static method or class, and the class for a class method. It is not guarded, because its
                exceptions cannot be distinguished from those of the call, so keep it short.
            optional: it may be missing.
            group: as above.
        """
        if not self._is_valid(target, function, "function") or not self._claim(target, "around"):
            return

        def wrapper(original: Original) -> Function:
            return around_wrapper(
                original.function, original.around(function), is_undone, has_instance=original.has_instance
            )

        # A default, because an attribute of an enum takes long (Python 3.11).
        def is_undone(wrapped: PatchState = PatchState.WRAPPED) -> bool:
            return patch.state is not wrapped

        patch = Patch(target, wrapper, optional, group, role="around", asked_by=self)
        self.add(patch)

    def object(
        self,
        owner: Any,
        name: str,
        describer: Describer,
        *,
        root: bool = False,
        headers: str | None = None,
        default_headers: DefaultHeaders = None,
    ) -> None:
        """
        Time each call of a method of one object, or of a class or module that has no name that ``wrap`` could take.

        The object is not kept alive. A class that inherits the method from a class that is wrapped already is wrapped with that.

        Args:
            owner: an object whose class is written in Python: only its own calls are described. A class: the calls of all of its
                objects, except those that have a describer of their own. A module.
            name: of the method or function.
            headers: as above.
            default_headers: as above.
        """
        target = f"{type(owner).__name__}:{name}"
        parameter = header_parameter(headers, default_headers)
        if self._is_valid(target, describer, "describer") and not self.is_closed:
            self.objects.add(owner, name, describer, is_root=root, headers=parameter)

    def begin(self, wrap_now: Callable[[Patch], None]) -> None:
        """
        Wrap what is named from now on at once.

        Args:
            wrap_now: raises nothing.
        """
        self._known = {(patch.target, patch.role): patch for patch in self.patches}
        self._wrap_now = wrap_now
        self.objects.begin()

    def close(self) -> None:
        """Wrap nothing any more, and put back what was given as an object."""
        self.is_closed = True
        self.objects.undo()

    def add(self, patch: Patch) -> None:
        """Keep a patch, and wrap its target if ``instrument`` has returned."""
        if patch.guard is not None:
            self.guards.append(patch.guard)
        if patch.owner is None:
            self.patches.append(patch)
        if self._wrap_now is not None:
            patch.is_late = True
            self._wrap_now(patch)

    def forget(self, guard: Guard) -> None:
        """Drop the guard of an object that is freed. Called in the middle of anything."""
        with suppress(ValueError):
            self.guards.remove(guard)

    def add_problem(self, problem: Problem) -> None:
        """
        Keep what is wrong with a target.

        Raises:
            PluginError: in tests, after ``instrument`` has returned.
        """
        if self._wrap_now is not None and self._reraise:
            raise PluginError(f"plugin {self.plugin!r}: {problem}", kind=problem.kind)
        if problem not in self.problems and len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)

    def has_room(self) -> bool:
        """Whether one more target can be named; counts those that cannot."""
        if self._wrap_now is None or sum(patch.is_late for patch in self.all_patches()) < MOST_LATE:
            return True
        self.refused += 1
        return False

    def all_patches(self) -> list[Patch]:
        """Return what was named, and what was given as objects that still exist."""
        return [*self.patches, *self.objects.patches()]

    def current_problems(self) -> list[Problem]:
        """Return what is wrong with targets that were named after ``instrument`` had returned."""
        if not self.refused:
            return list(self.problems)
        detail = f"{MOST_LATE} targets were named after the start, and {self.refused} more calls of wrap were ignored"
        advice = "name each class once, and not each of its objects"
        return [*self.problems, Problem("too-many-targets", self.plugin, detail, advice)]

    def check(self) -> None:
        """
        Check that everything that was named is valid.

        Raises:
            PluginError: a target or describer is not; with all of them.
        """
        if self.problems:
            raise PluginError(f"plugin {self.plugin!r}: {join_problems(self.problems)}", kind=self.problems[0].kind)

    def make_guard(self, place: str, describer: Describer) -> Guard:
        """Return the guard of a describer."""
        return Guard(
            self.plugin,
            place,
            describer,
            limit=self._limit,
            module=self.module,
            reraise=self._reraise,
            has_steps=has_steps(describer),
        )

    def describing(
        self, guard: Guard, is_root: bool, headers: HeaderParameter | None = None
    ) -> Callable[[Original], Function]:
        """Return how a wrapper with this guard is made."""
        return partial(describe_or_send, guard, is_root, headers)

    def _claim(self, target: str, role: str) -> bool:
        """Whether to wrap a target: not after the end, and once when it is named by calls, as of a describer."""
        if self._wrap_now is None or self.is_closed:
            return not self.is_closed
        if (target, role) in self._known or not self.has_room():
            return False
        claim: list[str] = []  # a new object
        return self._known.setdefault((target, role), claim) is claim

    def _is_valid(self, target: Any, function: Any, role: str) -> bool:
        problem = why_invalid(target, function, role)
        if problem is not None:
            caller = sys._getframe(2)
            self.frames = self.frames or ((caller.f_code.co_filename, caller.f_lineno, caller.f_code.co_name),)
            self.add_problem(problem)
        return problem is None


def why_not_wrapped(
    target: str, *, is_around: bool = False, headers: str | None = None, default_headers: DefaultHeaders = None
) -> str | None:
    """
    Return why a target cannot be wrapped; None when it can.

    The target is wrapped and put back at once, so call this only where nothing else uses the library. Nothing is imported: a target
    whose module is not imported has that as its reason.

    Args:
        is_around: for ``wrap.around``, which accepts more functions than a describer does.
        headers: as for ``wrap``.
        default_headers: as for ``wrap``.

    Raises:
        PluginError: the target is not written as ``module:Class.method`` or ``module:function``.
    """
    wrap = Wrap("check")
    if is_around:
        wrap.around(target, lambda wrapped, instance, args, kwargs: wrapped(*args, **kwargs))
    else:
        wrap(target, lambda *args, **kwargs: None, headers=headers, default_headers=default_headers)
    wrap.check()
    (patch,) = wrap.patches
    module = sys.modules.get(patch.module)
    if module is None:
        return f"{patch.module} is not imported"
    try:
        patch.apply(module)
    except TargetError as error:
        return str(error)
    patch.undo()
    return patch.reason or None
