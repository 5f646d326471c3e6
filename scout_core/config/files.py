"""The configuration file: ``scout-core.toml``, or ``[tool.scout-core]`` in ``pyproject.toml``, here or in a folder above."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from scout_core.config.options import BY_KEY
from scout_core.config.origin import Layer, Origin
from scout_core.problems import Problem

_OUR_TABLE: Final = re.compile(r"""scout-core["']?\s*[\].=]""")
"""Matches in every file that has our table, and in few others: `scout-core>=1` is a dependency."""


@define(eq=False)
class Settings:
    """The content of one file, with tables flattened to dotted keys."""

    path: Path
    values: dict[str, Any] = field(factory=dict)  # Any: TOML values, before conversion
    plugins: dict[str, dict[str, Any]] = field(factory=dict)
    """Plugin name to its own table."""
    problems: list[Problem] = field(factory=list)

    @property
    def origin(self) -> Origin:
        """The place where every value in it was set."""
        return Origin(Layer.FILE, str(self.path))


def settings_here() -> Settings | None:
    """Read the file that applies to the working directory; None without a file, or when the directory is gone."""
    try:
        return find_settings(Path.cwd())
    except FileNotFoundError:
        return None


def find_settings(start: Path) -> Settings | None:
    """Read the nearest file, in a folder or above it, that configures scout-core; None without one."""
    for folder in (start, *start.parents):
        for path in (folder / "scout-core.toml", folder / "pyproject.toml"):
            settings = _read(path)
            if settings is not None:
                return settings
    return None


def _read(path: Path) -> Settings | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return _unusable(path, f"cannot be read ({error})")
    if path.name == "pyproject.toml" and not _OUR_TABLE.search(text):
        return None  # most projects: no parser is imported
    if sys.version_info >= (3, 11):  # imported here, because most applications have no such file
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: Any = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return _unusable(path, f"is not valid TOML ({error})")
    if path.name == "pyproject.toml":
        tool = content.get("tool")
        content = tool.get("scout-core") if isinstance(tool, Mapping) else None
        if content is None:
            return None
        if not isinstance(content, Mapping):
            return _unusable(path, "has a value tool.scout-core that is not a table")
    return _flatten(path, content)


def _unusable(path: Path, reason: str) -> Settings:
    return Settings(path, problems=[Problem("unusable-file", str(path), f"file {path} {reason} and is ignored")])


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
