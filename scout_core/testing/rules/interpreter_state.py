"""
Everything that the interpreter has only once, for the application and every plugin: imports, streams, hooks, logging, random numbers.

Each reader yields names, as messages call them, with values that are equal as long as nothing was changed. It imports nothing
large: what no module has imported has not been changed.
"""

from __future__ import annotations

import builtins
import codecs
import copyreg
import csv
import decimal
import faulthandler
import gc
import mimetypes
import random
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

Facts = Iterator[tuple[str, object]]


class Same:
    """Stands for an object in a comparison: equal only to the same one, whatever that object's own equality does."""

    def __init__(self, held: object) -> None:
        self._held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._held is other._held

    __hash__ = object.__hash__


class Imported(Same):
    """A module in ``sys.modules`` that the import system has put there under its own name."""


def same(objects: Iterable[object]) -> tuple[Same, ...]:
    """Return the objects for a comparison by identity, without those of the core."""
    return tuple(Same(member) for member in tuple(objects) if not _is_of_core(member))


def _is_of_core(member: object) -> bool:
    home = vars(type(member)).get("__module__")
    if issubclass(type(member), (FunctionType, MethodType)):
        home = getattr(member, "__module__", None)
    return str(home).partition(".")[0] == "scout_core"


def prepare() -> None:
    """Let the standard library compute what it computes at first use, which is not a change."""
    tempfile.gettempdir()
    mimetypes.init()


def imports() -> Facts:
    """How modules are found, and those that are loaded."""
    yield "sys.path", tuple(map(repr, sys.path))
    yield "sys.meta_path", same(sys.meta_path)
    yield "sys.path_hooks", same(sys.path_hooks)
    yield "sys.dont_write_bytecode", sys.dont_write_bytecode
    yield "sys.pycache_prefix", sys.pycache_prefix
    for name, module in tuple(sys.modules.items()):
        yield f"{name} in sys.modules", Imported(module) if _is_imported(str(name), module) else Same(module)


def _is_imported(name: str, module: object) -> bool:
    """Whether the import system made this entry, or a package that it has imported, as ``os.path`` and ``pyexpat.errors``."""
    package, dot, _ = name.partition(".")
    if dot:
        return _is_imported(package, sys.modules.get(package))
    if name == "__mp_main__":  # made by ``multiprocessing``
        return True
    spec = vars(module).get("__spec__") if issubclass(type(module), ModuleType) else None
    return spec is not None and (spec.name == name or spec.name.partition(".")[0] in sys.stdlib_module_names)


def builtin_names() -> Facts:
    """``print``, ``__import__`` and the others."""
    for name, value in tuple(vars(builtins).items()):
        if name != "_":  # the last result, in an interactive session
            yield f"the builtin {name}", Same(value)


def streams() -> Facts:
    """Standard input and output."""
    for name in ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"):
        stream = getattr(sys, name, None)
        facts = [getattr(stream, fact, None) for fact in ("closed", "encoding", "errors", "line_buffering")]
        yield f"sys.{name}", (Same(stream), *facts)


_HOOKS: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (  # Any: modules
    (sys, ("excepthook", "unraisablehook", "displayhook", "breakpointhook")),
    (threading, ("excepthook",)),
    (warnings, ("showwarning", "formatwarning", "_showwarnmsg")),
)
_OTHER_NAMES: Final = (
    "threading:_trace_hook",
    "threading:_profile_hook",
    "logging:_loggerClass",
    "logging:_logRecordFactory",
    "logging:lastResort",
)
_HOOK_NAMES: Final = frozenset(
    (*_OTHER_NAMES, *(f"{module.__name__}:{name}" for module, names in _HOOKS for name in names))
)


def is_compared(target: str) -> bool:
    """Whether this module compares a function, written as a target, so that the rule ``undo`` need not."""
    return target in _HOOK_NAMES or target.startswith(("builtins:", "__mp_main__:"))


def hooks() -> Facts:
    """Functions that the interpreter calls."""
    for module, names in _HOOKS:
        for name in names:
            yield f"{module.__name__}.{name}", Same(getattr(module, name, None))
    yield "the trace function", same([sys.gettrace(), threading.gettrace()])
    yield "the profile function", same([sys.getprofile(), threading.getprofile()])
    yield "the asyncgen hooks", same(sys.get_asyncgen_hooks())
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        yield "the tools of sys.monitoring", tuple(monitoring.get_tool(number) for number in range(6))


