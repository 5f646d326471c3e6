"""``scout-core doctor``: what it finds in different environments, and how far its probe gets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scout_core.cli.known import KNOWN, Suggestion, suggestions
from scout_core.cli.probe import follow
from scout_core.cli.servers import check_gevent, check_gunicorn, check_uwsgi, check_uwsgi_end
from scout_core.config.config import read_config
from scout_core.recording import context
from scout_core.sending.protocol import PROBE_APP, PROBE_NAME
from tests.commandline import NEEDS, Commandline
from tests.workbench import CollectorSink, announced, plugin, running

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
ONLY_OURS = {"SCOUT_PLUGINS_AUTOLOAD": "false", "SCOUT_PLUGINS_ENABLE": "collector,speed"}


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


@pytest.fixture
def sink():
    sink = CollectorSink()
    yield sink
    sink.close()


def found(ran, area):
    """Return the state and text of each finding in one area."""
    return [(finding["state"], finding["text"]) for finding in ran.json["findings"] if finding["area"] == area]


# the probe


def test_the_probe_stops_before_the_collector_when_there_is_none(scout_core):
    ran = scout_core("doctor", "--json", **ONLY_OURS)

    expected = f"app → inbox → report, but not collector → store: no collector has announced itself in {scout_core.state}; start one with: scout-core up"
    assert (1, [("problem", expected)], "") == (ran.code, found(ran, "probe"), ran.err)
    assert not scout_core.state.exists()


def test_the_probe_reaches_the_collector_once_under_its_own_name(scout_core, sink):
    announced(scout_core.state, sink.url)
    ran = scout_core("doctor", "--json", SCOUT_NAME="Shop", **ONLY_OURS)

    (report,) = sink.reports
    assert (PROBE_APP, [PROBE_NAME], 1, [PROBE_NAME]) == (
        report.process.app,
        [metrics.name for metrics in report.transactions],
        sink.counted,
        [trace.name for trace in report.traces],
    )
    ((state, text),) = found(ran, "probe")
    assert (0, "note") == (ran.code, state)
    assert text.startswith("app → inbox → report → collector; store could not be checked: ")


def test_the_probe_stops_at_an_invalid_token(scout_core, sink):
    ran = scout_core("doctor", "--json", SCOUT_COLLECTOR_URL=sink.url, SCOUT_COLLECTOR_TOKEN="other", **ONLY_OURS)

    expected = f"app → inbox → report, but not collector → store: {sink.url} answered 401: invalid token"
    assert (1, [("problem", expected)]) == (ran.code, found(ran, "probe"))


def test_the_probe_stops_at_a_collector_that_has_ended(scout_core):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    announced(scout_core.state, url)
    ran = scout_core("doctor", "--json", **ONLY_OURS)

    ((state, text),) = found(ran, "probe")
    assert (1, "problem") == (ran.code, state)
    assert "but not collector → store: " in text
    assert "refused" in text


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"SCOUT_MONITOR": "false"}, "does not reach app: nothing is recorded"),
        (
            {"SCOUT_PLUGINS_DISABLE": "collector"},
            "app → inbox → report, but not collector → store: the plugin collector is not active",
        ),
    ],
)
def test_the_probe_stops_where_settings_disable_the_next_step(scout_core, sink, environment, expected):
    announced(scout_core.state, sink.url)
    ran = scout_core("doctor", "--json", **{**ONLY_OURS, **environment})

    assert (1, [("problem", expected)], []) == (ran.code, found(ran, "probe"), sink.reports)


@pytest.mark.parametrize(
    "environment",
    [
        {"SCOUT_SAMPLE_RATE": "0.000001", "SCOUT_JOB_SAMPLE_RATE": "0"},
        {"SCOUT_IGNORE_JOBS": "scout-core"},
        {"SCOUT_TRACES_PER_PERIOD": "0"},
        {"SCOUT_POLICIES": "speed:0"},
    ],
)
def test_sampling_ignoring_and_limits_do_not_apply_to_the_probe(scout_core, sink, environment):
    announced(scout_core.state, sink.url)
    scout_core("doctor", "--json", **{**ONLY_OURS, **environment})

    assert 1 == sink.counted


def test_hooks_and_exporters_of_other_plugins_are_not_called_for_the_probe(scout_core, sink):
    source = """
        from scout_core import hookimpl

        def fail(*_): raise SystemExit("a hook was called")

        @hookimpl
        def on_start(agent): fail()

        @hookimpl
        def on_request_end(transaction): fail()

        @hookimpl
        def on_report(report): fail()

        @hookimpl
        def register_exporters(config): fail()
    """
    scout_core.install("failing", source)
    announced(scout_core.state, sink.url)
    ran = scout_core("doctor", "--json", SCOUT_PLUGINS_ENABLE="collector,failing", SCOUT_PLUGINS_AUTOLOAD="false")

    assert (0, 1) == (ran.code, sink.counted)


def test_the_probe_does_not_change_an_agent_that_is_running(sink):
    ended = []
    config = read_config({"collector_url": sink.url, "collector_token": "token-of-the-sink"}, environment={})
    with running(plugin(on_request_end=lambda transaction: ended.append(transaction)), threaded=False) as agent:
        steps = list(follow(config, is_collector_active=True))
        agent.recorder.work()

        assert agent.tracer is context.tracer
    assert ["app", "inbox", "report", "collector", "store"] == [step.name for step in steps]
    assert ([True, True, True, True, None], []) == ([step.is_ok for step in steps], ended)
    assert context.current.get() is None


def test_the_dashboard_confirms_that_the_probe_is_in_the_store(scout_core):
    pytest.importorskip("scout_dashboard", reason="not with the core only: the store belongs to scout-dashboard")
    up = subprocess.Popen(
        [sys.executable, "-m", "scout_core", "up", "--port", "0"],
        cwd=scout_core.here,
        env=scout_core.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert up.stdout.readline().startswith("Dashboard  ")
        ran = scout_core("doctor", "--json", **ONLY_OURS)
        listed = scout_core("plugins", "speed", "--json", **ONLY_OURS).json["processes"]
    finally:
        up.terminate()
        up.communicate(timeout=20)

    ((state, text),) = found(ran, "probe")
    assert (0, "ok") == (ran.code, state)
    assert text.startswith("app → inbox → report → collector → store: trace ")
    assert text.endswith(" is in the store")
    assert [] == listed


# settings, plugins, files


def test_problems_in_settings_and_plugins_are_found(scout_core):
    scout_core.install("broken", "import nowhere_to_be_found")
    ran = scout_core("doctor", "--json", SCOUT_MAX_SPANS="many", SCOUT_PLUGINS_REQUIRE="quartz")

    assert 1 == ran.code
    assert ["problem", "problem"] == [state for state, _ in found(ran, "settings")]
    ((state, text),) = [finding for finding in found(ran, "plugins") if "broken" in finding[1]]
    assert ("problem", True) == (state, text.startswith("broken has failed: acme_broken cannot be imported: "))


def test_two_plugins_that_wrap_the_same_target_are_found(scout_core):
    source = (
        "from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): wrap('letters_of_acme:send', lambda: None)\n"
    )
    scout_core.install("first", source)
    scout_core.install("second", source)
    ran = scout_core("doctor", "--json")

    assert ("note", "first and second both wrap letters_of_acme:send: each call is two spans") in found(ran, "plugins")


def test_a_healthy_environment_has_no_problems(scout_core, sink):
    announced(scout_core.state, sink.url)
    path = scout_core.write("scout-core.toml", 'name = "Shop"\n')
    ran = scout_core("doctor", **ONLY_OURS)

    assert (0, "") == (ran.code, ran.err)
    lines = ran.out.splitlines()
    assert f"ok       settings   {path}; scout-core config shows every value and its origin" in lines
    assert f"ok       files      {scout_core.state}: private" in lines
    assert {"ok", "note"} == {line.split()[0] for line in lines if not line.startswith(" ")}


def test_files_that_others_can_change_or_read_are_found(scout_core):
    announced(scout_core.state, "http://127.0.0.1:1")
    settings = scout_core.write("scout-core.toml", "")
    settings.chmod(0o666)
    scout_core.state.chmod(0o777)
    (scout_core.state / "collector.json").chmod(0o644)
    ran = scout_core("doctor", "--json", **ONLY_OURS)

    assert [
        ("problem", f"cannot use {scout_core.state}: others can write to it"),
        ("problem", f"the announcement {scout_core.state / 'collector.json'} is not trusted: other users can read or write it; move it away, and restart the collector: scout-core up"),
        ("problem", f"anyone can change {settings}, and so make applications run other code"),
    ] == found(ran, "files")  # fmt: skip


def test_a_state_directory_that_is_a_file_is_found(scout_core):
    place = scout_core.write("state", "")
    ran = scout_core("doctor", "--json", SCOUT_STATE_DIR=str(place), **ONLY_OURS)

    assert [("problem", f"cannot use {place}: it is not a directory of its own")] == found(ran, "files")


# servers


@pytest.mark.parametrize(
    "text, states",
    [
        ("[uwsgi]\nmodule = shop\nenable-threads = true\n", ["ok"]),
        ("[uwsgi]\nenable-threads\nlazy-apps\nprocesses = 4\n", ["ok"]),
        ("[uwsgi]\nthreads = 4\n", ["ok"]),
        ("[uwsgi]\nmodule = shop\n", ["problem"]),
        ("[uwsgi]\nenable-threads = false\n", ["problem"]),
        ("[uwsgi]\nenable-threads = true\nworkers = 4\n", ["ok"]),
        ("[uwsgi]\nprocesses = 4\n", ["problem"]),
        ("[uwsgi]\nset-placeholder = %(x)\nenable-threads=1\n", ["ok"]),
        ("[pytest]\naddopts = -q\n", []),
        ("no section\n", []),
        ("\xff", []),
    ],
)
def test_uwsgi_settings_that_stop_the_agents_thread_are_found(tmp_path, text, states):
    path = tmp_path / "app.ini"
    path.write_text(text, encoding="latin-1")

    assert states == [finding.state for finding in check_uwsgi(path, {"uwsgi": "2.0.26"})]
    newer = [finding.state for finding in check_uwsgi(path, {"pyuwsgi": "2.0.30.post1"})]
    assert ["ok" for _ in states] == newer


GRACEFUL = "hook-master-start = unix_signal:15 gracefully_kill_them_all"


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("[uwsgi]\nmaster = true\n", ["note"]),
        (f"[uwsgi]\nmaster\n{GRACEFUL}\n", ["ok"]),
        (f"[uwsgi]\nmaster = 1\n{GRACEFUL}\nhook-master-start = print:started\n", ["ok"]),
        ("[uwsgi]\nmaster = true\nhook-master-start = print:started\n", ["note"]),
        (f"[uwsgi]\nmaster = true\n# {GRACEFUL}\n", ["note"]),
        ("[uwsgi]\nmaster = true\nhook-master-start = unix_signal:1 gracefully_kill_them_all\n", ["note"]),
        ("[uwsgi]\nmaster = false\n", []),
        ("[uwsgi]\nmodule = shop\n", []),
        ("[pytest]\naddopts = -q\n", []),
        ("\xff", []),
    ],
)
def test_a_uwsgi_file_whose_workers_end_in_the_middle_of_a_request_is_found(tmp_path, text, states):
    path = tmp_path / "app.ini"
    path.write_text(text, encoding="latin-1")
    findings = [*check_uwsgi_end(path)]

    assert states == [finding.state for finding in findings]
    assert [f"add: {GRACEFUL}"] * states.count("note") == [finding.advice for finding in findings if finding.advice]


def test_the_documented_uwsgi_file_is_fine(tmp_path):
    production = Path(__file__).resolve().parent.parent / "docs" / "production.md"
    path = tmp_path / "app.ini"
    path.write_text(
        production.read_text(encoding="utf-8").partition("```ini\n")[2].partition("```")[0], encoding="utf-8"
    )

    assert ["ok", "ok"] == [finding.state for finding in (*check_uwsgi(path, {}), *check_uwsgi_end(path))]


def test_a_uwsgi_file_in_the_working_directory_is_checked(scout_core):
    path = scout_core.write("app.ini", "[uwsgi]\nmodule = shop\n")
    ran = scout_core("doctor", "--json", **ONLY_OURS)

    ((state, text),) = found(ran, "uwsgi")
    assert state in ("ok", "problem")  # newer versions run threads by default
    assert str(path) in text


@pytest.mark.parametrize(
    "file, given, count",
    [
        ("preload_app = True\n", "", 1),
        ("preload_app = True\n", "--preload -w 2", 2),
        ("preload_app = False\n", "", 0),
        ("def broken(\n", "--workers 2 'unfinished", 0),
        (None, "", 0),
    ],
)
def test_gunicorn_that_preloads_the_application_is_reported(tmp_path, file, given, count):
    if file is not None:
        (tmp_path / "gunicorn.conf.py").write_text(file)

    findings = list(check_gunicorn(tmp_path, {"GUNICORN_CMD_ARGS": given}))

    assert ["ok"] * count == [finding.state for finding in findings]


@pytest.mark.parametrize(
    "installed, states",
    [
        ({}, []),
        ({"gevent": "25.4", "greenlet": "3.2"}, ["ok"]),
        ({"gevent": "1.4", "greenlet": "0.4.15"}, ["problem", "ok"]),
    ],
)
def test_unsupported_versions_of_gevent_and_greenlet_are_found(installed, states):
    assert "gevent.monkey" not in sys.modules

    assert states == [finding.state for finding in check_gevent(installed)]


# suggestions


def test_a_library_without_a_plugin_is_suggested():
    installed = {"flask": "3.1.3", "jinja2": "3.1.6", "urllib3": "0.5", "scout-jinja2": "0.1"}

    assert [
        Suggestion("flask 3.1.3 (>=2.2,<4)", "scout-flask"),
        Suggestion("urllib3 0.5 (>=1.26,<3)", "scout-urllib3", "urllib3 0.5 is outside >=1.26,<3"),
    ] == list(suggestions(installed))


def test_the_known_plugins_are_those_of_this_repository():
    """Version ranges are not compared: the table dates from the core's last release, and plugins are released on their own."""
    projects = [tomllib.loads(path.read_text("utf-8"))["project"] for path in ROOT.glob("plugins/*/pyproject.toml")]
    declared = {
        project["name"]: project.get("optional-dependencies", {}).get("instruments", ()) for project in projects
    }

    def names(requirements):
        return [Requirement(requirement).name for requirement in requirements]

    assert len(KNOWN) > 3
    for name, libraries in KNOWN.items():
        assert names(declared[name]) == names(libraries)


