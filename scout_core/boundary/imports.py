"""
Call back when the application imports a module, so that nothing is imported on its behalf.

A finder at the head of ``sys.meta_path`` that finds nothing itself: for an awaited module it asks the others, and
runs the callbacks when the module's own code has run, as often as that runs: ``importlib.reload`` makes everything anew.
Source: PEP 451.
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
    """One who waits for a module."""

    __slots__ = ("callback", "_unseen")

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self._unseen = [True]

    def claim(self) -> bool:
        """Whether the module has not been seen before; of several threads one is told so."""
        try:
            return self._unseen.pop()
        except IndexError:
            return False


class ImportWatch:
    """
    The modules that are waited for. Callbacks must not raise: they run inside the application's import.

    Threads may import and wait at once. There is no lock, because the process may be forked meanwhile: who waits is noted first,
    and claimed by one thread.
    """

    def __init__(self) -> None:
        self._awaited: dict[str, list[_Waiting]] = {}
        self._pending: set[str] = set()
        """Those for which somebody may still wait for the first time."""
        self._asking: set[tuple[int, str]] = set()
        """Thread and module for which all finders are being asked: we are one, and others may ask all again."""

    def when_imported(self, name: str, callback: Callback) -> None:
        """Call back with the module: now if it is there, else when it has been imported; and after each reload."""
        self._awaited.setdefault(name, []).append(_Waiting(callback))
        self._pending.add(name)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        self._look_again()

    def forget(self) -> None:
        """Wait for nothing any more."""
        self._awaited.clear()
        self._pending.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that calls back."""
        self._look_again()
        asking = (get_ident(), name)
        if name not in self._awaited or asking in self._asking:
            return None
        self._asking.add(asking)
        try:
            spec = _spec_of_others(name, path, target)
        finally:
            self._asking.discard(asking)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Watched(spec.loader, spec.name, self.imported)  # type: ignore[assignment]
        return spec

    def imported(self, name: str, module: ModuleType) -> None:
        """The code of a module has run."""
        for waiting in tuple(self._awaited.get(name, ())):
            waiting.claim()
            waiting.callback(module)

    def _look_again(self) -> None:
        """Find what came without asking us: before, by a loader of the old kind, by hand, or half of it before we waited."""
        for name in tuple(self._pending):
            module: Any = sys.modules.get(name)
            if _is_complete(module):
                self._pending.discard(name)
                for waiting in tuple(self._awaited.get(name, ())):
                    if waiting.claim():
                        waiting.callback(module)


class _Watched:
    """A loader that calls back when a module's own code has run; in all else it is the one that stands behind it."""

    def __init__(self, loader: Any, name: str, imported: Callable[[str, ModuleType], None]) -> None:  # Any: any loader
        self._loader = loader
        self._name = name
        self._imported = imported

    @property  # type: ignore[misc]  # so that isinstance() says what it would have said
    def __class__(self) -> type:
        return type(self._loader) if not isinstance(self._loader, type) else _Watched

    def __getattr__(self, name: str) -> Any:  # Any: whatever the loader has
        return getattr(self.__dict__["_loader"], name)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, which sees the loader that it would have seen without us; then call back."""
        spec: Any = module.__spec__
        if spec is not None and spec.loader is self:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._imported(self._name, sys.modules.get(self._name, module))  # it may have put something else in its place


def _spec_of_others(name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def _is_complete(module: object) -> bool:
    """Whether it is a module whose code has run. Asks in a way that does not make a lazy module load."""
    kind = type(module)
    if not issubclass(kind, ModuleType):
        return module is not None
    lazy = getattr(sys.modules.get("importlib.util"), "_LazyModule", None)
    if lazy is not None and issubclass(kind, lazy):
        return False
    spec = ModuleType.__getattribute__(module, "__dict__").get("__spec__")
    return not getattr(spec, "_initializing", False)
