"""The Django application in ``INSTALLED_APPS``, which starts the agent, and projects without it; in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """
import json, sys
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from scout_core import hookimpl

names = []

class Notes:
    @hookimpl
    def on_request_end(self, transaction):
        names.append(transaction.operation)

def home(request):
    return HttpResponse("home")

settings.configure(
    SECRET_KEY="tests only", ALLOWED_HOSTS=["*"], ROOT_URLCONF=(path("", home),), INSTALLED_APPS=["scout_django"],
    SCOUT_NAME="Shop", SCOUT_PLUGINS=[Notes()], **json.loads(sys.argv[1]),
)
django.setup()
import scout_core
from django.test import Client
from django.test.utils import override_settings
from scout_core import running

def app():
    agent = running.use(None)
    running.use(agent)
    return agent and agent.process.app
"""


PLAIN = PROJECT.replace('INSTALLED_APPS=["scout_django"]', "INSTALLED_APPS=[]").replace("SCOUT_PLUGINS=[Notes()], ", "")
"""The project without the application."""
LAUNCHER = ("-m", "scout_core", "run", "--", sys.executable)


def run(
    code: str,
    tmp_path: Path,
    *,
    project: str = PROJECT,
    launcher: tuple[str, ...] = (),
    log: str = "",
    **settings: object,
) -> object:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SCOUT_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, *launcher, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", project + code, json.dumps(settings)],
        cwd=tmp_path, env={**environment, "SCOUT_STATE_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert log == done.stderr
    return json.loads(done.stdout)


def test_it_starts_the_agent_with_the_settings(tmp_path):
    code = 'Client().get("/"); name = app(); scout_core.stop(); print(json.dumps([name, names]))'

    assert ["Shop", ["Controller/__main__.home"]] == run(code, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "environment", "name"),
    [
        (["runserver"], {}, None),
        (["runserver", "8000"], {"RUN_MAIN": "true"}, "Shop"),
        (["runserver", "--noreload"], {}, "Shop"),
        (["migrate"], {}, "Shop"),
    ],
)
def test_the_process_that_only_restarts_the_server_of_django_starts_no_agent(tmp_path, arguments, environment, name):
    prepared = f"sys.argv[1:] = {arguments}; os.environ.update({environment})\ndjango.setup()\n"
    project = PROJECT.replace("django.setup()\n", f"import os; {prepared}")

    assert name == run("print(json.dumps(app())); scout_core.stop()", tmp_path, project=project)


def test_without_monitor_nothing_starts(tmp_path):
    code = """
from django.core.handlers.base import BaseHandler
is_wrapped = hasattr(BaseHandler.get_response, "__wrapped__")
print(json.dumps([app(), is_wrapped, Client().get("/").content.decode()]))
"""

    assert [None, False, "home"] == run(code, tmp_path, SCOUT_MONITOR=False)


def test_a_setting_that_changes_is_adopted(tmp_path):
    code = """
with override_settings(SCOUT_NAME="Other"):
    changed = app()
print(json.dumps([changed, app()]))
scout_core.stop()
"""

    assert ["Other", "Shop"] == run(code, tmp_path)


def test_a_setting_that_is_removed_has_its_default_again(tmp_path):
    code = """
import scout_core
config = lambda: running.start().config
with override_settings(SCOUT_SAMPLE_RATE=0.5):
    changed = config().get("sample_rate")
print(json.dumps([changed, config().get("sample_rate"), str(config().origin("sample_rate"))]))
scout_core.stop()
"""

    assert [0.5, 1.0, "default"] == run(code, tmp_path)


def test_monitor_may_be_switched_at_run_time(tmp_path):
    code = """
with override_settings(SCOUT_MONITOR=False):
    Client().get("/")
