"""A worker of a Django project without ``scout-core run``: the settings ``SCOUT_*`` of the project reach the agent of the worker."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from celery_queues import BROKER, COMMAND

from scout_core.testing.jobs.reports import FOLDER, reported

pytest.importorskip("scout_django", reason="not with an environment without scout-django")

SETTINGS = """
INSTALLED_APPS = ["scout_django"]
SECRET_KEY = "secret"
SCOUT_PLUGINS = ["scout_core.testing.jobs.reports"]
SCOUT_PLUGINS_DISABLE = "collector"
SCOUT_REPORT_PERIOD = "0.2s"
SCOUT_IGNORE_JOBS = ["site_tasks.ignored"]
"""
TASKS = """
import os
from celery import Celery

os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
app = Celery("site", broker=os.environ["TEST_CELERY_BROKER"])
app.conf.task_default_queue = "site"

@app.task
def send(number): ...

@app.task
def ignored(number): ...

@app.on_after_finalize.connect
def publish(**_):
    if not os.path.exists("published"):
        open("published", "w").close()
        for number in range(3):
            ignored.delay(number)
            send.delay(number)
"""


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_settings_of_a_django_project_reach_its_worker(tmp_path, pool):
    (tmp_path / "site_settings.py").write_text(SETTINGS)
    (tmp_path / "site_tasks.py").write_text(TASKS)
    variables = {**os.environ, FOLDER: str(tmp_path), "PYTHONPATH": str(tmp_path), BROKER: os.environ[BROKER]}
    command = ["site_tasks" if part == "celery_queues" else part for part in COMMAND]
    with subprocess.Popen([*command, "-c", "1", "-P", pool], env=variables, cwd=tmp_path) as worker:
        try:
            until = time.monotonic() + 120
            while reported(tmp_path).total() < 3 and time.monotonic() < until:
                assert worker.poll() is None
                time.sleep(0.05)
        finally:
            worker.terminate()

    assert {"Job/site_tasks.send": 3} == reported(tmp_path)
