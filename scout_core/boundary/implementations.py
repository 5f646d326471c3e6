"""Functions that implement hooks: found in a plugin, checked, and adapted to how the hook is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from scout_core import hookspecs
from scout_core.errors import PluginError
from scout_core.problems import join_clauses
from scout_core.suggest import did_you_mean

OPTIONS: Final = "options"
"""The argument that is bound when hooks are frozen; the core passes all others at each call."""
MAY_YIELD: Final = frozenset({"register_exporters"})
"""Hooks whose result is iterated over."""
KNOW_FAILURES: Final = ("score_transaction", "trace_group")
"""Hooks that can have ``when_failed`` or ``when_errors``."""


_MARK: Final = f"{hookspecs.PROJECT}_impl"
"""The attribute that ``@hookimpl`` sets."""

Implementation = tuple[str, str, Mapping[str, Any]]
"""Attribute, hook and settings of ``@hookimpl``."""


@lru_cache(maxsize=1)
def hook_names() -> tuple[str, ...]:
    """Return the names of all hooks, in the order of their specifications."""
    return tuple(name for name, member in vars(hookspecs).items() if hasattr(member, f"{hookspecs.PROJECT}_spec"))


def arguments_of(hook: str) -> tuple[str, ...]:
    """Return the names of a hook's arguments, in order."""
    code = getattr(hookspecs, hook).__code__
    return tuple(code.co_varnames[: code.co_argcount])


def implemented_hooks(plugin: object) -> set[str]:
    """
    Return the hooks that a module or object implements with ``@hookimpl`` functions.

    Raises:
        PluginError: it implements none, some that do not exist, some with an argument that the hook does not have,
            or some that wrap the others; with all of them.
    """
    functions = marked(plugin)
    if not functions:
        raise PluginError("it has no function marked with @hookimpl", kind="no-hooks")
    invalid = _invalid(plugin, functions)
    if invalid:
        code = getattr(plugin, next(iter(invalid))).__code__
        frames = ((code.co_filename, code.co_firstlineno, code.co_name),)
        raise PluginError(join_clauses(*invalid.values()), kind="invalid-hook", frames=frames)
    return {hook for _, hook, _ in functions}


def invalid_hooks(plugin: object) -> dict[str, str]:
    """Return the attributes that implement a hook wrongly, each with what is wrong."""
    return _invalid(plugin, marked(plugin))


def _invalid(plugin: object, functions: Iterable[Implementation]) -> dict[str, str]:
    found = {name: _problem(hook, getattr(plugin, name), settings) for name, hook, settings in functions}
    return {name: problem for name, problem in found.items() if problem}


def unfilled(hook: str, function: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """
    Yield what is wrong, and the remedy, for each parameter that never gets an argument although the function can be called.

    Source: pluggy passes only positional parameters without a default.
    """
    known = arguments_of(hook)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            yield (
                f"{hook} takes {stars}{name}, which is always empty",
                f"name the arguments that it needs: {_list(known)}",
            )
        elif name in known and parameter.default is not parameter.empty:
            yield f"{hook} has a default for {name}, so {name} is never passed", f"remove the default of {name}"
        elif parameter.default is not parameter.empty:
            hint = did_you_mean(name, known)
            # `limit=5` may be a constant of the plugin; None, and the name of another hook's argument, wait for the core.
            if hint or parameter.default is None or any(name in arguments_of(other) for other in hook_names()):
                remedy = hint or f"remove {name}; the hook has {_list(known)}"
                yield f"{hook} takes {name}, which the hook does not have", remedy


def is_active(function: Callable[..., Any], is_changed: Callable[[str], bool]) -> bool:
    """Whether the options that the function depends on allow it to be called; see ``when_changed``."""
    options = getattr(function, hookspecs.WHEN_CHANGED, None)
    return options is None or any(map(is_changed, options))


def adapted(function: Callable[..., Any], hook: str, wanted: tuple[str, ...], options: object) -> Callable[..., Any]:
    """
    Return a function that takes what the core passes, and calls the implementation with the arguments that it takes.

    Args:
        options: the plugin's own, for an implementation that takes them.
    """
    passed = tuple(name for name in arguments_of(hook) if name != OPTIONS)
    if wanted == passed:
        return function
    if wanted == passed[:1]:
        return lambda first, *_: function(first)
    if wanted == (*passed, OPTIONS):
        return lambda *arguments: function(*arguments, options)
    if wanted == (*passed[:1], OPTIONS):
        return lambda first, *_: function(first, options)
    places = [(*passed, OPTIONS).index(name) for name in wanted]

    def call(*arguments: Any) -> Any:
        values = (*arguments, options)
        return function(*[values[place] for place in places])

    return call


def _problem(hook: str, function: Callable[..., Any], settings: Mapping[str, Any]) -> str:
    """Return what is wrong with an implementation; empty when it is valid."""
    if settings.get("wrapper") or settings.get("hookwrapper"):
        return f"{hook} must not wrap the implementations of other plugins"
    hooks = hook_names()
    if hook not in hooks:
        return join_clauses(f"there is no hook {hook}", did_you_mean(hook, hooks))
    if inspect.iscoroutinefunction(function):
        return f"{hook} must not be an async function: nothing awaits it; use def"
    if hook not in MAY_YIELD and (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)):
        return f"{hook} must not be a generator function: it would never run; use return instead of yield"
    if hook not in KNOW_FAILURES and hasattr(function, hookspecs.WHEN):
        return f"{hook} must not have @when_{getattr(function, hookspecs.WHEN)}, which is for {_list(KNOW_FAILURES)}"
    known = arguments_of(hook)
    for name, parameter in inspect.signature(function).parameters.items():
        is_wanted = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        if is_wanted and parameter.kind is not parameter.VAR_KEYWORD and name not in known:
            hint = did_you_mean(name, known) or f"it has {_list(known)}"
            return f"the hook {hook} has no argument {name}; {hint}"
        if is_wanted and parameter.kind is parameter.KEYWORD_ONLY:
            return f"{hook} must take {name} by position: arguments after * are not passed; remove the *"
    return ""


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def marked(plugin: object) -> list[Implementation]:
    """Return its ``@hookimpl`` functions, without reading any other attribute."""
    found = []
    for name, member in _members(plugin):
        function = member.__func__ if type(member) in (staticmethod, classmethod, MethodType) else member
        settings = vars(function).get(_MARK) if type(function) is FunctionType else None
        if settings is not None:
            found.append((name, settings.get("specname") or name, settings))
    return found


def may_implement(plugin: object, name: str) -> bool:
    """Whether an attribute may be an implementation: False for most attributes of a module, at the price of one look into a dict."""
    if type(plugin) is not ModuleType:
        return True
    member = vars(plugin).get(name)
    if type(member) is FunctionType:
        return _MARK in vars(member)
    return type(member) in (staticmethod, classmethod, MethodType)


def _members(plugin: object) -> Iterable[tuple[str, Any]]:
    if type(plugin) is ModuleType and "__dir__" not in vars(plugin):
        # Most plugins. `getattr_static` takes 10 times as long, and with it registering is a third of the start.
        return sorted(vars(plugin).items())
    return ((name, inspect.getattr_static(plugin, name, None)) for name in dir(plugin))
