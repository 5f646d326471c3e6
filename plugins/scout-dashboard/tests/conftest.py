"""A collector on a free port with its own data directory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scout_dashboard.collector import Collector

sys.path.insert(0, str(Path(__file__).parent))  # for sample_reports


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A real collector on a real socket."""
    with Collector.running(state_dir=tmp_path / "state") as running:
        yield running
