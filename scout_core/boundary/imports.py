"""Call back when the application imports a module, so that nothing is imported on its behalf.

A finder at the head of ``sys.meta_path`` that finds nothing itself: for an awaited module it asks the others, and
runs the callbacks when the module's own code has run. Source: PEP 451.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

Callback = Callable[[ModuleType], None]


class ImportWatch:
    """The modules that are waited for. Callbacks must not raise: they run inside the application's import."""

    def __init__(self) -> None:
        self._awaited: dict[str, list[Callback]] = {}

    def when_imported(self, name: str, callback: Callback) -> None:
        """Call back with the module: now if it is there, else when it has been imported."""
        module = sys.modules.get(name)
        if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
            callback(module)
            return
        self._awaited.setdefault(name, []).append(callback)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def forget(self) -> None:
        """Wait for nothing any more."""
        self._awaited.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that calls back."""
        if name not in self._awaited:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                self._observe(spec)
                return spec
        return None

    def _observe(self, spec: ModuleSpec) -> None:
        loader = spec.loader
        run = getattr(loader, "exec_module", None)
        if run is None:
            return

        def exec_module(module: ModuleType) -> None:
            # The loader may serve this one import only; what we shadowed on it is taken away before its code runs.
            del loader.exec_module  # type: ignore[union-attr]
            run(module)
            for callback in self._awaited.pop(spec.name, ()):
                callback(module)

        try:
            loader.exec_module = exec_module  # type: ignore[method-assign, union-attr]
        except AttributeError:  # a loader with slots, or a class as for built-in modules: such a module stays unwatched
            return
