"""The command, as a person runs it: what it prints where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scout_core.agent import VERSION
from scout_core.cli import run as run_module
from scout_core.config.options import OPTIONS

SCRIPT = Path(sys.executable).with_name("scout-core")
PLUGIN = """
import attrs
from scout_core import hookimpl

@attrs.define
class Options:
    level: int = 1
    api_key: str = ""

@hookimpl
def register_options():
    return Options

@hookimpl
def score_transaction():
    return 1.0

@hookimpl
def instrument(wrap):
    wrap("json:dumps", lambda *args, **kwargs: None)
    wrap("json:nothing", lambda *args, **kwargs: None)
    wrap("a_library_that_is_not_there:work", lambda: None)
"""


class Done:
    """What a command has printed, and its exit code."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert "Traceback" not in self.out + self.err, self.err


@pytest.fixture
def scout_core(tmp_path):
    """Runs the command in an empty folder with an empty home."""

    def run(*arguments, command=(sys.executable, "-m", "scout_core"), cwd=tmp_path, stdin=None, **environment):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT", "PYTHON", "XDG"))}
        clean |= {
            "HOME": str(tmp_path),
            "COLUMNS": "200",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **environment,
        }
        done = subprocess.run([*command, *arguments], cwd=cwd, env=clean, capture_output=True, text=True, timeout=60)
        return Done(done)

    return run


@pytest.mark.parametrize("command", [(sys.executable, "-m", "scout_core"), (str(SCRIPT),)], ids=["module", "script"])
def test_help_names_the_commands(scout_core, command):
    done = scout_core("--help", command=command)

    assert (0, "") == (done.code, done.err)
    assert done.out.startswith("Usage: scout-core ")
    for name in ("run", "config", "plugins", "--version"):
        assert name in done.out


def test_the_script_is_the_one_that_is_tested():
    assert SCRIPT.exists(), f"scout-core is not installed in {sys.prefix}"


@pytest.mark.parametrize("command", ["run", "config", "plugins"])
def test_every_command_has_a_help(scout_core, command):
    done = scout_core(command, "--help")

    assert (0, "") == (done.code, done.err)
    assert f"Usage: scout-core {command} " in done.out


def test_the_version(scout_core):
    done = scout_core("--version")

    assert (0, f"scout-core {VERSION}\n", "") == (done.code, done.out, done.err)


@pytest.mark.parametrize("command", ["upp", "demonstrate"])
def test_a_command_that_does_not_exist_is_told_with_the_next_step(scout_core, command):
    done = scout_core(command)

    assert (2, "") == (done.code, done.out)
    assert f"Error: No such command '{command}'." in done.err
    assert "scout-core plugins" in done.err


@pytest.mark.parametrize("arguments", [("config", "--nonsense"), ("plugins", "extra"), ("run",), ("--nonsense",)])
def test_a_command_that_is_written_wrong_is_exit_code_2(scout_core, arguments):
    done = scout_core(*arguments)

    assert (2, "") == (done.code, done.out)
    assert "Error: " in done.err


# config


def test_config_shows_every_option_with_its_origin_and_meaning(scout_core, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.scout-core]\nname = "Shop"\n')
    done = scout_core("config", SCOUT_SAMPLE_RATE="50")

    assert (0, "") == (done.code, done.err)
    assert f"name = 'Shop'  (file {tmp_path}/pyproject.toml)\n" in done.out
    assert "sample_rate = 0.5  (environment SCOUT_SAMPLE_RATE)\n" in done.out
    assert "report_period = 60.0  (default)\n" in done.out
    for option in OPTIONS:
        assert f"{option.key} = " in done.out
        assert option.help in done.out


def test_config_check_says_so_when_all_is_well(scout_core):
    done = scout_core("config", "--check")

    assert (0, "", "no problems\n") == (done.code, done.out, done.err)


