"""Plugins as an agent would load them here: found, loaded, and asked what they wrap. In this process."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from scout_core.boundary import discovery
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.plugins import Plugins
from scout_core.boundary.status import status_of
from scout_core.config.config import Config
from scout_core.errors import ScoutError
from scout_core.measuring.report import PluginStatus
from scout_core.problems import Problem
from scout_core.states import State
from scout_core.tracebacks import frames_of


@define(kw_only=True)
class Loaded:
    """The plugins that the configuration allows; nothing in it runs."""

    config: Config
    hooks: Hooks
    plugins: Plugins
    statuses: list[PluginStatus] = field(factory=list)
    """By name. Empty unless the plugins were asked what they wrap."""
    failures: list[Problem] = field(factory=list)
    """Problems besides the plugins that failed: a required plugin is missing, or a plugin raised while it added its commands."""

    @property
    def problems(self) -> list[Problem]:
        """Everything that should be fixed, except for failed plugins, which have problems of their own."""
        return [*self.failures, *self.config.problems, *self.plugins.problems]


def load_plugins(
    plugins: Plugins, installed: discovery.Environment, *, instrument: bool = False, commands: bool = False
) -> Loaded:
    """
    Load all plugins that the configuration allows.

    Args:
        plugins: none loaded yet.
        instrument: also apply their wrappers, which are undone again.
        commands: also let each plugin register its commands, to see whether it can.
    """
    loaded = Loaded(config=plugins.config, hooks=plugins.hooks, plugins=plugins)
    _attempt(loaded, lambda: plugins.load(installed, plugins.config.get("plugins")))
    _attempt(loaded, plugins.read_options)
    if instrument:
        _attempt(loaded, plugins.instrument)
    if commands:
        _attempt(loaded, lambda: _register_commands(plugins))
    if instrument:
        loaded.statuses = [status_of(plugin) for _, plugin in sorted(plugins.all.items())]
        plugins.undo()
        loaded.failures += [
            Problem(
                "plugin-error",
                status.name,
                f"plugin {status.name!r} raised an exception: {status.last_error}",
                _advice(status),
            )
            for status in loaded.statuses
            if status.last_error and status.state is not State.FAILED
        ]
    return loaded


def _advice(status: PluginStatus) -> str:
    details = f"details: scout-core plugins {status.name}"
    return f"{status.next_step}; {details}" if status.next_step and status.next_step.kind != "none" else details


def _register_commands(plugins: Plugins) -> None:
    """Register them in a group that is not used, to see whether that works."""
    import click

    for guard in plugins.freeze("register_commands"):
        guard.run(click.Group("scout-core"))


def _attempt(loaded: Loaded, step: Callable[[], None]) -> None:
    try:
        step()
    except ScoutError as error:  # a required plugin is missing; the others are shown all the same
        problem = Problem("required-plugin", "plugins.require", str(error))
        if problem not in loaded.failures:
            loaded.failures.append(problem)
    except SystemExit as error:
        text = f"a plugin called sys.exit({error.code!r}){_location(error)}; later plugins were not loaded"
        loaded.failures.append(Problem("exit-in-plugin", "", text))


def _location(error: BaseException) -> str:
    frames = frames_of(error.__traceback__)
    if not frames:
        return ""
    code, line = frames[-1]
    return f" at {code.co_filename}:{line}"
