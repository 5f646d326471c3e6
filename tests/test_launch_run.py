"""``scout-core run``: unchanged programs started under the agent, each in its own process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from scout_core import launch
from scout_core.cli.run import environment
from tests.workbench import Ended

FOLDER = Path(launch.__file__).parent
RUN = (sys.executable, "-m", "scout_core", "run", "--")
STATE = """
import json, sys, threading
agents = sys.modules.get("scout_core.running")
agent = agents and agents._running
print(json.dumps({
    "is_running": agent is not None and agent.is_running,
    "name": agent and agent.config.get("name"),
    "active": sorted(plugin.name for plugin in agent.plugin_statuses() if plugin.state == "active") if agent else [],
    "threads": [thread.name for thread in threading.enumerate()],
}), flush=True)
"""
"""Python code that prints the state of the agent in its process."""


@pytest.fixture
def here(tmp_path) -> Path:
    """Return the working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def outer(tmp_path) -> dict[str, str]:
    """Return the environment of the command, with all built-in plugins and no others."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "COV_", "PYTHON"))}
    builtin = "age, collector, error, error_traces, ignoring, percent, percentile, process, sampling, speed, threads"
    return {
        **kept,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "SCOUT_PLUGINS_AUTOLOAD": "false",
        "SCOUT_PLUGINS_ENABLE": builtin,
    }


@pytest.fixture
def ended(here, outer):
    """Return a function that runs a command to its end; keywords are environment variables."""

    def run(*command: str | Path, **more: str) -> Ended:
        done = subprocess.run(command, cwd=here, env={**outer, **more}, capture_output=True, text=True, timeout=60)
        return Ended(done.returncode, done.stdout, done.stderr, 0.0)

    return run


@pytest.fixture
def write(here):
    """Return a function that writes a file below the working directory."""

    def write(path: str, source: str = "") -> Path:
        file = here / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source), encoding="utf-8")
        return file

    return write


def state(done: Ended) -> dict:
    """Return what ``STATE`` printed; nothing else may be printed."""
    assert (0, "") == (done.code, done.err)
    return json.loads(done.out)


def started(done: Ended) -> bool:
    return state(done)["is_running"]


# the agent runs


def test_the_agent_runs_before_the_program_and_has_no_thread_yet(ended):
    assert {
        "is_running": True,
        "name": "Python App",
        "active": [
            "age",
            "collector",
            "error",
            "error_traces",
            "ignoring",
            "percent",
            "percentile",
            "process",
            "sampling",
            "speed",
            "threads",
        ],
        "threads": ["MainThread"],
    } == state(ended(*RUN, sys.executable, "-c", STATE))


def test_settings_come_from_the_environment_and_the_file_in_the_working_directory(ended, write):
    write("scout-core.toml", 'name = "Shop"\n[plugins]\nenable = ["speed", "age"]\ndisable = ["age"]\n')

    agent = state(ended(*RUN, sys.executable, "-c", STATE, SCOUT_PLUGINS_ENABLE="speed"))

    assert ("Shop", ["speed"]) == (agent["name"], agent["active"])
    assert "Till" == state(ended(*RUN, sys.executable, "-c", STATE, SCOUT_NAME="Till"))["name"]


def test_transactions_of_the_program_are_recorded_and_nothing_is_printed(ended):
    code = """
    import scout_core
    with scout_core.transaction("Job/mail"):
        print("working")
    agent = scout_core.start()
    print(agent.counters().finished)
    """

    assert Ended(0, "working\n1\n", "", 0.0) == ended(*RUN, sys.executable, "-W", "error", "-c", textwrap.dedent(code))


def test_the_program_does_not_import_our_command_line_or_heavy_libraries(ended):
    code = "import sys; print(sorted({'click', 'asyncio', 'ssl', 'cattrs', 'importlib.metadata'} & set(sys.modules)))"
    plain = ended(sys.executable, "-c", code)  # some of them may be imported by the environment's own .pth files

    assert plain == ended(*RUN, sys.executable, "-c", code)


# programs


def test_a_script_a_module_and_a_program_on_the_path_run_under_the_agent(ended, write, tmp_path):
    script = write("app.py", STATE)
    write("package/__init__.py")
    write("package/__main__.py", STATE)
    command = tmp_path / "bin" / "shop"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\n{STATE}", encoding="utf-8")
    command.chmod(0o755)

    assert started(ended(*RUN, sys.executable, script))
    assert started(ended(*RUN, sys.executable, "-m", "package"))
    assert started(ended(*RUN, "shop", PATH=f"{command.parent}{os.pathsep}{os.environ['PATH']}"))


def test_arguments_are_passed_on_unchanged(ended):
    arguments = ["--help", "-x", "", "two words", "--", "--json"]
    command = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *arguments]

    assert arguments == json.loads(ended(*RUN, *command).out)
    assert arguments == json.loads(ended(*RUN[:-1], *command).out)  # without the two dashes


def test_standard_input_and_output_belong_to_the_program(here, outer):
    code = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]); sys.stderr.write('own')"
    done = subprocess.run(
        [*RUN, sys.executable, "-c", code], input=b"\x00\xffab", cwd=here, env=outer, capture_output=True, timeout=60
    )

    assert (0, b"ba\xff\x00", b"own") == (done.returncode, done.stdout, done.stderr)


def test_a_program_can_be_started_by_a_shell(ended):
    assert started(ended(*RUN, "sh", "-c", 'exec "$PYTHON_HERE" -c "$CODE"', CODE=STATE, PYTHON_HERE=sys.executable))


def test_a_program_that_is_not_python_runs_as_usual(ended):
    assert Ended(3, "hello\n", "", 0.0) == ended(*RUN, "sh", "-c", "echo hello; exit 3")


def test_the_command_can_be_nested(ended):
    code = STATE + "import os; assert 1 == os.environ['PYTHONPATH'].count('launch'), os.environ['PYTHONPATH']"

    assert started(ended(*RUN, *RUN, sys.executable, "-c", code))


# exit codes and signals


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_that_of_the_program(ended, code):
    assert Ended(code, "", "", 0.0) == ended(*RUN, sys.executable, "-c", f"raise SystemExit({code})")


def test_an_exception_is_printed_as_usual(ended, write):
    script = write("app.py", "def fail():\n    raise ValueError('own')\n\nfail()\n")

    plain = ended(sys.executable, script)

    assert 1 == plain.code
    assert plain == ended(*RUN, sys.executable, script)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_the_program_keeps_the_process_id_and_a_signal_ends_it_as_usual(here, outer, number):
    code = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); print(os.getpid(), flush=True); signal.pause()"
    with subprocess.Popen([*RUN, sys.executable, "-c", code], cwd=here, env=outer, stdout=subprocess.PIPE) as process:
        try:
            pid = int(process.stdout.readline())
            process.send_signal(number)
            ended = process.wait(30)
        finally:
            process.kill()

    assert (process.pid, -number) == (pid, ended)


def test_signal_handlers_are_not_changed(ended):
    code = "import signal; print([repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())])"
    plain = ended(sys.executable, "-c", code)

    assert plain == ended(*RUN, sys.executable, "-c", code)


# an existing sitecustomize

RECORD_PATH = """
import sys
recorded_path = list(sys.path)
"""
SHOW = "import json, sitecustomize; print(json.dumps([sitecustomize.__file__, sitecustomize.__name__, sitecustomize.recorded_path]))"


def test_an_existing_sitecustomize_runs_first_with_the_same_path(ended, write):
    file = write("own/sitecustomize.py", RECORD_PATH + "agents = 'scout_core.agent' in sys.modules\n")
    plain = json.loads(ended(sys.executable, "-c", SHOW, PYTHONPATH=str(file.parent)).out)

    done = ended(*RUN, sys.executable, "-c", SHOW, PYTHONPATH=str(file.parent))
    path, name, recorded_path = json.loads(done.out)
    agents = ended(
        *RUN, sys.executable, "-c", "import sitecustomize; print(sitecustomize.agents)", PYTHONPATH=str(file.parent)
    )

    assert (0, "") == (done.code, done.err)
    assert (str(file), "sitecustomize") == (path, name)
    assert plain == [path, name, [folder for folder in recorded_path if folder != str(FOLDER)]]
    assert str(file.parent) == plain[2][0] == recorded_path[1]
    assert "False\n" == agents.out
    assert started(ended(*RUN, sys.executable, "-c", STATE, PYTHONPATH=str(file.parent)))


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('own')",
        "import nowhere_to_be_found",
        "def",
        "raise SystemExit(4)",
        "import os; os._exit(5)",
        "print('hello')",
    ],
)
def test_an_existing_sitecustomize_has_the_same_effect_as_without_the_command(ended, write, source):
    own = str(write("own/sitecustomize.py", source).parent)
    command = [sys.executable, "-c", "print('the program')"]

    plain = ended(*command, PYTHONPATH=own)
    ours = ended(*RUN, *command, PYTHONPATH=own)

    # It also runs for `run` itself, which is Python, too; the last line of output and the first error are compared.
    assert (plain.code, plain.out.splitlines()[-1:]) == (ours.code, ours.out.splitlines()[-1:])
    assert set(plain.err.splitlines()[:2]) == set(ours.err.splitlines()[:2])


def test_a_sitecustomize_that_raises_is_reported_as_usual_and_the_program_runs(ended, write):
    """With the environment of ``run``, but without its process, in which the error would be reported as well."""
    own = str(write("own/sitecustomize.py", "raise ValueError('own')").parent)
    below = environment({"PYTHONPATH": own})
    plain = ended(sys.executable, "-c", "print('the program')", PYTHONPATH=own)

    assert plain == ended(sys.executable, "-c", "print('the program')", **below)
    assert ("the program\n", 0) == (plain.out, plain.code)
    assert "Error in sitecustomize" in plain.err


def test_the_python_path_of_the_program_follows_our_folder(ended):
    code = "import json, os, sys; print(json.dumps([os.environ['PYTHONPATH'], sys.path[:4]]))"
    variable, path = json.loads(ended(*RUN, sys.executable, "-c", code, PYTHONPATH=f"/first{os.pathsep}/second").out)

    assert os.pathsep.join([str(FOLDER), "/first", "/second"]) == variable
    assert ["", str(FOLDER), "/first", "/second"] == path


# errors at the start


def test_a_plugin_that_calls_exit_during_import_does_not_end_the_program(ended, write):
    write("exiting.py", "raise SystemExit(9)")

    done = ended(*RUN, sys.executable, "-c", STATE, SCOUT_PLUGINS="exiting")

    assert json.loads(done.out)["is_running"]
    assert (0, 1) == (done.code, len(done.err.splitlines()))
    assert "exiting called sys.exit(9) when it was imported" in done.err


@pytest.mark.parametrize("hook", ["instrument(wrap)", "on_start(agent)", "register_options()", "register_exporters()"])
def test_a_plugin_that_calls_exit_at_the_start_does_not_end_the_program(ended, write, hook):
    write("exiting.py", f"from scout_core import hookimpl\n@hookimpl\ndef {hook}: raise SystemExit(9)\n")

    done = ended(*RUN, sys.executable, "-c", STATE, SCOUT_PLUGINS="exiting")

    assert json.loads(done.out)["is_running"]
    assert 0 == done.code
    assert re.search(r"^plugin 'exiting'.*SystemExit: 9 at \S+/exiting\.py:3 in ", done.err, re.MULTILINE)
    assert "Traceback" not in done.err


def test_a_deleted_working_directory_does_not_stop_the_agent(ended, write):
    """A shell removes it and then starts Python in it."""
    write("gone/x")
    code = 'cd gone && rm -r ../gone && exec "$PYTHON_HERE" -c "$CODE"'

    assert started(ended(*RUN, "sh", "-c", code, CODE=STATE, PYTHON_HERE=sys.executable))


# plugins that are not installed

POLICY = """
from scout_core import hookimpl

