"""Private brokers, one of each kind for each session, and the modules beside the tests, in worker processes too."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from scout_core.testing.servers import rabbitmq_server, redis_server

FOLDER = str(Path(__file__).parent)
sys.path.insert(0, FOLDER)  # for celery_queues


def pytest_configure(config):
    """Celery reads entry points in a way that Python 3.10 deprecates, while it is imported."""
    config.addinivalue_line("filterwarnings", "ignore:SelectableGroups dict interface:DeprecationWarning")


@pytest.fixture(scope="session", autouse=True)
def _broker() -> Iterator[None]:
    with redis_server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_CELERY_BROKER", url)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (FOLDER, os.environ.get("PYTHONPATH")))))
        yield
        gc.collect()  # results unsubscribe when they are freed, for which they need the server


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def _freed() -> Iterator[None]:
    """Celery leaves sockets to the garbage collector, which would warn of them in the tests of another plugin."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def _waits() -> Iterator[None]:
    """Let the test wait for results, which a worker that has run in this process forbids from then on."""
    from celery.result import allow_join_result

    with allow_join_result():
        yield


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Celery logs what its tasks raise."""
    caplog.set_level("CRITICAL", "celery")
