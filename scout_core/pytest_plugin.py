"""The fixtures ``scout`` and ``scout_clock`` for tests of plugins and applications, which pytest finds when scout-core is installed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

# The test kit is imported when a test needs it: pytest loads this module in every run.
if TYPE_CHECKING:
    from scout_core.testing import Clock, Scout
    from scout_core.testing.leaks import Surroundings

_SURROUNDINGS: pytest.StashKey[Surroundings] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "scout(**settings): options of the agent behind the fixture scout")


@pytest.fixture
def scout(request: pytest.FixtureRequest) -> Iterator[Scout]:
    """
    An agent that records this test, a ``scout_core.testing.Scout``. ``@pytest.mark.scout(ignore=["/health"])`` sets options.

    The test fails when it leaves an open span, a wrapped target, one of our threads or a changed environment variable behind.
    """
    from scout_core.testing import recording

    settings: dict[str, object] = {}
    for marker in reversed(list(request.node.iter_markers("scout"))):
        settings.update(marker.kwargs)
    with recording(**settings) as recorded:
        yield recorded


@pytest.fixture
def scout_clock() -> Iterator[Clock]:
    """Stopped clocks for scout_core, a ``scout_core.testing.Clock``: ``scout_clock.advance(1.5)`` moves them."""
    from scout_core.testing import stopped_clock

    with stopped_clock() as clock:
        yield clock


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Take snapshots of the environment before and after the set-up of fixtures."""
    if "scout" not in getattr(item, "fixturenames", ()):
        return (yield)
    from scout_core.testing.leaks import Surroundings

    item.stash[_SURROUNDINGS] = surroundings = Surroundings()
    result = yield
    surroundings.begin()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Take a snapshot of the environment after the test's own code."""
    try:
        return (yield)
    finally:
        if _SURROUNDINGS in item.stash:
            item.stash[_SURROUNDINGS].end()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that left the environment changed, once its fixtures have been torn down."""
    result = yield
    found = item.stash[_SURROUNDINGS].found() if _SURROUNDINGS in item.stash else []
    if found:
        pytest.fail("; ".join(found), pytrace=False)
    return result
