"""The values in force: each from the first layer that has it, with the origin kept.

Layers, strongest first: environment, code, file, derived, default.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from scout_core.config.files import Settings
from scout_core.config.options import ALIASES, BY_KEY, OPTIONS, variable_of
from scout_core.config.origin import CODE, DEFAULT, Layer, Origin, from_environment
from scout_core.config.plugin_options import read_plugin_options
from scout_core.config.values import Value, first_usable, unknown
from scout_core.suggest import did_you_mean


@define
class Config:
    """What holds in this process. Read with ``get``; unchanged while the agent runs, except by ``Agent.add_settings``."""

    values: dict[str, Value]
    plugin_values: dict[str, dict[str, Value]] = field(factory=dict)
    """Plugin name to what was written for it, not converted yet."""
    problems: list[str] = field(factory=list)
    """What could not be used, one sentence each: key, value, origin and what is used instead."""
    _plugins: dict[str, Any] = field(factory=dict)  # Any: each plugin's own options class
    _plugin_origins: dict[str, dict[str, Origin]] = field(factory=dict)

    def get(self, key: str) -> Any:  # Any: each option has its own type
        """
        The value in force, of the type that ``options.py`` declares.

        Raises:
            KeyError: there is no such option.
        """
        return self.values[key].value

    def origin(self, key: str) -> Origin:
        """Where the value came from."""
        return self.values[key].origin

    def is_set(self, key: str) -> bool:
        """Whether somebody chose the value: it is neither derived nor the default."""
        return self.values[key].origin.is_set

    def is_changed(self, key: str) -> bool:
        """Whether the value is another than the default; False for an option that does not exist."""
        return key in self.values and self.values[key].value != BY_KEY[key].default

    def plugin(self, name: str) -> Any:
        """
        The options of a plugin, an object of the class that its ``register_options`` returned.

        Raises:
            KeyError: the plugin has no options.
        """
        return self._plugins[name]

    def plugin_origin(self, name: str, key: str) -> Origin:
        """
        Where the value of an option of a plugin was set.

        Raises:
            KeyError: the plugin has no such option.
        """
        return self._plugin_origins[name][key]

    def add_plugin_options(self, name: str, options: type, environment: Mapping[str, str]) -> None:
        """
        Read the options of one plugin into an object of its class; what cannot be used is among ``problems``.

        Raises:
            ConfigError: it is no attrs class, or one of its options has no default.
        """
        self._plugins[name], self._plugin_origins[name] = read_plugin_options(
            name,
            options,
            written=self.plugin_values.get(name, {}),
            environment=environment,
            problems=self.problems,
        )

    @property
    def state_dir(self) -> Path:
        """The private directory where agents and collector find each other; it need not exist."""
        return Path(os.path.expanduser(self.get("state_dir")))


def read_config(
    code: Mapping[str, Any] | None = None,  # Any: what a person wrote, before conversion
    *,
    environment: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> Config:
    """
    Read all layers. Never raises for a bad value: the next layer that has a usable one is used, and ``problems`` tells.

    Args:
        code: keys as in Python: ``name``, ``plugins_disable``, or with a dot.
        environment: None: that of the process.
        settings: what the configuration file says. None: no file.
    """
    environment = os.environ if environment is None else environment
    problems: list[str] = []
    layers: list[Mapping[str, Value]] = [_from_environment(environment, problems), _from_code(code or {}, problems)]
    if settings is not None:
        problems.extend(settings.problems)
        layers.append(_from_file(settings, problems))
    derived = _derived(environment)
    layers.append(derived)
    values = {}
    for option in OPTIONS:
        candidates = [layer[option.key] for layer in layers if option.key in layer]
        if option.key in derived:
            candidates = [candidate for candidate in candidates if not _is_empty(candidate.value)]
        values[option.key] = first_usable(
            candidates,
            convert=option.convert,
            default=Value(option.key, option.default, DEFAULT),
            default_told=f"the default, {option.default!r},",
            problems=problems,
        )
    plugin_values = {} if settings is None else {
        name: {key: Value(key, value, settings.origin) for key, value in table.items()}
        for name, table in settings.plugins.items()
    }  # fmt: skip
    return Config(values=values, plugin_values=plugin_values, problems=problems)


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for option in OPTIONS:
        for name in (option.key, *option.aliases):
            variable = variable_of(name)
            if variable in environment and option.key not in found:
                found[option.key] = Value(option.key, environment[variable], from_environment(variable))
    problems.extend(_mistyped(environment))
    return found


def _mistyped(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables that are nearly one of ours; others that begin so may belong to a plugin, or to somebody else."""
    known = {variable_of(name) for option in OPTIONS for name in (option.key, *option.aliases)}
    for variable in sorted(environment):
        if variable.startswith("SCOUT_") and variable not in known:
            hint = did_you_mean(variable, known, cutoff=0.9)
            if hint:
                yield f"{variable} (environment) is not an option and has no effect; {hint}"


def _from_code(code: Mapping[str, Any], problems: list[str]) -> dict[str, Value]:
    spelled = {key.replace(".", "_"): key for key in BY_KEY}
    found = {}
    for name, value in code.items():
        key = ALIASES.get(name) or (name if name in BY_KEY else spelled.get(name))
        if key is None:
            problems.append(unknown(name, CODE, spelled))
        else:
            found[key] = Value(key, value, CODE)
    return found


def _from_file(settings: Settings, problems: list[str]) -> dict[str, Value]:
    found = {}
    for name, value in settings.values.items():
        key = ALIASES.get(name, name)
        if key in BY_KEY:
            found[key] = Value(key, value, settings.origin)
        else:
            problems.append(unknown(name, settings.origin, BY_KEY))
    return found


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _derived(environment: Mapping[str, str]) -> dict[str, Value]:
    state = environment.get("XDG_STATE_HOME") or os.path.join(
        environment.get("HOME") or os.path.expanduser("~"), ".local", "state"
    )
    found = {
        "hostname": Value("hostname", socket.gethostname(), Origin(Layer.DERIVED, "the operating system")),
        "state_dir": Value(
            "state_dir", os.path.join(state, "scout-core"), Origin(Layer.DERIVED, "the user's state directory")
        ),
    }
    for variable in ("HEROKU_BUILD_COMMIT", "HEROKU_SLUG_COMMIT", "KAMAL_VERSION"):
        if environment.get(variable):
            origin = Origin(Layer.DERIVED, f"environment {variable}")
            found["revision_sha"] = Value("revision_sha", environment[variable], origin)
            break
    return found
