"""Threaded servers whose application starts the agent at its first request: no request is lost while it starts."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.servers import BIN, servers
from tests.workbench import eventually

pytest.importorskip("scout_flask", reason="not with the core only: scout-flask installs Flask")

APP = """
import os
from flask import Flask
from scout_flask import ScoutApm

app = Flask(__name__)
ScoutApm(app)
app.config["SCOUT_NAME"] = "Set after the extension"


@app.get("/")
def home():
    return str(os.getpid())
"""
PLUGINS = "age,percent,percentile,speed,collector,flask"


@pytest.fixture
def serving(tmp_path):
    with servers(tmp_path) as started:
        started.write("shop.py", APP)
        yield started


@pytest.mark.parametrize(
    "options",
    [["--workers", "1"], ["--workers", "2", "--preload"], ["--workers", "2", "--max-requests", "30"]],
    ids=" ".join,
)
def test_every_request_to_gunicorn_with_threads_arrives(serving, options):
    server = serving.start(
        BIN / "gunicorn", "--bind", "127.0.0.1:0", "--threads", "8", *options, "shop:app", SCOUT_PLUGINS_ENABLE=PLUGINS
    )
    answers = server.ask_all(150, clients=16)
    printed = server.end()

    counts: Counter[str] = Counter()
    for report in serving.reports:
        counts[str(report.process.pid)] += sum(metrics.count for metrics in report.transactions)
    assert answers <= counts <= answers + Counter(dict.fromkeys(answers, 8))
    assert 150 - answers.total() <= 8 * len(answers)  # a worker that ends closes connections
    assert {"Set after the extension"} == {report.process.app for report in serving.reports}
    assert {"Controller/shop.home"} == {name.name for report in serving.reports for name in report.transactions}
    assert "Traceback" not in printed


def test_every_request_to_the_server_of_flask_arrives(serving):
    server = serving.start(
        BIN / "flask", "--app", "shop", "run", "--port", "0", SCOUT_PLUGINS_ENABLE=PLUGINS, SCOUT_REPORT_PERIOD="0.2"
    )
    answers = server.ask_all(100, clients=16)
    eventually(lambda: serving.counted >= 100)

    assert 100 == answers.total() == serving.counted
