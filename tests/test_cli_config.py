"""``scout-core config``: values of each layer, and problems."""

from __future__ import annotations

import json

import pytest

from scout_core.config.options import OPTIONS
from tests.commandline import PLUGIN, Commandline


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


SECRET = "s3cr3t-of-the-collector"


def option(ran, key):
    """Value, layer and name of the origin of one option."""
    (row,) = [row for row in ran.json["options"] if row["key"] == key]
    return row["value"], row["origin"]["layer"], row["origin"]["name"]


@pytest.fixture
def here(scout_core):
    """The working directory of the command."""
    return scout_core.here


def test_config_shows_every_option_with_its_origin_and_meaning(scout_core, here):
    (here / "pyproject.toml").write_text('[tool.scout-core]\nname = "Shop"\n')
    done = scout_core("config", SCOUT_SAMPLE_RATE="50")

    assert (0, "") == (done.code, done.err)
    assert f"name = 'Shop'  (file {here}/pyproject.toml)\n" in done.out
    assert "sample_rate = 0.5  (environment SCOUT_SAMPLE_RATE)\n" in done.out
    assert "report_period = '1 min'  (default)\n" in done.out
    for option in OPTIONS:
        assert f"{option.key} = " in done.out
        assert option.help.replace("``", "") in done.out
    assert "``" not in done.out


def test_config_check_prints_that_there_are_no_problems(scout_core):
    done = scout_core("config", "--check")

    assert (0, "", "no problems\n") == (done.code, done.out, done.err)


@pytest.mark.parametrize(
    ("environment", "file", "problem"),
    [
        (
            {"SCOUT_REPORT_PERIOD": "soon"},
            "",
            "problem: invalid value 'soon' for report_period (environment SCOUT_REPORT_PERIOD); expected a duration above 0, in seconds or as 500 ms, 2 min, 1h30m; using the default, 1 min",
        ),
        (
            {"SCOUT_REPORT_PEROID": "5"},
            "",
            "problem: unknown option SCOUT_REPORT_PEROID (environment) is ignored; did you mean SCOUT_REPORT_PERIOD?",
        ),
        ({}, "nam = 5", "problem: unknown option nam (file {file}) is ignored; did you mean name?"),
        ({}, "name = ", "problem: file {file} is not valid TOML ("),
        (
            {"SCOUT_PLUGINS_DISABLE": "sampeling"},
            "",
            "problem: plugins.disable (environment SCOUT_PLUGINS_DISABLE) names 'sampeling', which is not a plugin here; did you mean sampling?",
        ),
        (
            {"SCOUT_PLUGINS_REQUIRE": "quartz"},
            "",
            "problem: required plugins (environment SCOUT_PLUGINS_REQUIRE): quartz is not installed",
        ),
        (
            {"SCOUT_PLUGINS": "my_plugin", "SCOUT_MY_PLUGIN_LEVEL": "high"},
            "",
            "problem: invalid value 'high' for plugins.my_plugin.level (environment SCOUT_MY_PLUGIN_LEVEL); expected a whole number; using the default, 1",
        ),
        (
            {"SCOUT_PLUGINS": "my_plugin"},
            "[plugins.my_plugin]\nlevle = 5",
            "problem: unknown option plugins.my_plugin.levle (file {file}) is ignored; did you mean plugins.my_plugin.level?",
        ),
    ],
)
def test_config_check_prints_a_line_for_every_problem_and_exits_with_1(scout_core, here, environment, file, problem):
    (here / "my_plugin.py").write_text(PLUGIN)
    (here / "scout-core.toml").write_text(file)
    done = scout_core("config", "--check", **environment)

    assert (1, "") == (done.code, done.out)
    (line,) = done.err.splitlines()
    assert line.startswith(problem.replace("{file}", str(here / "scout-core.toml")))


def test_config_prints_problems_below_the_values(scout_core):
    done = scout_core("config", SCOUT_REPORT_PERIOD="soon")

    assert 1 == done.code
    assert "report_period = '1 min'  (default)\n" in done.out
    assert done.err.startswith("problem: invalid value 'soon' for report_period ")


def test_config_as_json(scout_core, here):
    done = scout_core("config", "--json", SCOUT_NAME="Shop", SCOUT_IGNORE="/health", SCOUT_MAX_SPANS="many")
    content = json.loads(done.out)

    assert 1 == done.code
    assert {"file", "options", "problems"} == set(content)
    assert [option.key for option in OPTIONS] == [row["key"] for row in content["options"]][: len(OPTIONS)]
    rows = {row["key"]: row for row in content["options"]}
    assert ("Shop", {"layer": "environment", "name": "SCOUT_NAME"}, "Python App", "SCOUT_NAME") == tuple(
        rows["name"][key] for key in ("value", "origin", "default", "variable")
    )
    assert ["health"] == rows["ignore"]["value"]
    assert 1500 == rows["max_spans"]["value"]
    (problem,) = content["problems"]
    assert ("invalid-value", "max_spans", "") == (problem["kind"], problem["subject"], problem["advice"])
    assert [f"problem: {problem['detail']}"] == done.err.splitlines()


