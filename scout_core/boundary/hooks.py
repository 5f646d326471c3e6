"""pluggy at start, tuples afterwards: each hook becomes a tuple of guarded functions.

pluggy checks names and arguments and puts implementations in order. A call through it takes microseconds and stops at
the first exception, so it is never called while an application runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pluggy
from attrs import define, field, fields, frozen

from scout_core import hookspecs
from scout_core.boundary.guard import Guard
from scout_core.boundary.implementations import (
    OPTIONS,
    adapted,
    arguments_of,
    implemented_hooks,
    is_active,
    may_implement,
)
from scout_core.boundary.limits import Limits
from scout_core.boundary.pace import Limit
from scout_core.boundary.transaction_guard import TransactionGuard
from scout_core.errors import PluginError

if TYPE_CHECKING:
    from scout_core.config.config import Config

ON_APP_THREAD: Final = frozenset({"on_request_start", "on_span"})
ONCE_A_PERIOD: Final = frozenset({"measure_process", "on_report"})
_OWN: Final = "scout_core.builtin."


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
    measure_process: tuple[Guard, ...] = ()
    ignore_transaction: tuple[Guard, ...] = ()
    trace_group: tuple[Guard, ...] = ()
    score_transaction: tuple[Guard, ...] = ()


AT_RUN_TIME: Final = tuple(attribute.name for attribute in fields(RunTimeHooks))


class _Manager(pluggy.PluginManager):
    """A manager that looks closely only at attributes that may be implementations, as most of a module's are not."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:  # Any: as in pluggy
        return super().parse_hookimpl_opts(plugin, name) if may_implement(plugin, name) else None


@define(eq=False)
class Hooks:
    """The registered plugins and their implementations. One for each agent."""

    reraise: bool = False
    """Let exceptions of plugins through: for tests."""
    limits: Limits = field(factory=Limits)
    order: tuple[str, ...] = ()
    """Plugins that are called first, in this order."""
    config: Config | None = None
    """The source of plugins' options; None: no plugin has any."""
    manager: pluggy.PluginManager = field(factory=lambda: _Manager(hookspecs.PROJECT))
    _guards: dict[pluggy.HookImpl, Guard] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.manager.add_hookspecs(hookspecs)

    @classmethod
    def from_config(cls, config: Config) -> Hooks:
        """Return an empty registry that follows the configuration."""
        return cls(
            reraise=config.get("plugins.reraise"),
            limits=Limits.from_config(config),
            order=config.get("plugins.order"),
            config=config,
        )

    def register(self, plugin: object, name: str) -> tuple[str, ...]:
        """
        Register a module, or any object, with ``@hookimpl`` functions.

        Returns:
            The hooks it implements, in alphabetical order.

        Raises:
            PluginError: one of its implementations is invalid, it has none, or the name is taken.
        """
        implemented = implemented_hooks(plugin)
        if self.manager.has_plugin(name):
            raise PluginError(f"there is already a plugin {name}", kind="duplicate-name")
        if self.manager.is_registered(plugin):
            other = self.manager.get_name(plugin)
            raise PluginError(f"it is already loaded as the plugin {other}", kind="duplicate-plugin")
        self.manager.register(plugin, name)
        return tuple(sorted(implemented))

    def unregister(self, name: str) -> None:
        """Remove a plugin; hooks that were frozen must be frozen again."""
        if self.manager.has_plugin(name):
            self.manager.unregister(name=name)
        self._guards = {item: guard for item, guard in self._guards.items() if item.plugin_name != name}

    def frozen(self, hook: str, *, is_changed: Callable[[str], bool] = bool) -> tuple[Guard, ...]:
        """
        Return the guards of all implementations in the order of the calls: ``order``, then ``tryfirst``, then plugin name.

        Args:
            is_changed: whether an option differs from its default; decides on implementations with ``when_changed``.
        """
        implementations = [
            item
            for item in reversed(getattr(self.manager.hook, hook).get_hookimpls())
            if is_active(item.function, is_changed)
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
        options = self._options_of(item.plugin_name) if OPTIONS in item.argnames else None
        function = adapted(item.function, hook, item.argnames, options)
        guard = self._guards.get(item)
        if guard is None:
            make = TransactionGuard if _can_spoil(hook, item) else Guard
            guard = self._guards[item] = make(
                item.plugin_name,
                hook,
                function,
                limit=self._limit(hook),
                reraise=self.reraise,
                module=getattr(item.plugin, "__name__", ""),
            )
        guard.when = getattr(item.function, hookspecs.WHEN, "")
        if isinstance(guard, TransactionGuard):
            guard.use(function, is_examined=hook not in ON_APP_THREAD)
        else:
            guard.function = function  # options may have changed since it was frozen before
        return guard

    def _options_of(self, plugin: str) -> Any:  # Any: each plugin has its own class
        try:
            return None if self.config is None else self.config.plugin(plugin)
        except KeyError:
            return None

    def _limit(self, hook: str) -> Limit | None:
        if hook in ON_APP_THREAD:
            return self.limits.application
        if hook in ONCE_A_PERIOD:
            return self.limits.period
        return self.limits.transaction if hook in AT_RUN_TIME else None


def _can_spoil(hook: str, item: pluggy.HookImpl) -> bool:
    """Whether it gets a transaction or a span. The built-in plugins, whose tests show that they change none, are not examined."""
    first = arguments_of(hook)[:1]
    is_given = first in (("transaction",), ("span",)) and first[0] in item.argnames
    return is_given and not getattr(item.plugin, "__name__", "").startswith(_OWN)
