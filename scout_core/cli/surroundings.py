"""What can be seen from here of servers that fork and of gevent: only what a file, the environment or a version says."""

from __future__ import annotations

import ast
import configparser
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from scout_core.cli.findings import Finding
from scout_core.cli.here import Here

_TRUE: Final = frozenset({"", "1", "true", "yes", "on"})
"""As uWSGI reads a switch; alone on its line it is on."""


def of_surroundings(here: Here) -> Iterator[Finding]:
    """gevent, gunicorn and uWSGI, each where it is installed or its configuration lies here."""
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        return
    yield from of_gevent(here.installed.installed)
    yield from of_gunicorn(folder, os.environ)
    for path in sorted(folder.glob("*.ini")):
        yield from of_uwsgi(path)


def of_gevent(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Whether spans of greenlets can be told apart, and whether this process is patched."""
    if "gevent" not in installed:
        return
    greenlet = installed.get("greenlet", "0")
    major = greenlet.partition(".")[0]
    if major.isdecimal() and int(major) < 1:
        text = f"greenlet {greenlet} has one context for all greenlets: spans get wrong parents"
        yield Finding("problem", "gevent", text, "pip install -U greenlet")
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        yield Finding("note", "gevent", "threads are patched in this process: the agent's thread is a greenlet")
    else:
        text = f"gevent {installed['gevent']} is installed; nothing is patched in this process"
        yield Finding("ok", "gevent", text)


def of_gunicorn(folder: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether workers are forked from a loaded application: the agent stands that, and it should be known."""
    try:
        given = shlex.split(environment.get("GUNICORN_CMD_ARGS", ""))
    except ValueError:
        given = []
    origins = ["GUNICORN_CMD_ARGS"] if {"--preload", "--preload-app"} & set(given) else []
    file = folder / "gunicorn.conf.py"
    if _constants(file).get("preload_app") is True:
        origins.append(str(file))
    for origin in origins:
        text = f"workers are forked from the loaded application ({origin}): the agent begins anew in each of them"
        yield Finding("ok", "gunicorn", text)


def of_uwsgi(path: Path) -> Iterator[Finding]:
    """Whether threads run, and whether Python hears of a fork."""
    parser = configparser.ConfigParser(allow_no_value=True, strict=False, interpolation=None, delimiters=("=",))
    try:
        parser.read(path, encoding="utf-8")
        settings = {key: (value or "").strip().lower() for key, value in parser["uwsgi"].items()}
    except (configparser.Error, OSError, UnicodeDecodeError, KeyError):
        return  # not one of uWSGI
    bad = []
    # Without it uWSGI never hands the interpreter to another thread (its documentation, "ThingsToKnow").
    if not _is_on(settings, "enable-threads") and settings.get("threads", "0") in ("0", "1"):
        text = f"{path} has no enable-threads: the agent's thread never runs, and nothing is reported"
        bad.append(Finding("problem", "uwsgi", text, "add: enable-threads = true"))
    several = max(_number(settings, key) for key in ("processes", "workers", "p")) > 1 or "cheaper" in settings
    # It forks in C, past the interpreter, which then calls nobody that asked to be told.
    if several and not any(
        _is_on(settings, key) for key in ("lazy-apps", "lazy", "py-call-uwsgi-fork-hooks", "py-call-osafterfork")
    ):
        text = f"{path} forks workers from a loaded application without telling Python: they report as one process"
        bad.append(Finding("problem", "uwsgi", text, "add: lazy-apps = true"))
    yield from bad or [Finding("ok", "uwsgi", f"{path} lets the agent's thread run")]


def _constants(path: Path) -> dict[str, object]:
    """Plain values that a module assigns, without running it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _is_on(settings: Mapping[str, str], key: str) -> bool:
    return key in settings and settings[key] in _TRUE


def _number(settings: Mapping[str, str], key: str) -> int:
    value = settings.get(key, "")
    return int(value) if value.isdecimal() else 0
