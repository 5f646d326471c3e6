"""The command ``scout-core``, as a process of its own in a directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

import pytest
from attrs import frozen

from scout_core.config.options import OPTIONS

SECRET = "s3cr3t-of-the-collector"
POLICY = """
    from scout_core import hookimpl

    @hookimpl
    def score_transaction(transaction):
        return 1.0
"""


@frozen
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def problems(self) -> list[str]:
        return [line.removeprefix("problem: ") for line in self.err.splitlines() if line.startswith("problem: ")]


@pytest.fixture
def here(tmp_path) -> Path:
    """The working directory of the command."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def scout_core(here, tmp_path):
    """Run the command; keywords are environment variables."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "COV_"))}

    def run(*arguments: str, **environment: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "scout_core", *arguments],
            cwd=here,
            env={**kept, "XDG_STATE_HOME": str(tmp_path / "state"), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def module(here):
    """Write a module into the working directory."""

    def write(name: str, source: str) -> None:
        (here / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")

    return write


def option(ran: Ran, key: str) -> tuple[object, str]:
    """Value and origin, as ``config --json`` tells them."""
    (row,) = [row for row in ran.json["options"] if row["key"] == key]
    return row["value"], row["origin"]


def named(ran: Ran, name: str) -> dict:
    (status,) = [status for status in ran.json if status["name"] == name]
    return status


# the command itself


def test_help_names_every_command_and_what_to_try(scout_core):
    ran = scout_core("--help")
    commands = ran.out.partition("Commands:")[2].split()

    assert (0, "") == (ran.code, ran.err)
    assert {"run", "config", "plugins"} <= set(commands)
    assert "Try: scout-core demo" in ran.out


@pytest.mark.parametrize("command", ["run", "config", "plugins"])
def test_each_command_explains_itself(scout_core, command):
    ran = scout_core(command, "--help")

    assert (0, "") == (ran.code, ran.err)
    assert ran.out.startswith(f"Usage: scout-core {command} ")


def test_version_is_that_of_the_distribution(scout_core):
    assert Ran(0, f"scout-core {version('scout-core')}\n", "") == scout_core("--version")


def test_the_installed_script_is_the_same_command(scout_core):
    script = Path(sys.executable).with_name("scout-core")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, timeout=60)

    assert scout_core("--version").out == done.stdout


def test_an_unknown_command_tells_where_commands_come_from(scout_core):
    ran = scout_core("dance")

    assert (2, "") == (ran.code, ran.out)
    assert "No such command 'dance'" in ran.err
    assert "Commands come from plugins; 'scout-core plugins' shows which are installed" in ran.err


@pytest.mark.parametrize("arguments", [["config", "--nope"], ["plugins", "extra"], ["--nope"]])
def test_what_is_written_wrongly_is_exit_code_two(scout_core, arguments):
    ran = scout_core(*arguments)

    assert (2, "") == (ran.code, ran.out)
    assert "Error: " in ran.err


# run


@pytest.mark.parametrize("arguments", [["run"], ["run", "--"]])
def test_run_needs_a_command(scout_core, arguments):
    ran = scout_core(*arguments)

    assert (2, "") == (ran.code, ran.out)
    assert "Missing argument" in ran.err


def test_a_program_that_does_not_exist_is_told_with_the_reason(scout_core):
    ran = scout_core("run", "--", "no-such-program", "--help")

    assert (2, "") == (ran.code, ran.out)
    assert "Error: cannot run 'no-such-program': No such file or directory" in ran.err


def test_a_file_that_cannot_be_executed_is_told_with_the_reason(scout_core, here):
    (here / "data.txt").write_text("not a program", encoding="utf-8")

    ran = scout_core("run", "--", "./data.txt")

    assert (2, "") == (ran.code, ran.out)
    assert "Error: cannot run './data.txt': Permission denied" in ran.err


# config


def test_config_shows_every_option_with_value_origin_and_meaning(scout_core):
    ran = scout_core("config")
    lines = ran.out.splitlines()

    assert (0, "", 2 * len(OPTIONS)) == (ran.code, ran.err, len(lines))
    assert [option.key for option in OPTIONS] == [line.partition(" = ")[0] for line in lines[::2]]
    assert [option.help for option in OPTIONS] == [line.strip() for line in lines[1::2]]
    assert "report_period = 60.0  (default)" in lines


def test_json_is_one_object_with_the_same_and_the_problems(scout_core):
    ran = scout_core("config", "--json", SCOUT_REPORT_PERIOD="soon")
    rows = {row["key"]: row for row in ran.json["options"]}

    assert [option.key for option in OPTIONS] == list(rows)
    assert {
        "key": "report_period",
        "value": 60.0,
        "origin": "default",
        "default": 60.0,
        "variable": "SCOUT_REPORT_PERIOD",
        "help": next(option.help for option in OPTIONS if option.key == "report_period"),
    } == rows["report_period"]
    assert ran.problems == ran.json["problems"]
    assert 1 == len(ran.problems)


def test_the_environment_wins_over_the_file(scout_core, here):
    (here / "scout-core.toml").write_text('name = "File"\nreport_period = 7\n', encoding="utf-8")

    ran = scout_core("config", "--json", SCOUT_NAME="Shop")

    assert ("Shop", "environment SCOUT_NAME") == option(ran, "name")
    assert (7.0, f"file {here / 'scout-core.toml'}") == option(ran, "report_period")
    assert ("", "default") == option(ran, "collector_url")
    assert (0, []) == (ran.code, ran.problems)


def test_the_state_directory_is_derived_from_the_users(scout_core, tmp_path):
    value, origin = option(scout_core("config", "--json"), "state_dir")

    assert (str(tmp_path / "state" / "scout-core"), "derived: the user's state directory") == (value, origin)


def test_the_table_of_pyproject_counts_also_in_a_folder_below(scout_core, here, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.scout-core]\nname = "Shop"\nplugins.disable = ["age"]\npolicies = {speed = 2}\n', encoding="utf-8"
    )
    ran = scout_core("config", "--json")
    origin = f"file {tmp_path / 'pyproject.toml'}"

    assert ("Shop", origin) == option(ran, "name")
    assert (["age"], origin) == option(ran, "plugins.disable")
    assert ({"speed": 2.0}, origin) == option(ran, "policies")
    assert (0, []) == (ran.code, ran.problems)


def test_a_pyproject_without_our_table_says_nothing(scout_core, here, tmp_path):
    (tmp_path / "scout-core.toml").write_text('name = "Above"', encoding="utf-8")
    (here / "pyproject.toml").write_text('[project]\ndependencies = ["scout-core>=0.1"]\n', encoding="utf-8")

    assert ("Above", f"file {tmp_path / 'scout-core.toml'}") == option(scout_core("config", "--json"), "name")


def test_check_is_silent_about_values_and_says_that_there_is_no_problem(scout_core):
    assert Ran(0, "", "no problems\n") == scout_core("config", "--check", SCOUT_NAME="Shop")


def test_check_tells_every_problem_with_key_value_origin_and_what_is_used_instead(scout_core, here):
    file = here / "scout-core.toml"
    file.write_text(
        'report_perod = 5\nsample_rate = 0.5\nmonitor = "perhaps"\n[plugins]\ndisabel = ["age"]\n', encoding="utf-8"
    )

    ran = scout_core("config", "--check", SCOUT_SAMPLE_RATE="half", SCOUT_MAX_SPANS="-3", SCOUT_MONITR="false")

    assert (1, "") == (ran.code, ran.out)
    assert {
        "SCOUT_MONITR (environment) is not an option and has no effect; did you mean SCOUT_MONITOR?",
        f"report_perod (file {file}) is not an option and has no effect; did you mean report_period?",
        f"plugins.disabel (file {file}) is not an option and has no effect; did you mean plugins.disable?",
        f"monitor = 'perhaps' (file {file}): expected true or false; the default, True, is used",
        f"sample_rate = 'half' (environment SCOUT_SAMPLE_RATE): expected a number, 0 or more; the value from file {file} is used",
        "max_spans = '-3' (environment SCOUT_MAX_SPANS): expected a number, 0 or more; the default, 1500, is used",
    } == set(ran.problems)
    assert len(ran.problems) == len(ran.err.splitlines()) == 6


def test_a_file_that_is_no_toml_is_a_problem(scout_core, here):
    (here / "scout-core.toml").write_text("name = ", encoding="utf-8")

    ran = scout_core("config", "--check")

    assert (1, 1) == (ran.code, len(ran.problems))
    assert ran.problems[0].startswith(f"file {here / 'scout-core.toml'} is not valid TOML (")
    assert ran.problems[0].endswith("; it is not used")


def test_config_without_check_shows_the_values_and_the_problems(scout_core):
    ran = scout_core("config", SCOUT_MAX_SPANS="many")

    assert (1, 1) == (ran.code, len(ran.problems))
    assert "max_spans = 1500  (default)" in ran.out


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--check"]])
def test_the_token_is_never_shown(scout_core, arguments):
    ran = scout_core("config", *arguments, SCOUT_COLLECTOR_TOKEN=SECRET)

    assert SECRET not in ran.out + ran.err
    assert arguments == ["--check"] or "environment SCOUT_COLLECTOR_TOKEN" in ran.out
    assert 0 == ran.code


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--check"]])
def test_a_token_that_cannot_be_used_is_told_without_it(scout_core, here, arguments):
    (here / "scout-core.toml").write_text(f'collector_token = ["{SECRET}"]\n', encoding="utf-8")

    ran = scout_core("config", *arguments)

    assert SECRET not in ran.out + ran.err
    assert (1, 1) == (ran.code, len(ran.problems))
    assert ran.problems[0].startswith("collector_token = … (file ")


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--check"]])
def test_a_password_in_the_address_of_the_collector_is_never_shown(scout_core, arguments):
    ran = scout_core("config", *arguments, SCOUT_COLLECTOR_URL=f"https://user:{SECRET}@collector.test/in")

    assert SECRET not in ran.out + ran.err
    assert arguments == ["--check"] or "collector.test/in" in ran.out


def test_check_tells_what_is_wrong_with_the_options_of_a_plugin(scout_core, module, here):
    module(
        "greeting",
        """
        from attrs import frozen
        from scout_core import hookimpl

        @frozen
        class Options:
            times: int = 1

        @hookimpl
        def register_options():
            return Options
        """,
    )
    file = here / "scout-core.toml"
    file.write_text('[plugins]\nmodules = ["greeting"]\n[plugins.greeting]\ntime = 2\n', encoding="utf-8")

    ran = scout_core("config", "--check", SCOUT_GREETING_TIMES="often")

    assert (1, 2) == (ran.code, len(ran.problems))
    assert {
        f"greeting.time (file {file}) is not an option and has no effect; did you mean times?",
        "greeting.times = 'often' (environment SCOUT_GREETING_TIMES): expected a number; the default is used",
    } == set(ran.problems)


def test_a_token_that_is_not_set_reads_as_empty(scout_core):
    assert ("", "default") == option(scout_core("config", "--json"), "collector_token")


# plugins


def test_the_table_has_a_line_for_each_plugin_and_the_reason_below(scout_core):
    ran = scout_core("plugins", SCOUT_PLUGINS_DISABLE="age")
    lines = ran.out.splitlines()
    core = version("scout-core")
    rows = {line.split()[0]: line.split() for line in lines[1:] if line and " is " not in line}

    assert (0, []) == (ran.code, ran.problems)
    assert ["NAME", "VERSION", "STATE", "TARGET", "HOOKS", "FROM"] == lines[0].split()
    assert ["speed", core, "active", "score_transaction", "scout-core"] == rows["speed"]
    assert ["ignoring", core, "active", "ignore_transaction,", "on_request_start", "scout-core"] == rows["ignoring"]
    assert ["age", core, "disabled", "scout-core"] == rows["age"]
    assert "age is disabled: by plugins.disable (environment SCOUT_PLUGINS_DISABLE)" in lines


def test_the_columns_stand_below_their_names(scout_core):
    lines = scout_core("plugins").out.splitlines()
    (speed,) = [line for line in lines if line.startswith("speed ")]

    for name, cell in {"VERSION": version("scout-core"), "STATE": "active", "FROM": "scout-core"}.items():
        assert speed[lines[0].index(name) :].startswith(cell)


def test_json_is_a_list_of_objects(scout_core):
    ran = scout_core("plugins", "--json")
    speed = named(ran, "speed")
    names = [status["name"] for status in ran.json]

    assert sorted(names) == names
    assert {"age", "collector", "ignoring", "percent", "percentile", "sampling", "speed"} <= set(names)
    assert {
        "name": "speed",
        "distribution": "scout-core",
        "version": version("scout-core"),
        "state": "active",
        "reason": "",
        "target": "",
        "hooks": ["score_transaction"],
    } == {key: speed[key] for key in ("name", "distribution", "version", "state", "reason", "target", "hooks")}
    assert 0 == ran.code


def test_a_named_module_is_found_in_the_working_directory(scout_core, module):
    module("shop_policies", POLICY)

    ran = scout_core("plugins", "--json", SCOUT_PLUGINS="shop_policies")
    status = named(ran, "shop_policies")

    assert 0 == ran.code
    assert ("active", "", None, None, ["score_transaction"]) == tuple(
        status[key] for key in ("state", "reason", "distribution", "version", "hooks")
    )


def test_a_named_module_is_found_by_the_installed_script_and_the_file(scout_core, module, here, tmp_path):
    """A script does not have the working directory on its path; ``python -m`` has."""
    module("shop_policies", POLICY)
    (here / "scout-core.toml").write_text('plugins = ["shop_policies"]\n', encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
    done = subprocess.run(
        [Path(sys.executable).with_name("scout-core"), "plugins", "--json"],
        cwd=here,
        env={**kept, "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ("active", "") == (named(Ran(0, done.stdout, ""), "shop_policies")["state"], done.stderr)


FAILING = {
    "a hook that does not exist": (
        "from scout_core import hookimpl\n@hookimpl\ndef score_transactoin(transaction): ...",
        "there is no hook score_transactoin; did you mean score_transaction?",
    ),
    "an argument that the hook does not have": (
        "from scout_core import hookimpl\n@hookimpl\ndef score_transaction(transacton): ...",
        "the hook score_transaction has no argument transacton; did you mean transaction?",
    ),
    "no hook": ("x = 1", "it has no function marked with @hookimpl"),
    "an import that fails": (
        "import nowhere_to_be_found",
        "broken cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    ),
    "an exception": ("raise ValueError(1)", "broken cannot be imported: ValueError: "),
    "a syntax error": ("def", "broken cannot be imported: SyntaxError: "),
    "sys.exit": ("import sys\nsys.exit(3)", "broken called sys.exit(3) when it was imported"),
    "an instrument that raises": (
        "from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): raise KeyError('here')",
        "instrument raised KeyError: ",
    ),
    "a target that does not exist": (
        "from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): wrap('json:no_such', lambda *args: None)",
        "json:no_such: ",
    ),
}


@pytest.mark.parametrize("source, reason", FAILING.values(), ids=FAILING)
def test_a_plugin_that_cannot_be_used_is_shown_with_the_reason_beside_the_others(scout_core, module, source, reason):
    module("broken", source)

    ran = scout_core("plugins", "--json", SCOUT_PLUGINS="broken")
    status = named(ran, "broken")

    assert (1, "failed", "active") == (ran.code, status["state"], named(ran, "speed")["state"])
    assert status["reason"].startswith(reason)


def test_the_table_tells_the_reason_too(scout_core, module):
    module("broken", FAILING["a hook that does not exist"][0])

    ran = scout_core("plugins", SCOUT_PLUGINS="broken")

    assert 1 == ran.code
    assert (
        "broken is failed: there is no hook score_transactoin; did you mean score_transaction?" in ran.out.splitlines()
    )


def test_a_module_that_is_nowhere_is_told(scout_core):
    ran = scout_core("plugins", "--json", SCOUT_PLUGINS="nowhere.to.be_found")

    assert 1 == ran.code
    assert "No module named 'nowhere'" in named(ran, "nowhere.to.be_found")["reason"]


def test_a_named_module_can_be_disabled(scout_core, module):
    module("broken", "raise ValueError('it must not be imported')")

    ran = scout_core("plugins", "--json", SCOUT_PLUGINS="broken", SCOUT_PLUGINS_DISABLE="broken, speed")

    assert 0 == ran.code
    assert [("disabled", "by plugins.disable (environment SCOUT_PLUGINS_DISABLE)")] * 2 == [
        (named(ran, name)["state"], named(ran, name)["reason"]) for name in ("broken", "speed")
    ]


def test_without_autoload_only_what_is_enabled_is_active(scout_core):
    ran = scout_core("plugins", "--json", SCOUT_PLUGINS_AUTOLOAD="false", SCOUT_PLUGINS_ENABLE="speed")

    assert ["speed"] == [status["name"] for status in ran.json if status["state"] == "active"]
    assert 0 == ran.code


def test_a_name_that_no_plugin_has_is_a_problem(scout_core):
    ran = scout_core("plugins", "--json", SCOUT_PLUGINS_DISABLE="sped")

    assert [
        "plugins.disable names 'sped' (environment SCOUT_PLUGINS_DISABLE), and there is no such plugin; did you mean speed?"
    ] == ran.problems
    assert "active" == named(ran, "speed")["state"]


@pytest.mark.parametrize("arguments", [["plugins"], ["plugins", "--json"], ["config", "--check"]])
def test_a_required_plugin_that_is_missing_is_one_line(scout_core, arguments):
    ran = scout_core(*arguments, SCOUT_PLUGINS_REQUIRE="nosuch")

    assert (1, "", 1) == (ran.code, ran.out, len(ran.err.splitlines()))
    assert "required plugins (environment SCOUT_PLUGINS_REQUIRE): nosuch is not installed" in ran.err


def test_a_required_plugin_that_is_missing_leaves_the_other_commands(scout_core):
    ran = scout_core("run", "--", sys.executable, "-S", "-c", "print('the program')", SCOUT_PLUGINS_REQUIRE="nosuch")

    assert Ran(0, "the program\n", "") == ran


# commands of plugins


def test_a_plugin_adds_commands(scout_core, module):
    module(
        "greeting",
        """
        import click
        from scout_core import hookimpl

        @hookimpl
        def register_commands(cli):
            @cli.command()
            @click.argument("whom")
            def greet(whom):
                '''Greet somebody.'''
                click.echo(f"hello {whom}")
        """,
    )

    assert Ran(0, "hello you\n", "") == scout_core("greet", "you", SCOUT_PLUGINS="greeting")
    assert "Greet somebody." in scout_core("--help", SCOUT_PLUGINS="greeting").out
    assert 2 == scout_core("greet", "you", SCOUT_PLUGINS="greeting", SCOUT_PLUGINS_DISABLE="greeting").code


def test_an_error_that_a_person_can_act_on_is_one_line(scout_core, module):
    module(
        "greeting",
        """
        from scout_core import ScoutError, hookimpl

        @hookimpl
        def register_commands(cli):
            @cli.command()
            def greet():
                raise ScoutError("nobody is here; try later")
        """,
    )

    assert Ran(1, "", "scout-core: nobody is here; try later\n") == scout_core("greet", SCOUT_PLUGINS="greeting")


@pytest.mark.parametrize("source", ["raise ValueError('no')", "import nowhere_to_be_found", "import sys; sys.exit(3)"])
def test_a_plugin_whose_commands_fail_leaves_the_others(scout_core, module, source):
    module("failing", f"from scout_core import hookimpl\n@hookimpl\ndef register_commands(cli):\n    {source}\n")

    ran = scout_core("config", "--check", SCOUT_PLUGINS="failing")

    assert (0, "") == (ran.code, ran.out)
    assert "scout-core: plugin 'failing' could not add its commands: " in ran.err
    assert ran.err.endswith("no problems\n")