def test_secrets_are_never_shown(scout_core, here):
    (here / "my_plugin.py").write_text(PLUGIN)
    (here / "scout-core.toml").write_text('[plugins.my_plugin]\napi_key = ["hunter2"]\n')
    environment = {
        "SCOUT_COLLECTOR_TOKEN": "hunter2",
        "SCOUT_COLLECTOR_URL": "https://collector.example/base/hunter2:hunter2@?token=hunter2",
        "SCOUT_PLUGINS": "my_plugin",
    }
    commands = ("config", "config --json", "plugins --json", "plugins my_plugin --json")
    done = {command: scout_core(*command.split(), **environment) for command in commands}
    for ran in done.values():
        assert "hunter2" not in ran.out + ran.err
    shown = json.loads(done["config --json"].out)["options"]
    assert ["…"] == [row["value"] for row in shown if row["key"] == "collector_token"]
    assert [""] == [row["value"] for row in shown if row["key"] == "collector_url"]  # refused


TYPED = """
import enum, re
from datetime import timedelta
from pathlib import Path

from attrs import field, frozen

from scout_core import hookimpl


class Colour(enum.Enum):
    RED = "red"


@frozen
class Options:
    colour: Colour = Colour.RED
    path: Path = Path("/srv")
    every: timedelta = timedelta(minutes=2)
    ids: frozenset[int] = frozenset({2, 1})
    text: re.Pattern[str] = re.compile("a+")
    pauses: list[timedelta] = field(factory=lambda: [timedelta(milliseconds=500), timedelta(minutes=1)])
    raw: bytes = b""
    password: str = "hunter2"


@hookimpl
def register_options():
    return Options
"""


def test_options_of_every_type_are_shown_as_they_are_written(scout_core):
    scout_core.write_module("typed", TYPED)
    as_json = scout_core("config", "--json", SCOUT_PLUGINS="typed", SCOUT_TYPED_PASSWORD="s3cr3t")
    as_text = scout_core("config", SCOUT_PLUGINS="typed", SCOUT_TYPED_PASSWORD="s3cr3t")

    rows = {row["key"].rpartition(".")[2]: row for row in as_json.json["options"] if "typed" in row["key"]}
    expected = {"colour": "red", "path": "/srv", "every": 120.0, "ids": [1, 2], "text": "a+", "password": "…"}
    assert expected == {key: rows[key]["value"] for key in expected} == {key: rows[key]["default"] for key in expected}
    assert "plugins.typed.colour = 'red'  (default)\n    One of red.\n" in as_text.out
    assert "plugins.typed.every = '2 min'  (default)\n" in as_text.out
    assert "plugins.typed.pauses = ['500 ms', '1 min']  (default)\n" in as_text.out
    assert "    Not supported: options cannot have the type bytes.\n" in as_text.out
    assert "hunter2" not in as_text.out + as_json.out


def test_the_environment_wins_over_the_file(scout_core, here):
    (here / "scout-core.toml").write_text('name = "File"\nreport_period = 7\n', encoding="utf-8")

    ran = scout_core("config", "--json", SCOUT_NAME="Shop")

    assert ("Shop", "environment", "SCOUT_NAME") == option(ran, "name")
    assert (7.0, "file", str(here / "scout-core.toml")) == option(ran, "report_period")
    assert ("", "default", "") == option(ran, "collector_token")
    assert (0, []) == (ran.code, ran.problems)


def test_the_table_of_pyproject_counts_also_in_a_folder_below(scout_core, here):
    (here.parent / "pyproject.toml").write_text(
        '[tool.scout-core]\nname = "Shop"\nplugins.disable = ["age"]\npolicies = {speed = 2}\n', encoding="utf-8"
    )
    ran = scout_core("config", "--json")
    file = str(here.parent / "pyproject.toml")

    assert ("Shop", "file", file) == option(ran, "name")
    assert (["age"], "file", file) == option(ran, "plugins.disable")
    assert ({"speed": 2.0}, "file", file) == option(ran, "policies")
    assert (0, []) == (ran.code, ran.problems)


def test_the_state_directory_is_derived_from_the_users(scout_core, here):
    expected = (str(scout_core.state), "derived", "the user's state directory")

    assert expected == option(scout_core("config", "--json"), "state_dir")


