"""
Generate a plugin from the template.

The template is a stack of layers. The kind of the plugin, its target, its library, and its place (this repository or one of
its own) each select a layer. Files of the same name in several layers are concatenated in the order of the layers. File names
end in ``.in``, so that tools do not read them as Python; ``@name@`` is replaced by a value.
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
    """A plugin that was generated."""

    folder: Path
    files: tuple[str, ...]
    """Paths relative to the folder, sorted."""
    next: tuple[str, ...]
    """Commands to install, test and list it."""


def render(plan: Plan, into: Path) -> Rendered:
    """
    Create the folder ``scout-<name>``, completely or not at all.

    Args:
        into:
            an existing folder. In ``plugins`` of this repository, the plugin uses the repository's configuration;
            elsewhere it has its own.

    Raises:
        ScoutError: the folder exists, or cannot be written.
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
    """Return the folders of the template, in the order in which their files are concatenated."""
    place = "monorepo" if is_ours else "standalone"
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
        "library": f"Calls to {library} as spans of scout-core.",
        "framework": f"{'Requests to socketserver servers' if plan.is_sample else f'Jobs of {library}'} as transactions of scout-core.",
        "policy": "A policy for scout-core that keeps the traces of paying customers first.",
        "exporter": "An exporter for scout-core that writes reports to a file, as lines of JSON.",
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
        "install": _install_arguments(plan),
        "year": str(datetime.now(timezone.utc).year),
    }


def _next(plan: Plan, folder: Path, *, is_ours: bool) -> tuple[str, ...]:
    if is_ours:
        return "uv sync --all-packages", f"nox -t {plan.name}", "python docs/generate.py"
    return (
        f"cd {quote(str(folder))} && python -m pip install {_install_arguments(plan)} pytest",
        "python -m pytest",
        f"scout-core plugins {plan.name}",
    )


def _install_arguments(plan: Plan) -> str:
    return '-e ".[instruments]"' if plan.library else "-e ."


def _template() -> Path:
    """Return the folder of layers: next to this module when scout-core is installed, else at the top of the checkout."""
    installed = _MODULE_FOLDER / "template"
    return installed if installed.is_dir() else _MODULE_FOLDER.parent.parent / "template" / "layers"


def _read(layer: Path) -> list[tuple[str, str]]:
    """Return name in the plugin and content of each file of a layer; a layer may have no files."""
    return [
        (path.relative_to(layer).as_posix().removesuffix(".in"), path.read_text(encoding="utf-8"))
        for path in sorted(layer.rglob("*.in"))
    ]


def _fill(text: str, values: dict[str, str]) -> str:
    return _VALUE.sub(lambda match: values[match[1]], text)


def _is_ours(into: Path) -> bool:
    """Whether a folder is ``plugins`` of a checkout of scout-core."""
    folder = into.resolve()
    try:
        project = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return folder.name == "plugins" and project.get("project", {}).get("name") == "scout-core"


def _write(folder: Path, parts: dict[str, str]) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        raise ScoutError(f"{folder} already exists; move it, or choose another name") from None
    except OSError as error:
        raise ScoutError(f"cannot create {folder}: {error.strerror}") from error
    try:
        for name, text in parts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ScoutError(f"cannot write {folder}: {error.strerror}") from error
