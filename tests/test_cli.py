"""The command ``scout-core`` as a whole: help, usage errors, programs under the agent, and commands that plugins add."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scout_core.agent import VERSION
from scout_core.cli import run as run_module
from tests.commandline import MODULE, SCRIPT, Commandline, Ran


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


@pytest.fixture
def here(scout_core):
    """The working directory of the command."""
    return scout_core.here


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_help_lists_the_commands(scout_core, command):
    done = scout_core("--help", command=command)

    assert (0, "") == (done.code, done.err)
    assert done.out.startswith("Usage: scout-core ")
    for name in ("run", "config", "plugins", "hooks", "--version"):
        assert name in done.out


def test_the_script_is_installed_beside_the_interpreter():
    assert Path(SCRIPT[0]).exists(), f"scout-core is not installed in {sys.prefix}"


@pytest.mark.parametrize("command", ["run", "plugins", "hooks", "config"])
def test_every_command_has_help(scout_core, command):
    done = scout_core(command, "--help")

    assert (0, "") == (done.code, done.err)
    assert f"Usage: scout-core {command} " in done.out


def test_the_version_is_printed(scout_core):
    done = scout_core("--version")

    assert (0, f"scout-core {VERSION}\n", "") == (done.code, done.out, done.err)


@pytest.mark.parametrize("command", ["upp", "demonstrate"])
def test_an_unknown_command_is_reported_with_the_next_step(scout_core, command):
    done = scout_core(command)

    assert (2, "") == (done.code, done.out)
    assert f"Error: No such command '{command}'." in done.err
    assert "scout-core plugins" in done.err


@pytest.mark.parametrize("arguments", [("config", "--nonsense"), ("plugins", "extra"), ("run",), ("--nonsense",)])
def test_a_usage_error_exits_with_code_2(scout_core, arguments):
    done = scout_core(*arguments)

    assert (2, "") == (done.code, done.out)
    assert "Error: " in done.err


def test_run_starts_the_program_under_the_agent(scout_core):
    code = "import sys; from scout_core.recording import context; print(sys.argv[1:], context.tracer is not None)"
    done = scout_core("run", "--", sys.executable, "-c", code, "--flag", "x")

    assert (0, "['--flag', 'x'] True\n", "") == (done.code, done.out, done.err)


def test_run_passes_options_to_the_program_even_without_dashes(scout_core):
    done = scout_core("run", sys.executable, "-c", "import sys; sys.exit(int(sys.argv[2]))", "--help", "7")

    assert (7, "", "") == (done.code, done.out, done.err)


@pytest.mark.parametrize(
    ("program", "reason"), [("no-such-program", "No such file or directory"), ("/tmp", "Permission denied")]
)
def test_run_exits_with_code_2_when_the_program_cannot_be_run(scout_core, program, reason):
    done = scout_core("run", "--", program)

    assert (2, "") == (done.code, done.out)
    assert f"Error: cannot run '{program}': {reason}" in done.err


def test_run_puts_its_folder_first_on_the_python_path():
    folder = str(Path(run_module.__file__).parent.parent / "launch")

    assert {"PYTHONPATH": folder, "SCOUT_CORE_RUN": "1", "X": "1"} == run_module.environment({"X": "1"})
    assert (
        os.pathsep.join([folder, "/a", "/b"])
        == run_module.environment({"PYTHONPATH": os.pathsep.join(["/a", folder, "", "/b"])})["PYTHONPATH"]
    )


def test_run_works_although_a_required_plugin_is_missing(scout_core):
    ran = scout_core("run", "--", sys.executable, "-S", "-c", "print('the program')", SCOUT_PLUGINS_REQUIRE="nosuch")

    assert Ran(0, "the program\n", "") == ran


def test_commands_work_in_a_deleted_directory(scout_core, here):
    gone = here / "gone"
    gone.mkdir()
    code = f"import os, shutil, sys; shutil.rmtree({str(gone)!r}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    for arguments in (("config", "--check"), ("plugins",)):
        gone.mkdir(exist_ok=True)
        done = scout_core("-c", code, *SCRIPT, *arguments, command=(sys.executable,), cwd=gone)
        assert 0 == done.code, done.err


def test_a_plugin_that_fails_to_add_its_commands_is_reported_and_other_commands_work(scout_core, here):
    (here / "my_plugin.py").write_text(
        "from scout_core import hookimpl\n@hookimpl\ndef register_commands(cli):\n    raise KeyError('plan')\n"
    )
    done = scout_core("--help", SCOUT_PLUGINS="my_plugin")

    assert 0 == done.code
    assert "  config " in done.out
    (line,) = done.err.splitlines()
    assert line.startswith("scout-core: plugin 'my_plugin' could not add its commands: KeyError: 'plan' at ")
    assert "" == scout_core("hooks", SCOUT_PLUGINS="my_plugin").err


def test_a_scout_error_in_a_command_is_printed_on_a_single_line(scout_core, here):
    (here / "my_plugin.py").write_text(
        "from scout_core import ScoutError, hookimpl\n@hookimpl\ndef register_commands(cli):\n"
        "    @cli.command()\n    def fail():\n        raise ScoutError('the thing is missing; do this')\n"
    )
    done = scout_core("fail", SCOUT_PLUGINS="my_plugin")

    assert (1, "", "scout-core: the thing is missing; do this\n") == (done.code, done.out, done.err)


def test_a_plugin_adds_commands_unless_it_is_disabled(scout_core):
    scout_core.write_module(
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
def test_a_plugin_whose_commands_cannot_be_added_does_not_affect_other_commands(scout_core, source):
    scout_core.write_module(
        "failing", f"from scout_core import hookimpl\n@hookimpl\ndef register_commands(cli):\n    {source}\n"
    )

    ran = scout_core("nonsense", SCOUT_PLUGINS="failing")

    assert (2, "") == (ran.code, ran.out)
    assert ran.err.startswith("scout-core: plugin 'failing' could not add its commands: ")
    assert 0 == scout_core("config", "--check", SCOUT_PLUGINS="failing").code


def test_a_plugin_cannot_replace_a_built_in_command(scout_core):
    scout_core.write_module(
        "taking",
        """
        from scout_core import hookimpl

        @hookimpl
        def register_commands(cli):
            @cli.command("config")
            def show(): raise ValueError(1)
        """,
    )
    ran = scout_core("--help", SCOUT_PLUGINS="taking")

    assert (0, "scout-core: plugin 'taking' cannot replace the command config\n") == (ran.code, ran.err)
    assert 0 == scout_core("config", "--check", SCOUT_PLUGINS="taking").code


def test_a_built_in_command_is_found_without_importing_plugins(scout_core):
    scout_core.install("stuck", "import time\ntime.sleep(1000)")
    ran = scout_core("run", "--", sys.executable, "-S", "-c", "print('the program')")

    assert Ran(0, "the program\n", "") == ran


@pytest.mark.parametrize("arguments", [("-h",), ("plugins", "-h"), ("plugins", "disable", "-h"), ("run", "-h")])
def test_help_has_a_short_option_and_shows_examples(scout_core, arguments):
    ran = scout_core(*arguments)

    assert (0, "") == (ran.code, ran.err)
    assert "\n  scout-core " in ran.out


@pytest.mark.parametrize("command", ["up", "open", "policy"])
def test_an_unknown_command_that_a_known_plugin_provides_is_reported_with_the_plugin(scout_core, command):
    ran = scout_core(command, SCOUT_PLUGINS_DISABLE="dashboard")

    assert (2, "") == (ran.code, ran.out)
    assert f"Error: No such command {command!r}. A plugin provides it: pip install scout-dashboard\n" in ran.err


@pytest.mark.parametrize("command", ["config", "plugins --json", "hooks", "--help"])
def test_output_that_is_closed_early_does_not_cause_an_error_message(scout_core, command):
    line = f"{sys.executable} -u -m scout_core {command} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    ran = scout_core("-c", line, command=("bash",))

    assert "" == ran.err
    assert ran.code in (0, 1)


@pytest.mark.parametrize("encoding, shown", [("ascii", "店 …"), ("latin-1", "? ?")])
def test_a_terminal_without_our_characters_does_not_cause_an_error(scout_core, encoding, shown):
    """Click itself writes UTF-8 where Python expects ASCII."""
    scout_core.write("scout-core.toml", 'name = "店 …"\n')
    ran = scout_core("config", "name", command=MODULE, PYTHONIOENCODING=encoding)

    assert (0, "") == (ran.code, ran.err)
    assert ran.out.startswith(f"name = '{shown}'  (file ")


@pytest.mark.parametrize("command", ["config", "plugins", "hooks"])
def test_a_broken_project_file_is_reported_without_a_traceback(scout_core, command):
    path = scout_core.write("pyproject.toml", "[tool.scout-core]\nname = \n")
    ran = scout_core(command)

    assert f"file {path} is not valid TOML (" in ran.err
    assert ran.out
