"""``ScoutApm`` on real applications, with the agent that ``start()`` starts."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import attrs
import flask
import pytest

import scout_core
from scout_core import Transaction, hookimpl
from scout_core.recording import context
from scout_flask import ScoutApm

METHODS = ("full_dispatch_request", "preprocess_request")
ORIGINALS = {name: vars(flask.Flask)[name] for name in METHODS}


class Notes:
    """A plugin that records the transactions that count."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.apps: set[str] = set()

    @hookimpl
    def on_request_end(self, transaction: Transaction) -> None:
        self.names.append(transaction.operation.rpartition(".")[2])

    @hookimpl
    def on_report(self, report: object) -> None:
        self.apps.add(report.process.app)


@pytest.fixture(autouse=True)
def own_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Ignore this machine's settings, and leave no agent behind."""
    for variable in [name for name in os.environ if name.startswith("SCOUT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("SCOUT_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    scout_core.stop()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def new_app(notes: Notes) -> Callable[..., flask.Flask]:
    def make(name: str = "shop", **settings: object) -> flask.Flask:
        app = flask.Flask(name)
        app.config.update({"SCOUT_NAME": name, "SCOUT_PLUGINS": [notes], **settings})
        app.add_url_rule("/", "home", home)
        return app

    return make


def home() -> str:
    return "home"


def get(app: flask.Flask, path: str = "/") -> tuple[int, bytes]:
    response = app.test_client().get(path)
    return response.status_code, response.data


def is_patched() -> bool:
    return ORIGINALS != {name: vars(flask.Flask)[name] for name in METHODS}


def test_the_first_request_starts_the_agent_and_is_recorded(new_app, notes):
    app = new_app()
    ScoutApm(app)
    assert not is_patched()

    assert [(200, b"home")] * 2 == [get(app), get(app)]
    assert is_patched()
    scout_core.stop()

    assert ["home", "home"] == notes.names
    assert {"shop"} == notes.apps
    assert not is_patched()


def test_an_application_from_a_factory(new_app, notes):
    scout = ScoutApm()
    app = new_app()
    scout.init_app(app)

    get(app)
    scout_core.stop()

    assert ["home"] == notes.names


def test_settings_may_come_after_the_extension(new_app, notes):
    app = flask.Flask("shop")
    ScoutApm(app)
    app.add_url_rule("/", "home", home)
    app.config["SCOUT_PLUGINS"] = [notes]
    app.config.from_mapping(SCOUT_NAME="Late shop", SCOUT_REPORT_PERIOD="7")

    get(app)
    agent = scout_core.start()

    assert ("Late shop", 7.0, "Flask settings") == (
        agent.config.get("name"),
        agent.config.get("report_period"),
        str(agent.config.origin("name")),
    )


@attrs.frozen
class TeamOptions:
    prefix: str = ""
    level: int = 0


class Team:
    """A plugin with options."""

    __name__ = "team"

    def __init__(self) -> None:
        self.got: list[TeamOptions] = []

    @hookimpl
    def register_options(self) -> type:
        return TeamOptions

    @hookimpl
    def on_request_start(self, transaction: Transaction, options: TeamOptions) -> None:
        self.got.append(options)


@pytest.mark.parametrize("is_running", [True, False])
def test_settings_of_the_application_are_options_of_plugins_too(new_app, is_running, caplog, monkeypatch):
    monkeypatch.setenv("SCOUT_TEAM_LEVEL", "3")
    team = Team()
    app = new_app(SCOUT_PLUGINS=[team], SCOUT_TEAM_PREFIX="Job/", SCOUT_TEAM_LEVEL=2, SCOUT_TEAM_PREFX="x")
    if is_running:
        scout_core.start(plugins=[team])
    ScoutApm(app)

    get(app)
    get(app)

    assert TeamOptions("Job/", 3) == team.got[-1]
    expected = "unknown option SCOUT_TEAM_PREFX (Flask settings) is ignored; did you mean SCOUT_TEAM_PREFIX?"
    assert [expected] == [message for message in caplog.messages if "SCOUT_TEAM" in message]


def test_the_environment_wins_over_the_settings_of_the_application(new_app, notes, monkeypatch):
    monkeypatch.setenv("SCOUT_NAME", "From outside")
    app = new_app()
    ScoutApm(app)

    get(app)

    assert "From outside" == scout_core.start().config.get("name")


def test_an_unknown_option_is_reported_and_ignored(new_app, caplog):
    app = new_app(SCOUT_NAEM="Shop", SCOUT_REPORT_PERIOD="soon", OTHER="untouched")
    ScoutApm(app)

    assert (200, b"home") == get(app)
    messages = "\n".join(caplog.messages)
    assert "unknown option SCOUT_NAEM (Flask settings) is ignored; did you mean SCOUT_NAME?" in messages
    assert "invalid value 'soon' for report_period (Flask settings)" in messages
    assert "other" not in messages


@pytest.mark.scout(report_period=7)
def test_a_running_agent_adopts_the_settings_and_code_overrides_them(scout, new_app):
    app = new_app(SCOUT_REPORT_PERIOD=8)
    ScoutApm(app)

    assert "Python App" == scout.agent.config.get("name")
    assert (200, b"home") == get(app)

    assert ("shop", 7.0) == (scout.agent.config.get("name"), scout.agent.config.get("report_period"))
    assert [f"Controller/{__name__}.home"] == scout.operations


def test_calling_init_app_twice_has_no_further_effect(new_app, notes):
    app = new_app()
    extension = ScoutApm(app)
    extension.init_app(app)
    ScoutApm(app)
    ScoutApm().init_app(app)

    get(app)
    get(app)
    scout_core.stop()

    assert ["home", "home"] == notes.names
    assert app.extensions["scout"] is extension


def test_several_applications_in_the_same_process(new_app, notes):
    extension = ScoutApm()
    apps = [new_app("shop"), new_app("admin")]
    for app in apps:
        extension.init_app(app)

    assert [(200, b"home")] * 4 == [get(app) for app in apps * 2]
    scout_core.stop()

    assert ["home"] * 4 == notes.names


def test_after_the_first_request_nothing_is_left_on_the_application(new_app):
    app = new_app()
    app.jinja_env  # noqa: B018  # Flask makes it when it is first asked for
    before = dict(vars(app))
    ScoutApm(app)
    attached = dict(vars(app))

    get(app)

    assert {"full_dispatch_request"} == set(attached) - set(before)
    assert set(before) == set(vars(app))


def test_monitor_false_wraps_nothing_and_leaves_nothing(new_app, notes):
    app = new_app(SCOUT_MONITOR=False)
    ScoutApm(app)

    assert [(200, b"home")] * 2 == [get(app), get(app)]
    assert not is_patched()
    assert "full_dispatch_request" not in vars(app)
    assert [] == notes.names


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"SCOUT_PLUGINS": ["no_such.module"]},
            "plugin 'no_such.module' (named in Flask settings): no_such.module cannot be imported",
        ),
        (
            {"SCOUT_PLUGINS_REQUIRE": "no-such-plugin"},
            "required plugins (Flask settings): no-such-plugin is not installed",
        ),
    ],
)
def test_a_failing_start_is_logged_once_and_does_not_disturb_the_application(new_app, caplog, settings, reason):
    app = new_app(**settings)
    ScoutApm(app)

    with caplog.at_level(logging.INFO, "scout_core.flask"):
        assert [(200, b"home")] * 2 == [get(app), get(app)]

    (record,) = [record for record in caplog.records if record.name == "scout_core.flask"]
    assert (logging.WARNING, True) == (record.levelno, reason in record.message)
    assert not is_patched()


