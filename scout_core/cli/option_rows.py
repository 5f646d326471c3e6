"""How commands show options, of the core and of plugins alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scout_core.config.config import Config
from scout_core.config.durations import Seconds, duration
from scout_core.config.options import Option
from scout_core.config.origin import Layer
from scout_core.config.values import as_written
from scout_core.text.url import public_url


def option_rows(
    config: Config, plugin: str | None = None
) -> Iterator[dict[str, Any]]:  # Any: each option has its own type
    """
    Yield the facts of each option: ``key``, ``plugin``, ``value``, ``origin``, ``default``, ``type``, ``variable`` and ``help``.

    Args:
        plugin: only the options of this plugin. None: all, the core's first.
    """
    for option in config.options.values():
        if plugin in (None, option.plugin):
            yield {
                "key": option.key,
                "plugin": option.plugin,
                "value": _public(option, config.get(option.key)),
                "origin": config.origin(option.key),
                "default": _public(option, option.default),
                "type": option.kind.expected,
                "variable": option.variable,
                "help": option.help.replace("``", ""),
            }


def describe_option(row: dict[str, Any]) -> tuple[str, str]:  # Any: as above
    """Return two lines: key, value and origin; type, meaning and default."""
    default = (
        ""
        if row["origin"].layer is Layer.DEFAULT or row["value"] == row["default"]
        else f"Default: {row['default']!r}."
    )
    details = " ".join(filter(None, (f"{row['type'][0].upper()}{row['type'][1:]}.", row["help"], default)))
    return f"{row['key']} = {row['value']!r}  ({row['origin']})", f"    {details}"


def _public(option: Option, value: object) -> object:
    if value and option.is_secret:
        return "…"
    if isinstance(value, float) and option.kind.written is duration:
        return Seconds(value)
    value = _plain(as_written(value))
    return public_url(value) if isinstance(value, str) and option.key.endswith("_url") and value else value


class Shown(str):
    """The text of an object that only its plugin knows; shown without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _plain(value: object) -> object:
    """Return an equal value of plain types, which does not depend on the plugin's own classes."""
    if value is None or isinstance(value, (bool, Seconds)):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else [*map(_plain, value)]
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    return Shown(repr(value))
