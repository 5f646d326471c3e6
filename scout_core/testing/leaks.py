"""Leaks of a test other than open spans: threads, wrapped targets, environment variables."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from types import FunctionType
from typing import Any, Final

from scout_core.boundary import constructors, wrappers
from scout_core.boundary.stand_ins import is_stand_in

_OF_PYTEST: Final = "PYTEST_CURRENT_TEST"


_MAKE_WRAPPERS: Final = (wrappers, constructors)
"""The modules whose functions replace those of libraries."""
PATIENCE: Final = 2.0
"""Seconds to wait for a thread to end."""


class LeftBehind(AssertionError):
    """A test left something behind; the message lists everything."""


class Leaks:
    """Compares threads and targets before and after an agent. Create it before the agent."""

    def __init__(self) -> None:
        self._threads = set(_own_threads())

    def found(self, targets: Iterable[str]) -> list[str]:
        """
        Return a message for each leak.

        Args:
            targets: targets of the agent's plugins, as ``module:Class.method``.
        """
        for thread in set(_own_threads()) - self._threads:
            thread.join(PATIENCE)
        threads = sorted(thread.name for thread in set(_own_threads()) - self._threads)
        wrapped = [target for target in dict.fromkeys(targets) if _is_wrapped(raw_target(target))]
        return [
            *(
                f"the thread {name} is still running at the end of the test: stop whatever started it"
                for name in threads
            ),
            *(
                f"{target} is still wrapped at the end of the test: it was replaced while the agent ran and not restored"
                " before the agent stopped"
                for target in wrapped
            ),
        ]


class Surroundings:
    """
    The environment variables around a test, at four moments.

    A variable leaks when the test changed it and it was not restored: neither to its value before the test's fixtures nor to
    the value that they set.
    """

    def __init__(self) -> None:
        self._before_fixtures: Mapping[str, str] = dict(os.environ)
        self._before_test = self._after_test = self._before_fixtures

    def begin(self) -> None:
        """Take a snapshot after the fixtures were set up."""
        self._before_test = self._after_test = dict(os.environ)

    def end(self) -> None:
        """Take a snapshot after the test's own code."""
        self._after_test = dict(os.environ)

    def found(self) -> list[str]:
        """Return a message for each leak, after the fixtures were torn down."""
        names = sorted({*self._before_test, *self._after_test} - {_OF_PYTEST})
        changed = [name for name in names if self._before_test.get(name) != self._after_test.get(name)]
        return [
            f"the test left the environment variable {name} changed: use monkeypatch.setenv"
            for name in changed
            if os.environ.get(name) not in (self._before_fixtures.get(name), self._before_test.get(name))
        ]


def raw_target(target: str) -> Any:  # Any: whatever is there
    """Return the raw attribute of a target, not bound; None if it or its module is missing."""
    module, _, path = target.partition(":")
    owner: Any = sys.modules.get(module)
    for name in path.split("."):
        classes = owner.__mro__ if isinstance(owner, type) else (owner,)
        owner = next((vars(kind)[name] for kind in classes if name in getattr(kind, "__dict__", ())), None)
    return owner


def _own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("scout-core") and thread.is_alive()]


def _is_wrapped(raw: object) -> bool:
    """Whether one of our wrappers is anywhere in the chain below that name."""
    if isinstance(raw, type):
        return any(_is_wrapped(vars(raw).get(constructor)) for constructor in ("__init__", "__new__"))
    visited: list[object] = []
    while raw is not None and not any(raw is other for other in visited):
        visited.append(raw)
        if is_stand_in(raw):
            return True
        function = raw.func if isinstance(raw, functools.partial) else getattr(raw, "__func__", raw)
        if isinstance(function, FunctionType) and any(
            function.__globals__ is vars(module) for module in _MAKE_WRAPPERS
        ):
            return True
        raw = getattr(function, "__wrapped__", None)
    return False
