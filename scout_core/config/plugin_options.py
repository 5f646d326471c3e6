"""A plugin's own options: an attrs class, whose attributes become options like those of the core."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from attrs import NOTHING, Attribute, evolve, fields, frozen, has

from scout_core.config.conditions import is_from_attrs, narrow
from scout_core.config.kinds import ANYTHING, Kind, OwnMessage, Unsupported
from scout_core.config.options import Option
from scout_core.config.origin import DEFAULT
from scout_core.config.types import kind_of, resolve
from scout_core.config.values import LONGEST_REASON, Value, first_usable, invalid, show
from scout_core.errors import ConfigError, with_kind
from scout_core.problems import Problem
from scout_core.signals import is_from_outside
from scout_core.text.plain import UNPRINTABLE, text_of

BeforeValues = Callable[[str, Collection[str]], None]
"""
Called with a plugin, and the names of the options with whose values its class is about to be made.

The values are refused when it raises ``OwnMessage``, whose text is the reason.
"""


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
    except BaseException as error:
        if is_from_outside(error):
            raise
        reason = _why_refused(attributes, options_class) if is_from_attrs(error) else None
        raise _refuses_defaults(options_class, reason or _message(error)) from error
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
    *,
    before: BeforeValues = lambda plugin, names: None,
) -> tuple[Any, dict[str, Value]]:  # Any: an object of the plugin's class
    """
    Return an object of the plugin's class, and each value by its key.

    A value that a validator of the class refuses is skipped like an invalid one: the value of the next layer is used.

    Args:
        candidates: by key, the values of the layers, strongest first.
        problems: gets a problem for each invalid value.
        before: called each time before the class is made.

    Raises:
        ConfigError: the class cannot be made with its defaults any more.
    """

    def make(given: Mapping[str, Any]) -> Any:  # Any: as above
        before(declared.plugin, given)
        return declared.options_class(**given)

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
            made = make(given)
        except BaseException as error:  # raised by the plugin's own validator, converter or method
            if is_from_outside(error):
                raise
            if not given:
                raise _refuses_defaults(declared.options_class, _message(error)) from error
            option = _culprit(declared, given, make)
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


def _culprit(declared: Declared, given: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Any]) -> Option:
    """The option whose value is refused by itself; else the last of those that are refused together."""
    options = [option for option in declared.options if option.name in given]
    for option in options:
        try:
            make({option.name: given[option.name]})
        except BaseException as error:  # as above
            if is_from_outside(error):
                raise
            return option
    return options[-1]


def _reason(option: Option, error: BaseException) -> str:
    """The message of the plugin; left out for secrets, because it may contain the value. attrs's are not for users."""
    if type(error) is OwnMessage:
        return str(error)
    if is_from_attrs(error):
        return f"expected {option.kind.expected}, and the plugin does not allow this value"
    return f"it raised {type(error).__name__}" if option.is_secret else _message(error)


def _why_refused(attributes: Mapping[str, Attribute[Any]], options_class: type) -> str | None:
    for name, attribute in attributes.items():
        try:
            _kind(attribute, options_class).read(attribute.default)
        except BaseException as error:
            if is_from_outside(error):
                raise
            if isinstance(error, ValueError):
                return f"{name} is {show(name, attribute.default)}; {text_of(error, LONGEST_REASON)}"
    return None


def _unsupported(option: Option) -> Problem:
    advice = "declare another type in the plugin, or a converter"
    return Problem("unsupported-type", option.key, f"{option.key} cannot be set; {option.kind.form}", advice)


def _refuses_defaults(options_class: type, reason: str) -> ConfigError:
    return ConfigError(f"{options_class.__name__} refuses its own defaults: {reason}")


def _message(error: BaseException) -> str:
    """
    The text of an error, with its class unless it is one of values.

    Those of attrs have further arguments, which ``str()`` would show.
    """
    text = text_of(error.args[0], LONGEST_REASON) if error.args else ""
    if text not in ("", UNPRINTABLE) and isinstance(error, (ValueError, TypeError)):
        return text
    return f"it raised {with_kind(type(error).__name__, text)}"


def _kind(attribute: Attribute[Any], options_class: type) -> Kind:
    """By its annotation, with the conditions of its validators."""
    annotation: Any = attribute.type
    try:
        if annotation is None:
            raise TypeError("the plugin declares no type for it")
        kind = kind_of(resolve(annotation, options_class) if isinstance(annotation, str) else annotation)
    except BaseException as error:  # annotations can be any object
        if is_from_outside(error):
            raise
        reason = text_of(error, LONGEST_REASON)
        return ANYTHING if attribute.converter is not None else Unsupported("not supported", str, reason)
    try:
        return narrow(kind, attribute)
    except BaseException as error:  # validators, and the values that they allow, can be any object
        if is_from_outside(error):
            raise
        return kind