@pytest.mark.parametrize(
    ("environment", "file", "problem"),
    [
        (
            {"SCOUT_REPORT_PERIOD": "soon"},
            "",
            "problem: report_period = 'soon' (environment SCOUT_REPORT_PERIOD): expected a number, 0 or more; the default, 60.0, is used",
        ),
        (
            {"SCOUT_REPORT_PEROID": "5"},
            "",
            "problem: SCOUT_REPORT_PEROID (environment) is not an option and has no effect; did you mean SCOUT_REPORT_PERIOD?",
        ),
        ({}, "nam = 5", "problem: nam (file {file}) is not an option and has no effect; did you mean name?"),
        ({}, "name = ", "problem: file {file} is not valid TOML ("),
        (
            {"SCOUT_PLUGINS_DISABLE": "sampeling"},
            "",
            "problem: plugins.disable names 'sampeling' (environment SCOUT_PLUGINS_DISABLE), and there is no such plugin; did you mean sampling?",
        ),
        (
            {"SCOUT_PLUGINS_REQUIRE": "celery"},
            "",
            "problem: required plugins (environment SCOUT_PLUGINS_REQUIRE): celery is not installed",
        ),
        (
            {"SCOUT_PLUGINS": "my_plugin", "SCOUT_MY_PLUGIN_LEVEL": "high"},
            "",
            "problem: my_plugin.level = 'high' (environment SCOUT_MY_PLUGIN_LEVEL): expected a whole number; the default is used",
        ),
        (
            {"SCOUT_PLUGINS": "my_plugin"},
            "[plugins.my_plugin]\nlevle = 5",
            "problem: my_plugin.levle (file {file}) is not an option and has no effect; did you mean level?",
        ),
    ],
)
def test_config_check_tells_each_problem_on_one_line_and_exits_1(scout_core, tmp_path, environment, file, problem):
    (tmp_path / "my_plugin.py").write_text(PLUGIN)
    (tmp_path / "scout-core.toml").write_text(file)
    done = scout_core("config", "--check", **environment)

    assert (1, "") == (done.code, done.out)
    (line,) = done.err.splitlines()
    assert line.startswith(problem.replace("{file}", str(tmp_path / "scout-core.toml")))


def test_config_tells_problems_below_the_values(scout_core):
    done = scout_core("config", SCOUT_REPORT_PERIOD="soon")

    assert 1 == done.code
    assert "report_period = 60.0  (default)\n" in done.out
    assert done.err.startswith("problem: report_period = 'soon' ")


def test_config_as_json(scout_core, tmp_path):
    done = scout_core("config", "--json", SCOUT_NAME="Shop", SCOUT_IGNORE="/health", SCOUT_MAX_SPANS="many")
    content = json.loads(done.out)

    assert 1 == done.code
    assert {"options", "problems"} == set(content)
    assert [option.key for option in OPTIONS] == [row["key"] for row in content["options"]]
    rows = {row["key"]: row for row in content["options"]}
    assert ("Shop", "environment SCOUT_NAME", "Python App", "SCOUT_NAME") == tuple(
        rows["name"][key] for key in ("value", "origin", "default", "variable")
    )
    assert ["health"] == rows["ignore"]["value"]
    assert 1500 == rows["max_spans"]["value"]
    assert [f"problem: {problem}" for problem in content["problems"]] == done.err.splitlines()


def test_secrets_are_never_shown(scout_core, tmp_path):
    (tmp_path / "my_plugin.py").write_text(PLUGIN)
    (tmp_path / "scout-core.toml").write_text('[plugins.my_plugin]\napi_key = ["hunter2"]\n')
    environment = {
        "SCOUT_COLLECTOR_TOKEN": "hunter2",
        "SCOUT_COLLECTOR_URL": "https://ann:hunter2@collector.example/base?token=hunter2",
        "SCOUT_PLUGINS": "my_plugin",
    }
    done = {one: scout_core(*one.split(), **environment) for one in ("config", "config --json", "plugins --json")}
    for one in done.values():
        assert "hunter2" not in one.out + one.err
    shown = json.loads(done["config --json"].out)["options"]
    assert ["…"] == [row["value"] for row in shown if row["key"] == "collector_token"]
    (url,) = [row["value"] for row in shown if row["key"] == "collector_url"]
    assert url.startswith("https://")
    assert "collector.example/base" in url


# plugins


def test_plugins_are_shown_as_a_table(scout_core):
    done = scout_core("plugins")

    assert (0, "") == (done.code, done.err)
    head, *rows = done.out.splitlines()
    assert ["NAME", "VERSION", "STATE", "TARGET", "HOOKS", "FROM"] == head.split()
    row = next(row for row in rows if row.startswith("sampling "))
    assert ["sampling", VERSION, "active", "on_request_start", "scout-core"] == row.split()


