"""The fixture ``scout`` for tests of plugins and applications; found by pytest when scout-core is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "scout(**settings): options of the agent behind the fixture scout")


@pytest.fixture
def scout(request: pytest.FixtureRequest) -> Iterator[object]:
    """An agent that records this test: a ``scout_core.testing.Scout``. Options by ``@pytest.mark.scout(ignore=["/health"])``."""
    from scout_core.testing import recording  # not before a test asks: the plugin is loaded in every run of pytest

    settings: dict[str, object] = {}
    for marker in reversed(list(request.node.iter_markers("scout"))):
        settings.update(marker.kwargs)
    with recording(**settings) as recorded:
        yield recorded