class Impossible:
    """A plugin with invalid options."""

    __name__ = "impossible"

    @hookimpl
    def register_options(self) -> object:
        return object()


def test_a_plugin_that_makes_the_start_impossible_does_not_disturb_the_application(new_app, caplog):
    app = new_app(SCOUT_PLUGINS=[Impossible()])
    ScoutApm(app)

    assert [(200, b"home")] * 2 == [get(app), get(app)]


def test_a_fault_of_the_agent_does_not_disturb_the_application(new_app, caplog, monkeypatch):
    def broken(*args: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("scout_core.agent.find_plugins", broken)
    app = new_app()
    ScoutApm(app)

    assert [(200, b"home")] * 2 == [get(app), get(app)]
    (record,) = [record for record in caplog.records if record.name.startswith("scout_core")]
    assert (logging.ERROR, RuntimeError) == (record.levelno, record.exc_info[0])


def test_a_settings_key_that_is_not_a_string_does_not_disturb_the_application(new_app, notes):
    app = new_app()
    app.config[7] = "seven"
    ScoutApm(app)

    assert (200, b"home") == get(app)
    scout_core.stop()

    assert ["home"] == notes.names


def test_a_deleted_working_directory_does_not_disturb_the_application(new_app, tmp_path, monkeypatch):
    app = new_app()
    ScoutApm(app)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert [(200, b"home")] * 2 == [get(app), get(app)]


def test_only_a_single_request_among_many_concurrent_requests_starts_the_agent(new_app, notes):
    app = new_app()
    ScoutApm(app)
    together = Barrier(8, timeout=30)

    def request(_: int) -> tuple[int, bytes]:
        together.wait()
        return get(app)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(request, range(8)))
    agent = scout_core.start()
    get(app)
    scout_core.stop()

    assert [(200, b"home")] * 8 == answers
    assert agent is not None
    assert ["home"] * 9 == notes.names


class SlowToStart:
    """A plugin in whose ``on_start`` the start waits until others have been served."""

    def __init__(self) -> None:
        self.is_starting = Event()
        self.may_end = Event()

    @hookimpl
    def on_start(self, agent: object) -> None:
        self.is_starting.set()
        assert self.may_end.wait(30)


