"""Exporters as ``register_exporters`` returned them: which can be used, and why the others cannot."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from functools import partial, partialmethod
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from scout_core.problems import Problem, join_clauses
from scout_core.sending.export_guard import INVALID_EXPORTER, ExportGuard
from scout_core.text.plain import exact

if TYPE_CHECKING:
    from scout_core.boundary.plugins import Plugins
    from scout_core.config.config import Config

MOST_EXPORTERS: Final = 20
"""The limit for one plugin. Each has a thread and a queue."""
LONGEST_NAME: Final = 100
"""Characters."""
_DEEPEST: Final = 10
"""Functions within functions that are looked through."""


def register_exporters(plugins: Plugins, config: Config) -> list[ExportGuard]:
    """
    Ask every plugin for its exporters.

    Returns:
        A guard for each that can be used, which its plugin has from now on. Why the others cannot is among the plugin's complaints.

    Raises:
        InvalidResult: in tests, when some of a plugin cannot be used; with all of them.
    """
    found: dict[str, ExportGuard] = {}
    for guard in plugins.freeze("register_exporters"):
        plugin, problems = plugins.all[guard.plugin], list[str]()
        for candidate in guard.attempt(_read, guard.run(config)) or ():
            problem = candidate.problem
            if not problem and candidate.name in found:
                owner = found[candidate.name].plugin
                problem = f"there is an exporter {candidate.name!r} already, of plugin {owner!r}"
            if problem:
                plugin.complaints.append(Problem(INVALID_EXPORTER, candidate.name or guard.place, problem))
                problems.append(problem)
            else:
                found[candidate.name] = ExportGuard(plugin.name, candidate.name, candidate.exporter)
                plugin.guards.append(found[candidate.name])
        if problems:
            guard.refuse(join_clauses(*problems))
            guard.logged.add("failure")  # complaints are logged at start
    return list(found.values())


@frozen
class _Candidate:
    """An object that a plugin returned as an exporter."""

    exporter: Any
    name: str = ""
    problem: str = ""
    """Why it cannot be used; empty when it can."""


def _read(returned: Any) -> list[_Candidate]:
    """Check everything that a plugin returned before any of it is used."""
    if returned is None:
        return []
    if isinstance(returned, (str, bytes)):
        return [_Candidate(returned, problem="register_exporters must return a list of exporters, not a text")]
    if not isinstance(returned, Iterable) and not hasattr(returned, "__getitem__"):
        problem = f"register_exporters must return a list of exporters; {_describe(returned)} is not iterable"
        return [_Candidate(returned, problem=problem)]
    exporters = list(islice(returned, MOST_EXPORTERS + 1))
    if len(exporters) > MOST_EXPORTERS:
        text = f"register_exporters returned more than {MOST_EXPORTERS} exporters; none of them is used: return a list"
        return [_Candidate(None, problem=text)]
    return [_check(exporter) for exporter in exporters]


def unusable_result(result: object) -> str:
    """Return why nothing can have been sent when ``export`` returned this; empty for any other result."""
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()
    elif not inspect.isasyncgen(result) and not inspect.isawaitable(result):
        return ""
    return f"export returned {_describe(result)}, which nothing runs; export must send the report before it returns"


def _check(exporter: Any) -> _Candidate:
    if isinstance(exporter, type):
        return _Candidate(exporter, problem=f"{_describe(exporter)} is not an exporter; return an instance of it")
    name = getattr(exporter, "name", None)
    export = getattr(exporter, "export", None)
    if not isinstance(name, str) or export is None:
        return _Candidate(exporter, problem=f"an exporter has a name and a method export, got {_describe(exporter)}")
    name = exact(name)
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        problem = f"the name of {_describe(exporter)} must have 1 to {LONGEST_NAME} printable characters"
        return _Candidate(exporter, problem=problem)
    problem = _problem_of_export(export)
    return _Candidate(exporter, name, f"exporter {name!r}: {problem}" if problem else "")


def _problem_of_export(export: Any) -> str:
    if isinstance(export, type):
        return "export must be a method, not a class"
    if not callable(export):
        return f"export must be a method, got {_describe(export)}"
    for function in _functions_within(export):
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            return "export must not be async: it has a thread of its own, so it may block; use asyncio.run() in it"
        if inspect.isgeneratorfunction(function):
            return "export must not be a generator function: nothing would run it"
    try:
        signature = inspect.signature(export)
    except (TypeError, ValueError):  # a function of an extension that does not describe itself
        return ""
    try:
        signature.bind(None)
    except TypeError:
        return f"export must take one argument, the report; its signature is {signature}"
    return ""


def _functions_within(function: Any) -> Iterator[Any]:
    """Yield a callable, then what it calls: the function of a partial, of a method, of a callable object."""
    for _ in range(_DEEPEST):
        yield function
        if isinstance(function, (partial, partialmethod)):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isroutine(function):
            return
        else:
            function = getattr(type(function), "__call__", None)  # noqa: B004  # the function, not whether there is one


def _describe(anything: object) -> str:
    """Return its type, or its name if it is a class or a function; no method of a plugin's object is called."""
    if isinstance(anything, type):
        return f"the class {anything.__qualname__}"
    if inspect.isfunction(anything):
        return f"the function {anything.__qualname__}"
    return "None" if anything is None else f"an object of type {type(anything).__name__}"
