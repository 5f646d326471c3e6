"""``wrap``, the argument of a plugin's ``instrument``: it collects the targets, and the describer of each."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable

from scout_core.boundary.bound_calls import Around, Function, Original
from scout_core.boundary.guard import Guard
from scout_core.boundary.pace import Limit
from scout_core.boundary.patches import Patch, PatchState
from scout_core.boundary.wrappers import Describer, around_wrapper, describing_wrapper
from scout_core.errors import PluginError, TargetError

__all__ = ["Describer", "Wrap", "why_not_wrapped"]


class Wrap:
    """
    Collects what one plugin wraps; nothing is replaced before its ``instrument`` has returned.

    ``wrap("redis.client:Redis.execute_command", command)``: ``command`` is called with the arguments of each call
    and returns the span that the call is, or None.
    """

    def __init__(self, plugin: str, *, module: str = "", reraise: bool = False, limit: Limit | None = None) -> None:
        self.plugin = plugin
        self.module = module
        self.patches: list[Patch] = []
        self.guards: list[Guard] = []
        self._reraise = reraise
        self._limit = limit
        self._placed: dict[int, frozenset[str]] = {}

    def __call__(self, target: str, describer: Describer, *, root: bool = False, optional: bool = False) -> None:
        """
        Time each call of a function or method.

        Args:
            target: ``module:Class.method`` or ``module:function``, whatever can be called, ``async`` or not; ``module:Class`` is
                the call that constructs an object. The span of a generator function lasts from the first step to the end.
            describer: called with the arguments of the call, on the application's thread. A generator function yields the
                span, receives the result of the call, and may tag or rename the span before it ends.
            root: also call it outside of a transaction, to begin one.
            optional: it may be missing, because only some supported versions have it. When any other target is missing,
                the plugin fails, and none of its targets is wrapped.

        Raises:
            PluginError: the target is not written like that, or the describer is not callable.
        """
        self._check(target, describer, role="describer")
        called = describer if inspect.isroutine(describer) else getattr(describer, "__call__", describer)  # noqa: B004
        if any(
            is_one(describer) or is_one(called) for is_one in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        ):
            raise PluginError(
                f"plugin {self.plugin!r}: describer for {target} must be a plain function, got an async function;"
                " it describes async calls as well, and must not wait"
            )
        guard = Guard(
            self.plugin,
            target,
            describer,
            limit=self._limit,
            module=self.module,
            reraise=self._reraise,
            has_steps=inspect.isgeneratorfunction(describer) or inspect.isgeneratorfunction(called),
        )
        self.guards.append(guard)
        self._add(
            target,
            lambda original: describing_wrapper(original.function, original.guard(guard), is_root=root),
            optional,
            role="describer",
        )

    def around(self, target: str, function: Around, *, optional: bool = False) -> None:
        """
        Replace a call: the escape hatch, for a call that must be changed.

        Args:
            function: ``(wrapped, instance, args, kwargs)``. It calls ``wrapped(*args, **kwargs)``, and its result is the
                result of the call; for an async function, what its result gives when awaited. ``instance`` is None for a
                plain function or static method, and the class for a class method. It is not guarded, because its
                exceptions cannot be distinguished from those of the call, so keep it short.
            optional: it may be missing.
        """
        self._check(target, function, role="function")

        def is_undone() -> bool:
            return patch.state is PatchState.UNDONE

        patch = self._add(
            target,
            lambda original: around_wrapper(
                original.function, original.around(function), is_undone, has_instance=original.has_instance
            ),
            optional,
            role="around",
        )

    def _add(self, target: str, wrapper: Callable[[Original], Function], optional: bool, *, role: str) -> Patch:
        patch = Patch(target, wrapper, optional, role, self._placed)
        self.patches.append(patch)
        return patch

    def _check(self, target: object, function: object, *, role: str) -> None:
        module, colon, path = target.partition(":") if isinstance(target, str) else ("", "", "")
        names = (*module.split("."), *path.split("."))
        if not colon or not all(name.isidentifier() for name in names):
            raise PluginError(
                f"plugin {self.plugin!r}: invalid target {target!r}; expected 'module:Class.method' or 'module:function'"
            )
        if not callable(function):
            raise PluginError(f"plugin {self.plugin!r}: {role} for {target} must be callable, got {function!r}")


def why_not_wrapped(target: str, *, is_around: bool = False) -> str | None:
    """
    Return why a target cannot be wrapped; None when it can.

    The target is wrapped and put back at once, so call this only where nothing else uses the library. Nothing is imported: a target
    whose module is not imported has that as its reason.

    Args:
        is_around: for ``wrap.around``, which accepts more functions than a describer does.

    Raises:
        PluginError: the target is not written as ``module:Class.method`` or ``module:function``.
    """
    wrap = Wrap("check")
    if is_around:
        wrap.around(target, lambda wrapped, instance, args, kwargs: wrapped(*args, **kwargs))
    else:
        wrap(target, lambda *args, **kwargs: None)
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