@pytest.fixture
def while_starting(new_app, notes):
    """Return a function: send requests while the first one starts the agent, and return the application."""

    def send(*paths: str, **settings: object) -> flask.Flask:
        slow = SlowToStart()
        app = new_app(SCOUT_PLUGINS=[notes, slow], **settings)
        app.add_url_rule("/health", "health", lambda: "health")
        ScoutApm(app)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(get, app)
            try:
                if settings.get("SCOUT_MONITOR", True):
                    assert slow.is_starting.wait(30)
                statuses = [get(app, path)[0] for path in paths]
            finally:
                slow.may_end.set()
            assert (200, b"home") == first.result(30)
        assert {200, 404} >= set(statuses)
        return app

    return send


def test_requests_while_the_agent_starts_wait_for_nothing_and_are_recorded(while_starting, notes):
    app = while_starting("/", "/", "/nothing", "/health")
    assert "full_dispatch_request" not in vars(app)
    get(app)
    scout_core.stop()

    assert ["health", "home", "home", "home", "home"] == sorted(notes.names)


def test_options_apply_to_requests_while_the_agent_starts(while_starting, notes):
    while_starting("/", "/health", SCOUT_IGNORE="/health")
    agent = scout_core.start()
    scout_core.stop()

    assert ["home", "home"] == notes.names
    assert {"ignored": 1} == {key: value for key, value in agent.counters().dropped.items() if key == "ignored"}


def test_nothing_is_recorded_while_the_agent_starts_with_the_plugin_disabled(while_starting, notes):
    while_starting("/", "/", SCOUT_PLUGINS_DISABLE="flask")
    scout_core.stop()

    assert [] == notes.names
    assert not is_patched()


def test_requests_while_an_agent_does_not_start_leave_nothing(while_starting, notes):
    while_starting("/", "/", SCOUT_MONITOR=False)

    assert context.tracer is None
    assert [] == notes.names


@pytest.mark.parametrize("is_first", [True, False])
def test_another_extension_that_replaces_the_same_method(new_app, notes, is_first):
    """
    As scout-apm does, on the same object. Both call the method that they found there, so both see the request.

    An extension that saved Flask's own method before the agent started keeps calling that method, which is not wrapped. So
    the request is recorded if that extension comes second, or if the agent is already running, as under ``scout-core run``.
    """
    app = new_app()
    seen = []

    def other(app: flask.Flask) -> None:
        inner = app.full_dispatch_request

        def dispatch(*context: object) -> flask.Response:
            seen.append(flask.request.path)
            return inner(*context)

        app.full_dispatch_request = dispatch

    if is_first:
        scout_core.start(plugins=[notes])
    for attach in (other, ScoutApm) if is_first else (ScoutApm, other):
        attach(app)
    answers = [get(app), get(app)]
    app.config["SCOUT_NAME"] = "read once, so this is too late"
    answers.append(get(app))
    scout_core.stop()

    assert {"shop"} == notes.apps
    assert [(200, b"home")] * 3 == answers
    assert ["/"] * 3 == seen
    assert ["home"] * 3 == notes.names


def test_the_first_request_may_fail(new_app, notes):
    app = new_app()
    app.logger.disabled = True
    app.add_url_rule("/divide", "divide", lambda: str(1 / 0))
    ScoutApm(app)

    assert [500, 404, 200] == [get(app, path)[0] for path in ("/divide", "/nothing", "/")]
    scout_core.stop()

    assert ["divide", "home"] == notes.names


def test_the_launcher_and_the_extension_record_a_single_set_of_spans(tmp_path):
    """``scout-core run`` has started the agent before the application is imported; the extension adds its settings."""
    program = tmp_path / "app.py"
    program.write_text(
        """
import flask
import scout_core
from scout_core import hookimpl
from scout_flask import ScoutApm

app = flask.Flask("shop")
app.config["SCOUT_NAME"] = "Shop"
ScoutApm(app)

@app.get("/")
def home():
    return "home"

agent = scout_core.start()
app.test_client().get("/")
app.test_client().get("/")
agent.recorder.work()
report = agent.recorder.close_period()
print(agent.config.get("name"), agent.counters().finished)
""",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "scout_core", "run", "--", sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert ("Shop 2\n", 0) == (done.stdout, done.returncode), done.stderr


def test_the_example_of_the_readme(notes):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    shop = {"__name__": "shop"}
    exec(compile(example, "README.md", "exec"), shop)
    shop["app"].config["SCOUT_PLUGINS"] = [notes]

    assert (200, b"hello") == get(shop["app"])
    scout_core.stop()

    assert ["home"] == notes.names
    assert {"Shop"} == notes.apps


@pytest.mark.parametrize("settings", [{"SCOUT_NO_SUCH_OPTION": 1}, {"SCOUT_PLUGINS": ["no_such_plugin"]}])
def test_a_handler_that_raises_does_not_cost_the_first_request(new_app, settings):
    """A handler may read ``flask.request`` or write into a database that is down."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the database is down")

    app = new_app(**settings)
    ScoutApm(app)
    handler = Broken()
    logging.getLogger().addHandler(handler)
    try:
        answer = get(app)
    finally:
        logging.getLogger().removeHandler(handler)

    assert (200, b"home") == answer
