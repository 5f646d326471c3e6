"""An agent and a collector of different revisions, as real processes; ``nox -s skew`` installs both revisions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from attrs import frozen

PATIENCE = 60.0
NEEDED = "EARLIER_PYTHON", "CURRENT_PYTHON"
if not os.environ.keys() >= {*NEEDED}:
    pytest.skip("needs two revisions; run nox -s skew", allow_module_level=True)
EARLIER, CURRENT = (os.environ[name] for name in NEEDED)
"""The Python of an environment with that revision."""
MIXED = os.environ.get("MIXED_PYTHON")
"""The Python of an environment with the dashboard of the earlier revision and the core of the current one."""

APP = """
import logging
import sys

import scout_core

logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
scout_core.start()
for number in range(20):
    with scout_core.transaction("Job/import_orders"):
        with scout_core.span("SQL/Query", rows=number):
            pass
"""
LATER_SCHEMA = """
from scout_core.measuring import report

report.SCHEMA = 99
report.Report.__init__.__kwdefaults__["schema"] = 99
"""


@frozen
class Collector:
    """A collector that runs."""

    url: str
    token: str

    def ask(self, path: str) -> dict:
        """An answer of its API."""
        request = Request(f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@contextmanager
def running_collector(python: str, state_dir: Path) -> Iterator[Collector]:
    process = subprocess.Popen(
        [python, "-m", "scout_core", "up", "--port", "0", "--state-dir", str(state_dir)],
        cwd=state_dir.parent,
        env=environment(state_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        announced = state_dir / "collector.json"
        while not announced.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        token = (state_dir / "dashboard-login-token").read_text()
        yield Collector(json.loads(announced.read_text())["url"], token)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def environment(state_dir: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "PYTHON"))}
    return {**kept, "SCOUT_STATE_DIR": str(state_dir), "SCOUT_NAME": "Shop"}


def run_app(python: str, state_dir: Path, source: str = APP) -> subprocess.CompletedProcess[str]:
    """Run an application to its end, when its last report is sent."""
    return subprocess.run(
        [python, "-c", source],
        cwd=state_dir.parent,
        env=environment(state_dir),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def schema_of(python: str, state_dir: Path) -> str:
    return run_app(python, state_dir, "from scout_core.measuring.report import SCHEMA; print(SCHEMA)").stdout


@pytest.mark.parametrize(
    "agent, collector", [(EARLIER, CURRENT), (CURRENT, EARLIER)], ids=["earlier-agent", "earlier-collector"]
)
def test_reports_of_the_same_schema_arrive_and_others_are_refused(state_dir, agent, collector):
    """The promise: equal schema numbers work together in both directions, and a change that does not raises the number."""
    with running_collector(collector, state_dir) as running:
        ran = run_app(agent, state_dir)
        received = running.ask("health")["collector"]

    assert 0 == ran.returncode, ran.stderr
    if schema_of(agent, state_dir) == schema_of(collector, state_dir):
        assert (20, 20, {}) == (received["transactions"], received["spans"], received["rejected"]), ran.stderr
    else:
        assert_refused(ran, received)


def test_an_agent_with_a_later_schema_is_refused_with_a_reason_on_both_sides(state_dir):
    with running_collector(CURRENT, state_dir) as running:
        ran = run_app(CURRENT, state_dir, LATER_SCHEMA + APP)
        received = running.ask("health")["collector"]

    assert 0 == ran.returncode, ran.stderr
    assert_refused(ran, received)
    assert {"another schema": 1} == received["rejected"]
    assert "schema '99' is not " in ran.stderr


@pytest.mark.skipif(
    MIXED is None, reason="not with an earlier revision that was never released: nobody has installed it"
)
def test_a_released_dashboard_works_with_the_current_core(state_dir):
    with running_collector(str(MIXED), state_dir) as running:
        ran = run_app(str(MIXED), state_dir)
        received = running.ask("health")["collector"]

    assert (20, {}) == (received["transactions"], received["rejected"]), ran.stderr


def assert_refused(ran, received):
    assert 0 == received["transactions"]
    assert 1 == sum(received["rejected"].values())
    assert "use the same version of scout-core on both sides; reports are dropped and counted" in ran.stderr
