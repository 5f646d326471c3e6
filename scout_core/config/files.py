"""The configuration file: ``scout-core.toml``, or ``[tool.scout-core]`` in ``pyproject.toml``, here or in a folder above."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from scout_core.config.options import BY_KEY


@define
class Settings:
    """What one file says, with tables flattened to dotted keys."""

    path: Path
    values: dict[str, Any] = field(factory=dict)  # Any: TOML values, before conversion
    plugins: dict[str, dict[str, Any]] = field(factory=dict)
    """Plugin name to its own table."""
    problems: list[str] = field(factory=list)


def find_settings(start: Path) -> Settings | None:
    """The nearest file at or above a folder that speaks of scout-core; None when there is none."""
    for folder in (start, *start.parents):
        for path in (folder / "scout-core.toml", folder / "pyproject.toml"):
            settings = _read(path)
            if settings is not None:
                return settings
    return None


def _read(path: Path) -> Settings | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return Settings(path=path, problems=[f"file {path} cannot be read ({error}); it is not used"])
    if path.name == "pyproject.toml" and "tool.scout-core" not in text:
        return None  # spares importing a parser in most projects
    if sys.version_info >= (3, 11):  # imported here, because most applications have no such file
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: Any = tomllib.loads(text)
    except ValueError as error:
        return Settings(path=path, problems=[f"file {path} is not valid TOML ({error}); it is not used"])
    if path.name == "pyproject.toml":
        content = content.get("tool", {}).get("scout-core")
        if not isinstance(content, Mapping):
            return None
    return _flatten(path, content)


def _flatten(path: Path, content: Mapping[str, Any]) -> Settings:
    settings = Settings(path=path)
    for key, value in content.items():
        if key == "plugins" and isinstance(value, Mapping):
            for name, inner in value.items():
                if f"plugins.{name}" in BY_KEY:
                    settings.values[f"plugins.{name}"] = inner
                elif isinstance(inner, Mapping):
                    settings.plugins[name] = dict(inner)
                elif name == "modules":
                    settings.values["plugins"] = inner
                else:
                    settings.values[f"plugins.{name}"] = inner  # reported as unknown, with a suggestion
        else:
            settings.values[key.replace("-", "_")] = value
    return settings
