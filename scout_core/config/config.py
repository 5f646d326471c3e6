"""The values in force: each from the first layer that has it, with the origin kept.

Layers, strongest first: environment, code, file, derived, default.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, fields, frozen

from scout_core.config import convert
from scout_core.config.files import Settings
from scout_core.config.options import ALIASES, BY_KEY, OPTIONS, variable_of


@frozen
class Value:
    """One value and where it came from."""

    key: str
    value: Any  # Any: each option has its own type
    origin: str
    """``environment SCOUT_NAME``, ``code``, ``file /srv/app/pyproject.toml``, ``derived: …`` or ``default``."""


@define
class Config:
    """What holds in this process. Read with ``get``; unchanged while the agent runs, except by ``with_code``."""

    values: dict[str, Value]
    plugin_values: dict[str, dict[str, Value]] = field(factory=dict)
    """Plugin name to what was written for it, not converted yet."""
    problems: list[str] = field(factory=list)
    """What could not be used, one sentence each: key, value, origin and what is used instead."""
    _plugins: dict[str, Any] = field(factory=dict)  # Any: each plugin's own options class

    def get(self, key: str) -> Any:  # Any: each option has its own type
        """
        The value in force, of the type that ``options.py`` declares.

        Raises:
            KeyError: there is no such option.
        """
        return self.values[key].value

    def origin(self, key: str) -> str:
        """Where the value came from."""
        return self.values[key].origin

    def is_set(self, key: str) -> bool:
        """Whether somebody chose the value: it is neither derived nor the default."""
        return not self.values[key].origin.startswith(("derived", "default"))

    def plugin(self, name: str) -> Any:
        """
        The options of a plugin, an object of the class that its ``register_options`` returned.

        Raises:
            KeyError: the plugin has no options.
        """
        return self._plugins[name]

    def add_plugin_options(self, name: str, options: type, environment: Mapping[str, str]) -> None:
        """Read the options of one plugin into an object of its class; what cannot be used is among ``problems``."""
        written = dict(self.plugin_values.get(name, {}))
        chosen = {}
        for attribute in fields(options):
            variable = variable_of(f"{name}.{attribute.name}")
            if variable in environment:
                written[attribute.name] = Value(attribute.name, environment[variable], f"environment {variable}")
            if attribute.name not in written:
                continue
            value = written.pop(attribute.name)
            try:
                chosen[attribute.name] = _converter_for(attribute.type)(value.value)
            except ValueError as error:
                self.problems.append(
                    f"{name}.{attribute.name} = {value.value!r} ({value.origin}): {error}; the default is used"
                )
        for unknown in written.values():
            self.problems.append(_unknown(f"{name}.{unknown.key}", unknown.origin, [a.name for a in fields(options)]))
        self._plugins[name] = options(**chosen)

    @property
    def state_dir(self) -> Path:
        """The private directory where agents and collector find each other; it need not exist."""
        return Path(self.get("state_dir")).expanduser()


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
    layers: list[Mapping[str, Value]] = [_from_environment(environment), _from_code(code or {}, problems)]
    if settings is not None:
        problems.extend(settings.problems)
        layers.append(_from_file(settings, problems))
    layers.append(_derived(environment))
    values = {}
    for option in OPTIONS:
        values[option.key] = Value(option.key, option.default, "default")
        candidates = [layer[option.key] for layer in layers if option.key in layer]
        for position, candidate in enumerate(candidates):
            try:
                values[option.key] = Value(option.key, option.convert(candidate.value), candidate.origin)
                break
            except ValueError as error:
                rest = candidates[position + 1 :]
                instead = f"the value from {rest[0].origin}" if rest else f"the default, {option.default!r},"
                problems.append(
                    f"{option.key} = {_shown(option.key, candidate.value)} ({candidate.origin}): {error}; {instead} is used"
                )
    plugin_values = {} if settings is None else {
        name: {key: Value(key, value, f"file {settings.path}") for key, value in table.items()}
        for name, table in settings.plugins.items()
    }  # fmt: skip
    return Config(values=values, plugin_values=plugin_values, problems=problems)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Value]:
    found = {}
    for option in OPTIONS:
        for name in (option.key, *option.aliases):
            variable = variable_of(name)
            if variable in environment and option.key not in found:
                found[option.key] = Value(option.key, environment[variable], f"environment {variable}")
    return found


def _from_code(code: Mapping[str, Any], problems: list[str]) -> dict[str, Value]:
    spelled = {key.replace(".", "_"): key for key in BY_KEY}
    found = {}
    for name, value in code.items():
        key = ALIASES.get(name) or (name if name in BY_KEY else spelled.get(name))
        if key is None:
            problems.append(_unknown(name, "code", spelled))
        else:
            found[key] = Value(key, value, "code")
    return found


def _from_file(settings: Settings, problems: list[str]) -> dict[str, Value]:
    found = {}
    for name, value in settings.values.items():
        key = ALIASES.get(name, name)
        if key in BY_KEY:
            found[key] = Value(key, value, f"file {settings.path}")
        else:
            problems.append(_unknown(name, f"file {settings.path}", BY_KEY))
    return found


def _derived(environment: Mapping[str, str]) -> dict[str, Value]:
    state = environment.get("XDG_STATE_HOME") or os.path.join(
        environment.get("HOME") or os.path.expanduser("~"), ".local", "state"
    )
    found = {
        "hostname": Value("hostname", socket.gethostname(), "derived: the operating system"),
        "state_dir": Value("state_dir", os.path.join(state, "scout-core"), "derived: the user's state directory"),
    }
    for variable in ("HEROKU_BUILD_COMMIT", "HEROKU_SLUG_COMMIT", "KAMAL_VERSION"):
        if environment.get(variable):
            found["revision_sha"] = Value("revision_sha", environment[variable], f"derived: environment {variable}")
            break
    return found


def _shown(key: str, value: object) -> str:
    return "…" if "token" in key else repr(value)[:100]


def _unknown(name: str, origin: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only when somebody mistyped

    near = get_close_matches(name.rpartition(".")[2] if "." in name else name, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else "; see scout-core config for all keys"
    return f"{name} ({origin}) is not an option and has no effect{hint}"


def _converter_for(kind: Any) -> Callable[[Any], Any]:
    """How text becomes the type that a plugin's option is annotated with."""
    spelled = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    table: dict[str, Callable[[Any], Any]] = {
        "bool": convert.boolean,
        "int": convert.count,
        "float": convert.number,
        "str": convert.text,
    }
    return table.get(spelled, convert.names)
