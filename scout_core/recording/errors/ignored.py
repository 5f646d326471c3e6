"""
Exceptions that are not errors, because an option lists them by class or by name.

A name is never imported. It is compared with the names of the classes that an exception inherits from, and with what a module that is
imported has under that name, because libraries define ``requests.exceptions.Timeout`` and document ``requests.Timeout``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Final

from scout_core.classes import bases_of, class_path, own_names
from scout_core.recording.errors.raised import leaves_of

if TYPE_CHECKING:
    from scout_core.recording.record import Record

_MOST_KNOWN: Final = 1_000
"""Classes of which the answer is kept; an application may make classes at run time."""


class IgnoredErrors:
    """The exceptions of the option ``errors_ignored_exceptions``. Runs no code of an exception, or of its class."""

    __slots__ = ("_classes", "_names", "_known")

    def __init__(self, listed: Iterable[type[BaseException] | str]) -> None:
        self._classes: list[type] = []
        self._names: set[str] = set()
        for entry in listed:
            if isinstance(entry, str):
                self._names.add(entry.removeprefix("builtins."))
            else:
                self._classes.append(entry)
        self._known: dict[int, tuple[type, bool]] = {}
        """``id()`` of a class to it, so that the number is not another's, and whether it is ignored."""

    def has(self, kind: type[BaseException], error: BaseException | None) -> bool:
        """Whether an exception is ignored; a group is if each of its members is, and it has any."""
        if self._has_class(kind):
            return True
        leaves = [] if error is None else leaves_of(error, kind)
        return bool(leaves) and False not in [self._has_class(type(leaf)) for leaf in leaves]

    def _has_class(self, kind: type) -> bool:
        known = self._known.get(id(kind))
        if known is not None:
            return known[1]
        answer = True in [self._is_listed(base) for base in bases_of(kind)]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[id(kind)] = kind, answer
        return answer

    def _is_listed(self, kind: type) -> bool:
        if True in [kind is known for known in self._classes] or class_path(kind) in self._names:
            return True
        return True in [_found_as(name) is kind for name in self._names if "." in name]


def is_ignored(transaction: Record, kind: type[BaseException], error: BaseException | None) -> bool:
    """Whether an exception that leaves a transaction, or is recorded in it, is not an error there; its tracer is known."""
    ignored = transaction.tracer.ignored_errors
    return ignored is not None and ignored.has(kind, error)


def _found_as(name: str) -> object:
    """Return what an imported module, or a class in it, has under a name; None when nothing does. Runs no ``__getattr__``."""
    module, _, rest = name.rpartition(".")
    names = [rest]
    while module:
        found: object = sys.modules.get(module)
        if type(found) is ModuleType:
            for part in names:
                found = _attribute(found, part)
            return found
        module, _, part = module.rpartition(".")
        names.insert(0, part)
    return None


def _attribute(owner: object, name: str) -> object:
    if type(owner) is ModuleType:
        return owner.__dict__.get(name)
    return own_names(owner).get(name) if issubclass(type(owner), type) else None  # type: ignore[arg-type]  # it is a class
