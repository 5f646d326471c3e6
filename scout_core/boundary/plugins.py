"""All plugins of one agent: finds out which to load, loads them, and wraps what they name."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from attrs import Factory, define, field

from scout_core.boundary.discovery import Environment
from scout_core.boundary.guard import Guard
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.importing import import_plugin, name_of
from scout_core.boundary.imports import ImportWatch
from scout_core.boundary.metadata import Found
from scout_core.boundary.names import why_invalid
from scout_core.boundary.next_step import how_to_enable
from scout_core.boundary.plugin import INVALID_OPTIONS, Plugin
from scout_core.boundary.state_log import log_states
from scout_core.boundary.switches import missing, unknown_names, why_disabled
from scout_core.boundary.versions import check_support
from scout_core.boundary.wrap import Wrap
from scout_core.boundary.wrapping import Wrapping, missing_targets
from scout_core.config.config import Config
from scout_core.config.origin import Layer
from scout_core.errors import PluginError, with_kind
from scout_core.problems import Problem
from scout_core.states import State
from scout_core.text.message import error_message
from scout_core.tracebacks import frames_of_load


@define(eq=False)
class Plugins:
    """The plugins of one agent, by name, loaded or not."""

    config: Config
    hooks: Hooks
    all: dict[str, Plugin] = field(factory=dict)
    watch: ImportWatch = field(factory=ImportWatch)
    problems: list[Problem] = field(factory=list)
    """Problems that no single plugin has; each plugin has its own list."""
    _wrapping: Wrapping = field(default=Factory(lambda self: Wrapping(self.watch), takes_self=True))

    def load(self, environment: Environment, named: Sequence[str | ModuleType]) -> None:
        """
        Load what the configuration allows, and register its hooks.

        Raises:
            PluginError: a plugin that the user named in code or required cannot be used; with ``plugins.strict``, any plugin.
        """
        self.problems += environment.problems
        modules = {name_of(module) for module in named}
        for found in environment.plugins:
            self._add_found(found, environment, is_named=found.module in modules)
        for module in named:
            self._add_named(module)
        self._check_required()
        self.check_names()

    def check_names(self) -> list[Problem]:
        """Find names in the configuration that no plugin has; return those that were not known before."""
        found = [problem for problem in unknown_names(self.config, self.all) if problem not in self.problems]
        self.problems += found
        return found

    def add_object(self, plugin: object, name: str) -> None:
        """
        Register an object as a plugin; hooks that were frozen before must be frozen again.

        Raises:
            PluginError: it implements no hook, or a hook that does not exist.
        """
        added = Plugin(name, type(plugin).__module__, hooks=self.hooks.register(plugin, name))
        self.all = {**self.all, name: added}  # another dict, because the agent's thread may iterate over this one

    def remove_object(self, name: str) -> None:
        """Forget a plugin that was added as an object; hooks that were frozen before must be frozen again."""
        self.hooks.unregister(name)
        self.all = {other: plugin for other, plugin in self.all.items() if other != name}

    def read_options(self) -> None:
        """Read the options that each plugin registers into the configuration."""
        self.config.plugin_names = frozenset(self.all)
        for plugin in self.all.values():
            if plugin.state is State.ACTIVE and "register_options" not in plugin.hooks:
                self.config.add_plugin_options(plugin.name, None)
        for guard in self.freeze("register_options"):
            options = guard.run()
            if not guard.failures.count:
                guard.attempt(self.config.add_plugin_options, guard.plugin, options)
            failure = guard.failures.last
            if failure is not None:
                plugin = self.all[guard.plugin]
                detail = f"its options cannot be read, so its hooks get None: {failure}"
                plugin.complaints.append(Problem(INVALID_OPTIONS, plugin.name, detail))
                guard.logged.add("failure")  # complaints are logged at start

    def instrument(self) -> None:
        """
        Wrap the targets that each plugin names, now or when they are imported: all targets of a plugin, or none.

        Raises:
            PluginError: a plugin failed that the user named in code or required; with ``plugins.strict``, any plugin.
        """
        for guard in self.hooks.frozen("instrument", is_changed=self.config.is_changed):
            plugin = self.all[guard.plugin]
            if plugin.state is not State.ACTIVE:
                continue
            wrap = Wrap(
                plugin.name, module=plugin.module, reraise=self.hooks.reraise, limit=self.hooks.limits.application
            )
            guard.run(wrap, self.config)
            problems, failure, plugin.frames = list(wrap.problems), guard.failures.last, wrap.frames
            if failure is not None:
                problems.append(Problem("instrument-error", plugin.name, f"instrument raised {failure}"))
                plugin.frames = failure.frames
            elif self.hooks.reraise:
                wrap.check()
            if problems:  # half of its targets would be worse than none
                problems += missing_targets(wrap.patches)
                plugin.leave_out(State.FAILED, *problems)
            else:
                self._wrapping.begin(plugin, wrap)
        self._check_required()

    def log_states(self) -> None:
        """Log each plugin that cannot be used; from now on also those whose targets turn out to be missing later."""
        self._wrapping.is_logging = True
        log_states(self.all.values())

    def _check_required(self) -> None:
        for plugin in self.all.values():
            self._check_relied_on(plugin)
        unmet = missing(self.config, self.all)
        if unmet:
            raise PluginError(f"required plugins ({self.config.origin('plugins.require')}): {'; '.join(unmet)}")
        if self.config.get("plugins.strict"):
            failed = [f"{name}: {plugin.reason}" for name, plugin in self.all.items() if plugin.state is State.FAILED]
            if failed:
                raise PluginError(f"plugins.strict ({self.config.origin('plugins.strict')}): {'; '.join(failed)}")

    def _check_relied_on(self, plugin: Plugin) -> None:
        if plugin.is_relied_on and plugin.state in (State.FAILED, State.SKIPPED):
            message = f"plugin {plugin.name!r} (named in {self.config.origin('plugins')}): {plugin.reason}"
            raise PluginError(message, kind=plugin.problems[0].kind)

    def freeze(self, hook: str) -> tuple[Guard, ...]:
        """Return the guards of one hook, and add each to the plugin that it belongs to."""
        guards = tuple(
            guard
            for guard in self.hooks.frozen(hook, is_changed=self.config.is_changed)
            if guard.plugin in self.all  # a plugin may have removed itself
        )
        for guard in guards:
            plugin = self.all[guard.plugin]
            if guard not in plugin.guards:
                plugin.guards.append(guard)
        return guards

    def undo(self) -> None:
        """Put back every object that was wrapped, and stop waiting for imports."""
        self._wrapping.undo(self.all.values())

    def _add_found(self, found: Found, environment: Environment, *, is_named: bool) -> None:
        if found.name in self.all:
            other = self.all[found.name].found
            owner = other.distribution if other else "another"
            self.problems.append(
                Problem(
                    "duplicate-name",
                    found.name,
                    f"plugin {found.name!r} of {found.distribution} is not loaded: {owner} already uses the name",
                )
            )
            return
        plugin = self.all[found.name] = Plugin(found.name, found.module, found)
        disabled = why_disabled(self.config, found.name, distribution=found.distribution, is_named=is_named)
        if disabled:
            self._disable(plugin, disabled)
            return
        if found.problem:
            plugin.fail(found.problem)
            return
        plugin.support = check_support(found.instruments, environment.installed)
        problem = check_support(found.core, environment.installed).problem or plugin.support.problem
        if problem:
            plugin.leave_out(State.SKIPPED, Problem("unsupported-version", plugin.support.target, problem))
            return
        self.load_module(plugin, found.module)

    def _add_named(self, named: str | ModuleType) -> None:
        name = name_of(named)
        plugin = next((plugin for plugin in self.all.values() if plugin.module == name), None)
        if plugin is None:
            plugin = Plugin(name, name)
            disabled = why_disabled(self.config, name, distribution=None, is_named=True)
            invalid = why_invalid(name, name)
            if invalid:
                plugin.fail(invalid)
            elif name in self.all:
                plugin.fail(Problem("duplicate-name", name, "an installed plugin already uses the name"))
                detail = f"plugin {name!r} ({self.config.origin('plugins')}): {plugin.reason}"
                self.problems.append(Problem("duplicate-name", name, detail))
            elif disabled:
                self._disable(plugin, disabled)
            else:
                self.load_module(plugin, named)
            self.all.setdefault(name, plugin)
        plugin.is_relied_on = self.config.origin("plugins").layer in (Layer.CODE, Layer.FRAMEWORK)
        self._check_relied_on(plugin)

    def _disable(self, plugin: Plugin, problem: Problem) -> None:
        distribution = plugin.found.distribution if plugin.found else None
        step = how_to_enable(self.config, plugin.name, problem.subject, distribution)
        plugin.leave_out(State.DISABLED, problem, step=step)

    def load_module(self, plugin: Plugin, module: str | Any) -> None:
        """Import a plugin and register its hooks; when that is not possible, it has failed."""
        try:
            loaded = import_plugin(module, is_named=plugin.found is None) if isinstance(module, str) else module
            plugin.hooks = self.hooks.register(loaded, plugin.name)
        except PluginError as error:
            plugin.fail(Problem(error.kind, plugin.module, str(error)), frames=error.frames)
        except SystemExit as error:
            detail = f"{plugin.module} called sys.exit({error.code!r}) when it was imported"
            plugin.fail(Problem("exit-on-import", plugin.module, detail), frames=frames_of_load(error))
        except KeyboardInterrupt:  # by the person who started the application
            raise
        except BaseException as error:  # noqa: BLE001  # a plugin's own code runs here; nothing that it raises may keep the others from loading
            detail = f"{plugin.module} cannot be imported: {with_kind(type(error).__name__, error_message(error))}"
            plugin.fail(Problem("import-error", plugin.module, detail), frames=frames_of_load(error))
