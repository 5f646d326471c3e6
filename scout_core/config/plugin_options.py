"""A plugin's own options: an attrs class, filled from the environment and the configuration file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import NOTHING, Attribute, fields, has

from scout_core.config import convert
from scout_core.config.options import variable_of
from scout_core.config.origin import DEFAULT, Origin, from_environment
from scout_core.config.values import Value, first_usable, unknown
from scout_core.errors import ConfigError

_CONVERTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": convert.boolean,
    "int": convert.integer,
    "float": convert.real,
    "str": convert.text,
    "tuple[str, ...]": convert.names,
}


def read_plugin_options(
    name: str,
    options: Any,  # Any: whatever the plugin returned
    *,
    written: Mapping[str, Value],
    environment: Mapping[str, str],
    problems: list[str],
) -> tuple[Any, dict[str, Origin]]:
    """
    Return an object of the plugin's class, and the origin of each of its values.

    Args:
        name: the plugin's.
        options: the class.
        written: what the file says.
        problems: gets a sentence for each value that cannot be used.

    Raises:
        ConfigError: it is no attrs class, or one of its options has no default.
    """
    if not isinstance(options, type) or not has(options):
        raise ConfigError(f"register_options returns an attrs class, not {type(options).__name__} {options!r}")
    attributes = {attribute.alias or attribute.name: attribute for attribute in fields(options) if attribute.init}
    needy = [key for key, attribute in attributes.items() if attribute.default is NOTHING]
    if needy:
        raise ConfigError(f"every option needs a default; there is none for {', '.join(needy)}")
    rest = {f"{name}.{key}": value.origin for key, value in written.items() if key not in attributes}
    problems.extend(unknown(key, origin, attributes) for key, origin in rest.items())
    chosen, origins = {}, {}
    for key, attribute in attributes.items():
        default = Value(key, NOTHING, DEFAULT)
        found = first_usable(
            [Value(f"{name}.{key}", value, origin) for value, origin in _candidates(name, key, written, environment)],
            convert=_converter_for(attribute),
            default=default,
            default_told="the default",
            problems=problems,
        )
        origins[key] = found.origin
        if found is not default:
            chosen[key] = found.value
    try:
        return options(**chosen), origins
    except (ValueError, TypeError) as error:  # of a validator of the plugin's own
        problems.append(f"plugin {name}: {error}; the defaults of all its options are used")
        return options(), dict.fromkeys(origins, DEFAULT)


def _candidates(
    name: str, key: str, written: Mapping[str, Value], environment: Mapping[str, str]
) -> Iterator[tuple[Any, Origin]]:
    variable = variable_of(f"{name}.{key}")
    if variable in environment:
        yield environment[variable], from_environment(variable)
    if key in written:
        yield written[key].value, written[key].origin


def _converter_for(attribute: Attribute[Any]) -> Callable[[Any], Any]:
    """How text becomes the type that the option is annotated with."""
    kind: Any = attribute.type
    spelled = kind if isinstance(kind, str) else kind.__name__ if type(kind) is type else str(kind)
    spelled = spelled.strip("'\"").removeprefix("typing.").replace("Tuple[", "tuple[")

    def refuse(_: object) -> object:
        known = ", ".join(_CONVERTERS)
        raise ValueError(f"the plugin declares the type {spelled}, which cannot be read from text; it may be {known}")

    return _CONVERTERS.get(spelled, refuse)
