"""The environment in which the command runs: settings, installed distributions, and what its plugins do in a child process."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import Any, Final

import click
from attrs import define, field, frozen

from scout_core.boundary import discovery
from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.implementations import hook_names
from scout_core.boundary.importing import search_path
from scout_core.boundary.limits import Limits
from scout_core.boundary.plugin import OWN
from scout_core.boundary.plugins import Plugins
from scout_core.cli.announcing import Announce, AnnouncingHooks, AnnouncingPlugins, Step, announced_values
from scout_core.cli.isolation import Answer, in_child
from scout_core.cli.loading import Loaded, load_plugins
from scout_core.cli.option_rows import option_rows
from scout_core.cli.output import print_printed
from scout_core.cli.seconds import Seconds
from scout_core.cli.source import file_of
from scout_core.config.config import Config, read_config
from scout_core.config.files import Settings, settings_here
from scout_core.measuring.report import PluginStatus
from scout_core.problems import Problem

SECONDS: Final = 10.0
timeout_option = click.option(
    "--timeout",
    type=Seconds(),
    default=SECONDS,
    show_default=True,
    help="Seconds that one step of a plugin may take, such as its import.",
)


@frozen
class Implementation:
    """A plugin that implements a hook."""

    plugin: str
    distribution: str | None
    """None for a plain module that was named by the user."""
    is_called: bool
    """False while the options that it depends on have their default values."""


@frozen(kw_only=True)
class Found:
    """Everything about the plugins, as plain data: no function of a plugin is in it."""

    statuses: list[PluginStatus]
    """By name. Empty unless the plugins were asked what they wrap."""
    problems: list[Problem]
    """Everything that should be fixed, except for failed plugins, which have problems of their own."""
    options: list[dict[str, Any]]  # Any: each option has its own type
    """As ``option_rows`` yields them."""
    implementations: dict[str, list[Implementation]]
    """By hook, in the order of the calls."""
    files: dict[str, str]
    """Name of each plugin to the file of its module; empty when that is not known."""


@define(kw_only=True)
class Environment:
    """A snapshot; nothing in it runs."""

    settings: Settings | None
    config: Config
    """Without the options of plugins, which are in ``found``."""
    installed: discovery.Environment
    found: Found
    failures: list[Problem] = field(factory=list)
    """Problems besides those of plugins and settings."""

    @property
    def statuses(self) -> list[PluginStatus]:
        """The plugins by name."""
        return self.found.statuses

    @property
    def problems(self) -> list[Problem]:
        """Everything that should be fixed, except for failed plugins, which have problems of their own."""
        return [*self.failures, *self.found.problems]

    @property
    def file(self) -> str:
        """The path of the configuration file, for a person."""
        return str(self.settings.path) if self.settings else "no configuration file"


def inspect_environment(*, instrument: bool = False, commands: bool = False, seconds: float = SECONDS) -> Environment:
    """
    Find all plugins, and load those that the configuration allows in a child process.

    Args:
        instrument: also apply their wrappers, which are undone again.
        commands: also let each plugin register its commands, to see whether it can.
        seconds: the longest time that one step of a plugin may take. A plugin that takes longer, or ends the process, is shown with
            that as a problem, and all others as they are.
    """
    settings = settings_here()
    config = read_config(settings=settings)
    installed = find_plugins(search_path())
    work = partial(_look, config, installed, instrument=instrument, commands=commands)
    answer = in_child(work, seconds=seconds)
    print_printed(answer.printed)
    found = answer.result
    if not isinstance(found, Found):
        found = Found(
            statuses=[], problems=[*config.problems], options=list(option_rows(config)), implementations={}, files={}
        )
    return Environment(
        settings=settings,
        config=config,
        installed=installed,
        found=found,
        failures=[*_missing_metadata(installed), *_unfinished(answer)],
    )


def load_here() -> Loaded:
    """
    Load the plugins in this process, to run what they provide.

    A child process does the same before, so that a plugin that would end or hold this process is left out of it.
    """
    config = read_config(settings=settings_here())
    installed = find_plugins(search_path())
    answer = in_child(partial(_look, config, installed, instrument=False, commands=True), seconds=SECONDS)
    printed = io.StringIO()  # of the plugins
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            return load_plugins(_plugins(config, lambda _: None, answer.left_out), installed)
    finally:
        print_printed(printed.getvalue())


def _plugins(config: Config, announce: Announce, left_out: Mapping[Step, str]) -> Plugins:
    config.before_values = announced_values(announce, left_out)
    hooks = AnnouncingHooks(
        limits=Limits.from_config(config),
        order=config.get("plugins.order"),
        config=config,
        announce=announce,
        left_out=left_out,
    )
    return AnnouncingPlugins(config=config, hooks=hooks, announce=announce, left_out=left_out)


def _look(
    config: Config,
    installed: discovery.Environment,
    announce: Announce,
    left_out: Mapping[Step, str],
    *,
    instrument: bool,
    commands: bool,
) -> Found:
    """Load the plugins and describe them; in the child."""
    plugins = _plugins(config, announce, left_out)
    loaded = load_plugins(plugins, installed, instrument=instrument, commands=commands)
    return Found(
        statuses=loaded.statuses,
        problems=loaded.problems,
        options=list(option_rows(config)),
        implementations={name: list(_implementations(loaded, name)) for name in hook_names()},
        files={name: file_of(plugin) for name, plugin in plugins.all.items()},
    )


def _implementations(loaded: Loaded, name: str) -> list[Implementation]:
    called = loaded.hooks.frozen(name, is_changed=loaded.config.is_changed)
    return [
        Implementation(guard.plugin, found.distribution if found else None, guard in called)
        for guard in loaded.hooks.frozen(name)
        for found in [loaded.plugins.all[guard.plugin].found]
    ]


def _missing_metadata(installed: discovery.Environment) -> list[Problem]:
    if any(found.distribution == OWN for found in installed.plugins):
        return []
    text = f"no plugins found, not even the built-in ones: this environment lacks the metadata of {OWN}, so applications record nothing"
    return [Problem("missing-metadata", OWN, text, f"reinstall it: pip install --force-reinstall {OWN}")]


def _unfinished(answer: Answer) -> list[Problem]:
    if answer.result is not None:
        return []
    text = f"the process that loads the plugins did not finish: {answer.ended}"
    return [
        Problem(
            "ended-process",
            "",
            text,
            "load them one by one, with SCOUT_PLUGINS_AUTOLOAD=false and SCOUT_PLUGINS_ENABLE=NAME",
        )
    ]
