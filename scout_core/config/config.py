"""The current values: each from the first layer that has a valid one, with its origin.

Layers, strongest first: environment, code, framework settings, file, derived, default.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from scout_core.config.files import Settings
from scout_core.config.layers import Layers, derived
from scout_core.config.names import owners_of, shared_variables, unknown_names
from scout_core.config.options import BY_KEY, OPTIONS, Option
from scout_core.config.origin import DEFAULT, Origin
from scout_core.config.values import Value, first_usable
from scout_core.problems import Problem

if TYPE_CHECKING:
    from scout_core.config.plugin_options import BeforeValues, Declared


@define(eq=False)
class Config:
    """The configuration of this process. Read with ``get``; it changes only when settings are added while the agent runs."""

    values: dict[str, Value]
    """By key, those of plugins as ``plugins.<plugin>.<option>``."""
    layers: Layers = field(factory=Layers)
    options: dict[str, Option] = field(factory=lambda: dict(BY_KEY))
    """By key: the core's, then those of plugins in the order in which they were added."""
    plugin_names: Collection[str] = ()
    """Every plugin that was found, loaded or not; empty until they are searched."""
    before_values: BeforeValues | None = None
    """Called before a class of a plugin is made with values."""
    _value_problems: dict[str, list[Problem]] = field(factory=dict)
    """By plugin; the core's under the empty name."""
    _declared: dict[str, Declared | None] = field(factory=dict)
    _objects: dict[str, Any] = field(factory=dict)  # Any: each plugin's own options class

    def get(self, key: str) -> Any:  # Any: each option has its own type
        """
        Return the current value, of the type that the option declares.

        Raises:
            KeyError: there is no such option.
        """
        return self.values[key].value

    def origin(self, key: str) -> Origin:
        """The place where the value was set."""
        return self.values[key].origin

    def is_set(self, key: str) -> bool:
        """Whether a person set the value: it is neither derived nor the default."""
        return self.values[key].origin.is_set

    def is_changed(self, key: str) -> bool:
        """Whether the value differs from the default; False for an option that does not exist."""
        return key in self.values and bool(self.values[key].value != self.options[key].default)

    def plugin(self, name: str) -> Any:
        """
        Return the options of a plugin, an object of the class that its ``register_options`` returned.

        Raises:
            KeyError: the plugin has no options.
        """
        return self._objects[name]

    @property
    def problems(self) -> list[Problem]:
        """Values that are invalid, names that are not options, and environment variables that two options share."""
        problems = [*self.layers.problems]
        for found in self._value_problems.values():
            problems += found
        unknown = unknown_names(self.layers, self.options, self._declared, self._other_plugins())
        return [*problems, *shared_variables(self.options), *unknown]

    def _other_plugins(self) -> set[str]:
        """The names of plugins that are not loaded, as far as they are known: their options may be set."""
        lists = (self.get(f"plugins.{name}") for name in ("disable", "enable", "require", "order"))
        named = {*self.plugin_names, *self.layers.plugins.values(), *(name for names in lists for name in names)}
        return named.difference(self._declared)

    def add_plugin_options(self, name: str, options: type | None) -> None:
        """
        Read the options of one plugin into an object of its class; invalid values are added to ``problems``.

        Args:
            options: an attrs class. None: the plugin has no options, so any that are set for it are unknown.

        Raises:
            ConfigError: it is not an attrs class, or one of its options has no default.
        """
        if options is None:
            self._declared[name] = None
            return
        from scout_core.config.plugin_options import declare  # only where a plugin has options

        declared = self._declared[name] = declare(name, options)
        self.options.update({option.key: option for option in declared.options})
        # Every option has a value, even when reading the values fails as a whole.
        defaults = {option.key: Value(option.key, option.default, DEFAULT) for option in declared.options}
        self.values = {**self.values, **defaults}
        self._read_plugin(declared)

    def add_settings(
        self,
        code: Mapping[str, Any],  # Any: what a person wrote, before conversion
        framework: tuple[str, Mapping[Any, Any]] | None = None,
        *,
        fixed: Collection[str] = (),
    ) -> list[Problem]:
        """
        Take settings that became known later, and read all layers again.

        Args:
            framework: its name and its settings.
            fixed: keys whose values can no longer change; setting them is a problem.

        Returns:
            Problems that were not there before.
        """
        before, earlier = (
            self.problems,
            evolve(self.layers, code={**self.layers.code}, framework={**self.layers.framework}),
        )
        self.layers.add_code(code)
        if framework is not None:
            self.layers.add_framework(*framework)
        found: list[Problem] = []
        values = _read_core(self.layers, found)
        late = [key for key in fixed if values[key].value != self.values[key].value]
        problems = [_too_late(self.options[key], values[key].origin) for key in late]
        for key in late:
            values[key] = self.values[key]
            self.layers.restore(self.options[key], earlier)
        self._value_problems[""] = found
        self.values = {**self.values, **values}  # replaced, not updated: other threads read it
        for declared in self._declared.values():
            if declared is not None:
                self._read_plugin(declared)
        return [problem for problem in self.problems if problem not in before] + problems

    @property
    def state_dir(self) -> Path:
        """The private directory where agents and collector find each other; it need not exist."""
        return Path(os.path.expanduser(self.get("state_dir")))

    def _read_plugin(self, declared: Declared) -> None:
        from scout_core.config.plugin_options import build

        owners = owners_of(self.options)
        candidates = {}
        for option in declared.options:
            variables = tuple(variable for variable in option.variables if owners[variable] is option)
            candidates[option.key] = list(self.layers.candidates(option, variables=variables))
        problems: list[Problem] = []
        before = self.before_values or (lambda plugin, names: None)
        self._objects[declared.plugin], values = build(declared, candidates, problems, before=before)
        self._value_problems[declared.plugin] = problems
        self.values = {**self.values, **values}


def read_config(
    code: Mapping[str, Any] | None = None,  # Any: what a person wrote, before conversion
    *,
    environment: Mapping[str, str] | None = None,
    framework: tuple[str, Mapping[Any, Any]] | None = None,
    settings: Settings | None = None,
) -> Config:
    """
    Read all layers. An invalid value never raises: it is one of the ``problems``, and the next layer with a valid value is used.

    Args:
        code: keys as in Python: ``name``, ``plugins_disable``, or with a dot; ``plugin_options`` is a mapping for each plugin.
        environment: None: the environment of the process.
        framework: name of a framework, and its settings.
        settings: the content of the configuration file. None: no file.
    """
    layers = Layers(os.environ if environment is None else environment)
    layers.add_code(code or {})
    if framework is not None:
        layers.add_framework(*framework)
    if settings is not None:
        layers.add_file(settings)
    problems: list[Problem] = []
    return Config(_read_core(layers, problems), layers, value_problems={"": problems})


def _read_core(layers: Layers, problems: list[Problem]) -> dict[str, Value]:
    facts = derived(layers.environment, _working_directory())
    values = {}
    for option in OPTIONS:
        candidates = list(layers.candidates(option))
        if option.key in facts:
            candidates = [value for value in (*candidates, facts[option.key]) if not _is_empty(value.value)]
        default = Value(option.key, option.default, DEFAULT)
        values[option.key] = first_usable(
            candidates, convert=option.kind.read, default=default, problems=problems, written=option.kind.written
        )
    return values


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it has been removed
        return None


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _too_late(option: Option, origin: Origin) -> Problem:
    return Problem(
        "late-setting",
        option.key,
        f"{option.key} ({origin}) was set after the agent had started and has no effect",
        f"set it in the file, or as {option.variable}",
    )
