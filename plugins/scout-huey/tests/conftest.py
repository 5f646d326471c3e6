"""Makes the modules beside the tests importable, in worker processes too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parent)
sys.path.insert(0, FOLDER)  # for huey_queues


@pytest.fixture(autouse=True)
def _quiet(caplog, monkeypatch):
    """Huey logs what its tasks raise."""
    caplog.set_level("CRITICAL", "huey")
    monkeypatch.setenv("PYTHONPATH", FOLDER)
