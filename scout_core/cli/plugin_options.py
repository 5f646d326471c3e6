"""The options of plugins, with their values and where those came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import fields, has

from scout_core.cli.here import Here
from scout_core.config.options import variable_of
from scout_core.config.values import is_secret


def options_of(here: Here, name: str) -> Iterator[dict[str, Any]]:  # Any: each option has its own type
    """``key``, ``value``, ``origin``, ``default``, ``variable`` and ``help`` of each option of a plugin; none when it has none."""
    try:
        options = here.config.plugin(name)
    except KeyError:
        return
    if not has(type(options)):
        return
    defaults = type(options)()
    for attribute in fields(type(options)):
        if not attribute.init:
            continue
        key = attribute.alias or attribute.name
        value = getattr(options, attribute.name)
        yield {
            "key": f"plugins.{name}.{key}",
            "value": "…" if value and is_secret(key) else value,
            "origin": here.config.plugin_origin(name, key),
            "default": getattr(defaults, attribute.name),
            "variable": variable_of(f"{name}.{key}"),
            "help": attribute.metadata.get("help", ""),
        }
