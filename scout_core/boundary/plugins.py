"""All plugins of one agent: found, loaded or not, and in which state with which reason."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from attrs import define, field

from scout_core.boundary.discovery import Environment, Found
from scout_core.boundary.guard import Guard
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.imports import ImportWatch
from scout_core.boundary.patches import Patch
from scout_core.boundary.versions import Support, check_support
from scout_core.boundary.wrap import Wrap
from scout_core.config.config import Config
from scout_core.errors import PluginError, TargetError
from scout_core.text.message import error_message


@define(eq=False)
class Plugin:
    """One plugin in this process."""

    name: str
    module: str
    found: Found | None = None
    """None for a module that was named by the user."""
    state: str = "active"
    """Before its targets are looked at; ``state_now`` is what to show."""
    reason: str = ""
    support: Support = field(factory=lambda: Support(target=""))
    hooks: tuple[str, ...] = ()
    patches: list[Patch] = field(factory=list)
    guards: list[Guard] = field(factory=list)

    def state_now(self) -> tuple[str, str]:
        """State and reason, as of this moment."""
        off = [guard for guard in self.guards if guard.off not in (None, STOPPED)]
        if self.state != "active":
            return self.state, self.reason
        if off:
            return "quarantined", "; ".join(f"{guard.place} is switched off: {guard.off}" for guard in off)
        wrapped = [patch for patch in self.patches if patch.state == "wrapped"]
        waiting = [patch for patch in self.patches if patch.state == "waiting"]
        if waiting and not wrapped:
            if self.support.absent:
                return "waiting", f"{self.support.target} is not installed"
            packages = sorted({patch.module.partition(".")[0] for patch in waiting})
            return "waiting", f"{', '.join(packages)} is not imported"
        missing = [patch for patch in self.patches if patch.state == "not found"]
        if missing and not wrapped:
            return "failed", "; ".join(patch.reason for patch in missing)
        return "active", ""


STOPPED = "the agent stopped"


@define(eq=False)
class Plugins:
    """What is found, loaded, wrapped. One for each agent."""

    config: Config
    hooks: Hooks
    all: dict[str, Plugin] = field(factory=dict)
    watch: ImportWatch = field(factory=ImportWatch)
    problems: list[str] = field(factory=list)
    _applied: list[Patch] = field(factory=list)
    """In the order in which they were put in place."""

    def load(self, environment: Environment, named: Sequence[str | ModuleType]) -> None:
        """
        Load what the configuration allows, and register its hooks.

        Raises:
            PluginError: a plugin that the user named, in code or as required, cannot be used.
        """
        self.problems.extend(environment.problems)
        modules = {_name_of(module) for module in named}
        for found in environment.plugins:
            self._add_found(found, environment, is_named=found.module in modules)
        for module in named:
            self._add_named(module)
        missing = [
            f"{name} is {self.all[name].state}: {self.all[name].reason}"
            if name in self.all
            else f"{name} is not installed"
            for name in self.config.get("plugins.require")
            if name not in self.all or self.all[name].state != "active"
        ]
        if missing:
            raise PluginError(f"required plugins ({self.config.origin('plugins.require')}): {'; '.join(missing)}")
        self._check_names()

    def add_object(self, plugin: object, name: str) -> None:
        """
        Register an object that is a plugin; whoever froze hooks freezes them again.

        Raises:
            PluginError: it implements no hook, or one that does not exist.
        """
        self.all[name] = Plugin(name, type(plugin).__module__, hooks=self.hooks.register(plugin, name))

    def read_options(self, environment: Mapping[str, str]) -> None:
        """Ask each plugin for its own options, and read them into the configuration."""
        for guard in self.freeze("register_options"):
            options = guard.run()
            if options is not None:
                guard.attempt(self.config.add_plugin_options, guard.plugin, options, environment)

    def instrument(self) -> None:
        """Ask each plugin what to wrap, and wrap it now or when it is imported."""
        for guard in self.hooks.frozen("instrument"):
            plugin = self.all[guard.plugin]
            if plugin.state != "active":
                continue
            wrap = Wrap(plugin.name, reraise=self.hooks.reraise)
            guard.run(wrap)
            if guard.errors:  # what it had asked for until then would be half an instrument
                plugin.state, plugin.reason = "failed", f"instrument raised {guard.last_error}"
                continue
            plugin.patches, plugin.guards = wrap.patches, [*plugin.guards, *wrap.guards]
            for patch in plugin.patches:
                self.watch.when_imported(patch.module, partial(self._apply, patch))

    def freeze(self, hook: str) -> tuple[Guard, ...]:
        """The guards of one hook, noted with the plugins that they belong to."""
        guards = self.hooks.frozen(hook, is_set=self.config.is_changed)
        for guard in guards:
            plugin = self.all[guard.plugin]
            if guard not in plugin.guards:
                plugin.guards.append(guard)
        return guards

    def undo(self) -> None:
        """Put back every object that was wrapped, and wait for no import."""
        self.watch.forget()
        for patch in reversed(self._applied):  # the last one first: two plugins may have wrapped the same target
            patch.undo()
        self._applied.clear()
        for plugin in self.all.values():
            for patch in plugin.patches:
                patch.undo()
            for guard in plugin.guards:
                guard.off = guard.off or STOPPED

    def _add_found(self, found: Found, environment: Environment, *, is_named: bool) -> None:
        if found.name in self.all:
            other = self.all[found.name].found
            owner = other.distribution if other else "another"
            self.problems.append(
                f"plugin {found.name!r} of {found.distribution} is not loaded: {owner} has the name already"
            )
            return
        plugin = self.all[found.name] = Plugin(found.name, found.module, found)
        disabled = self._disabled(found.name, is_named=is_named)
        if disabled:
            plugin.state, plugin.reason = "disabled", disabled
            return
        if found.problem:
            plugin.state, plugin.reason = "failed", found.problem
            return
        plugin.support = check_support(found.instruments, environment.installed)
        problem = check_support(found.core, environment.installed).problem or plugin.support.problem
        if problem:
            plugin.state, plugin.reason = "skipped", f"{problem}; try: pip install -U {found.distribution}"
            return
        self._load(plugin, found.module)

    def _add_named(self, named: str | ModuleType) -> None:
        name = _name_of(named)
        plugin = next((plugin for plugin in self.all.values() if plugin.module == name), None)
        if plugin is None:
            plugin = Plugin(name, name)
            disabled = self._disabled(name, is_named=True)
            if name in self.all:
                plugin.state, plugin.reason = "failed", "an installed plugin has the name already"
                self.problems.append(f"plugin {name!r} ({self.config.origin('plugins')}): {plugin.reason}")
            elif disabled:
                plugin.state, plugin.reason = "disabled", disabled
            else:
                self._load(plugin, named)
            self.all.setdefault(name, plugin)
        if plugin.state in ("failed", "skipped") and self.config.origin("plugins") == "code":
            raise PluginError(f"plugin {name!r} (named in code): {plugin.reason}")

    def _load(self, plugin: Plugin, module: str | Any) -> None:
        try:
            loaded = _imported(module, is_named=plugin.found is None) if isinstance(module, str) else module
            plugin.hooks = self.hooks.register(loaded, plugin.name)
        except PluginError as error:
            plugin.state, plugin.reason = "failed", str(error)
        except SystemExit as error:
            plugin.state, plugin.reason = (
                "failed",
                f"{plugin.module} called sys.exit({error.code!r}) when it was imported",
            )
        except KeyboardInterrupt:  # of the person who started the application
            raise
        except BaseException as error:  # noqa: BLE001  # a plugin's own code runs here; nothing that it raises may stop the others
            plugin.state, plugin.reason = (
                "failed",
                f"{plugin.module} cannot be imported: {type(error).__name__}: {error_message(error)}",
            )

    def _disabled(self, name: str, *, is_named: bool) -> str:
        disable, key = self.config.get("plugins.disable"), self.config.origin("plugins.disable")
        if name in disable or "*" in disable:
            return f"by plugins.disable ({key})"
        wanted = (*self.config.get("plugins.enable"), *self.config.get("plugins.require"))
        if not self.config.get("plugins.autoload") and name not in wanted and not is_named:
            return f"plugins.autoload is false ({self.config.origin('plugins.autoload')}) and plugins.enable does not name it"
        return ""

    def _check_names(self) -> None:
        from difflib import get_close_matches

        written = [
            (key, name, self.config.origin(key))
            for key in ("plugins.disable", "plugins.enable", "policies")
            for name in self.config.get(key)
        ]
        written += [
            (f"plugins.{name}", name, next(iter(values.values())).origin)
            for name, values in self.config.plugin_values.items()
            if values
        ]
        for key, name, origin in written:
            if name != "*" and name not in self.all:
                near = get_close_matches(name, self.all, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                self.problems.append(f"{key} names {name!r} ({origin}), and there is no such plugin{hint}")

    def _apply(self, patch: Patch, module: ModuleType) -> None:
        try:
            patch.apply(module)
            if patch.state == "wrapped":
                self._applied.append(patch)
        except TargetError as error:
            patch.state, patch.reason = "not found", f"{patch.target}: {error}"
        except Exception as error:  # noqa: BLE001  # inside the application's import: nothing may leave
            patch.state, patch.reason = "not found", f"{patch.target}: {type(error).__name__}: {error}"


def _imported(name: str, *, is_named: bool) -> ModuleType:
    """
    The module. One that the user named may lie beside the program or in the working directory.

    Under ``scout-core run`` the agent starts before Python puts the program's folder on ``sys.path``.
    """
    if not is_named:
        return importlib.import_module(name)
    program = sys.argv[0] if getattr(sys, "argv", None) else ""
    folders = [os.path.dirname(os.path.abspath(program))] if os.path.isfile(program) else []
    added = [folder for folder in dict.fromkeys([*folders, os.getcwd()]) if folder not in sys.path]
    sys.path.extend(added)
    try:
        return importlib.import_module(name)
    finally:
        for folder in added:
            sys.path.remove(folder)


def _name_of(named: str | ModuleType) -> str:
    return named if isinstance(named, str) else getattr(named, "__name__", repr(named))


def search_path() -> list[str]:
    """Where plugins are looked for."""
    return list(sys.path)
