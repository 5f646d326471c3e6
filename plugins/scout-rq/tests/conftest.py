"""A private Redis server for the session, and the modules beside the tests, which worker processes import, too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scout_core.testing.servers import redis_server

FOLDER = str(Path(__file__).parent)
sys.path.insert(0, FOLDER)  # for rq_queues and shop


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(autouse=True)
def url(server: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database; RQ logs what its jobs raise."""
    from rq_queues import connect

    for name in ("rq.worker", "rq.job", "rq.queue", "rq.scheduler"):
        caplog.set_level("CRITICAL", name)
    monkeypatch.setenv("PYTHONPATH", FOLDER)
    monkeypatch.setenv("RQ_TEST_URL", server)
    client = connect(server)
    client.flushdb()
    yield server
    client.connection_pool.disconnect()


def pytest_configure(config: pytest.Config) -> None:
    """Old versions of RQ call what has been deprecated since, in redis-py and in RQ itself."""
    config.addinivalue_line("filterwarnings", r"ignore::DeprecationWarning:rq\..*")