def test_plugins_as_json(scout_core, tmp_path):
    (tmp_path / "my_plugin.py").write_text(PLUGIN)
    done = scout_core("plugins", "--json", SCOUT_PLUGINS="my_plugin", SCOUT_PLUGINS_DISABLE="age")
    by_name = {one["name"]: one for one in json.loads(done.out)}

    assert (0, "") == (done.code, done.err)
    assert {"age", "collector", "ignoring", "my_plugin", "percent", "percentile", "sampling", "speed"} <= set(by_name)
    assert ("disabled", "by plugins.disable (environment SCOUT_PLUGINS_DISABLE)") == (
        by_name["age"]["state"],
        by_name["age"]["reason"],
    )
    mine = by_name["my_plugin"]
    assert ("active", None, ["instrument", "register_options", "score_transaction"]) == (
        mine["state"],
        mine["distribution"],
        mine["hooks"],
    )
    assert (["json:dumps"], ["a_library_that_is_not_there:work"], ["json:nothing: json has no nothing"]) == (
        mine["wrapped"],
        mine["waiting"],
        mine["not_found"],
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nowhere_at_all", "my_plugin cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("import sys; sys.exit(7)", "my_plugin called sys.exit(7) when it was imported"),
        ("x = 1", "it has no function marked with @hookimpl"),
        (PLUGIN.replace("score_transaction", "score_transactions"), "there is no hook score_transactions; did you mean score_transaction?"),
        (PLUGIN.replace("instrument(wrap)", "instrument(wrapp)"), "the hook instrument has no argument wrapp; did you mean wrap?"),
        (PLUGIN.replace('wrap("json:dumps"', 'wrap("json.dumps"'), "instrument raised PluginError: plugin 'my_plugin': 'json.dumps' is no target;"),
    ],
)  # fmt: skip
def test_a_plugin_that_has_failed_is_told_with_the_reason_and_exit_code_1(scout_core, tmp_path, source, reason):
    (tmp_path / "my_plugin.py").write_text(source)
    done = scout_core("plugins", SCOUT_PLUGINS="my_plugin")

    assert (1, "") == (done.code, done.err)
    assert f"\nmy_plugin is failed: {reason}" in done.out
    assert "speed" in done.out


def test_what_is_required_and_missing_is_one_line(scout_core):
    done = scout_core("plugins", SCOUT_PLUGINS_REQUIRE="celery")

    expected = "scout-core: required plugins (environment SCOUT_PLUGINS_REQUIRE): celery is not installed\n"
    assert (1, "", expected) == (done.code, done.out, done.err)


def test_problems_are_told_beside_the_table(scout_core):
    done = scout_core("plugins", SCOUT_PLUGINS_ENABLE="nonsense")

    assert 0 == done.code
    assert (
        "problem: plugins.enable names 'nonsense' (environment SCOUT_PLUGINS_ENABLE), and there is no such plugin\n"
        == done.err
    )


# run


def test_run_starts_the_program_under_the_agent(scout_core):
    code = "import sys; from scout_core.recording import context; print(sys.argv[1:], context.tracer is not None)"
    done = scout_core("run", "--", sys.executable, "-c", code, "--flag", "x")

    assert (0, "['--flag', 'x'] True\n", "") == (done.code, done.out, done.err)


def test_run_needs_no_dashes_and_leaves_options_to_the_program(scout_core):
    done = scout_core("run", sys.executable, "-c", "import sys; sys.exit(int(sys.argv[2]))", "--help", "7")

    assert (7, "", "") == (done.code, done.out, done.err)


@pytest.mark.parametrize(
    ("program", "reason"), [("no-such-program", "No such file or directory"), ("/tmp", "Permission denied")]
)
def test_run_without_a_program_that_can_be_run_is_exit_code_2(scout_core, program, reason):
    done = scout_core("run", "--", program)

    assert (2, "") == (done.code, done.out)
    assert f"Error: cannot run '{program}': {reason}" in done.err


def test_the_environment_of_a_program():
    folder = str(Path(run_module.__file__).parent.parent / "launch")

    assert {"PYTHONPATH": folder, "SCOUT_CORE_RUN": "1", "X": "1"} == run_module.environment({"X": "1"})
    assert (
        os.pathsep.join([folder, "/a", "/b"])
        == run_module.environment({"PYTHONPATH": os.pathsep.join(["/a", folder, "", "/b"])})["PYTHONPATH"]
    )


# Anywhere


def test_in_a_folder_that_is_gone(scout_core, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os, shutil, sys; shutil.rmtree({str(gone)!r}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    for arguments in (("config", "--check"), ("plugins",)):
        gone.mkdir(exist_ok=True)
        done = scout_core("-c", code, str(SCRIPT), *arguments, command=(sys.executable,), cwd=gone)
        assert 0 == done.code, done.err


def test_a_plugin_that_breaks_its_command_is_told_and_the_others_work(scout_core, tmp_path):
    (tmp_path / "my_plugin.py").write_text(
        "from scout_core import hookimpl\n@hookimpl\ndef register_commands(cli):\n    raise KeyError('plan')\n"
    )
    done = scout_core("config", "--check", SCOUT_PLUGINS="my_plugin")

    assert (0, "") == (done.code, done.out)
    first, second = done.err.splitlines()
    assert first.startswith("scout-core: plugin 'my_plugin' could not add its commands: KeyError: 'plan' at ")
    assert "no problems" == second


def test_a_scout_error_in_a_command_is_one_line(scout_core, tmp_path):
    (tmp_path / "my_plugin.py").write_text(
        "from scout_core import ScoutError, hookimpl\n@hookimpl\ndef register_commands(cli):\n"
        "    @cli.command()\n    def fail():\n        raise ScoutError('the thing is missing; do this')\n"
    )
    done = scout_core("fail", SCOUT_PLUGINS="my_plugin")

    assert (1, "", "scout-core: the thing is missing; do this\n") == (done.code, done.out, done.err)
