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

_OUR_TABLE: Final = re.compile(r"""scout-core["']?\s*[\].=]""")
"""What stands in every file with our table, and in few without: `scout-core>=1` is a dependency."""


@define
class Settings:
    """What one file says, with tables flattened to dotted keys."""

    path: Path
    values: dict[str, Any] = field(factory=dict)  # Any: TOML values, before conversion
    plugins: dict[str, dict[str, Any]] = field(factory=dict)
    """Plugin name to its own table."""
    problems: list[str] = field(factory=list)

    @property
    def origin(self) -> Origin:
        """Of every value in it."""
        return Origin(Layer.FILE, str(self.path))


def settings_here() -> Settings | None:
    """What holds in the working directory; None as well when that is gone."""
    try:
        return find_settings(Path.cwd())
    except FileNotFoundError:
        return None


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
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return Settings(path=path, problems=[f"file {path} cannot be read ({error}); it is not used"])
    if path.name == "pyproject.toml" and not _OUR_TABLE.search(text):
        return None  # spares importing a parser in most projects
    if sys.version_info >= (3, 11):  # imported here, because most applications have no such file
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: Any = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return Settings(path=path, problems=[f"file {path} is not valid TOML ({error}); it is not used"])
    if path.name == "pyproject.toml":
        tool = content.get("tool")
        content = tool.get("scout-core") if isinstance(tool, Mapping) else None
        if content is None:
            return None
        if not isinstance(content, Mapping):
            return Settings(path=path, problems=[f"file {path}: tool.scout-core is no table; it is not used"])
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
