"""Change the lists of plugins in a configuration file and nothing else: comments and order are kept."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

import tomlkit
from attrs import frozen
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from scout_core.errors import ConfigError
from scout_core.private_files import replace_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Names = Callable[[list[str]], Iterable[str]]
"""Maps the names in a list to those that should be in it."""
_INDENT: Final = re.compile(r"""\n([ \t]*)["']""")
ALIASES: Final = {"disable": ("disabled_instruments", "disabled-instruments")}
"""Other spellings of a key in ``plugins``, in our top-level table."""
_Table = MutableMapping[str, Any]  # Any: TOML values


@frozen
class Edited:
    """A file before and after."""

    path: Path
    before: str
    """Empty for a new file."""
    after: str
    is_new: bool = False

    def write(self) -> None:
        """
        Replace the file atomically; its mode is kept.

        Raises:
            ConfigError: it cannot be written, or was changed since it was read.
        """
        real = Path(os.path.realpath(self.path))  # keep a symbolic link
        try:
            if not self.is_new and _read(real) != self.before:
                raise ConfigError(f"{self.path} was changed at the same time by someone else; try again")
            mode = 0o644 & ~_umask() if self.is_new else stat.S_IMODE(real.stat().st_mode)
            replace_file(real, self.after, mode=mode)
        except OSError as error:
            raise ConfigError(f"cannot write {self.path}: {error.strerror}") from error


def edited(path: Path, changes: Mapping[str, Names], *, is_new: bool = False) -> Edited:
    """
    Return the file with changed lists in ``plugins``.

    Args:
        changes: for ``enable`` and ``disable``, the function that changes its names.

    Raises:
        ConfigError: it cannot be read, is not TOML, or cannot be changed safely.
    """
    try:
        before = "" if is_new else _read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    mark = "\ufeff" if before.startswith("\ufeff") else ""
    text = before.removeprefix("\ufeff")
    try:
        expected = tomllib.loads(text)
        document = tomlkit.parse(text)
    except (ValueError, RecursionError, TOMLKitError) as error:
        raise ConfigError(f"file {path} is not valid TOML ({error}); fix it first") from error
    in_project = path.name == "pyproject.toml"
    for key, change in changes.items():
        _change(_ours(expected, in_project=in_project), key, change)
        _change(_ours(document, in_project=in_project), key, change)
    after = tomlkit.dumps(document)
    if "\r\n" in text:
        after = after.replace("\r\n", "\n").replace("\n", "\r\n")
    if _loads(after) != expected:
        wanted = "; ".join(f"{key} = {list(_found(_ours(expected, in_project=in_project), key))}" for key in changes)
        raise ConfigError(f"{path} cannot be changed automatically; edit it by hand: {wanted}")
    return Edited(path, before, mark + after, is_new=is_new)


def _loads(text: str) -> object:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _ours(document: _Table, *, in_project: bool) -> _Table:
    if not in_project:
        return document
    table: _Table = document["tool"]["scout-core"]
    return table


def _change(ours: _Table, key: str, change: Names) -> None:
    """Change each spelling of the key that the file uses; without one, add it to ``plugins``."""
    spelled = [(ours, alias) for alias in ALIASES.get(key, ()) if alias in ours]
    plugins = ours.get("plugins")
    if isinstance(plugins, MutableMapping) and key in plugins:
        spelled.append((plugins, key))
    for table, name in spelled:
        _write(table, name, list(dict.fromkeys(change(_names(table[name])))))
    if not spelled:
        wanted = list(dict.fromkeys(change([])))
        if wanted:
            _write(_plugins_of(ours), key, wanted)


def _plugins_of(ours: _Table) -> _Table:
    """Return the table ``plugins``; a list of modules under that name becomes its key ``modules``."""
    plugins = ours.get("plugins")
    if isinstance(plugins, MutableMapping):
        return plugins
    table: _Table = tomlkit.table() if hasattr(ours, "as_string") else {}
    if plugins is not None:
        del ours["plugins"]
        table["modules"] = plugins
    ours["plugins"] = table
    return ours["plugins"]  # type: ignore[no-any-return]  # Any: TOML values


def _names(value: object) -> list[str]:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return [str(name) for name in value] if isinstance(value, list) else []


def _write(table: _Table, key: str, wanted: list[str]) -> None:
    """Change a list in place, so that comments between its names are kept; replace any other value."""
    value = table.get(key)
    if not isinstance(value, list):
        table[key] = wanted
        return
    for place in reversed(range(len(value))):
        if str(value[place]) not in wanted:
            del value[place]
    present = {str(name) for name in value}
    for name in wanted:
        if name not in present:
            _append(value, name)


def _append(value: list[Any], name: str) -> None:  # Any: TOML values
    text = value.as_string() if isinstance(value, Array) else ""
    if isinstance(value, Array) and "\n" in text:  # append() loses the comma before a comment
        indent = _INDENT.search(text)
        value.add_line(name, indent=indent[1] if indent else "    ")
    else:
        value.append(name)


def _found(ours: _Table, key: str) -> list[str]:
    plugins = ours.get("plugins")
    return _names(plugins.get(key)) if isinstance(plugins, MutableMapping) else []


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
