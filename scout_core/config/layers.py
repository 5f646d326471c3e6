"""The layers of a configuration, before conversion: environment, code, framework settings, file, and derived values."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from scout_core.config.files import Settings
from scout_core.config.options import ALIASES, BY_KEY, Option
from scout_core.config.origin import CODE, Layer, Origin, from_environment
from scout_core.config.revision import find_revision
from scout_core.config.values import Value, show
from scout_core.problems import Problem

PREFIX = "SCOUT_"
_SPELLED_IN_CODE = {key.replace(".", "_"): key for key in BY_KEY}


@define(eq=False)
class Layers:
    """Every layer of one configuration."""

    environment: Mapping[str, str] = field(factory=dict)
    code: dict[str, Value] = field(factory=dict)
    """By key, those of a plugin as ``plugins.<plugin>.<option>``; unknown names as they were given."""
    framework: dict[str, Value] = field(factory=dict)
    """By environment variable, because frameworks have the same names in their settings."""
    file: dict[str, Value] = field(factory=dict)
    """By key, as ``code``."""
    plugins: dict[str, str] = field(factory=dict)
    """Key of each option of a plugin in ``code`` and ``file``, to the plugin's name."""
    problems: list[Problem] = field(factory=list)
    """Settings that could not be read at all."""

    def add_code(self, given: Mapping[str, Any]) -> None:  # Any, here and below: whatever a person wrote
        """Add keywords of ``start()``; later ones replace earlier ones."""
        for name, value in given.items():
            if name == "plugin_options":
                self._add_plugin_options(value)
            else:
                key = ALIASES.get(name) or (name if name in BY_KEY else _SPELLED_IN_CODE.get(name, name))
                self.code[key] = Value(key, value, CODE)

    def _add_plugin_options(self, given: Any) -> None:
        """Add those entries that can be used; each of the others is a problem of its own."""
        if not isinstance(given, Mapping):
            self._ignore("plugin_options are", f"a mapping of plugin names to mappings, got {type(given).__name__}")
            return
        for plugin, table in given.items():
            if not isinstance(plugin, str):
                self._ignore(f"name {show('', plugin)} of a plugin in plugin_options is", "text")
            elif not isinstance(table, Mapping):
                entry = f"plugin_options[{show('', plugin)}]"
                self._ignore(f"{entry} are", f"a mapping of the plugin's options, got {type(table).__name__}")
            else:
                for name in table:
                    if not isinstance(name, str):
                        entry = f"plugin_options[{show('', plugin)}]"
                        self._ignore(f"name {show('', name)} of an option in {entry} is", "text")
                usable = {name: value for name, value in table.items() if isinstance(name, str)}
                self._add_table(self.code, plugin, usable, CODE)

    def _ignore(self, what: str, expected: str) -> None:
        detail = f"invalid {what} ignored ({CODE}); expected {expected}"
        problem = Problem(
            "invalid-value", "plugin_options", detail, "write plugin_options={'team': {'prefix': 'Job/'}}"
        )
        if problem not in self.problems:
            self.problems.append(problem)

    def add_framework(self, name: str, settings: Mapping[Any, Any]) -> None:
        """Add those settings of a framework whose names begin with ``SCOUT_``; later ones replace earlier ones, and None removes them."""
        origin = Origin(Layer.FRAMEWORK, name)
        for variable, value in settings.items():
            if isinstance(variable, str) and variable.startswith(PREFIX):
                if value is None:
                    self.framework.pop(variable, None)
                else:
                    self.framework[variable] = Value(variable, value, origin)

    def add_file(self, settings: Settings) -> None:
        """Add the content of the configuration file."""
        self.problems.extend(settings.problems)
        for name, value in settings.values.items():
            key = ALIASES.get(name, name)
            self.file[key] = Value(key, value, settings.origin)
        for plugin, table in settings.plugins.items():
            self._add_table(self.file, plugin, table, settings.origin)

    def _add_table(self, layer: dict[str, Value], plugin: str, table: Mapping[str, Any], origin: Origin) -> None:
        for name, value in table.items():
            key = f"plugins.{plugin}.{name.replace('-', '_')}"
            layer[key] = Value(key, value, origin)
            self.plugins[key] = plugin

    def restore(self, option: Option, earlier: Layers) -> None:
        """Reset an option, in code and framework settings, to its value in ``earlier``."""
        both = ((self.code, earlier.code, (option.key,)), (self.framework, earlier.framework, option.variables))
        for layer, older, names in both:
            for name in names:
                layer.pop(name, None)
                layer.update({name: older[name]} if name in older else {})

    def configured_plugins(self) -> dict[str, Origin]:
        """Return each plugin that has options in code or in the file, and where the first of them was set."""
        found: dict[str, Origin] = {}
        for key, plugin in self.plugins.items():
            found.setdefault(plugin, (self.code.get(key) or self.file[key]).origin)
        return found

    def candidates(self, option: Option, *, variables: tuple[str, ...] | None = None) -> Iterator[Value]:
        """
        Yield the values that are set for an option, strongest first.

        An environment variable without text is not set: compose files and shells have no other way to leave one out.

        Args:
            variables: environment variables to read. None: all of the option.
        """
        variables = option.variables if variables is None else variables
        for variable in variables:
            if self.environment.get(variable, "").strip():
                yield Value(option.key, self.environment[variable], from_environment(variable))
                break
        if option.key in self.code:
            yield self.code[option.key]
        for variable in variables:
            if variable in self.framework:
                value = self.framework[variable]
                yield Value(option.key, value.value, value.origin)
                break
        if option.key in self.file:
            yield self.file[option.key]


def derived(environment: Mapping[str, str], folder: Path | None) -> dict[str, Value]:
    """
    Return the values that are derived from this machine and its platform, by key.

    Args:
        folder: in which the process works; None: it is gone.
    """
    state = environment.get("XDG_STATE_HOME") or os.path.join(
        environment.get("HOME") or os.path.expanduser("~"), ".local", "state"
    )
    found = {
        "hostname": Value("hostname", socket.gethostname(), Origin(Layer.DERIVED, "the operating system")),
        "state_dir": Value(
            "state_dir", os.path.join(state, "scout-core"), Origin(Layer.DERIVED, "the user's state directory")
        ),
    }
    revision = find_revision(environment, folder) if folder is not None else None
    if revision is not None:
        text, place = revision
        found["revision_sha"] = Value("revision_sha", text, Origin(Layer.DERIVED, place))
    return found