Client().get("/")
scout_core.stop()
print(json.dumps(names))
"""

    assert ["Controller/__main__.home"] == run(code, tmp_path, SCOUT_MONITOR=True)


@pytest.mark.parametrize("settings", [{"SCOUT_PLUGINS_REQUIRE": ["missing"]}], ids=repr)
def test_an_agent_that_cannot_start_does_not_affect_the_project(tmp_path, settings):
    code = 'print(json.dumps(Client().get("/").content.decode()))'

    with pytest.raises(AssertionError, match="not recording: .*missing.*the application is not affected"):
        run(code, tmp_path, **settings)


def run_plain(code: str, tmp_path: Path, **settings: object) -> object:
    return run(code, tmp_path, project=PLAIN, launcher=LAUNCHER, **settings)


def test_without_the_application_the_settings_are_adopted_when_django_is_set_up(tmp_path):
    code = "print(json.dumps([before, app()]))"
    project = PLAIN.replace(
        "settings.configure(",
        "before = [bool(sys.modules.get('scout_django')), settings.configured]\nsettings.configure(",
    )

    assert [[True, False], "Shop"] == run(code, tmp_path, project=project, launcher=LAUNCHER)


def test_without_the_application_and_without_a_set_up_nothing_is_read(tmp_path):
    code = """
from django.core.handlers.wsgi import WSGIHandler
WSGIHandler()  # loads the middleware
print(json.dumps(app()))
"""
    project = PLAIN.replace("django.setup()", "from scout_core import running")

    assert "Python App" == run(code, tmp_path, project=project, launcher=LAUNCHER)


def test_an_agent_that_starts_after_django_adopts_the_settings_with_the_first_middleware(tmp_path):
    code = """
import scout_core
scout_core.start()
before = app()
Client().get("/")
print(json.dumps([before, app()]))
"""

    assert ["Python App", "Shop"] == run(code, tmp_path, project=PLAIN)


def test_without_the_application_a_setting_that_changes_is_adopted(tmp_path):
    code = """
with override_settings(SCOUT_NAME="Other"):
    changed = app()
with override_settings(SCOUT_MONITOR=False):
    stopped = app()
print(json.dumps([changed, stopped, app()]))
"""

    assert ["Other", None, "Shop"] == run_plain(code, tmp_path)


def test_without_the_application_monitor_may_be_switched_on_later(tmp_path):
    code = """
before = app()
with override_settings(SCOUT_MONITOR=True):
    changed = app()
print(json.dumps([before, changed, app(), Client().get("/").content.decode()]))
"""

    assert [None, "Shop", None, "home"] == run_plain(code, tmp_path, SCOUT_MONITOR=False)


def test_without_the_application_no_setting_is_followed_once_the_agent_has_stopped(tmp_path):
    code = """
from django.core.signals import setting_changed
import scout_core
scout_core.stop()
with override_settings(SCOUT_NAME="Other"):
    changed = app()
print(json.dumps([changed, len(setting_changed.receivers)]))
"""
    project = PLAIN.replace("import django\n", "import django\nfrom django.core.signals import setting_changed\n", 1)

    changed, receivers = run(code, tmp_path, project=project, launcher=LAUNCHER)
    assert changed is None
    assert [receivers] == [
        run(
            "print(json.dumps(len(setting_changed.receivers)))",
            tmp_path,
            project=project.replace("SCOUT_NAME", "OTHER"),
        )
    ]


def test_without_the_application_an_invalid_setting_is_reported_and_does_not_affect_the_project(tmp_path):
    code = 'print(json.dumps([Client().get("/").content.decode(), app()]))'
    log = (
        "invalid value 'many' for sample_rate (Django settings); expected a share from 0 to 1, or a percentage up to 100;"
        " using the default, 1.0\n"
    )

    assert ["home", "Shop"] == run_plain(code, tmp_path, log=log, SCOUT_SAMPLE_RATE="many")


COMMAND = """
import sys
from django.core.management import execute_from_command_line

execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


@pytest.mark.parametrize(("settings", "status"), [("SECRET_KEY = 'tests only'; SCOUT_NAME = 'Shop'", 0), ("1 / 0", 1)])
def test_a_management_command_behaves_as_without_the_agent(tmp_path, settings, status):
    """Also with settings that fail when they are imported: nothing else asks for them."""
    (tmp_path / "shop_settings.py").write_text(f"print('settings are read')\n{settings}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "shop_settings",
        "SCOUT_STATE_DIR": str(tmp_path),
    }

    def outcome(*launcher: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, *launcher, "-c", COMMAND, "check"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout

    assert outcome() == outcome(*LAUNCHER)
    assert status == outcome(*LAUNCHER)[0]