def test_check_prints_all_problems_at_once(scout_core, here):
    file = here / "scout-core.toml"
    file.write_text(
        'report_perod = 5\nsample_rate = 0.5\nmonitor = "perhaps"\n[plugins]\ndisabel = ["age"]\n', encoding="utf-8"
    )

    ran = scout_core("config", "--check", SCOUT_SAMPLE_RATE="half", SCOUT_MAX_SPANS="-3", SCOUT_MONITR="false")

    assert (1, "") == (ran.code, ran.out)
    assert {
        "unknown option SCOUT_MONITR (environment) is ignored; did you mean SCOUT_MONITOR?",
        f"unknown option report_perod (file {file}) is ignored; did you mean report_period?",
        f"unknown option plugins.disabel (file {file}) is ignored; did you mean plugins.disable?",
        f"invalid value 'perhaps' for monitor (file {file}); expected true or false; using the default, True",
        "invalid value 'half' for sample_rate (environment SCOUT_SAMPLE_RATE); expected a share from 0 to 1, or a percentage up to 100; "
        f"using the value from file {file}",
        "invalid value '-3' for max_spans (environment SCOUT_MAX_SPANS); expected a whole number of at least 0; using the default, 1500",
    } == set(ran.problems)
    assert len(ran.problems) == len(ran.err.splitlines()) == 6


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--check"]])
def test_an_invalid_token_is_reported_without_its_value(scout_core, here, arguments):
    (here / "scout-core.toml").write_text(f'collector_token = ["{SECRET}"]\n', encoding="utf-8")

    ran = scout_core("config", *arguments)

    assert SECRET not in ran.out + ran.err
    assert (1, 1) == (ran.code, len(ran.problems))
    assert ran.problems[0].startswith("invalid value … for collector_token (file ")


def test_the_options_of_plugins_are_shown_too(scout_core, here):
    scout_core.write_module("my_plugin", PLUGIN)
    (here / "scout-core.toml").write_text('[plugins]\nmodules = ["my_plugin"]\n[plugins.my_plugin]\napi_key = "x"\n')
    ran = scout_core(
        "config", "plugins.my_plugin.level", "plugins.my_plugin.api_key", "--json", SCOUT_MY_PLUGIN_LEVEL="7"
    )

    assert (0, "") == (ran.code, ran.err)
    assert [
        {
            "key": "plugins.my_plugin.level",
            "plugin": "my_plugin",
            "value": 7,
            "origin": {"layer": "environment", "name": "SCOUT_MY_PLUGIN_LEVEL"},
            "default": 1,
            "type": "a whole number",
            "variable": "SCOUT_MY_PLUGIN_LEVEL",
            "help": "How deep.",
        },
        {
            "key": "plugins.my_plugin.api_key",
            "plugin": "my_plugin",
            "value": "…",
            "origin": {"layer": "file", "name": str(here / "scout-core.toml")},
            "default": "",
            "type": "text",
            "variable": "SCOUT_MY_PLUGIN_API_KEY",
            "help": "",
        },
    ] == ran.json["options"]


def test_a_refused_value_of_a_plugins_option_is_not_the_origin(scout_core):
    scout_core.write_module("my_plugin", PLUGIN)
    ran = scout_core("config", "plugins.my_plugin.level", SCOUT_PLUGINS="my_plugin", SCOUT_MY_PLUGIN_LEVEL="deep")

    assert (1, "plugins.my_plugin.level = 1  (default)\n    A whole number. How deep.\n") == (ran.code, ran.out)


def test_an_option_is_shown_with_its_default(scout_core):
    ran = scout_core("config", "sample_rate", SCOUT_SAMPLE_RATE="50")

    expected = "sample_rate = 0.5  (environment SCOUT_SAMPLE_RATE)\n    A share from 0 to 1, or a percentage up to 100. Share of all transactions that are recorded. Values above 1 are percentages: 50 means 0.5. Default: 1.0.\n"
    assert (0, expected, "") == (ran.code, ran.out, ran.err)


def test_an_option_that_does_not_exist_is_a_mistake_of_usage(scout_core):
    ran = scout_core("config", "sample_rat")

    assert (2, "") == (ran.code, ran.out)
    assert "Error: No such option 'sample_rat'. Did you mean 'sample_rate'?\n" in ran.err


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "-inf", "1e10", "soon"])
@pytest.mark.parametrize("command", ["plugins", "plugins speed", "plugins check speed", "doctor"])
def test_an_unusable_timeout_is_an_error_of_usage(scout_core, command, value):
    done = scout_core(*command.split(), "--timeout", value)

    assert (2, "") == (done.code, done.out)
    assert "Invalid value for '--timeout': " in done.err
    assert "not in the range 0<x<=86400" in done.err or value == "soon"
