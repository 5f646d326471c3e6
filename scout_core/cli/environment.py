"""The environment in which the command runs: settings, installed distributions, and each plugin as an agent would load it here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout

from attrs import define, field

from scout_core.boundary import discovery
from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.plugin import OWN
from scout_core.boundary.plugins import Plugins, search_path
from scout_core.boundary.status import status_of
from scout_core.config.config import Config, read_config
from scout_core.config.files import Settings, settings_here
from scout_core.errors import ScoutError
from scout_core.measuring.report import PluginStatus
from scout_core.problems import Problem
from scout_core.states import State
from scout_core.tracebacks import frames_of


@define(kw_only=True)
class Environment:
    """A snapshot; nothing in it runs."""

    settings: Settings | None
    config: Config
    installed: discovery.Environment
    hooks: Hooks
    plugins: Plugins
    statuses: list[PluginStatus] = field(factory=list)
    """By name. Empty unless the plugins were asked what they wrap."""
    failures: list[Problem] = field(factory=list)
    """Problems besides the plugins that failed: a required plugin is missing, or a plugin raised while it registered its options."""

    @property
    def problems(self) -> list[Problem]:
        """Everything that should be fixed, except for failed plugins, which have problems of their own."""
        return [*self.failures, *self.config.problems, *self.plugins.problems]

    @property
    def file(self) -> str:
        """The path of the configuration file, for a person."""
        return str(self.settings.path) if self.settings else "no configuration file"


def inspect_environment(*, instrument: bool = False, commands: bool = False) -> Environment:
    """
    Find and load all plugins that the configuration allows.

    Args:
        instrument: also apply their wrappers, which are undone again.
        commands: then also let each plugin register its commands, to see whether it can.
    """
    settings = settings_here()
    config = read_config(settings=settings)
    hooks = Hooks.from_config(config)
    hooks.reraise = False  # nothing is tested here: errors of plugins are shown
    environment = Environment(
        settings=settings,
        config=config,
        installed=find_plugins(search_path()),
        hooks=hooks,
        plugins=Plugins(config, hooks),
    )
    if not any(found.distribution == OWN for found in environment.installed.plugins):
        text = f"no plugins found, not even the built-in ones: this environment lacks the metadata of {OWN}, so applications record nothing"
        advice = f"reinstall it: pip install --force-reinstall {OWN}"
        environment.failures.append(Problem("missing-metadata", OWN, text, advice))
    with redirect_stdout(sys.stderr):  # a plugin that prints on import must not corrupt our JSON
        _attempt(environment, lambda: environment.plugins.load(environment.installed, config.get("plugins")))
        _attempt(environment, environment.plugins.read_options)
        if instrument:
            _attempt(environment, environment.plugins.instrument)
            if commands:
                _attempt(environment, lambda: _register_commands(environment))
            environment.statuses = [status_of(plugin) for _, plugin in sorted(environment.plugins.all.items())]
            environment.plugins.undo()
            environment.failures += [
                Problem("plugin-error", status.name, f"plugin {status.name!r} raised an exception: {status.last_error}")
                for status in environment.statuses
                if status.last_error and status.state is not State.FAILED
            ]
    return environment


def _register_commands(environment: Environment) -> None:
    """Register them in a group that is not used, to see whether that works."""
    import click

    for guard in environment.plugins.freeze("register_commands"):
        guard.run(click.Group("scout-core"))


def _attempt(environment: Environment, step: Callable[[], None]) -> None:
    try:
        step()
    except ScoutError as error:  # a required plugin is missing; the others are shown all the same
        problem = Problem("required-plugin", "plugins.require", str(error))
        if problem not in environment.failures:
            environment.failures.append(problem)
    except SystemExit as error:
        text = f"a plugin called sys.exit({error.code!r}){_location(error)}; later plugins were not loaded"
        environment.failures.append(Problem("exit-in-plugin", "", text))


def _location(error: BaseException) -> str:
    frames = frames_of(error.__traceback__)
    if not frames:
        return ""
    code, line = frames[-1]
    return f" at {code.co_filename}:{line}"
