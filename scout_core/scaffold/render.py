"""
The template, filled in.

The template is a stack of layers: a kind of plugin, whether it has a library, and where it will live each add files. What
stands in several layers under one name is one file, its parts in the order of the layers. Each name ends in ``.in``, so that
no tool takes for Python what is not Python yet; ``@name@`` is a value.
"""

from __future__ import annotations

import re
import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path
from shlex import quote
from typing import Final

from attrs import frozen

from scout_core.errors import ScoutError
from scout_core.scaffold.plan import Plan

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_VALUE: Final = re.compile(r"@(\w+)@")
_MODULE_FOLDER: Final = Path(__file__).resolve().parent


@frozen
class Rendered:
    """A plugin that is there."""

    folder: Path
    files: tuple[str, ...]
    """Below the folder, sorted."""
    next: tuple[str, ...]
    """Commands: to install it, to test it, to see it."""


def render(plan: Plan, into: Path) -> Rendered:
    """
    Make the folder ``scout-<name>``; all of it, or nothing.

    Args:
        into: an existing folder. In that of this repository's plugins the plugin is one of them; elsewhere it stands alone.

    Raises:
        ScoutError: the folder is there already, or cannot be written.
    """
    is_ours = _is_ours(into)
    values = _values(plan)
    parts: dict[str, str] = {}
    for layer in _layers(plan, is_ours=is_ours):
        for name, text in _read(_template() / layer):
            path = _fill(name, values)
            parts[path] = parts.get(path, "") + _fill(text, values)
    folder = into / f"scout-{plan.name}"
    _write(folder, parts)
    return Rendered(folder, tuple(sorted(parts)), _next(plan, folder, is_ours=is_ours))


def _layers(plan: Plan, *, is_ours: bool) -> list[str]:
    """Folders of the template, the later ones further down in a file."""
    place = "inside" if is_ours else "alone"
    layers = ["package", plan.kind]
    if plan.target:
        layers.append(f"{plan.kind}-sample" if plan.is_sample else f"{plan.kind}-target")
    if plan.library:
        layers.append("instruments")
    layers.append(place)
    if plan.library:
        layers.append(f"{place}-instruments")
    return layers


def _values(plan: Plan) -> dict[str, str]:
    owner, _, attribute = plan.target.rpartition("." if "." in plan.target.rpartition(":")[2] else ":")
    library = plan.library or plan.target.partition(":")[0]
    descriptions = {
        "library": f"Calls of {library} as spans of scout-core.",
        "framework": f"{'Requests to servers' if plan.is_sample else 'Jobs'} of {library} as transactions of scout-core.",
        "policy": "A policy of scout-core: the traces of paying customers first.",
        "exporter": "Reports of scout-core as lines of JSON in a file.",
    }
    dependencies = [plan.core, *(["attrs>=23.2"] if plan.kind == "exporter" else [])]
    return {
        "name": plan.name,
        "module": plan.module,
        "title": "".join(part.capitalize() for part in plan.name.split("-")),
        "variable": f"SCOUT_{plan.module.upper()}",
        "description": descriptions[plan.kind],
        "dependencies": ", ".join(f'"{requirement}"' for requirement in dependencies),
        "target": plan.target,
        "owner": owner,
        "attribute": attribute,
        "library": library,
        "requirement": plan.requirement or "",
        "oldest": plan.oldest or "",
        "here": _here(plan),
        "year": str(datetime.now(timezone.utc).year),
    }


def _next(plan: Plan, folder: Path, *, is_ours: bool) -> tuple[str, ...]:
    if is_ours:
        return "uv sync --all-packages", f"nox -t {plan.name}", "python docs/generate.py"
    return (
        f"cd {quote(str(folder))} && python -m pip install {_here(plan)} pytest",
        "python -m pytest",
        f"scout-core plugins {plan.name}",
    )


def _here(plan: Plan) -> str:
    return '-e ".[instruments]"' if plan.library else "-e ."


def _template() -> Path:
    """Beside this module where scout-core is installed; in a checkout at its top."""
    installed = _MODULE_FOLDER / "template"
    return installed if installed.is_dir() else _MODULE_FOLDER.parent.parent / "template" / "layers"


def _read(layer: Path) -> list[tuple[str, str]]:
    """The files of a layer, by their names in the plugin; a layer may add nothing."""
    return [
        (path.relative_to(layer).as_posix().removesuffix(".in"), path.read_text(encoding="utf-8"))
        for path in sorted(layer.rglob("*.in"))
    ]


def _fill(text: str, values: dict[str, str]) -> str:
    return _VALUE.sub(lambda found: values[found[1]], text)


def _is_ours(into: Path) -> bool:
    """Whether this is the folder ``plugins`` of a checkout of scout-core."""
    place = into.resolve()
    try:
        facts = tomllib.loads((place.parent / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return place.name == "plugins" and facts.get("project", {}).get("name") == "scout-core"


def _write(folder: Path, parts: dict[str, str]) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        raise ScoutError(f"{folder} exists already; move it away, or choose another name") from None
    except OSError as error:
        raise ScoutError(f"cannot make {folder}: {error.strerror}") from error
    try:
        for name, text in parts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ScoutError(f"cannot write {folder}: {error.strerror}") from error
