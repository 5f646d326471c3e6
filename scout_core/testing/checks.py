"""Shared by the public suites: tests that a plugin may skip with a reason, and a comparison that names what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar, Final

_PREFIX: Final = "test_"


class Rules:
    """Tests that a class derived from it may skip."""

    skip: ClassVar[Mapping[str, str]] = {}
    """Names of tests, without ``test_``, to the reasons for skipping them."""

    def __init_subclass__(cls) -> None:
        """
        Let the tests of the class look at what is skipped.

        Raises:
            TypeError: ``skip`` has the name of a test that does not exist.
        """
        for name, check in list(vars(cls).items()):
            if name.startswith(_PREFIX) and callable(check):
                setattr(cls, name, _skippable(name.removeprefix(_PREFIX), check))
        unknown = sorted(name for name in cls.skip if not hasattr(cls, _PREFIX + name))
        if unknown:
            known = ", ".join(sorted(name.removeprefix(_PREFIX) for name in dir(cls) if name.startswith(_PREFIX)))
            raise TypeError(f"unknown test {', '.join(unknown)} in skip of {cls.__name__}; expected {known}")


def _skippable(name: str, check: Callable[..., None]) -> Callable[..., None]:
    @wraps(check)
    def test(self: Rules, *args: Any, **kwargs: Any) -> None:  # Any: fixtures
        if name in self.skip:
            import pytest

            pytest.skip(self.skip[name])
        check(self, *args, **kwargs)

    return test


def expect(expected: Any, found: Any, subject: str) -> None:  # Any: whatever is compared
    """
    Compare two values.

    Raises:
        AssertionError: they differ.
    """
    if expected != found:
        raise AssertionError(f"{subject}: expected {expected!r}, got {found!r}")
