"""
Whether a file is the application's own code, or that of a library, of Python or of the agent.

The frames of an error that are the application's own are those that its developers can change. Code below the directories of the
interpreter is not the application's, unless the distribution that contains the main module is installed there. Everything else is,
such as a project's folder and what is installed from one in editable mode.
"""

from __future__ import annotations

import functools
import os
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Final

from scout_core.fork_lock import importing

if TYPE_CHECKING:
    from scout_core.config.config import Config

_INSTALLED: Final = ("site-packages", "dist-packages")
_DIRECTORIES: Final = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
AGENT: Final = os.path.join(os.path.dirname(__file__), "")
"""The directory of scout_core."""
_TYPED: Final = ("<string>", "<stdin>", "<console>", "<python-input", "<ipython")
"""The files of code from a command line or an interactive session; other names like these are of generated code."""
_SERVERS: Final = frozenset(
    ("_pytest", "celery", "daphne", "django", "dramatiq", "flask", "granian", "gunicorn", "hypercorn", "huey", "pytest", "rq",
     "scout_core", "uvicorn", "waitress", "werkzeug")
)  # fmt: skip
"""Packages whose commands run applications: being the main module does not make them one."""
_MOST_KNOWN: Final = 10_000


class ApplicationCode:
    """
    The application's code in this process.

    Args:
        include: modules, with those in them, or folders that are the application's in any case: ``shop``, ``/srv/shared``.
        exclude: the same for those that are not.
    """

    def __init__(self, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> None:
        self._include, self._exclude = _Selection(include), _Selection(exclude)
        self._libraries = _library_directories()
        self._own_files = _files_of_main_distribution()
        self._has_main_file = bool(getattr(sys.modules.get("__main__"), "__file__", None))
        self._known: dict[str, bool] = {}
        self._modules: dict[str, str] = {}

    def has(self, file: str) -> bool:
        """Whether a file, as in ``co_filename``, is the application's. ``<string>`` is when the main module is not a file."""
        known = self._known.get(file)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:  # code that is compiled again and again, under other names
                self._known.clear()
            known = self._known[file] = self._decide(file)
        return known

    def module_of(self, file: str) -> str:
        """
        Return the dotted name of the module in a file, by the longest entry of ``sys.path`` that it is below.

        A file below none of them is named without its folders, because these differ between machines and releases.
        """
        known = self._modules.get(file)
        if known is None:
            if len(self._modules) >= _MOST_KNOWN:
                self._modules.clear()
            known = self._modules[file] = _short_module_of(file)
        return known

    def _decide(self, file: str) -> bool:
        if file.startswith("<"):
            return not self._has_main_file and file.startswith(_TYPED)
        path = os.path.normcase(file)
        if self._include.has(path):
            return True
        if self._exclude.has(path):
            return False
        if path in self._own_files:
            return True
        folders = path.split(os.sep)
        return not path.startswith(self._libraries) and not any(name in folders for name in _INSTALLED)


class _Selection:
    """Modules and folders that a person has listed."""

    def __init__(self, listed: tuple[str, ...]) -> None:
        folders = [entry for entry in listed if os.sep in entry or "/" in entry]
        self._folders = tuple(os.path.join(os.path.normcase(os.path.abspath(folder)), "") for folder in folders)
        self._modules = tuple(entry.strip(".") + "." for entry in listed if entry not in folders)

    def has(self, path: str) -> bool:
        if self._folders and path.startswith(self._folders):
            return True
        return bool(self._modules) and f"{_module_of(path)}.".startswith(self._modules)


@functools.lru_cache(maxsize=8)
def application_code(include: tuple[str, ...], exclude: tuple[str, ...]) -> ApplicationCode:
    """Return the application's code for these options, the same object for the same ones."""
    return ApplicationCode(include, exclude)


def code_of(config: Config) -> ApplicationCode:
    """Return the application's code by the options of an agent."""
    return application_code(config.get("in_app_include"), config.get("in_app_exclude"))


def _module_of(path: str) -> str:
    """Return the dotted name of the module in a file, by the longest entry of ``sys.path`` that it is below."""
    entries = [os.path.join(os.path.normcase(os.path.abspath(entry)), "") for entry in sys.path]
    folder = max((entry for entry in entries if path.startswith(entry)), key=len, default="")
    return os.path.splitext(path[len(folder) :])[0].replace(os.sep, ".")


def _short_module_of(file: str) -> str:
    if file.startswith("<"):  # generated
        return file
    path = os.path.normcase(file)
    module = _module_of(path)
    if module.startswith("."):  # below no entry
        folder, name = os.path.split(os.path.splitext(path)[0])
        module = os.path.basename(folder) if name == "__init__" else name
    return module.removesuffix(".__init__")


def _library_directories() -> tuple[str, ...]:
    with importing:  # on the agent's thread, at the first error
        import sysconfig

        paths = sysconfig.get_paths()  # imports a module, too
    found = {paths[name] for name in _DIRECTORIES if name in paths} | {os.path.dirname(os.__file__)}
    return (AGENT, *(os.path.join(os.path.normcase(path), "") for path in sorted(found)))


def _files_of_main_distribution() -> frozenset[str]:
    """Return the files of the installed distribution that contains the main module; empty when it is not installed, or a server."""
    file = _main_file()
    if file is None:
        return frozenset()
    path = os.path.normcase(file)
    for name in _INSTALLED:
        folder, found, relative = path.rpartition(f"{os.sep}{name}{os.sep}")
        if found and relative.split(os.sep)[0] not in _SERVERS:
            return _files_beside(f"{folder}{found}", relative)
    return frozenset()


def _main_file() -> str | None:
    """Return the file of the main module, or for a command that an installer has generated that of the function that it calls."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if not isinstance(file, str):
        return None
    folder, name = os.path.split(file)
    if os.path.basename(folder) not in ("bin", "Scripts") or name.endswith(".py"):
        return file
    called = [value.__code__.co_filename for value in list(vars(main).values()) if type(value) is FunctionType]
    return called[0] if called else file


def _files_beside(folder: str, relative: str) -> frozenset[str]:
    """Return the files of the distribution that installed a file into a folder, by the list that it has recorded there."""
    wanted = relative.replace(os.sep, "/")
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return frozenset()
    for entry in entries:
        if not entry.endswith(".dist-info"):
            continue
        try:
            with open(os.path.join(folder, entry, "RECORD"), encoding="utf-8") as record:
                files = [line.rsplit(",", 2)[0].strip('"') for line in record]
        except (OSError, ValueError):  # not readable, or removed meanwhile
            continue
        if wanted in files:
            return frozenset(os.path.normcase(os.path.normpath(folder + file)) for file in files)
    return frozenset()
