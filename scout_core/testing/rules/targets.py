"""The targets of a plugin, found without wrapping them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Iterable
from types import ModuleType
from typing import Any

from attrs import frozen

from scout_core.boundary.header_places import DefaultHeaders
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.implementations import invalid_hooks, marked
from scout_core.boundary.plugins import Plugins
from scout_core.boundary.wrap import Describer, Wrap, why_not_wrapped
from scout_core.config.config import read_config
from scout_core.errors import with_kind
from scout_core.recording.stepwise.generator_functions import is_block_function, is_generator_function
from scout_core.recording.stepwise.unfollowed import describe_unfollowed
from scout_core.testing.leaks import raw_target
from scout_core.testing.rules.annotated import Announced, announced_results


@frozen
class Target:
    """A target of a plugin."""

    name: str
    """``module:Class.method``."""
    describer: str
    """Name of the function that describes or replaces it."""
    root: bool = False
    is_around: bool = False
    is_optional: bool = False
    """Only some supported versions have it."""
    group: str | None = None
    """It is wrapped together with the other targets of this name; only some supported versions have them."""
    headers: str | None = None
    """The parameter through which it sends headers."""
    default_headers: DefaultHeaders = None
    """The headers that a call without any stands for."""

    @property
    def module(self) -> str:
        """Name of its module."""
        return self.name.partition(":")[0]

    @property
    def package(self) -> str:
        """Top-level package of that module."""
        return self.module.partition(".")[0]

    @property
    def is_there(self) -> bool:
        """Whether its module is imported and has it."""
        return raw_target(self.name) is not None

    @property
    def is_needed(self) -> bool:
        """Whether the plugin fails without it."""
        return not self.is_optional and self.group is None

    @property
    def obstacle(self) -> str:
        """Why it cannot be wrapped; empty while its module is not imported, and if it can be."""
        return self._why_not_wrapped() if self.is_there else ""

    def _why_not_wrapped(self) -> str:
        options: dict[str, Any] = {"headers": self.headers, "default_headers": self.default_headers}
        return why_not_wrapped(self.name, is_around=self.is_around, **options) or ""

    @property
    def is_async(self) -> bool:
        """Whether it is an ``async def``; False while its module is not imported."""
        raw = raw_target(self.name)
        return inspect.iscoroutinefunction(getattr(raw, "__func__", raw))

    @property
    def is_generator(self) -> bool:
        """Whether a call returns a generator or a context manager that is made of one; False while its module is not imported."""
        raw = raw_target(self.name)
        function = getattr(raw, "__func__", raw)
        return is_generator_function(function) or is_block_function(function)

    @property
    def unfollowed(self) -> tuple[Announced, ...]:
        """
        Results of its calls though their spans may not last until they are done.

        Known of a class, and of a function whose annotation names classes; empty for any other, and while its module is not imported.
        """
        raw = raw_target(self.name)
        if raw is None or self.is_around or self.is_generator:
            return ()
        if isinstance(raw, type):
            text = describe_unfollowed(raw, self.name, is_constructor=True)
            return (Announced(text, ""),) if text else ()
        return tuple(announced_results(getattr(raw, "__func__", raw), self.name))


class _Collector(Wrap):
    """Collects targets."""

    def __init__(self, plugin: str) -> None:
        super().__init__(plugin)
        self.targets: list[Target] = []

    def __call__(self, target: str, describer: Describer, **options: Any) -> None:
        """Collect a target with a describer."""
        known = len(self.problems)
        super().__call__(target, describer, **options)
        if len(self.problems) == known:
            self._collect(target, describer, False, **options)

    def around(self, target: str, function: Callable[..., Any], **options: Any) -> None:
        """Collect a target with a function that changes its calls."""
        known = len(self.problems)
        super().around(target, function, **options)
        if len(self.problems) == known:
            self._collect(target, function, True, **options)

    def _collect(
        self, target: str, function: object, is_around: bool, *, root: bool = False, optional: bool = False,
        group: str | None = None, headers: str | None = None, default_headers: DefaultHeaders = None,
    ) -> None:  # fmt: skip
        self.targets.append(Target(target, _name(function), root, is_around, optional, group, headers, default_headers))


def targets_of(plugin: ModuleType) -> tuple[Target, ...]:
    """
    Call ``instrument`` and return the targets that it names.

    Raises:
        PluginError: it is not a plugin. Exceptions of ``instrument`` pass, too.
    """
    collector = _Collector(plugin.__name__)
    _instrument(plugin, collector)
    collector.check()
    return tuple(collector.targets)


def named_targets(plugin: ModuleType) -> tuple[tuple[Target, ...], list[str], BaseException | None]:
    """Return the valid targets that a plugin names, what is wrong with the others, and what its ``instrument`` raised."""
    collector, raised = _Collector(plugin.__name__), None
    try:
        _instrument(plugin, collector)
    except BaseException as error:  # noqa: BLE001  # of the plugin; the rules report it
        raised = error
    return tuple(collector.targets), list(map(str, collector.problems)), raised


def with_hooks(plugin: ModuleType, *, without: Collection[str] = ()) -> ModuleType | None:
    """Return a plugin with the valid hooks of another one, whose own functions they are; None if it has no valid one."""
    invalid = invalid_hooks(plugin)
    part = ModuleType(plugin.__name__)
    for attribute, hook, _ in marked(plugin):
        if attribute not in invalid and hook not in without:
            setattr(part, attribute, getattr(plugin, attribute))
    return part if marked(part) else None


def _instrument(plugin: ModuleType, collector: _Collector) -> None:
    config = read_config({"plugins.reraise": True})
    plugins = Plugins(config, Hooks.from_config(config))
    plugins.add_object(plugin, plugin.__name__)
    plugins.read_options()
    for guard in plugins.freeze("instrument"):
        guard.run(collector, config)


def import_targets(targets: Iterable[Target]) -> dict[str, str]:
    """Import the modules of all targets; return those that failed, each with its error."""
    failed = {}
    for module in dict.fromkeys(target.module for target in targets):
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001  # it may belong to another version, or need a driver that is missing
            failed[module] = with_kind(type(error).__name__, str(error))
    return failed


def _name(function: object) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
