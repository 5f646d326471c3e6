"""A plugin's own options: an attrs class, whose attributes become options like those of the core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import NOTHING, Attribute, evolve, fields, frozen, has

from scout_core.config.conditions import is_from_attrs, narrow
from scout_core.config.kinds import ANYTHING, Kind, Unsupported
from scout_core.config.options import Option
from scout_core.config.origin import DEFAULT
from scout_core.config.types import kind_of, resolve
from scout_core.config.values import Value, first_usable, invalid, show
from scout_core.errors import ConfigError
from scout_core.problems import Problem


@frozen
class Declared:
    """The options that a plugin declares."""

    plugin: str
    options_class: type
    options: tuple[Option, ...]


def declare(plugin: str, options_class: Any) -> Declared:  # Any: whatever the plugin returned
    """
    Read an attrs class.

    Raises:
        ConfigError: it is not an attrs class, one of its options has no default, or it cannot be made with the defaults.
    """
    if not isinstance(options_class, type) or not has(options_class):
        raise ConfigError(f"register_options must return an attrs class, got {options_class!r}")
    attributes = {attribute.alias or attribute.name: attribute for attribute in fields(options_class) if attribute.init}
    missing = [name for name, attribute in attributes.items() if attribute.default is NOTHING]
    if missing:
        raise ConfigError(f"every option must have a default; missing for {', '.join(missing)}")
    try:
        defaults = options_class()
    except Exception as error:
        reason = _why_refused(attributes, options_class) if is_from_attrs(error) else None
        raise ConfigError(f"{options_class.__name__} refuses its own defaults: {reason or _message(error)}") from error
    options = tuple(
        Option(
            f"plugins.{plugin}.{name}",
            getattr(defaults, attribute.name),
            _kind(attribute, options_class),
            " ".join(str(attribute.metadata.get("help", "")).split()),
            plugin=plugin,
        )
        for name, attribute in attributes.items()
    )
    return Declared(plugin, options_class, options)


def build(
    declared: Declared,
    candidates: Mapping[str, list[Value]],
    problems: list[Problem],
) -> tuple[Any, dict[str, Value]]:  # Any: an object of the plugin's class
    """
    Return an object of the plugin's class, and each value by its key.

    A value that a validator of the class refuses is skipped like an invalid one: the value of the next layer is used.

    Args:
        candidates: by key, the values of the layers, strongest first.
        problems: gets a problem for each invalid value.
    """
    left = {option.key: list(candidates.get(option.key, ())) for option in declared.options}
    problems.extend(
        _unsupported(option)
        for option in declared.options
        if isinstance(option.kind, Unsupported) and not left[option.key]
    )
    while True:
        values = {option.key: _choose(option, left[option.key], problems) for option in declared.options}
        given = {option.name: values[option.key].value for option in declared.options if left[option.key]}
        try:
            made = declared.options_class(**given)
        except Exception as error:  # noqa: BLE001  # raised by the plugin's own validator, converter or method
            option = _culprit(declared, given)
            refused = left[option.key].pop(0)
            instead = _choose(option, list(left[option.key]), [])
            problems.append(invalid(refused, _reason(option, error), instead=instead, written=option.kind.written))
        else:
            names = {attribute.alias or attribute.name: attribute.name for attribute in fields(declared.options_class)}
            return made, {
                option.key: evolve(values[option.key], value=getattr(made, names[option.name]))
                for option in declared.options
            }


def _choose(option: Option, candidates: list[Value], problems: list[Problem]) -> Value:
    """The first that can be converted; those before it are removed."""
    default = Value(option.key, option.default, DEFAULT)
    chosen = first_usable(
        candidates, convert=option.kind.read, default=default, problems=problems, written=option.kind.written
    )
    while candidates and (chosen is default or candidates[0].origin != chosen.origin):
        candidates.pop(0)
    return chosen


def _culprit(declared: Declared, given: Mapping[str, Any]) -> Option:
    """The option whose value is refused by itself; else the last of those that are refused together."""
    options = [option for option in declared.options if option.name in given]
    for option in options:
        try:
            declared.options_class(**{option.name: given[option.name]})
        except Exception:  # noqa: BLE001  # as above
            return option
    return options[-1]


def _reason(option: Option, error: Exception) -> str:
    """The message of the plugin; left out for secrets, because it may contain the value. attrs's are not for users."""
    if is_from_attrs(error):
        return f"expected {option.kind.expected}, and the plugin does not allow this value"
    return f"it raised {type(error).__name__}" if option.is_secret else _message(error)


def _why_refused(attributes: Mapping[str, Attribute[Any]], options_class: type) -> str | None:
    for name, attribute in attributes.items():
        try:
            _kind(attribute, options_class).read(attribute.default)
        except ValueError as reason:
            return f"{name} is {show(name, attribute.default)}; {reason}"
    return None


def _unsupported(option: Option) -> Problem:
    advice = "declare another type in the plugin, or a converter"
    return Problem("unsupported-type", option.key, f"{option.key} cannot be set; {option.kind.form}", advice)


def _message(error: Exception) -> str:
    """The text of an error; those of attrs have further arguments, which ``str()`` would show."""
    return str(error.args[0]) if error.args else type(error).__name__


def _kind(attribute: Attribute[Any], options_class: type) -> Kind:
    """By its annotation, with the conditions of its validators."""
    annotation: Any = attribute.type
    try:
        if annotation is None:
            raise TypeError("the plugin declares no type for it")
        kind = kind_of(resolve(annotation, options_class) if isinstance(annotation, str) else annotation)
    except Exception as error:  # noqa: BLE001  # annotations can be any object
        return ANYTHING if attribute.converter is not None else Unsupported("not supported", str, str(error))
    try:
        return narrow(kind, attribute)
    except Exception:  # noqa: BLE001  # validators, and the values that they allow, can be any object
        return kind
