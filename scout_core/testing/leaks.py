"""What a test must not leave behind, besides an open span."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from types import FunctionType
from typing import Any, Final

from scout_core.boundary import wrappers

_OF_PYTEST: Final = "PYTEST_CURRENT_TEST"


PATIENCE: Final = 2.0
"""Seconds that a thread has to end once it is told to."""


class LeftBehind(AssertionError):
    """What a test left behind, one sentence after the other."""


class Leaks:
    """Made before an agent; tells afterwards what was left behind."""

    def __init__(self) -> None:
        self._threads = set(_own_threads())

    def found(self, targets: Iterable[str]) -> list[str]:
        """
        Sentences for an error.

        Args:
            targets: what the agent's plugins wrapped, as ``module:Class.method``.
        """
        for thread in set(_own_threads()) - self._threads:
            thread.join(PATIENCE)
        threads = sorted(thread.name for thread in set(_own_threads()) - self._threads)
        wrapped = [target for target in dict.fromkeys(targets) if _is_wrapped(raw_target(target))]
        return [
            *(f"the thread {name} still runs at the end of the test: stop what started it" for name in threads),
            *(
                f"{target} is still wrapped at the end of the test: it was replaced while the agent ran and not put back"
                " before the agent stopped"
                for target in wrapped
            ),
        ]


class Surroundings:
    """
    The environment variables around one test, at four moments.

    A variable is left behind when the test changed it and nobody has put it back: neither to what it was before the test's
    fixtures nor to what they had made of it.
    """

    def __init__(self) -> None:
        self._before_fixtures: Mapping[str, str] = dict(os.environ)
        self._before_test = self._after_test = self._before_fixtures

    def begin(self) -> None:
        """The fixtures are there."""
        self._before_test = self._after_test = dict(os.environ)

    def end(self) -> None:
        """The test's own code has run."""
        self._after_test = dict(os.environ)

    def found(self) -> list[str]:
        """The fixtures are gone: sentences for an error."""
        names = sorted({*self._before_test, *self._after_test} - {_OF_PYTEST})
        changed = [name for name in names if self._before_test.get(name) != self._after_test.get(name)]
        return [
            f"the test left the environment variable {name} changed: use monkeypatch.setenv"
            for name in changed
            if os.environ.get(name) not in (self._before_fixtures.get(name), self._before_test.get(name))
        ]


def raw_target(target: str) -> Any:  # Any: whatever stands there
    """What a target is, not bound; None where it or its module is not there."""
    module, _, path = target.partition(":")
    owner: Any = sys.modules.get(module)
    for name in path.split("."):
        classes = owner.__mro__ if isinstance(owner, type) else (owner,)
        owner = next((vars(one)[name] for one in classes if name in getattr(one, "__dict__", ())), None)
    return owner


def _own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("scout-core") and thread.is_alive()]


def _is_wrapped(raw: object) -> bool:
    """Whether one of our wrappers stands anywhere under that name."""
    seen: list[object] = []
    while raw is not None and not any(raw is one for one in seen):
        seen.append(raw)
        function = raw.func if isinstance(raw, functools.partial) else getattr(raw, "__func__", raw)
        if isinstance(function, FunctionType) and function.__globals__ is vars(wrappers):
            return True
        raw = getattr(function, "__wrapped__", None)
    return False
