"""The next step for a person, by the state of a plugin. Only this module computes it; logs, commands and pages show it."""

from __future__ import annotations

from shlex import quote

from scout_core.boundary.names import INVALID_NAME
from scout_core.boundary.patches import Patch, PatchState
from scout_core.boundary.plugin import INVALID_OPTIONS, Plugin
from scout_core.config.config import Config
from scout_core.config.origin import Layer
from scout_core.problems import NextStep
from scout_core.states import State


def next_step(plugin: Plugin, state: State) -> NextStep | None:
    """
    Return what to do first.

    Args:
        state: its current one.

    Returns:
        None when there is nothing to do. A step of kind ``none`` explains why nothing needs to be done.
    """
    if any(problem.kind == INVALID_OPTIONS for problem in plugin.complaints) and state in (State.ACTIVE, State.WAITING):
        return NextStep("fix-options", f"fix register_options in {plugin.module}", _newer(plugin))
    if state is State.ACTIVE:
        return _improvement(plugin)
    if state is State.WAITING:
        return _for_waiting(plugin)
    if state is State.SKIPPED:
        return NextStep("upgrade-plugin", "upgrade the plugin", (_upgrade(plugin),))
    if state is State.QUARANTINED:
        return NextStep("fix-and-restart", f"fix {plugin.module} and restart the process")
    if state is State.FAILED:
        return _for_failed(plugin)
    return plugin.step


def how_to_enable(config: Config, name: str, key: str, distribution: str | None) -> NextStep:
    """
    Return how to enable a plugin that the configuration disables.

    Args:
        key: of the option that disables it.
    """
    enable = f"scout-core plugins enable {name}"
    if key == "plugins.allow":
        return NextStep("change-setting", f"add {distribution} to {_place(config, key)}")
    if key == "plugins.disable":
        listed = [entry for entry in ("*", name) if entry in config.get(key)]
        if config.origin(key).layer is Layer.FILE:
            entries = " ".join("'*'" if entry == "*" else entry for entry in listed)
            return NextStep("enable-plugin", "enable it", (f"scout-core plugins enable {entries}",))
        return NextStep("change-setting", f"remove {' and '.join(listed)} from {_place(config, key)}")
    if config.origin("plugins.enable").layer in (Layer.FILE, Layer.DEFAULT):
        return NextStep("enable-plugin", "enable it", (enable,))
    return NextStep("change-setting", f"add {name} to {_place(config, 'plugins.enable')}")


def _place(config: Config, key: str) -> str:
    """Return the place where an option is changed: the variable of the environment, or the key and where it was set."""
    origin = config.origin(key)
    return origin.name if origin.layer is Layer.ENVIRONMENT else f"{key} ({origin})"


def _for_waiting(plugin: Plugin) -> NextStep:
    if plugin.support.absent and plugin.found:
        libraries = " ".join(f"'{requirement}'" for requirement in plugin.found.instruments)
        return NextStep("install-library", "install its library", (f"pip install {libraries}",))
    return NextStep("none", "nothing; the plugin starts when the application imports its library")


def _for_failed(plugin: Plugin) -> NextStep:
    kinds = {problem.kind for problem in plugin.problems}
    if plugin.found is None:
        if kinds & {"duplicate-name", INVALID_NAME}:
            return NextStep("rename-module", f"rename the module {plugin.module}")
        return NextStep("fix-module", f"fix {plugin.module}")
    if INVALID_NAME in kinds:
        remove = f"pip uninstall {quote(plugin.found.distribution)}"
        return NextStep("rename-plugin", "rename the entry point of the plugin, or uninstall it", (remove,))
    if "broken-metadata" in kinds:
        reinstall = f"pip install --force-reinstall {quote(plugin.found.distribution)}"
        return NextStep("reinstall-plugin", "reinstall the plugin", (reinstall,))
    commands = (_upgrade(plugin), f"scout-core plugins disable {plugin.name}")
    return NextStep("upgrade-plugin", "upgrade or disable the plugin", commands)


def _improvement(plugin: Plugin) -> NextStep | None:
    """For a plugin that works, though not everything in it does."""
    if any(map(_is_mistake, plugin.patches)):
        if plugin.found is None:
            return NextStep("fix-targets", f"correct the targets in {plugin.module} that cannot be wrapped")
        text = "some targets cannot be wrapped; a newer version of the plugin may support them"
        return NextStep("upgrade-plugin", text, (_upgrade(plugin),))
    failing = [guard.problem for guard in plugin.all_guards if guard.problem is not None]
    if failing and not plugin.complaints:
        return NextStep(
            "fix-export", failing[0].advice or f"check the receiver, or fix the last error in {plugin.module}"
        )
    if plugin.complaints or any(guard.failures.count and not guard.is_recovered for guard in plugin.all_guards):
        return NextStep("fix-error", f"fix the last error in {plugin.module}; the application is not affected")
    slow = [(guard.place, guard.pace.slowness.limit.option) for guard in plugin.all_guards if guard.pace.slowness]
    if slow:
        options = " or ".join(dict.fromkeys(option for _, option in slow))
        return NextStep("speed-up", f"make {' and '.join(place for place, _ in slow)} faster, or raise {options}")
    return None


def _is_mistake(patch: Patch) -> bool:
    """Whether a target that is not wrapped should be: what is optional, or of a group, may be missing."""
    may_be_missing = patch.is_optional or patch.group is not None
    return patch.state is PatchState.LEFT_ALONE or (patch.state is PatchState.NOT_FOUND and not may_be_missing)


def _upgrade(plugin: Plugin) -> str:
    return f"pip install -U {quote(plugin.found.distribution if plugin.found else plugin.module)}"


def _newer(plugin: Plugin) -> tuple[str, ...]:
    return (_upgrade(plugin),) if plugin.found else ()
