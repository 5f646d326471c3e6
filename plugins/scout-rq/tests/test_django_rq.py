"""Workers of django-rq, which are started by a management command, under ``scout-core run``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scout_core.cli.run import environment
from scout_core.testing.jobs import reports as job_reports

pytest.importorskip("django_rq", reason="not with these pins, which have no django-rq")

APP = """
import os
import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["django_rq"], RQ_QUEUES={"letters": {"URL": os.environ["RQ_TEST_URL"]}})
django.setup()
import django_rq, shop
from django.core.management import call_command
from scout_core import transaction

with transaction("Controller/shop.order"):
    for number in range(3):
        django_rq.get_queue("letters").enqueue(shop.send, number)
call_command("rqworker", "letters", burst=True)
"""


def test_a_worker_of_django_rq(url, tmp_path):
    variables = {
        **environment(os.environ), job_reports.FOLDER: str(tmp_path), "SCOUT_PLUGINS_DISABLE": "collector",
        "SCOUT_PLUGINS": "scout_core.testing.jobs.reports", "SCOUT_REPORT_PERIOD": "1h", "SCOUT_SHUTDOWN_TIMEOUT_SECONDS": "20",
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", APP], env=variables, check=True, timeout=120, capture_output=True)

    assert {"Controller/shop.order": 1, "Job/shop.send": 3} == job_reports.reported(tmp_path)
