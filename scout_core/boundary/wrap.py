"""``wrap``: what a plugin's ``instrument`` is given. It turns describers into wrappers around a library's functions.

Hot code: the wrappers stand around every call of the library. They call the describer under a guard and the
application's function outside of any ``try``, so an exception of the application passes untouched. Their first lines, which
leave out what is in no transaction or in an ignored one, are written out in each of the four, since a call would double them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any

from scout_core.boundary.guard import Guard
from scout_core.boundary.pace import Limit
from scout_core.boundary.patches import Function, Patch
from scout_core.errors import LeftAlone, PluginError
from scout_core.recording.context import current
from scout_core.recording.span import Span

_get = current.get

Describer = Callable[..., "Span | Generator[Span, Any, object] | None"]
_Step = Callable[["Generator[Span, Any, object]", object], None]


class Wrap:
    """
    Collects what one plugin wraps; nothing is touched before its ``instrument`` has returned.

    ``wrap("redis.client:Redis.execute_command", command)``: ``command`` is called with the very arguments of each call
    and returns the span that the call is, or None.
    """

    def __init__(self, plugin: str, *, reraise: bool = False, limit: Limit | None = None) -> None:
        self.plugin = plugin
        self.patches: list[Patch] = []
        self.guards: list[Guard] = []
        self._reraise = reraise
        self._limit = limit
        self._made: list[Function] = []

    def __call__(self, target: str, describer: Describer, *, root: bool = False, optional: bool = False) -> None:
        """
        Time each call of a function or method.

        Args:
            target: ``module:Class.method`` or ``module:function``. Functions, methods, class and static methods, ``async`` or not;
                generator functions are left alone.
            describer: a function; called with the arguments of the call, on the application's thread. When it is a generator
                function it yields the span, is sent the call's result, and may tag or rename before it ends.
            root: also call it where no transaction is open, to begin one.
            optional: it need not exist, as what only some supported versions have. Of all others one that is missing makes
                the plugin fail, and nothing of it is wrapped.

        Raises:
            PluginError: the target is not written so, or the describer is no function.
        """
        self._check(target, describer)
        with_result = inspect.isgeneratorfunction(describer)
        guard = Guard(
            self.plugin,
            target,
            describer,
            limit=self._limit,
            reraise=self._reraise,
            has_steps=with_result,
        )
        self.guards.append(guard)

        def wrapper(function: Function, has_self: bool) -> Function:
            if inspect.iscoroutinefunction(function):
                return _awaited_with_result(function, guard, root) if with_result else _awaited(function, guard, root)
            if inspect.iscoroutinefunction(inspect.unwrap(function)):
                raise LeftAlone("it decorates an async function and is none itself, so nobody could tell its end")
            return _called_with_result(function, guard, root) if with_result else _called(function, guard, root)

        self._add(target, wrapper, optional)

    def around(self, target: str, function: Callable[..., Any], *, optional: bool = False) -> None:
        """
        Replace a call: the escape hatch, for a call that must be changed.

        Args:
            function: ``(wrapped, instance, args, kwargs)``; what it returns is the result, of an async function what it
                gives when awaited, and it must call ``wrapped(*args, **kwargs)`` itself. ``instance`` is None for a plain
                function or static method, the class for a class method. It is not guarded, since nobody can tell its
                exceptions from those of the call; so keep it short.
            optional: it need not exist.
        """
        self._check(target, function)

        def wrapper(wrapped: Function, has_self: bool) -> Function:
            def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                if patch.state == "undone":  # somebody wrapped this wrapper, so it had to stay
                    return wrapped(*args, **kwargs)
                if not has_self or not args:
                    return function(wrapped, None, args, kwargs)
                return function(functools.partial(wrapped, args[0]), args[0], args[1:], kwargs)

            @functools.wraps(wrapped)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                return await call(args, kwargs)

            @functools.wraps(wrapped)
            def called(*args: Any, **kwargs: Any) -> Any:
                return call(args, kwargs)

            return awaited if inspect.iscoroutinefunction(wrapped) else called

        patch = self._add(target, wrapper, optional)

    def _add(self, target: str, wrapper: Callable[[Function, bool], Function], optional: bool) -> Patch:
        def once(function: Function, has_self: bool) -> Function:
            if any(function is made for made in self._made):  # two names of one function, or inherited from a target
                raise LeftAlone("this plugin has wrapped it already")
            made = wrapper(function, has_self)
            self._made.append(made)
            return made

        patch = Patch(target, once, optional)
        self.patches.append(patch)
        return patch

    def _check(self, target: object, function: object) -> None:
        module, colon, path = target.partition(":") if isinstance(target, str) else ("", "", "")
        if not (module and colon and path) or not all(
            part.isidentifier() for part in (*module.split("."), *path.split("."))
        ):
            raise PluginError(
                f"plugin {self.plugin!r}: {target!r} is no target; write 'module:Class.method' or 'module:function'"
            )
        if not callable(function):
            raise PluginError(f"plugin {self.plugin!r}: the describer of {target} is no function but {function!r}")


def _called(function: Function, guard: Guard, root: bool) -> Function:
    describe = guard.run

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not root:
                return function(*args, **kwargs)
        elif (inside := parent.transaction) is not None and inside.ignored is not None and not inside.is_finished:
            return function(*args, **kwargs)
        span = describe(*args, **kwargs)
        if not issubclass(type(span), Span):
            _refuse(guard, span)
            return function(*args, **kwargs)
        with span:
            return function(*args, **kwargs)

    return called


def _awaited(function: Function, guard: Guard, root: bool) -> Function:
    describe = guard.run

    @functools.wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not root:
                return await function(*args, **kwargs)
        elif (inside := parent.transaction) is not None and inside.ignored is not None and not inside.is_finished:
            return await function(*args, **kwargs)
        span = describe(*args, **kwargs)
        if not issubclass(type(span), Span):
            _refuse(guard, span)
            return await function(*args, **kwargs)
        with span:
            return await function(*args, **kwargs)

    return awaited


def _called_with_result(function: Function, guard: Guard, root: bool) -> Function:
    begin = guard.begin

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not root:
                return function(*args, **kwargs)
        elif (inside := parent.transaction) is not None and inside.ignored is not None and not inside.is_finished:
            return function(*args, **kwargs)
        begun = begin(args, kwargs)
        if begun is None or not issubclass(type(begun[1]), Span):
            _refused(guard, begun)
            return function(*args, **kwargs)
        description, span = begun
        with span:
            begun_in = span.transaction
            if begun_in is not None and begun_in.ignored is not None:
                guard.finish(description.close)
                return function(*args, **kwargs)
            last: _Step = _close
            try:
                result = function(*args, **kwargs)
                last = _tell
            finally:
                guard.finish(last, description, None if last is _close else result)
            return result

    return called


def _awaited_with_result(function: Function, guard: Guard, root: bool) -> Function:
    begin = guard.begin

    @functools.wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not root:
                return await function(*args, **kwargs)
        elif (inside := parent.transaction) is not None and inside.ignored is not None and not inside.is_finished:
            return await function(*args, **kwargs)
        begun = begin(args, kwargs)
        if begun is None or not issubclass(type(begun[1]), Span):
            _refused(guard, begun)
            return await function(*args, **kwargs)
        description, span = begun
        with span:
            begun_in = span.transaction
            if begun_in is not None and begun_in.ignored is not None:
                guard.finish(description.close)
                return await function(*args, **kwargs)
            last: _Step = _close
            try:
                result = await function(*args, **kwargs)
                last = _tell
            finally:
                guard.finish(last, description, None if last is _close else result)
            return result

    return awaited


def _refused(guard: Guard, begun: tuple[Any, Any] | None) -> None:
    """A describer that yielded no span."""
    if begun is not None:
        description, span = begun
        _refuse(guard, span)
        guard.attempt(description.close)


def _close(description: Generator[Span, Any, object], _: object) -> None:
    """The call raised: the describer ends where it waits."""
    description.close()


def _tell(description: Generator[Span, Any, object], result: object) -> None:
    """The call returned: the describer goes on with the result, to its end."""
    try:
        description.send(result)
    except StopIteration:
        return
    description.close()
    raise PluginError("a describer yields once, the span; this one yielded again")


def _refuse(guard: Guard, span: object) -> None:
    if span is not None:
        guard.refuse(f"a describer returns a span or None, not {type(span).__name__}")
