"""What holds where the command is run: the settings, what is installed, and every plugin as an agent would find it here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout

from attrs import define, field

from scout_core.boundary.discovery import Environment, find_plugins
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.plugin import OWN
from scout_core.boundary.plugins import Plugins, search_path
from scout_core.boundary.status import status_of
from scout_core.config.config import Config, read_config
from scout_core.config.files import Settings, settings_here
from scout_core.errors import ScoutError
from scout_core.measuring.report import PluginStatus
from scout_core.problems import Problem

FINE = frozenset({"active", "waiting", "disabled"})
"""States in which nobody need do anything."""


@define(kw_only=True)
class Here:
    """One look at everything; nothing of it runs."""

    settings: Settings | None
    config: Config
    installed: Environment
    hooks: Hooks
    plugins: Plugins
    statuses: list[PluginStatus] = field(factory=list)
    """By name. Empty unless the plugins were asked what they wrap."""
    failures: list[str] = field(factory=list)
    """What went wrong beside the plugins that failed: a required one is missing, one raised when it was asked for its options."""

    @property
    def problems(self) -> list[str | Problem]:
        """All that a person should mend, one sentence each; failed plugins tell it themselves."""
        return [*self.failures, *self.config.problems, *self.plugins.problems]

    @property
    def file(self) -> str:
        """The configuration file, as told to a person."""
        return str(self.settings.path) if self.settings else "no file"


def look(*, instrument: bool = False, commands: bool = False) -> Here:
    """
    Find and load all plugins that the configuration allows.

    Args:
        instrument: also ask each what it wraps; whatever that puts in place is undone.
        commands: then also ask each for its commands, to see whether it can add them.
    """
    settings = settings_here()
    config = read_config(settings=settings)
    hooks = Hooks.from_config(config)
    hooks.reraise = False  # here nobody tests a plugin, and what it raises is shown
    here = Here(
        settings=settings,
        config=config,
        installed=find_plugins(search_path()),
        hooks=hooks,
        plugins=Plugins(config, hooks),
    )
    if not any(found.distribution == OWN for found in here.installed.plugins):
        here.failures.append(
            f"there are no plugins here, not even our own: the metadata of {OWN} is missing in this environment, "
            f"so an application would record nothing; try: pip install --force-reinstall {OWN}"
        )
    with redirect_stdout(sys.stderr):  # a plugin that prints when it is imported must not be in the middle of our JSON
        _attempt(here, lambda: here.plugins.load(here.installed, config.get("plugins")))
        _attempt(here, here.plugins.read_options)
        if instrument:
            _attempt(here, here.plugins.instrument)
            if commands:
                _attempt(here, lambda: _ask_for_commands(here))
            here.statuses = [status_of(plugin) for _, plugin in sorted(here.plugins.all.items())]
            here.plugins.undo()
            here.failures += [
                f"plugin {status.name!r} raised when it was asked: {status.last_error}"
                for status in here.statuses
                if status.last_error and status.state != "failed"
            ]
    return here


def _ask_for_commands(here: Here) -> None:
    """Into a group that nobody uses, to see whether that works."""
    import click

    for guard in here.plugins.freeze("register_commands"):
        guard.run(click.Group("scout-core"))


def _attempt(here: Here, step: Callable[[], None]) -> None:
    try:
        step()
    except ScoutError as error:  # a required plugin is missing; what was found is shown all the same
        if str(error) not in here.failures:
            here.failures.append(str(error))
    except SystemExit as error:
        here.failures.append(
            f"a plugin called sys.exit({error.code!r}){_where(error)}; the plugins after it were not asked"
        )


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