def limits() -> Facts:
    """Numbers that bound the interpreter."""
    yield "the recursion limit", sys.getrecursionlimit()
    yield "the switch interval", sys.getswitchinterval()
    yield "the limit of digits of int", getattr(sys, "get_int_max_str_digits", int)()
    yield "the depth of coroutine origins", sys.get_coroutine_origin_tracking_depth()
    yield "the stack size of threads", threading.stack_size()
    yield "the field size limit of csv", csv.field_size_limit()
    yield "the default timeout of sockets", socket.getdefaulttimeout()


def collector() -> Facts:
    """The garbage collector."""
    yield "whether the garbage collector is enabled", gc.isenabled()
    yield "the thresholds of the garbage collector", gc.get_threshold()
    yield "the debug flags of the garbage collector", gc.get_debug()
    yield "gc.callbacks", same(gc.callbacks)
    yield "what the garbage collector has frozen", gc.get_freeze_count() > 0


def defaults() -> Facts:
    """Settings of the standard library that hold for every user of a module."""
    yield "the warning filters", tuple(map(str, warnings.filters))
    yield "the random seed", hash(random.getstate())
    context = decimal.getcontext()
    traps = tuple(sorted(signal.__name__ for signal, is_on in context.traps.items() if is_on))
    yield "the decimal context", (context.prec, context.rounding, context.Emin, context.Emax, context.clamp, traps)
    yield "whether faulthandler is enabled", faulthandler.is_enabled()
    yield "tempfile.tempdir", tempfile.tempdir
    yield "the types of mimetypes", (_items(mimetypes.types_map), _items(mimetypes.encodings_map))
    yield "copyreg.dispatch_table", tuple(map(repr, copyreg.dispatch_table))
    yield "the dialects of csv", tuple(sorted(csv.list_dialects()))
    yield "the error handlers of codecs", same(map(codecs.lookup_error, _ERROR_HANDLERS))
    yield from _of_imported_modules()


_ERROR_HANDLERS: Final = ("strict", "ignore", "replace", "backslashreplace", "surrogateescape", "xmlcharrefreplace")


def _of_imported_modules() -> Facts:
    asyncio: Any = sys.modules.get("asyncio.events")
    policy = getattr(asyncio, "_event_loop_policy", None)
    if (
        policy is not None and type(policy).__name__ != "_UnixDefaultEventLoopPolicy"
    ):  # the default is made when asked for
        yield "the event loop policy of asyncio", Same(policy)
    loop = getattr(getattr(policy, "_local", None), "_loop", None)
    if loop is not None:
        yield "the event loop of asyncio", Same(loop)
    processes: Any = sys.modules.get("multiprocessing.context")
    method: Callable[..., Any] | None = getattr(getattr(processes, "_default_context", None), "get_start_method", None)
    if method is not None and method(allow_none=True) is not None:
        yield "the start method of multiprocessing", method(allow_none=True)
    requests: Any = sys.modules.get("urllib.request")
    if getattr(requests, "_opener", None) is not None:
        yield "the opener of urllib.request", Same(requests._opener)


def loggers() -> Facts:
    """Levels, handlers and filters of ``logging``. What is as every new logger is left out, because loggers are made by asking."""
    logging: Any = sys.modules.get("logging")
    if logging is None:
        return
    manager = logging.root.manager
    if manager.disable:
        yield "logging.disable", manager.disable
    for name in ("raiseExceptions", "lastResort", "_loggerClass", "_logRecordFactory"):
        yield f"logging.{name.strip('_')}", Same(getattr(logging, name, None))
    yield "the level names of logging", _items(getattr(logging, "_levelToName", {}))
    for name, logger in [("root", logging.root), *tuple(manager.loggerDict.items())]:
        if isinstance(logger, logging.Logger) and name.partition(".")[0] != "scout_core":
            facts = _facts_of(logger, logging.NullHandler)
            if facts != (logging.WARNING if name == "root" else logging.NOTSET, True, False, (), ()):
                yield f"the logger {name}", facts


def _facts_of(logger: Any, ignored: type) -> tuple[object, ...]:  # Any: a logger
    handlers = [handler for handler in logger.handlers if type(handler) is not ignored]  # every library adds that one
    described = tuple(
        (Same(handler), handler.level, Same(handler.formatter), same(handler.filters)) for handler in handlers
    )
    return logger.level, bool(logger.propagate), bool(logger.disabled), same(logger.filters), described


def _items(mapping: Any) -> tuple[tuple[object, object], ...]:  # Any: a mapping of texts and numbers
    return tuple(sorted(mapping.items()))


READERS: Final = (imports, builtin_names, streams, hooks, limits, collector, defaults, loggers)
