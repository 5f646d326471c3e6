"""Checks of servers that fork and of gevent, as far as files, the environment and versions show."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from packaging.version import Version

from scout_core.cli.findings import Finding

_TRUE: Final = frozenset({"", "1", "true", "yes", "on"})
"""Values that switch an option of uWSGI on; a name without a value does, too."""

_GRACEFUL: Final = re.compile(
    r"^\s*hook-master-start\s*=\s*unix_signal:15\s+gracefully_kill_them_all\s*$", re.MULTILINE
)
"""The setting may be repeated, so the parsed settings do not suffice."""


def check_servers(installed: Mapping[str, str]) -> Iterator[Finding]:
    """
    Check gevent, gunicorn and uWSGI, if they are installed or configured in the working directory.

    Args:
        installed: normalised distribution name to version.
    """
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        return
    yield from check_gevent(installed)
    yield from check_gunicorn(folder, os.environ)
    for path in sorted(folder.glob("*.ini")):
        yield from check_uwsgi(path, installed)
        yield from check_uwsgi_end(path)


def check_gevent(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Check whether each greenlet has a context of its own, and whether this process is patched."""
    if "gevent" not in installed:
        return
    greenlet = installed.get("greenlet", "0")
    major = greenlet.partition(".")[0]
    if major.isdecimal() and int(major) < 1:
        text = f"greenlet {greenlet} shares one context between all greenlets, so spans get the wrong parents"
        yield Finding("problem", "gevent", text, "pip install -U greenlet")
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        yield Finding("note", "gevent", "threads are patched in this process, so the agent runs in a greenlet")
    else:
        text = f"gevent {installed['gevent']} is installed; this process is not patched"
        yield Finding("ok", "gevent", text)


def check_gunicorn(folder: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check whether workers are forked from a loaded application, which the agent supports."""
    try:
        given = shlex.split(environment.get("GUNICORN_CMD_ARGS", ""))
    except ValueError:
        given = []
    origins = ["GUNICORN_CMD_ARGS"] if {"--preload", "--preload-app"} & set(given) else []
    file = folder / "gunicorn.conf.py"
    if _constants(file).get("preload_app") is True:
        origins.append(str(file))
    for origin in origins:
        text = f"workers are forked from the loaded application ({origin}): the agent restarts in each worker"
        yield Finding("ok", "gunicorn", text)


def check_uwsgi(path: Path, installed: Mapping[str, str]) -> Iterator[Finding]:
    """Check whether threads run."""
    settings = _uwsgi_settings(path)
    if settings is None:
        return
    # Before 2.0.27 uWSGI does not release the GIL without it (its documentation, "ThingsToKnow"; 2.0.27 made it the default).
    version = installed.get("uwsgi") or installed.get("pyuwsgi")
    is_new = version is not None and Version(version) >= Version("2.0.27")
    if is_new or _is_on(settings, "enable-threads") or settings.get("threads", "0") not in ("0", "1"):
        yield Finding("ok", "uwsgi", f"{path} is fine: the agent's thread can run")
        return
    text = (
        f"{path} does not set enable-threads, so before 2.0.27 uWSGI runs no threads, and reports are sent only while requests "
        "are handled and when a worker ends"
    )
    yield Finding("problem", "uwsgi", text, "add: enable-threads = true")


def check_uwsgi_end(path: Path) -> Iterator[Finding]:
    """Check whether the master lets its workers answer the requests that they are handling, when it gets SIGTERM."""
    settings = _uwsgi_settings(path)
    if settings is None or not _is_on(settings, "master"):
        return  # only a master has hooks
    if _GRACEFUL.search(path.read_text(encoding="utf-8")):
        yield Finding("ok", "uwsgi", f"{path}: SIGTERM lets workers answer the requests that they are handling")
        return
    text = f"{path}: SIGTERM ends workers in the middle of a request, and what they have recorded since their last report is lost"
    yield Finding("note", "uwsgi", text, "add: hook-master-start = unix_signal:15 gracefully_kill_them_all")


def _uwsgi_settings(path: Path) -> dict[str, str] | None:
    """Return the settings of uWSGI in a file, the last one of each name; None if the file is not a configuration of uWSGI."""
    parser = configparser.ConfigParser(allow_no_value=True, strict=False, interpolation=None, delimiters=("=",))
    try:
        parser.read(path, encoding="utf-8")
        return {key: (value or "").strip().lower() for key, value in parser["uwsgi"].items()}
    except (configparser.Error, OSError, UnicodeDecodeError, KeyError):
        return None


def _constants(path: Path) -> dict[str, object]:
    """Return the constants that a module assigns, without running it."""
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