@hookimpl
def score_transaction(transaction):
    return 1.0
"""


@pytest.mark.parametrize("module", ["policies", "shop.policies"])
def test_a_named_plugin_is_found_beside_the_script(ended, write, module):
    write("app/policies.py", POLICY)
    write("app/shop/policies.py", POLICY)
    script = write(
        "app/main.py", STATE + "\nimport policies; assert sys.path[0] == policies.__file__.rpartition('/')[0]"
    )

    assert module in state(ended(*RUN, sys.executable, script, SCOUT_PLUGINS=module))["active"]


def test_a_named_plugin_is_found_in_the_working_directory(ended, write):
    write("policies.py", POLICY)
    write("app/main.py", STATE)
    write("package/__main__.py", STATE)

    for program in (["app/main.py"], ["-m", "package"], ["-c", STATE]):
        assert "policies" in state(ended(*RUN, sys.executable, *program, SCOUT_PLUGINS="policies"))["active"]


def test_the_path_of_the_program_is_the_same_as_without_the_command(ended, write):
    write("app/policies.py", POLICY)
    script = write("app/main.py", "import json, sys; print(json.dumps(sys.path))")
    plain = json.loads(ended(sys.executable, script).out)

    ours = json.loads(ended(*RUN, sys.executable, script, SCOUT_PLUGINS="policies").out)

    assert plain == [folder for folder in ours if folder != str(FOLDER)]