def test_the_suggested_pip_command_is_exact(tmp_path):
    """In an environment with three libraries and none of our plugins; our dependencies are linked into it."""
    site = tmp_path / "site"
    site.mkdir()
    for name in NEEDS:
        spec = find_spec(name)
        if spec is not None and spec.origin:
            origin = Path(spec.origin)
            place = origin.parent if origin.name == "__init__.py" else origin
            (site / place.name).symlink_to(place)
    for name, version in (("Flask", "3.1.3"), ("jinja2", "3.1.6"), ("urllib3", "0.5")):
        metadata = site / f"{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n")

    def doctor(*arguments):
        command = [sys.executable, "-S", "-m", "scout_core", "doctor", *arguments]
        environment = {"PYTHONPATH": str(site), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    assert (
        0,
        "# flask 3.1.3 (>=2.2,<4): scout-flask\n"
        "# jinja2 3.1.6 (>=3.0,<4): scout-jinja2\n"
        "# urllib3 0.5 is outside >=1.26,<3: scout-urllib3 does not support it\n"
        "pip install scout-flask scout-jinja2\n",
        "",
    ) == doctor("--suggest")
    assert '"command": "pip install scout-flask scout-jinja2"' in doctor("--suggest", "--json")[1]
    assert (
        "note     libraries  flask 3.1.3 (>=2.2,<4) has no plugin\n                    pip install scout-flask\n"
        in doctor()[1]
    )


def test_a_directory_whose_name_contains_404_is_not_taken_for_an_answer(scout_core, sink):
    """A collector that answers 404 does not have the trace; here only the name of the state directory contains 404."""
    state = scout_core.state.parent / "state-404"
    announced(state, sink.url)
    ran = scout_core("doctor", "--json", SCOUT_STATE_DIR=str(state), **ONLY_OURS)

    assert (0, 1) == (ran.code, sink.counted)
