"""``manage.py run_huey`` without ``scout-core run``: the settings ``SCOUT_*`` of the project reach the agent of the consumer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from scout_core.testing.jobs.reports import FOLDER, reported

pytest.importorskip("scout_django", reason="not with an environment without scout-django")

SETTINGS = """
INSTALLED_APPS = ["scout_django", "huey.contrib.djhuey", "letters"]
SECRET_KEY = "secret"
HUEY = {"huey_class": "huey.SqliteHuey", "filename": "queue.db", "immediate": False}
SCOUT_PLUGINS = ["scout_core.testing.jobs.reports"]
SCOUT_PLUGINS_DISABLE = "collector"
SCOUT_REPORT_PERIOD = "0.2s"
SCOUT_IGNORE_JOBS = ["letters.tasks.ignored"]
"""
TASKS = """
from huey.contrib.djhuey import task

@task()
def send(number): ...

@task()
def ignored(number): ...
"""
PUBLISH = """
import django

django.setup()
from letters.tasks import ignored, send

for number in range(3):
    ignored(number)
    send(number)
"""


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_settings_of_a_django_project_reach_its_consumer(tmp_path, kind):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "__init__.py").touch()
    (tmp_path / "letters" / "tasks.py").write_text(TASKS)
    (tmp_path / "site_settings.py").write_text(SETTINGS)
    variables = {
        **os.environ, FOLDER: str(tmp_path), "PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "site_settings",
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", PUBLISH], env=variables, cwd=tmp_path, check=True, timeout=120)
    command = [sys.executable, "-m", "django", "run_huey", "-w", "1", "-k", kind, "-d", "0.05", "-q"]
    with subprocess.Popen(command, env=variables, cwd=tmp_path) as consumer:
        try:
            until = time.monotonic() + 120
            while reported(tmp_path).total() < 3 and time.monotonic() < until:
                assert consumer.poll() is None
                time.sleep(0.05)
        finally:
            consumer.send_signal(signal.SIGINT)

    assert {"Job/letters.tasks.send": 3} == reported(tmp_path)
