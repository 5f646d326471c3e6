"""
Call back when the application imports a module, so that the agent imports nothing on its behalf.

A finder at the head of ``sys.meta_path`` that finds nothing itself: for an awaited module it asks the other finders, and
replaces the loader in the spec by one that calls back once the module's code has run. That also covers ``importlib.reload``,
which runs the code again and replaces every function.

Not every module passes through the finder; ``ImportWatch._check_pending`` finds the others. Source: PEP 451.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from threading import get_ident
from types import ModuleType
from typing import Any

Callback = Callable[[ModuleType], None]


class _Waiting:
    """A callback that waits for a module."""

    __slots__ = ("callback", "_unclaimed")

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self._unclaimed = [True]

    def claim(self) -> bool:
        """Return True to the first thread that asks: only that one reports the first import. Popping needs no lock."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False


class ImportWatch:
    """
    The modules that callbacks wait for. Callbacks must not raise: they run inside the application's import.

    Threads may import and begin to wait at the same time. A lock could be held while the process forks, so no lock is used:
    a callback is registered before the module is looked for, and claimed by one thread.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, list[_Waiting]] = {}
        self._pending: set[str] = set()
        """Modules for whose first import a callback may still wait."""
        self._searching: set[tuple[int, str]] = set()
        """Thread and module for which the other finders are being asked: one of them may ask all finders, including this one."""

    def when_imported(self, name: str, callback: Callback) -> None:
        """Call back with the module: now if it is imported, otherwise after its import; and after each reload."""
        waiting = _Waiting(callback)
        self._callbacks.setdefault(name, []).append(waiting)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        # Neither all modules nor all callbacks of this one are looked at again: with 10,000 targets that took 25 s.
        module: Any = sys.modules.get(name)
        if name in self._pending or not is_complete(module):
            self._pending.add(name)
            self._check(name)
        elif waiting.claim():
            callback(module)

    def forget(self) -> None:
        """Stop waiting, and leave ``sys.meta_path``."""
        self._callbacks.clear()
        self._pending.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the other finders, with a loader that calls back."""
        self._check_pending()
        search = (get_ident(), name)
        if name not in self._callbacks or search in self._searching:
            return None
        self._searching.add(search)
        try:
            spec = _spec_of_others(name, path, target)
        finally:
            self._searching.discard(search)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _WatchedLoader(spec.loader, spec.name, self.report_import)  # type: ignore[assignment]
        return spec

    def report_import(self, name: str, module: ModuleType) -> None:
        """Call back for a module whose code has just run."""
        for waiting in tuple(self._callbacks.get(name, ())):
            waiting.claim()
            waiting.callback(module)

    def _check_pending(self) -> None:
        """
        Call back for awaited modules that are imported although no watched loader has reported them.

        This covers every module that was imported before it was awaited, and modules whose import cannot be observed in any
        other way: modules that were half imported at that time, that a loader without ``exec_module`` loaded, that
        were put into ``sys.modules`` by hand, or that load lazily. Hence it runs at every import while one is pending; it
        costs a look into ``sys.modules`` for each.
        """
        for name in tuple(self._pending):
            self._check(name)

    def _check(self, name: str) -> None:
        module: Any = sys.modules.get(name)
        if is_complete(module):
            self._pending.discard(name)
            for waiting in tuple(self._callbacks.get(name, ())):
                if waiting.claim():
                    waiting.callback(module)


class _WatchedLoader:
    """
    A loader that calls back when a module's code has run, and otherwise behaves as the loader that it replaces.

    The module itself never sees it: ``exec_module`` puts the original back first. Others do: ``importlib.util.find_spec``
    returns it to code that only asks where a module is. Such code reads the loader's attributes (``get_source``, ``path``)
    and tests its type (``isinstance(spec.loader, SourceLoader)``), so both are answered by the original.
    """

    def __init__(self, loader: Any, name: str, report: Callable[[str, ModuleType], None]) -> None:  # Any: any loader
        self._loader = loader
        self._name = name
        self._report = report

    @property  # type: ignore[misc]  # isinstance() falls back on it, as for the proxies of wrapt and unittest.mock
    def __class__(self) -> type:
        # A loader may be a class, as BuiltinImporter: its type is `type`, and an instance of that would be taken for a class.
        return _WatchedLoader if isinstance(self._loader, type) else type(self._loader)

    def __getattr__(self, name: str) -> Any:  # Any: whatever the loader has
        return getattr(self.__dict__["_loader"], name)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code with the original loader in place, then call back."""
        spec: Any = module.__spec__
        if spec is not None and spec.loader is self:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._report(self._name, sys.modules.get(self._name, module))  # a module may replace itself in sys.modules


def _spec_of_others(name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def is_complete(module: object) -> bool:
    """Whether it is a module whose code has run. Reads it in a way that does not load a lazy module."""
    kind = type(module)
    if not issubclass(kind, ModuleType):
        return module is not None
    lazy = getattr(sys.modules.get("importlib.util"), "_LazyModule", None)
    if lazy is not None and issubclass(kind, lazy):
        return False
    spec = ModuleType.__getattribute__(module, "__dict__").get("__spec__")
    return not getattr(spec, "_initializing", False)
