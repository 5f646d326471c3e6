"""pluggy at start, tuples afterwards: each hook becomes a tuple of guarded functions.

pluggy checks names and arguments and puts implementations in order. A call through it costs microseconds and stops at
the first exception, so it is never called while an application runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

import pluggy
from attrs import define, field, fields, frozen

from scout_core import hookspecs
from scout_core.boundary.guard import Guard
from scout_core.boundary.limits import Limits
from scout_core.boundary.pace import Limit
from scout_core.errors import PluginError
from scout_core.suggest import did_you_mean

if TYPE_CHECKING:
    from scout_core.config.config import Config

ON_APP_THREAD: Final = frozenset({"on_request_start", "on_span"})
ONCE_A_PERIOD: Final = frozenset({"on_report"})
MAY_YIELD: Final = frozenset({"register_exporters"})
"""Hooks whose result is iterated over."""


@frozen
class RunTimeHooks:
    """The guards of every hook that is called while the application runs, each in the order of the calls."""

    on_request_start: tuple[Guard, ...] = ()
    on_span: tuple[Guard, ...] = ()
    on_error: tuple[Guard, ...] = ()
    on_request_end: tuple[Guard, ...] = ()
    on_ignore: tuple[Guard, ...] = ()
    on_keep: tuple[Guard, ...] = ()
    on_report: tuple[Guard, ...] = ()
    ignore_transaction: tuple[Guard, ...] = ()
    score_transaction: tuple[Guard, ...] = ()


AT_RUN_TIME: Final = tuple(attribute.name for attribute in fields(RunTimeHooks))


@define(eq=False)
class Hooks:
    """Who implements what. One for each agent."""

    reraise: bool = False
    """Let exceptions of plugins through: for tests."""
    limits: Limits = field(factory=Limits)
    order: tuple[str, ...] = ()
    """Plugins that are called first, in this order."""
    manager: pluggy.PluginManager = field(factory=lambda: pluggy.PluginManager(hookspecs.PROJECT))
    _guards: dict[pluggy.HookImpl, Guard] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.manager.add_hookspecs(hookspecs)

    @classmethod
    def from_config(cls, config: Config) -> Hooks:
        """As the configuration says."""
        return cls(
            reraise=config.get("plugins.reraise"),
            limits=Limits.from_config(config),
            order=config.get("plugins.order"),
        )

    def register(self, plugin: object, name: str) -> tuple[str, ...]:
        """
        Take a module, or any object, with ``@hookimpl`` functions.

        Returns:
            The hooks it implements, in alphabetical order.

        Raises:
            PluginError: it implements none, one that does not exist, one with an argument that the hook does not have,
                or one that wraps the others; or the name is taken.
        """
        known = {hook for hook, member in vars(hookspecs).items() if hasattr(member, f"{hookspecs.PROJECT}_spec")}
        marked = _marked(plugin)
        if not marked:
            raise PluginError("it has no function marked with @hookimpl")
        for attribute, hook, options in marked:
            if options.get("wrapper") or options.get("hookwrapper"):
                raise PluginError(f"{hook} wraps the implementations of others, which no hook allows")
            if hook not in known:
                raise PluginError("; ".join(filter(None, (f"there is no hook {hook}", did_you_mean(hook, known)))))
            _check_function(hook, getattr(plugin, attribute))
        if self.manager.has_plugin(name):
            raise PluginError(f"there is a plugin {name} already")
        if self.manager.is_registered(plugin):
            raise PluginError(f"it is loaded as the plugin {self.manager.get_name(plugin)} already")
        self.manager.register(plugin, name)
        return tuple(sorted({hook for _, hook, _ in marked}))

    def unregister(self, name: str) -> None:
        """Forget a plugin; whoever froze its hooks freezes them again."""
        if self.manager.has_plugin(name):
            self.manager.unregister(name=name)
        self._guards = {item: guard for item, guard in self._guards.items() if item.plugin_name != name}

    def frozen(self, hook: str, *, is_set: Callable[[str], bool] = bool) -> tuple[Guard, ...]:
        """
        The guards of all implementations, in the order of their calls: as ``order`` says, then ``tryfirst``, then by name of the plugin.

        Args:
            is_set: whether an option is not at its default; implementations marked with ``when_set`` depend on it.
        """
        implementations = [
            item
            for item in reversed(getattr(self.manager.hook, hook).get_hookimpls())
            if _is_wanted(item.function, is_set)
        ]
        place = {name: number for number, name in enumerate(self.order)}
        implementations.sort(
            key=lambda item: (
                place.get(item.plugin_name, len(place)),
                not item.tryfirst,
                item.trylast,
                item.plugin_name,
            )
        )
        return tuple(self._guarded(hook, item) for item in implementations)

    def _guarded(self, hook: str, item: pluggy.HookImpl) -> Guard:
        if item not in self._guards:
            arguments = tuple(inspect.signature(getattr(hookspecs, hook)).parameters)
            self._guards[item] = Guard(
                item.plugin_name,
                hook,
                _adapted(item.function, arguments, item.argnames),
                limit=self._limit(hook),
                reraise=self.reraise,
            )
        return self._guards[item]

    def _limit(self, hook: str) -> Limit | None:
        if hook in ON_APP_THREAD:
            return self.limits.application
        if hook in ONCE_A_PERIOD:
            return self.limits.period
        return self.limits.transaction if hook in AT_RUN_TIME else None


def _is_wanted(function: Callable[..., Any], is_set: Callable[[str], bool]) -> bool:
    options = getattr(function, "scout_core_when_set", None)
    return options is None or any(map(is_set, options))


def _adapted(function: Callable[..., Any], given: tuple[str, ...], wanted: tuple[str, ...]) -> Callable[..., Any]:
    """The function, taking all arguments of the hook and passing on those that it asks for."""
    if wanted == given:
        return function
    if wanted == given[:1]:
        return lambda first, *_: function(first)
    places = [given.index(name) for name in wanted]
    return lambda *arguments: function(*[arguments[place] for place in places])


def _check_function(hook: str, function: Callable[..., Any]) -> None:
    if inspect.iscoroutinefunction(function):
        raise PluginError(f"{hook} is an async function, and nobody would await it; write def")
    if hook not in MAY_YIELD and (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)):
        raise PluginError(f"{hook} is a generator function, and nobody would run it; return instead of yield")
    given = inspect.signature(getattr(hookspecs, hook)).parameters
    for name, parameter in inspect.signature(function).parameters.items():
        is_wanted = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        if is_wanted and parameter.kind is not parameter.VAR_KEYWORD and name not in given:
            hint = did_you_mean(name, given) or f"it has {', '.join(given) or 'none'}"
            raise PluginError(f"the hook {hook} has no argument {name}; {hint}")


def _marked(plugin: object) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Name, hook and options of its ``@hookimpl`` functions. Nothing else that it holds is asked anything."""
    found = []
    for name in dir(plugin):
        member = inspect.getattr_static(plugin, name, None)
        function = member.__func__ if type(member) in (staticmethod, classmethod, MethodType) else member
        options = vars(function).get(f"{hookspecs.PROJECT}_impl") if type(function) is FunctionType else None
        if options is not None:
            found.append((name, options.get("specname") or name, options))
    return found
