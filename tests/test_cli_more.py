"""The command with files, and with modules as plugins, in the working directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from attrs import frozen

MODULE = (sys.executable, "-m", "scout_core")
SCRIPT = (str(Path(sys.executable).with_name("scout-core")),)
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
    def problems(self) -> list[str]:
        return [line.removeprefix("problem: ") for line in self.err.splitlines() if line.startswith("problem: ")]

    def option(self, key: str) -> tuple[object, str]:
        """Value and origin, as ``config --json`` tells them."""
        (row,) = [row for row in json.loads(self.out)["options"] if row["key"] == key]
        return row["value"], row["origin"]

    def plugin(self, name: str) -> tuple[str, str]:
        """State and reason, as ``plugins --json`` tells them."""
        (status,) = [status for status in json.loads(self.out) if status["name"] == name]
        return status["state"], status["reason"]


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

    def run(*arguments: str, command: tuple[str, ...] = MODULE, **more: str) -> Ran:
        environment = {**kept, "XDG_STATE_HOME": str(tmp_path / "state"), **more}
        done = subprocess.run(
            [*command, *arguments], cwd=here, env=environment, capture_output=True, text=True, timeout=60
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


# files


def test_the_environment_wins_over_the_file(scout_core, here):
    (here / "scout-core.toml").write_text('name = "File"\nreport_period = 7\n', encoding="utf-8")

    ran = scout_core("config", "--json", SCOUT_NAME="Shop")

    assert ("Shop", "environment SCOUT_NAME") == ran.option("name")
    assert (7.0, f"file {here / 'scout-core.toml'}") == ran.option("report_period")
    assert ("", "default") == ran.option("collector_token")
    assert (0, []) == (ran.code, ran.problems)


def test_the_table_of_pyproject_counts_also_in_a_folder_below(scout_core, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.scout-core]\nname = "Shop"\nplugins.disable = ["age"]\npolicies = {speed = 2}\n', encoding="utf-8"
    )
    ran = scout_core("config", "--json")
    origin = f"file {tmp_path / 'pyproject.toml'}"

    assert ("Shop", origin) == ran.option("name")
    assert (["age"], origin) == ran.option("plugins.disable")
    assert ({"speed": 2.0}, origin) == ran.option("policies")
    assert (0, []) == (ran.code, ran.problems)


def test_the_state_directory_is_derived_from_the_users(scout_core, tmp_path):
    expected = (str(tmp_path / "state" / "scout-core"), "derived: the user's state directory")

    assert expected == scout_core("config", "--json").option("state_dir")


def test_check_tells_every_problem_at_once(scout_core, here):
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
        "max_spans = '-3' (environment SCOUT_MAX_SPANS): expected a whole number, 0 or more; the default, 1500, is used",
    } == set(ran.problems)
    assert len(ran.problems) == len(ran.err.splitlines()) == 6


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--check"]])
def test_a_token_that_cannot_be_used_is_told_without_it(scout_core, here, arguments):
    (here / "scout-core.toml").write_text(f'collector_token = ["{SECRET}"]\n', encoding="utf-8")

    ran = scout_core("config", *arguments)

    assert SECRET not in ran.out + ran.err
    assert (1, 1) == (ran.code, len(ran.problems))
    assert ran.problems[0].startswith("collector_token = … (file ")


# modules


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_a_named_module_is_found_in_the_working_directory(scout_core, module, here, command):
    """A script does not have it on its path; ``python -m`` has."""
    module("shop_policies", POLICY)
    (here / "scout-core.toml").write_text('plugins = ["shop_policies"]\n', encoding="utf-8")

    ran = scout_core("plugins", "--json", command=command)

    assert (0, "", ("active", "")) == (ran.code, ran.err, ran.plugin("shop_policies"))


@pytest.mark.parametrize(
    "source, reason",
    [
        ("raise ValueError(1)", "broken cannot be imported: ValueError: "),
        ("def", "broken cannot be imported: SyntaxError: "),
        (
            "from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): raise KeyError('x')",
            "instrument raised K",
        ),
        (
            "from scout_core import hookimpl\n@hookimpl\ndef instrument(wrap): wrap('json:no_such', lambda *args: None)",
            "json:no_such: ",
        ),
    ],
)
def test_a_plugin_that_fails_leaves_the_others(scout_core, module, source, reason):
    module("broken", source)

    ran = scout_core("plugins", "--json", SCOUT_PLUGINS="broken")
    state, told = ran.plugin("broken")

    assert (1, "failed", ("active", "")) == (ran.code, state, ran.plugin("speed"))
    assert told.startswith(reason)


def test_a_named_module_that_is_disabled_is_not_even_imported(scout_core, module):
    module("broken", "raise ValueError('it must not be imported')")

    ran = scout_core("plugins", "--json", SCOUT_PLUGINS="broken", SCOUT_PLUGINS_DISABLE="broken")

    assert (0, "") == (ran.code, ran.err)
    assert ("disabled", "by plugins.disable (environment SCOUT_PLUGINS_DISABLE)") == ran.plugin("broken")


def test_without_autoload_only_what_is_enabled_is_active(scout_core):
    ran = scout_core("plugins", "--json", SCOUT_PLUGINS_AUTOLOAD="false", SCOUT_PLUGINS_ENABLE="speed")

    assert ["speed"] == [status["name"] for status in json.loads(ran.out) if status["state"] == "active"]
    assert 0 == ran.code


def test_a_required_plugin_that_is_missing_leaves_the_commands_that_need_none(scout_core):
    ran = scout_core("run", "--", sys.executable, "-S", "-c", "print('the program')", SCOUT_PLUGINS_REQUIRE="nosuch")

    assert Ran(0, "the program\n", "") == ran


# commands of plugins


def test_a_plugin_adds_commands_unless_it_is_disabled(scout_core, module):
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


@pytest.mark.parametrize("source", ["import nowhere_to_be_found", "import sys; sys.exit(3)"])
def test_a_plugin_whose_commands_cannot_be_added_leaves_the_others(scout_core, module, source):
    module("failing", f"from scout_core import hookimpl\n@hookimpl\ndef register_commands(cli):\n    {source}\n")

    ran = scout_core("config", "--check", SCOUT_PLUGINS="failing")

    assert (0, "") == (ran.code, ran.out)
    assert ran.err.startswith("scout-core: plugin 'failing' could not add its commands: ")
    assert ran.err.endswith("no problems\n")
